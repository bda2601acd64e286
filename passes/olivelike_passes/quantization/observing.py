"""Values inside a model as it runs on data: weights stay in their file, and a batch's values within a bound of memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.data import Batch, Dataset
from olivelike.contracts.passes import PassContext
from olivelike.errors import InputError, RefusedError, fail
from olivelike.onnxfile.external import is_external
from olivelike.onnxfile.read import opset, read_structure, signature_of
from olivelike.onnxfile.sizes import byte_count
from olivelike.onnxfile.walk import tensors
from olivelike.onnxfile.wiring import tidy
from olivelike.onnxfile.write import OUTSIDE_ABOVE, write_model
from olivelike_passes.header import unite_imports
from olivelike_passes.runtime import open_session
from olivelike_passes.weights import free_weights, lift_constants, weights_off_inputs

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from olivelike.contracts.data import Array

AT_ONCE = 128 << 20
"""Bytes of watched values that are held at a time; more take smaller batches, then several runs over the data."""
USUAL_BATCH = 8
FLOATS = frozenset({"tensor(float)", "tensor(float16)", "tensor(bfloat16)"})
MAPPED = {"session.disable_prepacking": "1"}
"""Prepacked weights are copies in memory; without them the runtime computes on the mapped file, about as fast."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which data a model is run on.

    Attributes:
        data: the data entry.
        samples: how many of its samples, the first ones; 0 for all.
        batch: samples per run; 0 takes what the model fixes, or 8, or fewer where their values would take too much memory.
    """

    data: str
    samples: int
    batch: int


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is looked at in one run.

    Attributes:
        batch: samples per run.
        sizes: value to the bytes that it takes in such a run, in float32.
    """

    batch: int
    sizes: Mapping[str, int]


