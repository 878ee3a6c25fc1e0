"""The public function, and where fronts go; its many ways through saved scores are tests/cli/test_pareto.py's."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import bstsearch
from bstsearch.errors import InfeasibleBudgetError, InputError, UsageError
from bstsearch.listener import Listener
from bstsearch.model.supernet_folder import read_folder
from bstsearch.profiles.profile import DeviceProfile
from bstsearch.profiles.profile_file import save_profile
from bstsearch.score import Metric, Value
from bstsearch.searching.front_file import FrontFile, read_front, write_front
from bstsearch.searching.members import Member
from bstsearch.searching.pricing import make_pricer
from bstsearch.searching.run import Request, search, search_devices
from bstsearch.searching.scoring import NO_RIVALS, KnownScores, Outcome
from bstsearch.searching.storage import open_storage
from bstsearch.searching.study import Study
from bstsearch.space import Submodel

MakeProfile = Callable[..., DeviceProfile]
ERROR = Metric(name="error", unit="m", is_higher_better=False, best=0.0)


class Heard(Listener):
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.steps: list[tuple[str, int, int | None]] = []

    def progress(self, text: str, done: int = 0, total: int | None = None, news: str = "") -> None:
        self.steps.append((text, done, total))

    def note(self, line: str) -> None:
        self.lines.append(line)

    warning = note


class Errors:
    """Scores by an error, which is smaller for larger submodels."""

    metric = ERROR

    def load(self) -> None:
        """Nothing is read."""

    def score(self, submodel: Submodel, rivals: Mapping[str, str] = NO_RIVALS) -> Outcome:
        error = 1 / float(submodel.width * submodel.depth)
        return Outcome(score=Value(value=error, low=0.9 * error, high=1.1 * error, total=100))

    def test(self, submodel: Submodel) -> None:
        """There is no test part."""


@pytest.fixture
def net(
    tiny_folder: Path,
    make_profile: MakeProfile,
    make_estimated: MakeProfile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A supernet whose submodels have errors, with profiles of a measured and an estimated device."""
    monkeypatch.chdir(tmp_path)
    save_profile(make_profile(tiny_folder), tmp_path / "profiles")
    save_profile(make_estimated(tiny_folder), tmp_path / "profiles")
    profile = make_profile(tiny_folder)
    monkeypatch.setattr("bstsearch.searching.run.make_pricer", lambda folder, _: make_pricer(folder, profile))
    monkeypatch.setattr("bstsearch.searching.run.make_scorer", lambda *_: Errors())
    return tiny_folder


def run(net: Path, **arguments: object) -> FrontFile:
    return search(supernet=net, profiles=Path("profiles"), **arguments)  # type: ignore[arg-type]


def test_a_score_that_is_better_when_lower_goes_through_all(net: Path) -> None:
    heard = Heard()
    file = run(net, objectives=("accuracy", "memory", "latency"), listener=heard)
    assert file.objectives.metric == ERROR
    assert "w1-d1" in {one.id for one in file.front}, "the least error"
    assert file.recommended.id == "w1-d1"
    assert (heard.steps[0][0], heard.steps[-1][0]) == ("counting", "scoring")
    assert read_front(Path("front/front.json")) == file
    heard.steps.clear()
    again = run(net, budget_ms="60%", budget={"memory": 18}, listener=heard)
    assert heard.steps == []
    assert heard.lines == ["answered from front/front.json: nothing had to be scored"]
    assert again.objectives.metric == ERROR
    assert set(again.budget.limits) == {"latency_ms", "memory_mb"}
    assert all(one.score >= again.recommended.score for one in again.front)


def test_a_sampled_front_says_what_its_sampler_aimed_at(net: Path, tmp_path: Path) -> None:
    net = shutil.copytree(net, tmp_path / "layerwise")  # the one that all tests share stays as it is
    folder, heard = read_folder(net), Heard()
    dataclasses.replace(folder, space=folder.space.layerwise).write()
    asked = {"trials": 5, "listener": heard}
    run(net, **asked)
    file = run(net, objectives=("accuracy", "size"), **asked)
    assert str(file.aimed_at) == "accuracy,latency,gflops"
    assert heard.lines[-1] == ("its sampler aimed at accuracy,latency,gflops; --force searches anew, for accuracy,size")
    more = run(net, **{**asked, "objectives": ("accuracy", "size"), "trials": 6})
    assert str(more.aimed_at) == "accuracy,size"
    assert more.trials == 6, "earlier scores count"


