"""When timing may stop: the candidate is out, everything that was asked is decided, or the time is up."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from olivelike.contracts.metric import MeasureContext, Prospect
from olivelike.contracts.outcome import Interval, Measurement, Value

SHARP = math.log(1.005)
"""A ratio known to half a percent is known well enough: differences below one percent count as none."""


@dataclass
class Decision:
    """Is asked after each block whether no more is needed; the intervals it looks at hold at every number of blocks at once.

    Attributes:
        context: knows the goals, and how much of the search's time is left.
        seconds: how long to go on at most to make the ratio sharp.
        longest: how long to go on at most while a constraint is open, or a value cannot be given yet.
        out: whether timing ended because the candidate is out.
        decided: whether it ended because all that was asked was decided.
    """

    context: MeasureContext
    seconds: float
    longest: float
    out: bool = False
    decided: bool = False

    def enough(
        self,
        spent: float,
        values: Callable[[], Mapping[str, Value]],
        sharp: Callable[[], bool],
        *,
        lacking: bool = False,
    ) -> bool:
        """Returns whether timing may stop.

        Args:
            spent: seconds so far.
            values: what was measured so far.
            sharp: whether the ratio to the baseline is known well enough.
            lacking: whether a value still lacks the runs it takes.
        """
        left = self.context.seconds_left
        over = spent >= min(self.longest, left)
        if lacking and not over:
            return False
        found = values()
        measured = {name: value for name, value in found.items() if isinstance(value, Measurement)}
        prospect = self.context.prospect(measured)
        if prospect is Prospect.OUT:
            self.out = True
            return True
        if prospect is Prospect.OPEN or len(measured) < len(found):
            if over and spent < self.longest:
                self.context.hurried()
            return over
        self.decided = spent < self.longest
        return over or spent >= self.seconds or sharp()

    def marked(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Returns the values, marked as what they are good for where timing ended before its own time was up."""
        return {
            name: replace(value, complete=not self.out, extendable=self.decided)
            if isinstance(value, Measurement)
            else value
            for name, value in values.items()
        }


def is_sharp(ratio: Interval) -> bool:
    """Whether a ratio is known to half a percent."""
    return ratio.low > 0 and math.log(ratio.high / ratio.low) / 2 <= SHARP
