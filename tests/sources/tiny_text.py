"""A tokenizer of a few words and models that take its ids, built in code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers, processors

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "film", "very", "a")
"""The vocabulary; a word's id is its position."""


def save_tokenizer(folder: Path, *, special: bool = True, name: str = "tokenizer.json") -> Path:
    """Writes a tokenizer that splits at blanks; `special` puts [CLS] and [SEP] around a text.

    Like those of real models it asks for filling and cutting of its own, which olivelike does not want.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if special:
        pieces = [("[CLS]", 2), ("[SEP]", 3)]
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=pieces
        )
    tokenizer.enable_padding(length=16, pad_id=0, pad_token="[PAD]")
    tokenizer.enable_truncation(4)
    tokenizer.save(str(folder / name))
    return folder / name


def save_text_model(folder: Path, *, classes: int = 2, width: int = 8, length: int | str = "tokens") -> Path:
    """Writes `model.onnx`: an embedding of the ids and of their types, the mean over the mask, a linear layer."""
    rng = np.random.default_rng(0)
    shape = ["samples", length]
    inputs = [
        helper.make_tensor_value_info(n, TensorProto.INT64, shape)
        for n in ("input_ids", "attention_mask", "token_type_ids")
    ]
    weights = {
        "words": rng.standard_normal((len(WORDS), width)),
        "types": rng.standard_normal((2, width)),
        "hidden": rng.standard_normal((width, width)),
        "classifier": rng.standard_normal((width, classes)),
    }
    nodes = [
        helper.make_node("Gather", ["words", "input_ids"], ["word"]),
        helper.make_node("Gather", ["types", "token_type_ids"], ["type"]),
        helper.make_node("Add", ["word", "type"], ["embedded"]),
        helper.make_node("MatMul", ["embedded", "hidden"], ["mixed"]),
        helper.make_node("Relu", ["mixed"], ["active"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["wide"]),
        helper.make_node("Mul", ["active", "wide"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "middle"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["wide", "middle"], ["count"], keepdims=0),
        helper.make_node("Div", ["sum", "count"], ["mean"]),
        helper.make_node("MatMul", ["mean", "classifier"], ["logits"]),
    ]
    initializers = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()]
    initializers += [numpy_helper.from_array(np.array([axis]), name) for name, axis in (("last", -1), ("middle", 1))]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["samples", classes])]
    graph = helper.make_graph(nodes, "tiny-text", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


def save_reviews(path: Path, count: int = 12) -> Path:
    """Writes JSON lines with `text`, of 2 to 4 words, and `label`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = ("good film", "very bad film", "a very good film", "a bad film")
    rows = [{"text": texts[at % 4], "label": [1, 0, 1, 0][at % 4]} for at in range(count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
