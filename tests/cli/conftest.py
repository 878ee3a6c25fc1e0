"""Searches from the command line: a scorer that counts what it is asked, and a search that is over."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bstsearch.model.supernet_folder import read_folder
from bstsearch.profiles.profile import DeviceProfile
from bstsearch.profiles.profile_file import save_profile
from bstsearch.score import ACCURACY, Accuracy
from bstsearch.searching.pareto import Candidate
from bstsearch.searching.pricing import make_pricer
from bstsearch.searching.scoring import NO_RIVALS, Outcome
from bstsearch.space import Submodel

Invoke = Callable[..., Any]
MakeProfile = Callable[..., DeviceProfile]
Price = Callable[[Submodel], Candidate]


class Scorer:
    """Stands in for supernet and data: bigger is better; counts what it is asked, and stops when told to."""

    metric = ACCURACY

    def load(self) -> None:
        """Nothing is read."""

    def __init__(self) -> None:
        self.scored: Counter[str] = Counter()
        self.stop_after = 10_000

    def score(self, submodel: Submodel, rivals: Mapping[str, str] = NO_RIVALS) -> Outcome:
        if self.scored.total() >= self.stop_after:
            raise KeyboardInterrupt
        self.scored[submodel.id] += 1
        return Outcome(score=Accuracy(correct=900 + int(90 * submodel.width * submodel.depth), total=1000))

    def test(self, submodel: Submodel) -> None:
        """There is no test part."""


class Once:
    """Asks another scorer for each submodel once, as the real one does in a command."""

    metric = ACCURACY

    def __init__(self, scorer: Scorer) -> None:
        self._score, self.load, self.test = functools.cache(scorer.score), scorer.load, scorer.test

    def score(self, submodel: Submodel, rivals: Mapping[str, str] = NO_RIVALS) -> Outcome:
        return self._score(submodel)


@pytest.fixture(scope="module")
def price(tiny_folder: Path, make_profile: MakeProfile) -> Price:
    """Real costs, counted once for all tests."""
    return make_pricer(read_folder(tiny_folder), make_profile(tiny_folder))


@pytest.fixture(scope="module")
def estimated_price(tiny_folder: Path, make_profile: MakeProfile, make_estimated: MakeProfile) -> Price:
    """The costs on an estimated device, likewise."""
    return make_pricer(read_folder(tiny_folder), make_estimated(tiny_folder))


@pytest.fixture
def scorer(price: Price, estimated_price: Price, monkeypatch: pytest.MonkeyPatch) -> Scorer:
    """The scorer of every search in this test; like the real one it scores a submodel once in a command."""
    scorer = Scorer()
    monkeypatch.setattr(
        "bstsearch.searching.run.make_pricer", lambda folder, profile: estimated_price if profile.rates else price
    )
    monkeypatch.setattr("bstsearch.searching.run.make_scorer", lambda *_: Once(scorer))
    return scorer


@pytest.fixture
def pareto(
    scorer: Scorer, invoke: Invoke, tiny_folder: Path, make_profile: MakeProfile, tmp_path: Path
) -> Callable[..., Any]:
    """Runs `bstsearch pareto ARGS...` on a copy of the tiny supernet and a profile of it."""
    shutil.copytree(tiny_folder, tmp_path / "net")
    save_profile(make_profile(tmp_path / "net"), tmp_path / "profiles")
    return lambda *args: invoke("pareto", "--supernet", "net", "--device", "local", *args)


@pytest.fixture(scope="module")
def finished_run(
    tiny_folder: Path, make_profile: MakeProfile, price: Price, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder `front` of a complete search, made once; tests work on a copy."""
    from typer.testing import CliRunner

    from bstsearch.cli.app import app

    folder = tmp_path_factory.mktemp("finished")
    shutil.copytree(tiny_folder, folder / "net")
    save_profile(make_profile(folder / "net"), folder / "profiles")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("BSTSEARCH_PROFILES", raising=False)
        patch.setattr("bstsearch.searching.run.make_pricer", lambda folder, profile: price)
        patch.setattr("bstsearch.searching.run.make_scorer", lambda *_: Scorer())
        result = CliRunner().invoke(app, ["pareto", "--supernet", "net", "--device", "local"])
    assert result.exit_code == 0, result.output
    return folder / "front"


@pytest.fixture
def finished(finished_run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished_run, tmp_path / "front")


@pytest.fixture
def phone(pareto: Invoke, tiny_folder: Path, make_profile: MakeProfile, make_estimated: MakeProfile) -> Path:
    """The file of an estimated device beside the measured one's."""
    return save_profile(make_estimated(tiny_folder), Path("profiles"))


@pytest.fixture
def run_alone(tmp_path: Path) -> Callable[..., Any]:
    """Runs `bstsearch pareto ARGS...` in a process of its own, which ends with the heavy libraries it loaded."""

    def run(*args: str) -> Any:
        program = (
            "import sys; from bstsearch.cli.app import app\n"
            f"app(['pareto', '--supernet', 'net', '--device', 'local', *{list(args)}], standalone_mode=False)\n"
            "print(sorted({'torch', 'optuna', 'pandas', 'matplotlib', 'numpy'} & sys.modules.keys()))"
        )
        environment = {name: value for name, value in os.environ.items() if name != "BSTSEARCH_PROFILES"}
        return subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )

    return run
