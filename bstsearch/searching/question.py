"""What is asked of a finished search, without scoring: a budget, objectives, a least score (no torch)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from bstsearch.searching.budget import HIGH, Bound, Budget
from bstsearch.searching.costs import Objectives
from bstsearch.searching.floor import Floor
from bstsearch.searching.front_file import FrontFile


@dataclasses.dataclass(frozen=True, kw_only=True)
class Question:
    """A question as the user put it; what is left out stays as the search was asked last."""

    bounds: Mapping[str, Bound] = dataclasses.field(default_factory=dict)
    budget_at: str = HIGH
    objectives: Sequence[str] | None = None
    floor: Floor | None = None

    def ask(self, file: FrontFile, objectives: Sequence[str]) -> FrontFile:
        """The front of what `file` has scored; it trades `objectives` where the question names none.

        InfeasibleBudgetError where nothing that was scored fits, or is good enough.
        """
        metric, budget, floor = file.objectives.metric, file.budget, file.floor
        if self.bounds:
            budget = Budget.resolve(self.bounds, file.full, self.budget_at)
            budget.check_feasible(one for one in file.candidates if one.accuracy is not None)
        if self.floor is not None:
            floor = self.floor.resolve(metric, file.full.accuracy)
        return file.resolve(budget, Objectives.of(self.objectives or objectives, metric), floor)
