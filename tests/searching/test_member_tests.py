"""Members of a front are scored on the test part, and nothing is chosen by it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bstsearch.errors import InputError
from bstsearch.listener import Listener
from bstsearch.profiles.profile import DeviceProfile
from bstsearch.profiles.profile_file import save_profile
from bstsearch.score import Accuracy, Score
from bstsearch.searching import member_tests
from bstsearch.searching.budget import Budget
from bstsearch.searching.front_file import FrontFile
from bstsearch.searching.member_tests import members_to_test, with_tests
from bstsearch.searching.pareto import Candidate
from bstsearch.searching.provenance import Provenance
from bstsearch.searching.run import search
from bstsearch.searching.scoring import make_scorer
from bstsearch.space import Space, Submodel
from bstsearch.tasks.easy_vqa import EasyVqa
from bstsearch.tasks.split import ImageSplit

MakeCandidate = Callable[..., Candidate]
MakeProfile = Callable[..., DeviceProfile]

ORIGIN = Provenance(
    supernet={"path": "runs/a", "digest": "a" * 16, "architecture": "b" * 16, "family": "mcan"},
    space=Space.bst(stacks=(4, 4)),
    split="validation",
    device={"name": "local", "obtained": "measured", "digest": "c" * 16, "runtime": {"threads": 2}},
)


class Heard(Listener):
    """Writes down the notes."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)


class Stub:
    """Has a test score for all, for none, or an error."""

    def __init__(self, found: Score | InputError | None) -> None:
        self.found, self.asked = found, list[str]()

    def test(self, submodel: Submodel) -> Score | None:
        self.asked.append(submodel.id)
        if isinstance(self.found, InputError):
            raise self.found
        return self.found


@pytest.fixture
def front(make_candidate: MakeCandidate) -> FrontFile:
    """Ten rows, each better and slower than the one before."""
    rows = enumerate(Space.bst(stacks=(4, 4)))
    candidates = [make_candidate(one.id, ms=1.0 + row, macs=1000 + row, correct=900 + 9 * row) for row, one in rows]
    kinds = {"sampler": "exact", "is_exact": True, "trials": 10, "searched": Budget()}
    return FrontFile.solve(candidates, Budget(), origin=ORIGIN, **kinds)  # type: ignore[arg-type]


def test_all_members_are_tested_once(front: FrontFile) -> None:
    file, tester = front, Stub(Accuracy(correct=9, total=10))
    tested = with_tests(file, tester, Heard())  # type: ignore[arg-type]
    assert tester.asked == [one.id for one in file.front]
    assert [one.test for one in tested.front] == [tester.found] * len(file.front)
    assert [one.id for one in tested.front] == [one.id for one in file.front]


def test_without_a_test_part_there_is_no_column(front: FrontFile) -> None:
    file, heard = front, Heard()
    assert with_tests(file, Stub(None), heard) is file  # type: ignore[arg-type]
    assert heard.lines == []
    assert with_tests(file, Stub(InputError("data/test.json does not exist")), heard) is file  # type: ignore[arg-type]
    assert heard.lines == ["without scores on the test part: data/test.json does not exist"]


@pytest.mark.parametrize("most", [3, 4, 9])
def test_of_a_long_front_the_recommended_member_and_the_ends_are_tested(
    front: FrontFile, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    file, heard = front, Heard()
    monkeypatch.setattr(member_tests, "MEMBERS", most)
    members = members_to_test(file)
    assert file.recommended in members
    assert len(members) <= most < len(file.front)
    assert {file.front[0], file.front[-1]} <= set(members)
    with_tests(file, Stub(Accuracy(correct=9, total=10)), heard)  # type: ignore[arg-type]
    assert heard.lines == [f"{len(members)} of {len(file.front)} rows have a score on the test part"]


def test_a_search_reads_the_test_part_only_when_its_front_stands(
    tiny_easy_folder: Path,
    small_split: ImageSplit,
    make_profile: MakeProfile,
    make_candidate: MakeCandidate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The front is the same whatever the test part says, down to the recommended row."""
    told: list[str] = []
    solve = FrontFile.solve.__func__  # type: ignore[attr-defined]
    monkeypatch.setattr(FrontFile, "solve", classmethod(lambda *args, **kw: told.append("front") or solve(*args, **kw)))
    save_profile(make_profile(tiny_easy_folder), tmp_path / "profiles")
    monkeypatch.setattr(
        "bstsearch.searching.run.make_pricer",
        lambda *_: lambda one: make_candidate(one.id, ms=float(one.width), macs=int(1000 * one.width * one.depth)),
    )
    fronts = []
    for wrong in (0, 1):

        def split(_task: EasyVqa, name: str, _reader: object, wrong: int = wrong) -> ImageSplit:
            told.append(name)
            answers = (small_split.answers + wrong) % 13 if name == "test" else small_split.answers
            return ImageSplit(**{**vars(small_split), "answers": answers})

        monkeypatch.setattr(EasyVqa, "split", split)
        out = tmp_path / f"front{wrong}"
        fronts.append(search(supernet=tiny_easy_folder, profiles=tmp_path / "profiles", out=out))
    assert told == ["validation", "front", "test"] * 2
    first, second = fronts
    assert [one.test for one in first.front] == [one.accuracy for one in first.front]
    assert [one.test for one in second.front] != [one.test for one in first.front]
    assert [one.id for one in second.front] == [one.id for one in first.front]
    assert second.recommended.id == first.recommended.id


def test_what_is_scored_on_the_test_part_has_no_second_column(
    tiny_easy_folder: Path, small_split: ImageSplit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EasyVqa, "split", lambda *_: small_split)
    assert make_scorer(tiny_easy_folder, "test").test(Submodel()) is None
    assert make_scorer(tiny_easy_folder, "validation").test(Submodel()) is not None
