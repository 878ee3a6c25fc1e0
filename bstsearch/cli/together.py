"""Several fronts beside each other: of several devices, or of any finished searches that `--compare` names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bstsearch.cli.output import Column, Output
from bstsearch.errors import InfeasibleBudgetError, InputError, UsageError

if TYPE_CHECKING:
    from bstsearch.report.table import Table
    from bstsearch.searching.comparison import Comparison
    from bstsearch.searching.front_file import FrontFile
    from bstsearch.searching.question import Question


def compare_runs(runs: Sequence[Path], question: Question, out: Path, output: Output) -> None:
    """Lays the fronts at `runs` over each other, asked `question` where it asks anything; shows and writes them."""
    from bstsearch.searching.comparison import compare, read_runs

    files = read_runs(runs)
    first = next(iter(files.values()))
    asked = {path: _asked(path, file, question, first, output) for path, file in files.items()}
    show_together(compare(asked), out, output)


def _asked(path: Path, file: FrontFile, question: Question, first: FrontFile, output: Output) -> FrontFile:
    """The front in answer to the question; what that leaves open is what `file` was asked last, and `first` traded."""
    try:
        answer = question.ask(file, first.objectives.keys)
    except (InfeasibleBudgetError, InputError, UsageError) as error:
        raise type(error)(f"{path}: {error}") from error
    if not file.answers(answer.budget, file.trials):
        output.warning(f"{path}: its search has not scored all that this budget admits")
    return answer


def show_together(comparison: Comparison, out: Path, output: Output) -> None:
    """Shows what the fronts are, and one table of all their rows; writes both as files in `out`."""
    from bstsearch.report import TOGETHER, draw_together, write_together
    from bstsearch.report.devices_table import devices_table
    from bstsearch.report.overlay import fronts_table, levels_table

    write_together(comparison, out)
    output.text()
    show_table(fronts_table(comparison), output)
    output.text()
    fronts = list(comparison.files.values())
    show_table(devices_table(fronts) if comparison.has_same_scores else levels_table(comparison), output)
    if problem := draw_together(comparison, out):
        output.warning(problem)
    names = TOGETHER[:-1] if problem else TOGETHER
    output.note(f"written to {out}: {', '.join(names)}")
    output.json(comparison.to_json())


def show_table(table: Table, output: Output) -> None:
    """Shows a table of a report, and what its signs mean."""
    output.table([Column(*head) for head in table.heads], table.rows, table.title, table.marked)
    for line in table.legend:
        output.text(line)
