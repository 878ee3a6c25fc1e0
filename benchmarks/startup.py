"""How fast the command answers where nothing is computed: help, a budget on a finished front, what is stored.

Help (target 2x its imports) and a budget on a finished front by the clock: a new one draws the picture anew, which
takes matplotlib (target: a second), the same again 1.5x optuna's import. What only shows what is stored (3x importing
typer and rich) by processor time of the whole process.
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from timing import in_turns, medians_ms, process, processor_time, ratio, report

ROUNDS = 15
SHOWN = {
    "profile": ["profile", "--device", "pixel7"],
    "devices": ["devices"],
    "space": ["space", "--preset", "mcan-vqa-v2"],
    "space_on_devices": ["space", "--preset", "mcan-vqa-v2", "--device", "pixel7,raspberrypi4", "--budget-ms", "60"],
}


def main() -> None:
    # Compiled files are kept, as they are wherever bstsearch is installed.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    python, bstsearch = sys.executable, str(Path(sys.executable).with_name("bstsearch"))
    imports = process([python, "-c", "import typer, rich"])
    shown: dict[str, Callable[[], object]] = {name: process([bstsearch, *words]) for name, words in SHOWN.items()}
    cpu_seconds = in_turns({**shown, "import_typer_rich": imports}, ROUNDS, clock=processor_time)
    with tempfile.TemporaryDirectory() as folder:
        process([bstsearch, "profile", "--device", "here", "--profiles", folder, "--threads", "1", "--via", "local"])()
        front = [bstsearch, "pareto", "--device", "here", "--profiles", folder]
        for name in ("new", "same"):
            process([*front, "--out", f"{folder}/{name}"])()
        budgets = itertools.cycle(["50%", "60%"])
        sides = {
            "help": process([bstsearch, "--help"]),
            "import_typer_rich": imports,
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
        "processor_time": {
            **{f"{name}_ratio": round(ratio(cpu_seconds, name, "import_typer_rich"), 3) for name in SHOWN},
            "medians_ms": medians_ms(cpu_seconds),
        },
    }
    report("startup", figures)


if __name__ == "__main__":
    main()
