"""How fast the command answers: help (target 2x its imports), a budget on a finished front, new or as before.

A new budget draws the picture anew, which takes matplotlib (target: a second); the same again 1.5x optuna's import.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from pathlib import Path

from timing import in_turns, medians_ms, process, ratio, report

ROUNDS = 15


def main() -> None:
    python, bstsearch = sys.executable, str(Path(sys.executable).with_name("bstsearch"))
    with tempfile.TemporaryDirectory() as folder:
        process([bstsearch, "profile", "--device", "here", "--profiles", folder, "--threads", "1", "--via", "local"])()
        front = [bstsearch, "pareto", "--device", "here", "--profiles", folder]
        for name in ("new", "same"):
            process([*front, "--out", f"{folder}/{name}"])()
        budgets = itertools.cycle(["50%", "60%"])
        sides = {
            "help": process([bstsearch, "--help"]),
            "import_typer_rich": process([python, "-c", "import typer, rich"]),
            "new_budget": lambda: process([*front, "--out", f"{folder}/new", "--budget-ms", next(budgets)])(),
            "same_budget": process([*front, "--out", f"{folder}/same", "--budget-ms", "50%"]),
            "import_optuna": process([python, "-c", "import optuna"]),
        }
        seconds = in_turns(sides, ROUNDS)
    figures = {
        "help_ratio": round(ratio(seconds, "help", "import_typer_rich"), 3),
        "new_budget_ratio": round(ratio(seconds, "new_budget", "import_optuna"), 3),
        "same_budget_ratio": round(ratio(seconds, "same_budget", "import_optuna"), 3),
        "medians_ms": medians_ms(seconds),
    }
    report("startup", figures)


if __name__ == "__main__":
    main()