def test_scores_are_taken_over_only_by_the_same_metric(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = Heard()
    run(net)
    run(net, device="phone", out=Path("second"), listener=heard)
    assert "answered from front/front.json: nothing had to be scored" in heard.lines
    Path("front/front.json").unlink()
    run(net, device="phone", out=Path("fourth"), listener=heard)
    assert any("taken over" in line for line in heard.lines), "from a study that is not finished"
    heard.lines.clear()
    other = Errors()
    other.metric = dataclasses.replace(ERROR, name="loss")
    monkeypatch.setattr("bstsearch.searching.run.make_scorer", lambda *_: other)
    run(net, device="phone", out=Path("third"), listener=heard)
    assert not any("taken over" in line or "answered" in line for line in heard.lines)


def test_scores_that_lie_with_the_supernet_answer_first_and_help_a_longer_search(net: Path, tmp_path: Path) -> None:
    net = shutil.copytree(net, tmp_path / "shipped")
    folder, heard = read_folder(net), Heard()
    dataclasses.replace(folder, space=folder.space.layerwise).write()
    first = run(net, trials=5)
    shutil.copyfile("front/front.json", net / "front.json")
    shutil.rmtree("front")
    again = run(net, trials=5, device="phone", listener=heard)
    assert heard.steps == []
    assert heard.lines[0] == "answered from the scores that come with the supernet: nothing had to be scored"
    assert {one.id for one in again.candidates} == {one.id for one in first.candidates}
    assert again.searched_on == "local"
    assert run(net, trials=5, out=Path("same")).searched_on is None
    more = run(net, trials=6, out=Path("more"), listener=heard)
    assert any("taken over" in line for line in heard.lines)
    assert more.trials == 6
    heard.lines.clear()
    run(net, trials=5, out=Path("anew"), is_forced=True, listener=heard)
    assert not any("taken over" in line or "answered" in line for line in heard.lines)


def test_what_an_earlier_search_tested_is_not_tested_again(net: Path, tmp_path: Path) -> None:
    file, found = run(net), Value(value=0.5, low=0.4, high=0.6, total=50)
    tested = file.front[0]
    write_front(file.tested({tested.id: found}), tmp_path / "tested.json")
    known = KnownScores(Errors(), file.origin, [], "study.db", [tmp_path / "tested.json"], Heard())
    assert known.test(tested.submodel) == found
    assert known.test(file.front[1].submodel) is None
    assert known.score(tested.submodel).score == tested.accuracy


def test_each_device_is_told_of_before_it_is_searched(net: Path) -> None:
    told: list[str] = []
    files = dict(
        search_devices(
            ["local", "phone"],
            Request(supernet=net, profiles=Path("profiles")),
            before=lambda device, corners, budget: told.append(f"{device} {corners[-1].id}"),
        )
    )
    assert told == ["local w1-d1", "phone w1-d1"]
    assert list(files) == [Path("front/local/front.json"), Path("front/phone/front.json")]


def test_what_cannot_be_is_refused(net: Path) -> None:
    with pytest.raises(InfeasibleBudgetError, match="no submodel fits within latency 1e-06 ms"):
        run(net, budget_ms=1e-6)
    with pytest.raises(UsageError, match="unknown objective"):
        run(net, objectives=("accuracy", "joy"))
    with pytest.raises(UsageError, match="unknown space 'all'; there are trained, bst, elastic"):
        run(net, space="all")
    with pytest.raises(UsageError, match="--budget-ms 'fast' is no budget"):
        run(net, budget_ms="fast")
    with pytest.raises(InputError, match="no profile of device 'tablet'"):
        run(net, device="tablet")
    assert not Path("front").exists()


class Damaged(Errors):
    def load(self) -> None:
        raise InputError("model.safetensors: damaged")


def test_weights_and_data_are_refused_before_anything_is_counted_or_shown(
    net: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer, heard, shown = Errors(), Heard(), list[str]()
    monkeypatch.setattr("bstsearch.searching.run.make_scorer", lambda *_: scorer)
    run(net, budget_gflops="60%", out="kept")
    scorer = Damaged()
    for changes in ({}, {"is_forced": True}, {"workers": 2}, {"storage": f"journal://{Path('log').resolve()}"}):
        request = Request(supernet=net, profiles=Path("profiles"), **changes)
        with pytest.raises(InputError, match="damaged"):
            list(search_devices(["local"], request, heard, lambda device, *_: shown.append(device)))
    assert (heard.steps, shown) == ([], [])
    assert not Path("front").exists()
    assert run(net, budget_gflops="50%", out="kept").front, "what is answered from saved scores takes no weights"


def test_a_study_that_another_process_searches_in_is_refused_before_weights_are_read(
    net: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, scorer = f"journal://{Path('log').resolve()}", Errors()
    monkeypatch.setattr("bstsearch.searching.run.make_scorer", lambda *_: scorer)
    assert run(net, storage=url, study="a").front
    shutil.rmtree("front")  # else it is answered from there
    scorer = Damaged()
    with (
        open_storage(url) as storage,
        Study(storage, "a").leading(Member.here(), lambda: None),
        pytest.raises(UsageError, match="the study 'a' is being searched by another process"),
    ):
        run(net, storage=url, study="a")
    assert not Path("front").exists()


def test_the_room_can_be_called_as_its_function(net: Path) -> None:
    """bstsearch.search is both, whichever was loaded first."""
    file = bstsearch.search(supernet=net, profiles=Path("profiles"), budget_gflops="60%")
    assert file.budget.limits.keys() == {"gflops"}
    program = (
        "import bstsearch; bstsearch.search; import bstsearch.searching.front_file; assert callable(bstsearch.search)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
