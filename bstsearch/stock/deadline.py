"""When looking at a class ends (no torch)."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable


class OutOfTimeError(Exception):
    """Raised where a step is left because the time is over; whoever began it catches it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Deadline:
    """The time at which looking ends, in seconds of `clock`.

    >>> Deadline.after(60).is_over, Deadline().is_over
    (False, False)
    """

    at: float = math.inf
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The one in that many seconds."""
        return cls(at=time.monotonic() + seconds)

    @property
    def is_over(self) -> bool:
        """Whether no time is left."""
        return self.left <= 0

    @property
    def left(self) -> float:
        """The seconds that are left; below zero once it is over."""
        return self.at - self.clock()

    def sooner(self, seconds: float) -> Deadline:
        """The one that many seconds before."""
        return dataclasses.replace(self, at=self.at - seconds) if self.at < math.inf else self

    def check(self) -> None:
        """Passes while time is left; else OutOfTimeError."""
        if self.is_over:
            raise OutOfTimeError
