"""Kills workers and searching processes of one study by KILL at random moments, and looks at what they have left.

    python tests/cli/worker_kills.py FOLDER [--kills N] [--seed N] [--storage URL]

A search of a large space runs with two workers, in a file in FOLDER or in studies of the storage at URL. One of the
three is killed again and again, and started anew. In the end each submodel must have been scored once, all scores that
were there at any kill must still be there, and they must be those of an undisturbed search. Scoring is a made-up number
and a short pause.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import optuna

from bstsearch.errors import BstsearchError
from bstsearch.profiles.latency import Latency, Memory
from bstsearch.score import ACCURACY, Accuracy
from bstsearch.searching.budget import Budget
from bstsearch.searching.costs import DEFAULT
from bstsearch.searching.generations import search_study
from bstsearch.searching.pareto import Candidate
from bstsearch.searching.provenance import Provenance
from bstsearch.searching.scoring import NO_RIVALS, Outcome
from bstsearch.searching.studies import join, open_shared
from bstsearch.searching.study import Study
from bstsearch.searching.study_file import open_study
from bstsearch.searching.working import Pauses, Worker, work
from bstsearch.space import Space, Submodel

QUARTERS = tuple(Fraction(n, 4) for n in (1, 2, 3, 4))
SPACE = Space(
    widths=QUARTERS, depths=(Fraction(1, 2), Fraction(1)), stacks=(2, 2), layer_heads=QUARTERS, layer_ffn=QUARTERS
)
ORIGIN = Provenance(
    supernet={"path": "runs/a", "digest": "a" * 16, "architecture": "b" * 16, "family": "mcan"},
    space=SPACE,
    split="validation",
    device={"name": "local", "obtained": "measured", "digest": "c" * 16, "runtime": {"threads": 2}},
)
TRIALS = 32
SCORING_S = 0.03

Place = Path | tuple[str, str]  # a file, or a storage's URL and a study's name


def size(submodel: Submodel) -> float:
    """A cost that grows with every share."""
    layers = int(4 * submodel.depth)
    shares = [sum(row) if row else layers * submodel.width for row in (submodel.heads, submodel.ffn)]
    return float(submodel.width + layers + sum(shares))


def cost(submodel: Submodel) -> Candidate:
    ms, macs = size(submodel), int(1e6 * size(submodel))
    return Candidate(
        submodel=submodel,
        parameters=macs // 10,
        macs=macs,
        latency=Latency(ms=ms, source="measured", low_ms=ms, high_ms=ms),
        memory=Memory(bytes=macs, source="measured", low_bytes=macs, high_bytes=macs),
        size_bytes=macs,
    )


def score(submodel: Submodel) -> Accuracy:
    time.sleep(SCORING_S * size(submodel) / 10)
    return Accuracy(correct=round(900 + 9 * size(submodel) ** 0.5 + hash(submodel.width) % 7), total=1000)


class Scorer:
    """Scores as the function says that it is given; one of this module is looked up at each score."""

    metric = ACCURACY

    def __init__(self, of: Callable[[Submodel], Accuracy] | None = None) -> None:
        self._of = of

    def load(self) -> None:
        """There is nothing to read."""

    def score(self, submodel: Submodel, rivals: Mapping[str, str] = NO_RIVALS) -> Outcome:
        """No submodel is dropped."""
        return Outcome(score=(self._of or score)(submodel))

    def test(self, submodel: Submodel) -> None:
        """There is no test part."""


@contextlib.contextmanager
def opened(place: Place) -> Iterator[Study]:
    """The study for who searches: in a file, or in a storage."""
    if isinstance(place, Path):
        with open_study(place, ORIGIN) as study:
            yield study
    else:
        with open_shared(*place, ORIGIN, DEFAULT, lambda _: None) as study:
            yield study


@contextlib.contextmanager
def joined(place: Place) -> Iterator[Study]:
    """The study for who works."""
    url, name = (str(place), None) if isinstance(place, Path) else place
    with join(url, name, lambda _: None, time.sleep) as study:
        yield study


def search(place: Place, *, is_working: bool = False) -> None:
    """Searches, and scores only where `is_working`."""
    with opened(place) as study:
        worker = Worker(study, Scorer())
        wait = None if isinstance(place, Path) else lambda: time.sleep(0.05)
        with study.leading(worker.member, wait):
            search_study(
                study,
                SPACE,
                cost=cost,
                step=worker.step if is_working else lambda: False,
                budget=Budget(latency_ms=9.0),
                trials=TRIALS,
                pauses=Pauses(lambda seconds: time.sleep(min(seconds, 0.1))),
            )


def help_search(place: Place) -> None:
    """Works until nobody searches any more."""
    with joined(place) as study:
        work(Worker(study, Scorer()), lambda _: None, lambda seconds: time.sleep(min(seconds, 0.1)))


def start(do: Callable[[], None]) -> int:
    """The number of a process that does it; its exit code tells whether that went well."""
    child = os.fork()
    if not child:
        code = 9
        try:
            do()
            code = 0
        except BaseException as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
        finally:
            os._exit(code)
    return child


def all_end_well(roles: Sequence[Callable[[], None]]) -> bool:
    """Whether processes that do these at the same time all end well."""
    return end_well([start(role) for role in roles])


def end_well(children: Sequence[int]) -> bool:
    """Whether these processes all end well; who is still waited for when it takes too long is killed."""
    left = list(children)
    try:
        while left:
            _, status = os.waitpid(left[0], 0)
            left.pop(0)
            if os.waitstatus_to_exitcode(status):
                return False
        return True
    finally:
        kill(left)


def kill(children: Iterable[int]) -> None:
    """Ends these processes at once, where they still run."""
    for child in children:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def found(place: Place) -> dict[str, float]:
    """The scores by id; each submodel must have one trial."""
    with joined(place) as study:
        trials = study._study.get_trials(deepcopy=False)
    complete = [trial for trial in trials if trial.state == optuna.trial.TrialState.COMPLETE]
    ids = [trial.user_attrs["id"] for trial in trials]
    assert len(set(ids)) == len(ids), "a submodel was enqueued twice"
    return {trial.user_attrs["id"]: trial.values[0] for trial in complete}


def disturb(place: Place, kills: int, draw: random.Random, every_s: tuple[float, float]) -> Counter[str]:
    """Searches with two workers, of which one or the searching process is killed `kills` times; how often which."""
    roles = {"search": lambda: search(place), "worker 1": lambda: help_search(place)}
    roles["worker 2"] = roles["worker 1"]
    running = {"search": start(roles["search"])}
    await_search(place, running["search"])
    running |= {name: start(roles[name]) for name in ("worker 1", "worker 2")}
    killed, before = Counter[str](), dict[str, float]()
    try:
        while True:
            time.sleep(draw.uniform(*every_s))
            ended, status = os.waitpid(running["search"], os.WNOHANG)
            if ended:
                running.pop("search")
                assert os.waitstatus_to_exitcode(status) == 0
                return killed
            if killed.total() < kills:
                role = draw.choice(list(running))
                os.kill(running[role], signal.SIGKILL)
                os.waitpid(running[role], 0)
                killed[role] += 1
                now = found(place)
                assert before.items() <= now.items(), "a score was lost"
                before = now
                running[role] = start(roles[role])
    finally:
        kill(running.values())


def await_search(place: Place, child: int) -> None:
    """Returns once that process searches: who helps before ends at once. AssertionError where it ends before."""
    while not _is_searched(place):
        check_runs(child)
        time.sleep(0.02)


def check_runs(child: int) -> None:
    """AssertionError where that process has ended; who waits for what it does would wait for ever."""
    ended, status = os.waitpid(child, os.WNOHANG)
    assert not ended, f"it has ended with exit code {os.waitstatus_to_exitcode(status)}"


def _is_searched(place: Place) -> bool:
    try:
        with joined(place) as study:
            return study.leader() is not None
    except BstsearchError:  # there is no study yet
        return False


def ask() -> argparse.Namespace:
    """What is asked for on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--storage", help="URL of a storage, in place of files")
    return parser.parse_args()


if __name__ == "__main__":
    asked = ask()
    asked.folder.mkdir(parents=True, exist_ok=True)
    random_draw, total, turn = random.Random(asked.seed), Counter[str](), 0
    (asked.folder / "undisturbed.db").unlink(missing_ok=True)
    search(asked.folder / "undisturbed.db", is_working=True)
    expected = found(asked.folder / "undisturbed.db")
    begun = time.perf_counter()
    while total.total() < asked.kills:
        turn += 1
        name = f"kills-{os.getpid()}-{turn}"
        where = (asked.storage, name) if asked.storage else asked.folder / f"{name}.db"
        total += disturb(where, asked.kills - total.total(), random_draw, (0.05, 1.0))
        left = found(where)
        assert left == expected, f"other scores: {sorted(left.items() ^ expected.items())}"
        words = ", ".join(f"{role} {count}" for role, count in sorted(total.items()))
        sys.stdout.write(f"search {turn}: {len(left)} scores, each once; killed so far: {words}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{total.total()} kills in {time.perf_counter() - begun:.0f} s, all whole\n")
