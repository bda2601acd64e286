"""The sections that name things outside the file: the model, data, targets, and where a run happens."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    JsonValue,
    Tag,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from olivelike.contracts.data import ScriptCall
from olivelike.contracts.space import Limits
from olivelike.contracts.target import PROVIDERS
from olivelike.workflow.faults import broken
from olivelike.workflow.padding import PAD, PAD_LENGTH, one_transform, padding
from olivelike.workflow.section import (
    MAPPING_TAG,
    NAMED_TAG,
    TEXT_TAG,
    Count,
    Flag,
    NotBuilt,
    OpenSection,
    Seconds,
    Section,
    TaskLimits,
    Text,
    Whole,
    gather,
    is_written,
    shape_tag,
)

Use = Literal["train", "calibration", "selection", "certification"]


def _prepare_tag(value: object) -> str:
    """Tells a transform's name from user's Python and from a transform with options."""
    if isinstance(value, Mapping) and value and not {"script", "call"} & value.keys():
        return NAMED_TAG
    return shape_tag(value)


Prepare = Annotated[
    Annotated[str, Tag(TEXT_TAG)]
    | Annotated[ScriptCall, Tag(MAPPING_TAG)]
    | Annotated[dict[Text, dict[str, JsonValue]], AfterValidator(one_transform), Tag(NAMED_TAG)],
    Discriminator(_prepare_tag),
]
Padding = Annotated[
    dict[str, JsonValue],
    BeforeValidator(padding),
    Field(examples=["{input_ids: 128}"]),
    WithJsonSchema({"anyOf": [PAD_LENGTH, {"type": "object", "additionalProperties": {"anyOf": [PAD_LENGTH, PAD]}}]}),
]


class ModelSection(OpenSection):
    """The model to optimize.

    Attributes:
        file: the file inside a folder or repository; empty where there is no doubt.
        revision: the revision to fetch; empty for the source's newest, which the lock pins.
        task: what the model does, in the words of the Hugging Face Hub; how data are prepared by default follows from it.
        custom_operators: libraries of custom operators that the model needs to be loaded: paths, or `onnxruntime-extensions` for
            the library of that package. They travel with every model that is made.
        io: inputs and outputs where the model does not say them; a named dimension is dynamic.
        own: the source key (`path`, `hub`, ...), every other key.
    """

    file: str = ""
    revision: str = ""
    task: Annotated[str, Field(examples=["text-classification"])] = ""
    custom_operators: Annotated[tuple[Text, ...], Field(examples=["[lib/operators.so]"])] = ()
    load: Annotated[dict[str, JsonValue], NotBuilt] = Field(default={})
    io: Annotated[dict[str, JsonValue], NotBuilt] = Field(default={})
    example_inputs: Annotated[JsonValue, NotBuilt] = ""
    adapters: Annotated[dict[str, JsonValue], NotBuilt] = Field(default={})
    parts: Annotated[dict[str, JsonValue], NotBuilt] = Field(default={})
    own: dict[str, JsonValue] = Field(default={})

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, value: object, info: ValidationInfo) -> object:
        return gather(cls, value, info)

    @model_validator(mode="after")
    def _check(self) -> ModelSection:
        if not self.own:
            raise broken("OL111", "the model has no source", hint="for example path: model.onnx")
        return self


class DataSection(OpenSection):
    """A data entry.

    Attributes:
        inputs: model input to column; empty where columns are named like inputs.
        labels: the label column; empty for none.
        split: which split the reader takes; empty for its default.
        columns: which columns the reader takes; empty for all.
        prepare: a named transform (its name, or `{NAME: {options}}`), user's Python, or `none`; empty for what the model's
            task asks for.
        samples: the first so many samples; 0 for all.
        batch: samples per batch; 0 leaves it to the metric or pass.
        pad: how lists of different length are filled up: `128` or `longest` for all columns, or column to such a length or
            to a mapping with `to`, `multiple_of`, `value`, `side` and `truncate`.
        shuffle: draw the samples in a seeded order.
        use: what the entry may be used for; empty means anything.
        own: the source key (`npz`, `script`, ...) and the reader's own options: every other key, and `split` and
            `columns` where they are given.
    """

    inputs: Annotated[dict[str, Text], Field(examples=["{image: images}"])] = Field(default={})
    labels: str = ""
    split: str = ""
    columns: Annotated[tuple[Text, ...], Field(examples=["[image, label]"])] = ()
    prepare: Prepare = ""
    samples: Count = 0
    batch: Count = 0
    pad: Padding = Field(default={})
    shuffle: Flag = False
    use: Annotated[tuple[Use, ...], Field(examples=["[selection]"])] = ()
    own: dict[str, JsonValue] = Field(default={})

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, value: object, info: ValidationInfo) -> object:
        gathered = gather(cls, value, info)
        if not isinstance(gathered, dict):
            return gathered
        if gathered.get("split"):
            gathered["own"]["split"] = gathered["split"]
        if isinstance(columns := gathered.get("columns"), list | tuple) and columns:
            gathered["own"]["columns"] = list(columns)
        return gathered

    @model_validator(mode="after")
    def _check(self) -> DataSection:
        if not set(self.own) - {"split", "columns"}:
            raise broken("OL111", "the data have no source", hint="for example npz: data.npz")
        return self


class ProviderSection(Section):
    """One execution provider by its full ONNX Runtime name, with its options.

    Attributes:
        name: the full name; a short name is replaced, an unknown one kept as written.
        options: handed to the provider.
    """

    internal: ClassVar[frozenset[str]] = frozenset({"name", "options"})

    name: Text
    options: dict[str, JsonValue] = Field(default={})

    @model_validator(mode="before")
    @classmethod
    def _shape(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, Mapping) and "name" in value and not is_written(info):
            return {**value, "name": PROVIDERS.get(value["name"], value["name"])}
        if isinstance(value, str):
            return {"name": PROVIDERS.get(value, value)}
        if isinstance(value, Mapping) and len(value) == 1:
            [(name, options)] = value.items()
            return {"name": PROVIDERS.get(name, name), "options": {} if options is None else options}
        if isinstance(value, ProviderSection):
            return value
        raise broken(
            "OL105", f"got {value!r}, expected a provider", hint="for example cpu or {openvino: {device_type: GPU}}"
        )


class TargetSection(Section):
    """Where the model is to run.

    Attributes:
        device: the kind of device.
        providers: execution providers in order of preference.
        threads: the most intra-operator threads a session may use; 0 leaves it to the runtime.
        session: session options that bound every session.
        present: whether this machine has it; otherwise it is built for and never run on.
    """

    device: Literal["cpu", "gpu", "npu"] = "cpu"
    providers: Annotated[tuple[ProviderSection, ...], Field(min_length=1, examples=["[cpu]"])] = (
        ProviderSection(name="CPUExecutionProvider"),
    )
    threads: Count = 0
    session: dict[str, JsonValue] = Field(default={})
    environment: Annotated[str, NotBuilt] = ""
    present: Flag = True


class SearchSection(Section):
    """How recipes are looked for.

    Attributes:
        strategy: the registered name of the strategy.
        max_trials: the most recipes tried.
        time_limit: seconds; infinity means no limit.
        no_improvement: end after so many trials without a better one; 0 for never.
        seed: the seed of everything drawn.
        measure: whether a candidate that cannot win any more is measured further.
    """

    strategy: Text = "auto"
    max_trials: Annotated[Whole, Field(gt=0)] = 100
    time_limit: Annotated[Seconds, Field(examples=["5 min"])] = math.inf
    no_improvement: Count = 0
    seed: Count = 0
    measure: Literal["until_decided", "all"] = "until_decided"


class OutputSection(Section):
    """What is handed out, and where.

    Attributes:
        path: the bundle's folder; empty where only the report is wanted.
        kind: the artifact kind that can win; empty for what the last step produces.
        keep: which candidates are handed out.
    """

    path: Annotated[str, Field(examples=["out/model"])] = ""
    kind: str = ""
    keep: Literal["best", "pareto", "all"] = "best"
    external_data: Annotated[JsonValue, NotBuilt] = ""
    package: Annotated[JsonValue, NotBuilt] = ""


def _cache(value: object) -> object:
    if not isinstance(value, Mapping):
        return value
    for key in value:
        if key == "remote":
            raise broken("OL109", "`remote` is not built yet", at=("remote",), hint="remove it")
        if key != "path":
            raise broken("OL104", "unknown key", at=(key,), hint="known: path")
    return value.get("path", "")


class RunSection(Section):
    """The machine's side of a run: in no key, and without influence on the answer.

    Attributes:
        cache: the store's folder; empty for the default.
        executor: the registered name of the executor.
        workers: how many workers run at once.
        limits: what one task may take where its step says nothing.
        offline: use only what is on this machine.
        log: the log level; empty for the default.
        profile: whether the report says where the time goes in the baseline and in the chosen model.
    """

    cache: Annotated[
        str,
        BeforeValidator(_cache),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "string"},
                    {
                        "type": "object",
                        "properties": {"path": {"type": "string"}},
                        "required": ["path"],
                        "additionalProperties": False,
                    },
                ]
            }
        ),
    ] = ""
    executor: Text = "process"
    workers: Annotated[Whole, Field(gt=0)] = 1
    limits: TaskLimits = Limits()
    offline: Flag = False
    log: Literal["", "debug", "info", "warning", "error"] = ""
    profile: Flag = False