class Watched:
    """A model that can be run for the values inside it.

    Attributes:
        model: its structure, with `Constant` nodes lifted to initializers and one import per operator set.
    """

    def __init__(self, source: Artifact, context: PassContext, sampling: Sampling) -> None:
        """Reads the model's structure and opens the data.

        Raises:
            InputError: OL206, the data do not fit the model's inputs.
        """
        self.model = read_structure(source.model)
        lift_constants(self.model)
        unite_imports(self.model)
        free_weights(self.model)
        weights_off_inputs(self.model)  # they keep their defaults here, and need not be fed
        self._source, self._context, self._sampling = source, context, sampling
        self._folder = source.model.parent
        self._dataset: Dataset = context.data(sampling.data, source.model)
        self._inputs = {entry.name for entry in self.model.graph.input}
        self._move_out()

    def floats(self, names: Iterable[str]) -> list[str]:
        """Returns which of these values of the main graph are floats that data flow through, in their order.

        Raises:
            RefusedError: OL301, the runtime cannot load the model.
        """
        held = {tensor.name for tensor in self.model.graph.initializer}
        held |= {sparse.values.name for sparse in self.model.graph.sparse_initializer}
        made = {name for node in self.model.graph.node for name in node.output}
        flowing = [name for name in dict.fromkeys(names) if name in made | self._inputs and name and name not in held]
        computed = [name for name in flowing if name not in self._inputs]
        kinds = {entry.name: f"tensor({entry.dtype})" for entry in signature_of(self.model).inputs}
        kinds = {name: kind.replace("float32", "float") for name, kind in kinds.items()}
        if computed:
            kinds |= {argument.name: argument.type for argument in self._session(computed).get_outputs()}
        return [name for name in flowing if kinds[name] in FLOATS]

    def plan(self, names: Sequence[str]) -> Plan:
        """Returns how many samples to run at a time, from what the values of one sample take.

        Raises:
            RefusedError: OL301, the data are empty.
            InputError: OL206, the model cannot be run on them.
        """
        fixed = self._fixed_batch()
        first = next(iter(self._dataset.batches(fixed or 1, fixed or 1)), None)
        if first is None or (fixed and first.size < fixed):
            claim = f"the data entry {self._sampling.data!r} gives no batch to calibrate on"
            raise fail(RefusedError, "OL301", claim, hint="give at least one sample")
        sizes = {name: 4 * prod(shape) for name, shape in self._shapes(names, first).items()}
        fits = max(AT_ONCE // max(sum(sizes.values()), 1), 1)
        size = fixed or self._sampling.batch or min(USUAL_BATCH, fits)
        return Plan(size, {name: count * size // first.size for name, count in sizes.items()})

    def values(self, names: Sequence[str], plan: Plan, part: tuple[int, int] = (0, 1)) -> Iterator[Mapping[str, Array]]:
        """Runs the model over the data and yields some of its values, one batch at a time.

        Args:
            names: which; those of one batch are held together.
            plan: what `plan` returned.
            part: which run over the data this is, of how many; for the progress.

        Raises:
            InputError: OL206, the model cannot be run on the data.
        """
        number, count = part
        most = min(self._sampling.samples or self._dataset.count, self._dataset.count)
        computed = [name for name in names if name not in self._inputs]
        session = self._session(computed) if computed else None
        done = 0
        for batch in self._batches(plan.batch):
            found = dict(zip(computed, self._run(session, computed, batch), strict=True))
            yield found | {name: batch.feeds[name] for name in names if name in self._inputs}
            done += batch.size
            share = (number + done / max(most, 1)) / count
            self._context.progress(min(share, 1.0), f"{done} of {most} samples, run {number + 1} of {count}")

    def _move_out(self) -> None:
        """Writes weights that lie inside a large file to one of their own, from where the runtime maps them."""
        if sum(byte_count(tensor) for tensor in tensors(self.model) if not is_external(tensor)) > OUTSIDE_ABOVE:
            folder = self._context.scratch / "outside"
            folder.mkdir(parents=True)
            write_model(self.model, folder, external_above=OUTSIDE_ABOVE, beside=self._source.model)
            self._folder = folder

    def _fixed_batch(self) -> int:
        shapes = [value.shape for value in signature_of(self.model).inputs]
        return next((shape[0] for shape in shapes if shape and isinstance(shape[0], int)), 0)

    def _batches(self, size: int) -> Iterator[Batch]:
        """Yields batches; where the model fixes their size, a smaller rest is left out."""
        fixed = self._fixed_batch()
        for batch in self._dataset.batches(size, self._sampling.samples):
            if not fixed or batch.size == size:
                yield batch

    def _shapes(self, names: Sequence[str], batch: Batch) -> dict[str, Sequence[int]]:
        """Returns the shapes of values in one batch; the values themselves are not held."""
        computed = [name for name in names if name not in self._inputs]
        shapes: dict[str, Sequence[int]] = {name: batch.feeds[name].shape for name in names if name in self._inputs}
        if computed:
            session = self._session(computed, shapes_only=True)
            found = self._run(session, [output.name for output in session.get_outputs()], batch)
            shapes |= {name: [int(size) for size in shape] for name, shape in zip(computed, found, strict=True)}
        return shapes

    def _session(self, names: Sequence[str], *, shapes_only: bool = False) -> InferenceSession:
        """Opens what of the model leads to some values, which become its outputs, or their shapes do."""
        import onnx

        probe = onnx.ModelProto()
        probe.CopyFrom(self.model)
        del probe.graph.output[:]
        outputs = list(names)
        if shapes_only:
            taken = {name for node in probe.graph.node for name in node.output} | self._inputs
            outputs = [_free(f"shape_{place}", taken) for place in range(len(names))]
            for name, output in zip(names, outputs, strict=True):
                probe.graph.node.append(onnx.helper.make_node("Shape", [name], [output]))
            if not opset(probe):
                probe.opset_import.add(version=13)
        probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
        tidy(probe.graph)
        beside = {"session.model_external_initializers_file_folder_path": str(self._folder)}
        return open_session(probe.SerializeToString(), self._source, entries=MAPPED | beside)

    def _run(self, session: InferenceSession | None, names: Sequence[str], batch: Batch) -> list[Array]:
        if session is None:
            return []
        taken = {entry.name for entry in session.get_inputs()}
        feeds = {name: values for name, values in batch.feeds.items() if name in taken}
        with _misfits(self._sampling.data):
            found: list[Array] = session.run(list(names), feeds)
        return found


def grouped(plan: Plan, names: Iterable[str], limit: int = AT_ONCE) -> list[list[str]]:
    """Returns values in groups, each of which takes no more than some bytes in a run; a larger value stands alone.

    >>> grouped(Plan(1, {"a": 2, "b": 2, "c": 3, "d": 9}), "abcd", limit=5)
    [['a', 'b'], ['c'], ['d']]
    """
    groups: list[list[str]] = []
    held = limit + 1
    for name in names:
        held += plan.sizes[name]
        if held > limit:
            groups.append([])
            held = plan.sizes[name]
        groups[-1].append(name)
    return groups


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name


@contextmanager
def _misfits(data: str) -> Iterator[None]:
    """Turns what the runtime raises at values that a model cannot take into a claim about the data."""
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException

    try:
        yield
    except (Fail, InvalidArgument, RuntimeException, ValueError) as error:
        claim = f"the model cannot be run on the data entry {data!r}: {' '.join(str(error).split())[:400]}"
        hint = "compare the data's names, shapes and types with the inputs that `olivelike inspect` lists"
        raise fail(InputError, "OL206", claim, hint=hint) from error
