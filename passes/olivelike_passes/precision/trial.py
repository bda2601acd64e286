"""Half precision tried out in float32: one model in which each node's values are rounded to float16 or not, as a switch says.

Run on a CPU, a float16 model says little about itself: the runtime computes in float32 and leaves out the casts between, so that
nothing is rounded and nothing overflows. Here every value goes through `Cast` to float16 and back, which is honoured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from olivelike.onnxfile.names import Names, all_names
from olivelike_passes.header import replace_all
from olivelike_passes.precision.plan import Part, Step, is_narrow

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

SWITCHES = 9
"""From this opset on `Where` chooses."""


def candidates(part: Part) -> list[Step]:
    """Returns the main graph's nodes that a plan makes narrow, in order."""
    return [step for step in part.steps if is_narrow(step)]


def switched(model: ModelProto, part: Part, kind: int) -> str:
    """Turns a model into one with a switch for each of `candidates`, in place; returns the name of the input of switches.

    The new input is bool [candidates]: whether what a node reads and makes is rounded. Weights are rounded where they are read.

    Args:
        model: the model that the plan was made for.
        part: its plan.
        kind: the narrow type, as `TensorProto.DataType` counts it.
    """
    import onnx

    builder = _Builder(Names(all_names(model)), kind)
    found = candidates(part)
    switches = builder.fresh("switches")
    nodes: list[NodeProto] = []
    place = 0
    for step in part.steps:
        if not is_narrow(step):
            nodes.append(step.node)
            continue
        number = onnx.helper.make_tensor(builder.fresh("switch_number"), onnx.TensorProto.INT64, [], [place])
        model.graph.initializer.append(number)
        switch = builder.fresh("switch")
        nodes.append(onnx.helper.make_node("Gather", [switches, number.name], [switch]))
        nodes += builder.around(step, switch)
        place += 1
    replace_all(model.graph.node, nodes)
    del model.graph.value_info[:]
    model.graph.input.append(onnx.helper.make_tensor_value_info(switches, onnx.TensorProto.BOOL, [len(found)]))
    return switches


def counting(model: ModelProto, part: Part, beyond: float) -> list[str]:
    """Adds outputs that count how many elements of what each of `candidates` makes lie beyond a magnitude; in place.

    Returns:
        The name of a float32 output [] for each candidate.
    """
    import onnx

    taken = Names(all_names(model))
    limit = onnx.helper.make_tensor(taken.fresh("limit"), onnx.TensorProto.FLOAT, [], [beyond])
    model.graph.initializer.append(limit)
    names, nodes = [], []
    for step in candidates(part):
        counts = []
        for value in [value for _, value in step.makes if value.narrow]:
            steps = [taken.fresh(f"{value.name}_{each}") for each in ("size", "beyond", "ones", "count")]
            nodes += [
                onnx.helper.make_node("Abs", [value.name], [steps[0]]),
                onnx.helper.make_node("Greater", [steps[0], limit.name], [steps[1]]),
                onnx.helper.make_node("Cast", [steps[1]], [steps[2]], to=onnx.TensorProto.FLOAT),
                onnx.helper.make_node("ReduceSum", [steps[2]], [steps[3]], keepdims=0),
            ]
            counts.append(steps[3])
        total = taken.fresh("beyond_the_range")
        nodes.append(onnx.helper.make_node("Sum", counts or [limit.name], [total]))
        names.append(total if counts else "")
    model.graph.node.extend(nodes)
    wanted = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, []) for name in names if name]
    model.graph.output.extend(wanted)
    return names


class _Builder:
    def __init__(self, taken: Names, kind: int) -> None:
        self._taken = taken
        self._kind = kind

    def fresh(self, name: str) -> str:
        return self._taken.fresh(name)

    def around(self, step: Step, switch: str) -> Sequence[NodeProto]:
        """Returns a node between what rounds its inputs and what rounds its outputs, with what is inside it rounded too."""
        nodes: list[NodeProto] = []
        for place, value, narrow in step.takes:
            if narrow:
                step.node.input[place] = self._rounded(value.name, self.fresh(f"{value.name}_read"), switch, nodes)
        for inner in step.inside:
            self._inside(inner, switch)
        nodes.append(step.node)
        for place, value in step.makes:
            if value.narrow:
                made = self.fresh(f"{value.name}_unrounded")
                step.node.output[place] = made
                self._rounded(made, value.name, switch, nodes)
        return nodes

    def _inside(self, part: Part, switch: str) -> None:
        nodes: list[NodeProto] = []
        for step in part.steps:
            nodes += self.around(step, switch) if is_narrow(step) else [step.node]
        ends = {}
        for value, _ in part.outputs:
            if part.values.get(value.name) is not value or value.is_weight:
                ends[value.name] = self._rounded(value.name, self.fresh(f"{value.name}_given"), switch, nodes)
        replace_all(part.graph.node, nodes)
        for entry in part.graph.output:
            entry.name = ends.get(entry.name, entry.name)
        del part.graph.value_info[:]

    def _rounded(self, value: str, name: str, switch: str, nodes: list[NodeProto]) -> str:
        import onnx

        narrow, back = self.fresh(f"{value}_narrow"), self.fresh(f"{value}_back")
        nodes.append(onnx.helper.make_node("Cast", [value], [narrow], to=self._kind))
        nodes.append(onnx.helper.make_node("Cast", [narrow], [back], to=onnx.TensorProto.FLOAT))
        nodes.append(onnx.helper.make_node("Where", [switch, back, value], [name]))
        return name
