"""Which of a folder's files make a model: the rules for folders, repositories and bundles, over names alone.

Weights in pickled formats (`.bin`, `.pt`, `.pth`, `.ckpt`, `.pkl`) are never among them, because nothing is unpickled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from olivelike.errors import InputError, OlivelikeError, fail, nearest

CONFIG = "config.json"
PICKLED = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"})
COMPANIONS = (
    "config.json",
    "generation_config.json",
    "genai_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer*.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.*",
    "vocab.*",
    "merges.txt",
    "*.model",
    "*.tiktoken",
)
HF_FILES = ("*.json", "*.txt", "*.jinja", "*.model", "*.tiktoken")
WHOLE_MODEL = ("model.safetensors", "model-*-of-*.safetensors")


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one model inside a folder, by relative POSIX name.

    Attributes:
        kind: `onnx` or `hf`.
        main: the `.onnx` file, or `config.json` of a Transformers model.
        weights: the safetensors files of a Transformers model; an ONNX model names its external data itself.
        companions: tokenizer, processor and configuration files.
    """

    kind: str
    main: str
    weights: tuple[str, ...]
    companions: tuple[str, ...]

    @property
    def files(self) -> tuple[str, ...]:
        """All of them, each once, sorted."""
        return tuple(sorted({self.main, *self.weights, *self.companions}))


def layout(names: Sequence[str], file: str, place: str) -> Layout:
    """Returns which of a folder's files make the model that the user means.

    With `file` it is that `.onnx` file. Without, a `config.json` beside safetensors is a Transformers model (an ONNX
    export further down needs `file`); otherwise the folder must hold exactly one `.onnx` file.

    Args:
        names: the relative POSIX names of all files.
        file: the one that the user names, or empty.
        place: what the folder is called in messages.

    Raises:
        InputError: OL201, no model, several, or no such file; OL202, weights that are only there as a pickle.
    """
    if file:
        return _named(names, file, place)
    weights = _root_weights(names)
    if CONFIG in names and weights:
        return Layout("hf", CONFIG, weights, _matching(names, "", HF_FILES, but=CONFIG))
    models = sorted(name for name in names if name.lower().endswith(".onnx"))
    if len(models) == 1:
        return _onnx(names, models[0])
    raise _no_model(names, models, place)


def _named(names: Sequence[str], file: str, place: str) -> Layout:
    name = inside(file, place)
    if name not in names:
        others = [other for other in names if other.lower().endswith(".onnx")] or names
        raise fail(InputError, "OL201", f"there is no file {file!r}", place=place, hint=nearest(name, others))
    if not name.lower().endswith(".onnx"):
        raise not_onnx(name, place)
    return _onnx(names, name)


def inside(name: str, place: str) -> str:
    """Returns a user's relative name in its normal form, refusing what would leave the folder.

    Raises:
        InputError: OL201, the name is absolute or climbs out.

    >>> inside("onnx/./model.onnx", "a folder")
    'onnx/model.onnx'
    """
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in name or not path.parts:
        hint = "name a file below the folder"
        raise fail(InputError, "OL201", f"{name!r} leaves the folder", place=place, hint=hint)
    return path.as_posix()


def is_companion(name: str) -> bool:
    """Whether a file of this name may belong to a model: a tokenizer, a processor, a generation configuration.

    >>> is_companion("tokenizer/tokenizer.json"), is_companion(".env")
    (True, False)
    """
    return any(fnmatchcase(PurePosixPath(name).name, pattern) for pattern in COMPANIONS)


def not_onnx(name: str, place: str) -> OlivelikeError:
    """Returns the error for a file that cannot be an ONNX model by its name alone."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in PICKLED:
        hint = "export it to ONNX, or name a folder with config.json and safetensors"
        return fail(InputError, "OL202", f"{name} is a pickled format, which is never loaded", place=place, hint=hint)
    if suffix == ".safetensors":
        hint = "name the folder that holds it and its config.json"
        return fail(InputError, "OL202", f"{name} holds weights alone, not a model", place=place, hint=hint)
    return fail(InputError, "OL202", f"{name} is not an .onnx file", place=place, hint="name an .onnx file")


def _onnx(names: Sequence[str], main: str) -> Layout:
    folders = {"", PurePosixPath(main).parent.as_posix().removeprefix(".")}
    found = {name for folder in folders for name in _matching(names, folder, COMPANIONS, but=main)}
    return Layout("onnx", main, (), tuple(sorted(found)))


def _root_weights(names: Sequence[str]) -> tuple[str, ...]:
    # Repositories keep other copies beside the model (`model.fp16.safetensors`, `consolidated.safetensors`), which
    # Transformers does not load.
    return _matching(names, "", WHOLE_MODEL) or _matching(names, "", ("*.safetensors",))


def _matching(names: Sequence[str], folder: str, patterns: Sequence[str], but: str = "") -> tuple[str, ...]:
    start = f"{folder}/" if folder else ""
    direct = [(name, name.removeprefix(start)) for name in names if name.startswith(start) and name != but]
    return tuple(
        sorted(
            name for name, rest in direct if "/" not in rest and any(fnmatchcase(rest, pattern) for pattern in patterns)
        )
    )


def _no_model(names: Sequence[str], models: Sequence[str], place: str) -> OlivelikeError:
    if models:
        shown = ", ".join(models[:6]) + (", ..." if len(models) > 6 else "")
        claim = f"holds {len(models)} ONNX models: {shown}"
        return fail(InputError, "OL201", claim, place=place, hint=f"choose one with `file: {models[0]}`")
    pickled = [name for name in names if PurePosixPath(name).suffix.lower() in PICKLED]
    if pickled:
        claim = f"holds its weights only as {pickled[0]}, a pickled format, which is never loaded"
        return fail(InputError, "OL202", claim, place=place, hint="save the model as safetensors")
    claim = f"holds no model: neither an .onnx file nor {CONFIG} with safetensors ({len(names)} files)"
    return fail(InputError, "OL201", claim, place=place, hint="name the folder or the file of a model")
