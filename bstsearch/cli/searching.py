"""The search on one device, as `bstsearch pareto` runs it: answered from saved scores, or from new ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bstsearch.cli.candidates import extrapolations, find_stacks, make_pricer
from bstsearch.cli.output import Column, Output

if TYPE_CHECKING:
    from bstsearch.model.supernet_folder import SupernetFolder
    from bstsearch.profiles.profile import DeviceProfile
    from bstsearch.report.table import Table
    from bstsearch.score import Accuracy
    from bstsearch.search.budget import Bound
    from bstsearch.search.front_file import FrontFile
    from bstsearch.search.provenance import Origin
    from bstsearch.space import Submodel

FRONT = "front.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked of every device alike."""

    bounds: Mapping[str, Bound]
    at: str
    is_forced: bool
    plan: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeviceSearch:
    """One device, what is asked of it, and the folder `out` for its front."""

    folder: SupernetFolder
    profile: DeviceProfile
    origin: Origin
    request: Request
    out: Path
    score: Callable[[Submodel], Accuracy]
    output: Output

    def front(self) -> FrontFile:
        """The front, searched or answered from the scores in `out`, and written there."""
        from bstsearch.report import write_reports

        file = None if self.request.is_forced else self._resolve()
        if file is None:
            file = self._search()
        write_reports(file, self.out)
        for warning in extrapolations(self.folder, self.profile, {one.submodel: one.gflops for one in file.front}):
            self.output.warning(warning)
        return file

    def finish(self, file: FrontFile) -> None:
        """Draws the picture of `file`, when all else has been shown, and tells where everything lies."""
        from bstsearch.report import draw_report

        if problem := draw_report(file, self.out):
            self.output.warning(problem)
        picture = "" if problem else "front.png, "
        self.output.note(f"written to {self.out}: {FRONT}, front.csv, {picture}front.html")

    def _resolve(self) -> FrontFile | None:
        """The front from the scores in `out`, where they are all it takes."""
        from bstsearch.report.table import corner_table
        from bstsearch.search.budget import Budget
        from bstsearch.search.front_file import read_front

        path = self.out / FRONT
        if not path.exists():
            return None
        stored = read_front(path)
        self.origin.refuse_other(stored.origin, path)
        budget = Budget.resolve(self.request.bounds, stored.full, self.request.at)
        if not stored.answers(budget, self.request.plan["trials"]):
            return None
        show_table(corner_table(stored.corners, budget), self.output)
        budget.refuse_infeasible(stored.candidates)
        self.output.note(f"answered from {path}: nothing had to be scored")
        return stored.resolve(budget)

    def _search(self) -> FrontFile:
        """The front from the scores in the study, and from new ones where some are missing."""
        from bstsearch.report.table import corner_table
        from bstsearch.search import study_file
        from bstsearch.search.budget import Budget
        from bstsearch.search.front_file import FrontFile
        from bstsearch.search.study import looked_at_first, search

        space, request, output = self.origin.space, self.request, self.output
        cost = make_pricer(self.folder, self.profile)
        with output.progress("counting") as bar:
            corners = (cost(space.smallest), cost(space.middle), cost(space.largest))
            first = looked_at_first(space)
            for done, submodel in enumerate(first):
                bar.report("counting", done, len(first))
                cost(submodel)
        budget = Budget.resolve(request.bounds, corners[-1], request.at)
        show_table(corner_table(corners, budget), output)
        budget.refuse_infeasible(map(cost, first))  # before --force throws anything away
        with (
            study_file.open_study(self.out / study_file.NAME, self.origin, is_fresh=request.is_forced) as study,
            output.progress("scoring") as bar,
        ):
            try:
                found = search(
                    study, space, cost=cost, score=self.score, budget=budget, progress=bar.report, **request.plan
                )
            except KeyboardInterrupt:
                output.hint(f"{len(study.trials)} submodels are scored and kept; the same command goes on from there")
                raise
        return FrontFile.solve(
            found.candidates,
            budget,
            origin=self.origin,
            sampler=found.sampler,
            is_exact=found.is_exact,
            trials=found.trials,
            searched=budget,
            stacks=find_stacks(self.folder),
        )


def show_table(table: Table, output: Output) -> None:
    """Hands a report's table to `output`."""
    output.table([Column(*head) for head in table.heads], table.rows, table.title, table.marked)
