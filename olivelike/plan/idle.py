"""Parameters without effect: a pass that ignores one sets it back to its default, which shows in the full configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice, product

from pydantic import BaseModel, ValidationError

from olivelike.contracts.passes import AnyPass
from olivelike.contracts.space import Choice, Domain, Space, steps_of
from olivelike.digest import Json

MOST = 1000
"""So many combinations of one step's choices are looked at."""


def idle_notes(tree: Space, passes: Mapping[str, type[AnyPass]]) -> Iterator[str]:
    """Yields a note for every parameter that was written and has no effect, in all or in some combinations of its step."""
    for step in steps_of(tree):
        config = passes[step.pass_name].config
        ways = [{**step.fixed, **chosen} for chosen in _ways(step.free)]
        for name in (*step.fixed, *step.free):
            idle = sum(_is_idle(name, values, config) for values in ways)
            if idle and idle == len(ways):
                yield f"{step.name}.{name} has no effect with the other parameters of the step"
            elif idle:
                yield f"{step.name}.{name} has no effect in {idle} of {len(ways)} combinations, which count as one recipe each"


def _is_idle(name: str, values: Mapping[str, Json], config: type[BaseModel]) -> bool:
    try:
        used = config.model_validate(dict(values)).model_dump(mode="json")
    except ValidationError:
        return False
    return bool(used[name] != values[name] and used[name] == config.model_fields[name].default)


def _ways(free: Mapping[str, Domain]) -> Iterator[dict[str, Json]]:
    values = [domain.values if isinstance(domain, Choice) else (domain.low, domain.high) for domain in free.values()]
    return (dict(zip(free, way, strict=True)) for way in islice(product(*values), MOST))
