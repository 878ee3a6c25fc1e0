from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bstsearch.errors import InfeasibleBudgetError, InputError, UsageError
from bstsearch.score import Accuracy, Metric, Value
from bstsearch.searching.apart import is_apart
from bstsearch.searching.budget import Bound, Budget
from bstsearch.searching.comparison import compare, names, read_runs
from bstsearch.searching.costs import Objectives
from bstsearch.searching.floor import Floor
from bstsearch.searching.front_file import FrontFile, write_front
from bstsearch.searching.pareto import Candidate, hypervolume
from bstsearch.searching.provenance import Provenance
from bstsearch.searching.question import Question
from bstsearch.space import Space

MakeCandidate = Callable[..., Candidate]
MakeFront = Callable[..., FrontFile]

SPACE = Space.bst(stacks=(4, 4))
ERROR = Metric(name="error", unit="m", is_higher_better=False, best=0.0)
RIGHT = (600, 620, 700, 800, 900)


@pytest.fixture
def make(make_candidate: MakeCandidate) -> MakeFront:
    """Makes a front of the five smallest submodels: so many right answers, each 1 ms slower than the one before."""

    def front(
        name: str = "net",
        device: str = "local",
        right: tuple[int, ...] = RIGHT,
        *,
        begin: float = 1.0,
        objectives: Objectives | None = None,
        **changes: Any,
    ) -> FrontFile:
        candidates = [
            make_candidate(one.id, ms=begin + row, macs=1000 * (1 + row), correct=dict(enumerate(right)).get(row))
            for row, one in enumerate(SPACE)
        ]
        if objectives is not None and objectives.metric == ERROR:
            candidates = [dataclasses.replace(one, accuracy=_error(one)) for one in candidates]
        origin = Provenance(
            supernet={"path": f"runs/{name}", "digest": name * 4, "architecture": "b" * 16, "family": "mcan"},
            space=SPACE,
            split="validation",
            device={"name": device, "obtained": "measured", "digest": device * 4, "runtime": {"threads": 2}},
        )
        return FrontFile.solve(
            candidates,
            Budget(),
            origin=dataclasses.replace(origin, **changes),
            sampler="exact",
            is_exact=False,
            trials=len(right),
            searched=Budget(),
            objectives=objectives or Objectives(),
        )

    return front


def _error(one: Candidate) -> Value | None:
    return None if one.accuracy is None else Value(value=1 - one.score, low=0.0, high=1.0, total=1000)


def test_counts_and_intervals_tell_what_is_apart(make_candidate: MakeCandidate) -> None:
    """Of 1,000 questions each; by the textbook, z = 1.96 lies between 4.3 and 4.4 points at one half."""
    half = make_candidate(correct=500)
    assert [is_apart(half, make_candidate(correct=right)) for right in (543, 544, 456)] == [False, True, True]
    assert not is_apart(make_candidate(correct=1000), make_candidate(correct=1000))
    low, high = (
        dataclasses.replace(half, accuracy=Value(value=value, low=value - 0.1, high=value + 0.1, total=9))
        for value in (0.3, 0.45)
    )
    assert is_apart(low, high)
    assert not is_apart(high, half)


def test_each_row_is_held_against_the_one_before(make: MakeFront) -> None:
    assert make().apart == (True, False, True, True, True)


def test_a_level_has_the_best_that_each_front_gets_for_so_much(make: MakeFront) -> None:
    """The second one begins later, is ahead by chance at 2.5 ms, beyond doubt at 3.5, and is overtaken."""
    found = compare({Path("a"): make("a"), Path("b"): make("b", right=(630, 790, 800), begin=2.5)})
    levels = [
        (level.cost, [one and round(1000 * one.score) for one in level.best], level.leader, level.is_apart)
        for level in found.levels
    ]
    assert levels == [
        (1.0, [600, None], 0, True),
        (2.0, [620, None], 0, True),
        (2.5, [620, 630], 1, False),
        (3.0, [700, 630], 0, True),
        (3.5, [700, 790], 1, True),
        (4.0, [800, 790], 0, False),
        (4.5, [800, 800], 0, False),
        (5.0, [900, 800], 0, True),
    ]
    leads = [(lead.name, lead.begin, lead.is_apart) for lead in found.leads]
    assert leads == [("a", 1.0, True), ("b", 2.5, False), ("a", 3.0, True), ("b", 3.5, True), ("a", 4.0, True)]


def test_one_box_holds_all_fronts(make: MakeFront) -> None:
    small, large = make("a"), make("b", begin=11.0)
    found = compare({Path("a"): small, Path("b"): large})
    assert found.reference == {"accuracy": 0.0, "latency_ms": large.full.latency.ms, "gflops": large.full.gflops}
    assert found.hypervolumes["b"] == pytest.approx(hypervolume(large.front, large.full))
    assert found.hypervolumes["a"] > hypervolume(small.front, small.full), "its costs are less of the larger box"


