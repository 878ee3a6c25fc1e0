"""How much faster two workers score than one, one thread each: `python benchmarks/workers.py`, some minutes.

Both sides search the demo supernet, without the scores that come with it, by the real command, in folders of their own.
What is timed is the scoring alone, by the trials' own times: from the first submodel's beginning to the last one's
end, so that neither side's loading of weights and questions counts. The machine's load is printed, too: two workers
need two free cores.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import optuna

from bstsearch import DEMO

SEARCH = ["--device", "pixel7", "--trials", "32"]


def scoring_s(workers: int, folder: Path, options: list[str]) -> tuple[float, int]:
    """Seconds from the first submodel's beginning to the last one's end, and how many there are."""
    out = folder / str(workers)
    command = [sys.executable, "-m", "bstsearch", "pareto", "--workers", str(workers), "--out", str(out), *options]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL)
    trials = optuna.load_study(study_name=None, storage=f"sqlite:///{out / 'study.db'}").get_trials(deepcopy=False)
    starts = [trial.datetime_start for trial in trials if trial.datetime_start]
    ends = [trial.datetime_complete for trial in trials if trial.datetime_complete]
    return (max(ends) - min(starts)).total_seconds(), len(trials)


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("options", nargs="*", help="further options of `bstsearch pareto`, behind --")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        net = shutil.copytree(DEMO, Path(place, DEMO.name), ignore=shutil.ignore_patterns("front.json"))
        seconds = {}
        for count in (1, 2):
            before = os.getloadavg()[0]
            seconds[count], scored = scoring_s(count, Path(place), [*SEARCH, "--supernet", str(net), *asked.options])
            print(
                f"{count} worker(s): {seconds[count]:.1f} s for {scored} submodels; load before: {before:.1f}",
                flush=True,
            )
        print(f"two over one: {seconds[1] / seconds[2]:.2f} on {os.cpu_count()} cores")
