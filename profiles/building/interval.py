"""The range that is shown of a latency.

It is a range for any runtime, since a user runs ONNX Runtime, of which no device here has a published fp32 row. So it
joins two spreads as independent ones, each such that four of five lie within it: that between models, and that between
runtimes (and, where estimated, devices). It is rounded up to a multiple of 0.05, and widened to hold a row of that
device which nothing was fitted to. Of an estimate it is never less than blind predictions were off by: 0.40.
"""

from __future__ import annotations

import math

from building.checks import Check
from building.sums import factor, round_up


def interval_and_why(factors: dict[str, float], check: Check | None, *, least: tuple[float, str]) -> tuple[float, str]:
    """Half of the range as a share, and why: independent factors together, at least `least` and what `check` took."""
    joined = round_up(math.exp(math.hypot(*map(math.log, factors.values()))) - 1)
    checked = round_up(factor(check.ratio) - 1) if check else 0.0
    interval = max(joined, checked, least[0])
    parts = " with one of ".join(f"{between:.2f} between {what}" for what, between in factors.items())
    why = f"The range joins a factor of {parts}; four of five lie within each: +-{joined:.0%}."
    if interval == joined:
        return interval, why
    if interval == checked:
        return interval, f"{why} The row that was not fitted to widens it to +-{interval:.0%}."
    return interval, f"{why} It is widened to +-{interval:.0%}, {least[1]}."
