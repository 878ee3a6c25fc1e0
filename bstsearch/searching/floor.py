"""How good a submodel must be at least: as asked for, and as the number that scores are held against (no torch)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from bstsearch.errors import InfeasibleBudgetError, UsageError
from bstsearch.reading import shown
from bstsearch.score import PERCENT, Accuracy, Metric, Score
from bstsearch.searching.budget import Budget
from bstsearch.searching.costs import Objectives
from bstsearch.searching.pareto import Candidate

LEAST, DROP = "--min-accuracy", "--max-drop"

_NUMBER = re.compile(r"\s*(-?(?:\d{1,30}\.?\d{0,30}|\.\d{1,30})(?:e-?\d{1,2})?)\s*(%?)\s*", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Floor:
    """The least score as it was asked for: a number in the metric's unit, or how much worse than the full model's.

    A drop in per cent is a share of the full model's score, as a budget in per cent is one of its cost.

    >>> Floor.parse("97.5%", None)
    Floor(value=Fraction(195, 2), has_sign=True, is_drop=False)
    """

    value: Fraction
    has_sign: bool = False
    is_drop: bool = False

    @classmethod
    def parse(cls, least: str | None, drop: str | None) -> Floor | None:
        """The floor that one of the two texts says, None where both are; UsageError where they say none, or two."""
        if least is not None and drop is not None:
            raise UsageError(f"{LEAST} and {DROP} both say how good is good enough; give one of them")
        text, option = (least, LEAST) if drop is None else (drop, DROP)
        if text is None:
            return None
        match = _NUMBER.fullmatch(text)
        if match is None or (option == DROP and match[1].startswith("-")):
            example = "97%" if option == LEAST else "1, or a share of the full model's such as 2%"
            raise UsageError(f"{option} {shown(text)} is no score; write a number such as {example}")
        return cls(value=Fraction(match[1]), has_sign=bool(match[2]), is_drop=option == DROP)

    def resolve(self, metric: Metric, full: Score | None) -> float:
        """The worst score that is good enough, as scores are stored; `full` is the full model's, which a drop needs.

        UsageError where the number is none of the metric's.
        """
        if not self.is_drop:
            return float(self._in_unit(metric))
        if full is None:
            raise UsageError(f"{DROP} needs the score of the full model, which has none; give {LEAST}")
        whole = _exact(full)
        drop = abs(whole) * self.value / 100 if self.has_sign else self.value / metric.factor
        return float(whole - drop if metric.is_higher_better else whole + drop)

    def _in_unit(self, metric: Metric) -> Fraction:
        if metric.unit != PERCENT:
            if self.has_sign:
                raise UsageError(f"{LEAST}: {metric.title} is not in per cent; give a number without the sign")
            return self.value
        if not self.has_sign and 0 < self.value <= 1:
            number, hundredfold = (f"{float(value):.6g}" for value in (self.value, 100 * self.value))
            raise UsageError(f"{LEAST} {number} may be {hundredfold}% or {number}%; write it with the sign")
        return self.value / 100


def keeps_to(floor: float | None, one: Candidate, metric: Metric) -> bool:
    """Whether the candidate has a score, and it is no worse than `floor` (None: any is good enough).

    The score itself counts, not the end of its interval: else no model would be within a small drop of itself.
    """
    if floor is None or one.accuracy is None:
        return one.accuracy is not None
    return metric.loss(one.score) <= metric.loss(floor)


def check_reached(floor: float | None, candidates: list[Candidate], budget: Budget, objectives: Objectives) -> None:
    """Passes where one of these scored candidates, which `budget` admits, keeps to `floor`.

    Else InfeasibleBudgetError names the one that comes nearest.
    """
    metric = objectives.metric
    scored = [one for one in candidates if one.accuracy is not None]
    if floor is None or not scored or any(keeps_to(floor, one, metric) for one in scored):
        return
    best = min(scored, key=lambda one: (metric.loss(one.score), objectives.first.of(one).value))
    within = f" within {budget}" if budget else ""
    score = f"{objectives.score_text(best)} {metric.unit}".rstrip()
    cost = f"{objectives.first.text(best)} {objectives.first.unit}".rstrip()
    raise InfeasibleBudgetError(
        f"none of {len(scored)} scored submodels{within} has {metric.name} {metric.bound(floor)}; "
        f"the nearest is {best.id} with {score} at {cost}; give another {LEAST}, {DROP} or budget"
    )


def _exact(score: Score) -> Fraction:
    if isinstance(score, Accuracy):
        return Fraction(score.correct) / score.total
    return Fraction(score.value)