def test_an_error_is_best_where_it_is_lowest(make: MakeFront) -> None:
    trade = Objectives.of(("accuracy", "latency"), ERROR)
    found = compare({Path("a"): make("a", objectives=trade), Path("b"): make("b", begin=1.5, objectives=trade)})
    assert [level.leader for level in found.levels[:3]] == [0, 0, 0]
    assert found.levels[-1].best[0].score == pytest.approx(0.1)  # type: ignore[union-attr]


def test_fronts_are_named_by_the_least_that_tells_them_apart(make: MakeFront) -> None:
    def named(*files: FrontFile) -> list[str]:
        return names({Path(f"runs/{number}/front.json"): file for number, file in enumerate(files)})

    part = dataclasses.replace(SPACE, widths=SPACE.widths[-1:], least_depths=())
    assert named(make("a"), make("b")) == ["a", "b"]
    assert named(make("a", "phone"), make("a", "board")) == ["phone", "board"]
    assert names({Path("x"): make("a", "phone"), Path("y"): make("b", "board")}) == ["phone", "board"]
    assert named(make("a"), make("a")) == ["runs/0", "runs/1"]
    assert named(make("a", "p"), make("a", "q"), make("b", "p")) == ["p, a", "q, a", "p, b"]
    whole, less = make("a"), make("a")
    less = dataclasses.replace(less, origin=dataclasses.replace(less.origin, space=part))
    assert named(whole, less) == ["10 submodels", "4 submodels"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"split": "test"}, "its split is 'test', not 'validation'"),
        ({"data_set": "other"}, None),
        (
            {"objectives": Objectives.of(("accuracy", "memory"))},
            "it trades accuracy,memory, not accuracy,latency,gflops",
        ),
        ({"objectives": Objectives(metric=ERROR)}, "its metric is error, m (lower is better), not accuracy, %"),
    ],
)
def test_what_cannot_be_compared_is_refused(make: MakeFront, changes: dict[str, Any], words: str | None) -> None:
    files = {Path("a.json"): make("a"), Path("b.json"): make("b", **changes)}
    if words is None:  # its supernet is not there to tell what the other's is
        assert compare(files)
        return
    with pytest.raises(InputError) as found:
        compare(files)
    assert str(found.value).startswith(f"b.json cannot be compared with a.json: {words}")
    assert str(found.value).endswith("; leave one of them out")


def test_other_data_sets_and_other_questions_are_refused(make: MakeFront) -> None:
    with pytest.raises(InputError, match="its data set is 'second', not 'first'"):
        compare({Path("a"): make("a", data_set="first"), Path("b"): make("b", data_set="second")})
    file = make("b")
    fewer = [
        one if one.accuracy is None else dataclasses.replace(one, accuracy=Accuracy(correct=50, total=100))
        for one in file.candidates
    ]
    other = dataclasses.replace(file, recommended=fewer[0], front=tuple(fewer[:1]))
    with pytest.raises(InputError, match="it was scored on 100 examples, not 1,000"):
        compare({Path("a"): make("a"), Path("b"): other})


def test_runs_are_folders_or_files_each_once(make: MakeFront, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        Path(name).mkdir()
        write_front(make(name), Path(name) / "front.json")
    assert list(read_runs([Path("a"), Path("b/front.json"), Path("a/front.json")])) == [
        Path("a/front.json"),
        Path("b/front.json"),
    ]
    with pytest.raises(UsageError, match=r"give two or more, as folders or front\.json files"):
        read_runs([Path("a"), Path("a/front.json")])
    with pytest.raises(InputError, match=r"^c/front.json does not exist; 'bstsearch pareto --out c' makes one"):
        read_runs([Path("a"), Path("c")])
    Path("b/front.json").write_text("{")
    with pytest.raises(InputError, match=r"^b/front.json"):
        read_runs([Path("a"), Path("b")])


def test_a_question_changes_only_what_it_asks(make: MakeFront) -> None:
    file = make("a").resolve(Budget(latency_ms=4.0), floor=0.61)
    assert Question().ask(file, file.objectives.keys).front == file.front
    half = Question(bounds={"latency_ms": Bound(value=0.3, is_share=True)}).ask(file, ("accuracy", "memory"))
    assert half.budget.limits == {"latency_ms": pytest.approx(3.0)}
    assert (half.floor, half.objectives.keys) == (0.61, ("accuracy", "memory"))
    least = Question(floor=Floor.parse("75%", None)).ask(file, file.objectives.keys)
    assert (least.floor, least.recommended.score) == (0.75, 0.8)
    with pytest.raises(InfeasibleBudgetError, match=r"no submodel fits within latency 0\.5 ms"):
        Question(bounds={"latency_ms": Bound(value=0.5)}).ask(file, file.objectives.keys)
