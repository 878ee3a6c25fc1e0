"""Whenever a command ends, by a kill or by Ctrl-C: old or new, and the same command comes to the same result."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import weights
from crashing import INTERRUPT, KILL, change, contents, moments, restore, run_in_child

import bstsearch.model.counting
import bstsearch.training.run
from bstsearch.families.mcan import FAMILY, McanConfig
from bstsearch.holding import tidy
from bstsearch.model.supernet_folder import read_folder
from bstsearch.profiles.profile import DeviceProfile
from bstsearch.profiles.profile_file import save_profile
from bstsearch.score import ACCURACY, Accuracy
from bstsearch.searching.pricing import make_pricer
from bstsearch.searching.scoring import NO_RIVALS, Outcome
from bstsearch.searching.study_file import read_study
from bstsearch.space import Submodel
from bstsearch.tasks.easy_vqa import EasyVqa

Invoke = Callable[..., Any]
MakeProfile = Callable[..., DeviceProfile]
count_once = functools.cache(bstsearch.model.counting.count)

FEW = {KILL: 2, INTERRUPT: 3}  # moments of each kind; a command makes some eighty changes
HOW = pytest.mark.parametrize("how", [KILL, pytest.param(INTERRUPT, marks=pytest.mark.slow)])


class Case:
    """A command in a folder, and what its output `out` is before, in the end, and meanwhile."""

    def __init__(self, invoke: Invoke, folder: Path, kept: Path, out: str, *args: object) -> None:
        self.folder, self.kept, self.out = folder, kept, folder / out
        self.run = lambda: invoke(*args).exit_code
        shutil.copytree(folder, kept, symlinks=True)
        self.old = self.result()
        assert self.run() == 0  # here, so that what all runs read and count is there already
        restore(folder, kept)
        code, self.count = run_in_child(self.run)
        assert code == 0
        self.new = self.result()
        assert self.new != self.old
        assert self.count > max(FEW.values())

    def result(self) -> object:
        """What is in `out`."""
        return contents(self.out)

    def is_unfinished(self) -> bool:
        """Whether nobody would take `out` for a result."""
        return not self.out.exists()

    def check(self, moment: int, how: str) -> None:
        """Ends the command at that change, and looks at what is left, then and after the same command."""
        restore(self.folder, self.kept)
        code, _ = run_in_child(self.run, moment=moment, how=how)
        assert code == (-9 if how == KILL else 130), f"the command went on after change {moment}"
        if how == KILL:
            tidy(self.folder)
            tidy(self.out)
        left = self.result()
        assert left in (self.old, self.new) or self.is_unfinished(), f"half a result after change {moment}"
        code, _ = run_in_child(self.run)
        assert code == 0 or (left == self.new and code == 2), f"exit code {code} after change {moment}"
        assert self.result() == self.new, f"another result after change {moment}"
        hidden = [path.name for place in (self.folder, self.out) for path in place.glob(".*") if path.name != MEMORY]
        assert hidden == [], f"left after change {moment}"

    def check_all(self, how: str) -> None:
        """The same for some of all changes."""
        for moment in moments(self.count, FEW[how]):
            self.check(moment, how)


MEMORY = ".bstsearch.json"  # what commands remember

# Training


@pytest.fixture
def train(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tiny_easy_config: McanConfig, tmp_path: Path) -> Invoke:
    """`bstsearch train` of a tiny preset on a few questions, with the scoring left out."""
    whole = EasyVqa.split
    monkeypatch.setattr(EasyVqa, "split", lambda self, name, reader: whole(self, name, reader).head(16))
    monkeypatch.setitem(FAMILY.presets, "mcan-easy-vqa", tiny_easy_config)
    monkeypatch.setattr("bstsearch.model.counting.count", count_once)
    record = {"correct": 1, "total": 2}
    monkeypatch.setattr(bstsearch.training.run, "evaluate", lambda *_: Accuracy(**record))
    options = ("--teacher-epochs", 1, "--epochs", 1, "--batch-size", 8, "--threads", 1, "--device", "cpu")
    return lambda *args: invoke("train", *options, "--out", "net", *args)


class Training(Case):
    def result(self) -> object:
        """The finished supernet, however far its checkpoints are removed."""
        return contents(self.out, ["*.*", "training/*.csv"])

    def is_unfinished(self) -> bool:
        return not (self.out / "config.json").exists()


@pytest.mark.slow
@HOW
def test_a_training(train: Invoke, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, how: str) -> None:
    case = Training(train, tmp_path, tmp_path_factory.mktemp("kept") / "a", "net")
    case.check_all(how)
    assert sorted(path.name for path in (tmp_path / "net/training").iterdir()) == [
        "sandwich-log.csv",
        "teacher-log.csv",
    ]


@HOW
def test_a_training_in_place_of_a_finished_one(
    train: Invoke, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, how: str
) -> None:
    assert train("--seed", 1).exit_code == 0
    (tmp_path / "net/notes.md").write_text("mine")
    case = Case(train, tmp_path, tmp_path_factory.mktemp("kept") / "a", "net", "--force")
    assert (tmp_path / "net/notes.md").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["net"]
    case.check_all(how)


# Searching


class Scorer:
    """Each score is a change to the disk, since the study keeps it."""

    metric = ACCURACY

    def load(self) -> None:
        """Nothing is read."""

    def score(self, submodel: Submodel, rivals: Mapping[str, str] = NO_RIVALS) -> Outcome:
        change()
        return Outcome(score=Accuracy(correct=900 + int(90 * submodel.width * submodel.depth), total=1000))

    def test(self, submodel: Submodel) -> None:
        """There is no test part."""


@pytest.fixture
def pareto(
    invoke: Invoke,
    tiny_folder: Path,
    make_profile: MakeProfile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Invoke:
    """`bstsearch pareto` on a tiny supernet, without pictures: drawing takes longer than all else."""
    save_profile(make_profile(tiny_folder), tmp_path / "profiles")
    price = make_pricer(read_folder(tiny_folder), make_profile(tiny_folder))
    monkeypatch.setattr("bstsearch.searching.run.make_pricer", lambda *_: price)
    monkeypatch.setattr("bstsearch.searching.run.make_scorer", lambda *_: Scorer())
    monkeypatch.setattr("bstsearch.report.draw_report", lambda *_: None)
    return lambda *args: invoke("pareto", "--supernet", tiny_folder, "--device", "local", "--out", "front", *args)


class Search(Case):
    def result(self) -> object:
        """The front but for its date, the table, and the scores, each of which is there once."""
        if not (self.out / "front.json").exists():
            return {}
        data = json.loads((self.out / "front.json").read_text())
        assert data.pop("created") in (self.out / "front.html").read_text(), "the page shows another front"
        *_, candidates = read_study(self.out / "study.db")
        ids = [one.id for one in candidates]
        assert len(set(ids)) == len(ids), "a submodel was scored twice"
        assert {one["id"] for one in data["candidates"]} == set(ids), "scores of another search"
        return data, contents(self.out, ["*.csv", "notes.md"]), sorted(path.name for path in self.out.glob("study*"))


@pytest.mark.slow
@HOW
def test_a_search(pareto: Invoke, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, how: str) -> None:
    Search(pareto, tmp_path, tmp_path_factory.mktemp("kept") / "a", "front").check_all(how)


class SearchAnew(Search):
    def result(self) -> object:
        """Of a forced search, its own study is there until the end."""
        *found, _studies = super().result()  # type: ignore[misc]
        return found


@HOW
def test_a_search_in_place_of_a_finished_one(
    pareto: Invoke,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Scorer, "score", lambda *_: Outcome(score=Accuracy(correct=1, total=1000)))
        assert pareto().exit_code == 0
    (tmp_path / "front/notes.md").write_text("mine")
    case = SearchAnew(pareto, tmp_path, tmp_path_factory.mktemp("kept") / "a", "front", "--force")
    assert not (tmp_path / "front/study.new.db").exists()
    assert (tmp_path / "front/notes.md").exists()
    case.check_all(how)
    assert not (tmp_path / "front/study.new.db").exists()


# Importing and exporting


@HOW
@pytest.mark.parametrize("is_forced", [False, True])
def test_an_import(
    invoke: Invoke, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, how: str, is_forced: bool
) -> None:
    torch.save(weights("mcan"), tmp_path / "model.pt")
    args = ("import", "--family", "mcan", "--checkpoint", tmp_path / "model.pt", "--heads", 4, "--out", "net")
    if is_forced:
        assert invoke(*args).exit_code == 0
        (tmp_path / "net/README.md").write_text("old")
        args = (*args, "--force")
    Case(invoke, tmp_path, tmp_path_factory.mktemp("kept") / "a", "net", *args).check_all(how)


class Export(Case):
    def result(self) -> object:
        """But for times, which are measured."""
        names = ["*.onnx", "*.safetensors", "config.json", "sample.json", "run.py", "old.txt"]
        return contents(self.out, names), sorted(path.name for path in self.out.glob("*"))


@pytest.mark.slow
@HOW
@pytest.mark.usefixtures("few_questions")
@pytest.mark.parametrize("is_forced", [False, True])
def test_an_export(
    invoke: Invoke,
    easy_front: Path,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    how: str,
    is_forced: bool,
) -> None:
    args = ("export", "--pick", "1", "--front", easy_front, "--out", "small")
    if is_forced:
        assert invoke("export", "--pick", "2", "--front", easy_front, "--out", "small").exit_code == 0
        (tmp_path / "small/README.md").write_text("old")
        args = (*args, "--force")
    Export(invoke, tmp_path, tmp_path_factory.mktemp("kept") / "a", "small", *args).check_all(how)
