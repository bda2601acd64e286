"""Models as torch exports them, through the passes that look for torch's patterns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra hf)")
transformers = pytest.importorskip("transformers", reason="transformers is not installed (extra hf)")

import olivelike  # noqa: E402
from olivelike.onnxfile.read import read_structure  # noqa: E402
from olivelike.testing.context import run_model  # noqa: E402

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # the TorchScript exporter calls itself deprecated
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
LAYERS = 2


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers with random weights, as the TorchScript exporter writes it: tokens to hidden states."""
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=100, hidden_size=32, num_hidden_layers=LAYERS, num_attention_heads=4, intermediate_size=64
    )
    config._attn_implementation = "eager"
    net = transformers.BertModel(config, add_pooling_layer=False).eval()

    class Hidden(torch.nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, input_ids: object, attention_mask: object) -> object:
            return self.net(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    path = tmp_path_factory.mktemp("bert") / "bert.onnx"
    tokens = torch.randint(0, 100, (2, 8))
    axes = {0: "batch", 1: "length"}
    torch.onnx.export(
        Hidden(),
        (tokens, torch.ones_like(tokens)),
        str(path),
        input_names=["input_ids", "attention_mask"],
        output_names=["hidden"],
        dynamic_axes={"input_ids": axes, "attention_mask": axes, "hidden": axes},
        opset_version=17,
        dynamo=False,
    )
    return path


@pytest.mark.parametrize("level", [0, 1])
def test_attention_of_a_torch_export_is_fused_and_computes_the_same(bert: Path, tmp_path: Path, level: int) -> None:
    report = olivelike.run(
        {
            "model": {"path": str(bert)},
            "passes": [
                {"fuse_transformers": {"model_type": "bert", "num_heads": 4, "hidden_size": 32, "opt_level": level}}
            ],
            "run": {"executor": "process", "cache": str(tmp_path / "cache")},
        }
    )
    assert report.status == "built", report.contract.why
    kinds = [node.op_type for node in read_structure(report.best.path).graph.node]
    assert kinds.count("Attention") == LAYERS
    tokens = np.random.default_rng(0).integers(0, 100, (2, 8))
    feeds = {"input_ids": tokens, "attention_mask": np.ones_like(tokens)}
    expected, got = run_model(bert, feeds)["hidden"], run_model(report.best.path, feeds)["hidden"]
    assert np.abs(expected - got).max() < 1e-4  # fused kernels sum in another order
