from __future__ import annotations

import csv
import dataclasses
import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from bstsearch.errors import InputError, UsageError
from bstsearch.profiles.latency import Latency
from bstsearch.report import write_reports
from bstsearch.report.page import page_data
from bstsearch.report.table import front_table
from bstsearch.score import Metric
from bstsearch.searching.budget import Budget, parse_bounds
from bstsearch.searching.costs import COSTS, DEFAULT, Amount, Cost, Objectives, known_costs, objective_keys
from bstsearch.searching.front_file import FrontFile, read_front
from bstsearch.searching.pareto import Candidate
from bstsearch.searching.provenance import Provenance
from bstsearch.searching.study_file import open_study
from bstsearch.space import Space

MakeCandidate = Callable[..., Candidate]

LIMITED = ("latency_ms", "gflops", "parameters", "size_mb", "memory_mb")
ERROR = Metric(name="error", unit="m", is_higher_better=False, best=0.0)


def thrift() -> Cost:
    """One more entry of the table: all that it takes."""
    return Cost(
        key="energy",
        name="energy_mj",
        label="energy",
        unit="mJ",
        head=("energy", "mJ"),
        caption="energy of one example, mJ",
        of=lambda one: Amount.exactly(one.parameters / 50),
        first="the thriftiest",
        rank=1,
    )


def test_the_names_are_told_apart() -> None:
    assert len({cost.name for cost in COSTS.values()}) == len(COSTS)
    assert all(cost.key == key for key, cost in COSTS.items())


def test_the_score_comes_first_and_costs_in_the_order_asked_for() -> None:
    assert Objectives.parse("memory, accuracy,latency").keys == ("accuracy", "memory", "latency")
    assert Objectives.parse("accuracy,latency,gflops") == DEFAULT
    assert str(DEFAULT) == "accuracy,latency,gflops"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("accuracy,watts", "unknown objective 'watts'"),
        ("", "unknown objective ''"),
        ("accuracy,latency,latency", "name one twice"),
        ("accuracy", "'accuracy' are no trade"),
        ("latency,memory", "accuracy must be among them"),
    ],
)
def test_what_is_no_trade_is_refused_with_the_keys(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        Objectives.parse(text)
    assert ", ".join(objective_keys()) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_less_is_better_in_every_loss(make_candidate: MakeCandidate) -> None:
    one = make_candidate(ms=2.0, macs=3_000_000_000, correct=900)
    assert DEFAULT.losses(one) == (2.0, 6.0, -0.9)
    assert Objectives.of(["accuracy", "memory"], ERROR).losses(one) == (1.0, 0.9)
    assert Objectives.of(["accuracy", "memory"], ERROR).is_maximized == (False, False)
    assert DEFAULT.values(one) == (0.9, 2.0, 6.0)
    assert DEFAULT.is_maximized == (True, False, False)


@pytest.mark.parametrize("objectives", [DEFAULT, Objectives.of(["accuracy", "size"], ERROR)])
def test_json_round_trip(objectives: Objectives) -> None:
    data = json.loads(json.dumps(objectives.to_json()))
    assert Objectives.from_json(data) == objectives
    assert ("metric" in data) == (objectives.metric == ERROR)


def test_files_that_name_no_objectives_hold_the_three_of_old() -> None:
    assert Objectives.from_json({}) == DEFAULT


@pytest.mark.parametrize(
    "data",
    [
        {"objectives": "accuracy"},
        {"objectives": ["accuracy", 1]},
        {"objectives": ["accuracy", "watts"]},
        {"metric": {}},
    ],
)
def test_malformed_json_is_an_input_error(data: dict[str, object]) -> None:
    with pytest.raises(InputError):
        Objectives.from_json(data)


@pytest.fixture
def energy(monkeypatch: pytest.MonkeyPatch) -> Cost:
    cost = thrift()
    monkeypatch.setitem(COSTS, "energy", cost)
    return cost


def make_front(make_candidate: MakeCandidate, objectives: Objectives, budget: Budget) -> FrontFile:
    space = Space.bst(stacks=(4, 4))
    candidates = [
        make_candidate(one.id, ms=10 - n, macs=1000 * (n + 1), correct=900 + n) for n, one in enumerate(space)
    ]
    origin = Provenance(
        supernet={"path": "net", "digest": "a" * 16, "architecture": "b" * 16, "family": "mcan"},
        space=space,
        split="validation",
        device={"name": "local", "obtained": "measured", "digest": "c" * 16, "runtime": {"threads": 2}},
    )
    return FrontFile.solve(
        candidates,
        budget,
        origin=origin,
        sampler="exact",
        is_exact=True,
        trials=len(candidates),
        searched=Budget(),
        objectives=objectives,
    )


def test_one_entry_adds_a_cost_everywhere(energy: Cost, make_candidate: MakeCandidate, tmp_path: Path) -> None:
    objectives = Objectives.parse("accuracy,energy,latency")
    (bound,) = parse_bounds({}, ["energy=50%"]).items()
    full = make_candidate(macs=10_000)
    budget = Budget.resolve(dict([bound]), full)
    assert str(budget) == "energy 10 mJ"
    file = make_front(make_candidate, objectives, budget)
    assert [one.parameters for one in file.front] == [100, 200, 300, 400, 500], "the thriftiest first"
    assert file.to_json()["budget"]["energy_mj"] == 10
    assert file.to_json()["hypervolume"]["reference"]["energy_mj"] == 20
    assert ("energy", "mJ", True) in front_table(file).heads
    assert page_data({tmp_path / "front.json": file})["costs"]["energy_mj"]["label"] == "energy"
    assert file.to_frame()["energy_mj"].max() == 20
    write_reports(file, tmp_path, tmp_path)
    assert read_front(tmp_path / "front.json") == file
    with (tmp_path / "front.csv").open(newline="") as stream:
        assert [float(row["energy_mj"]) for row in csv.DictReader(stream)] == [2, 4, 6, 8, 10]
    with open_study(tmp_path / "study.db", file.origin, objectives):
        pass
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{tmp_path / 'study.db'}")
    assert study.metric_names == ["accuracy", "energy_mj", "latency_ms"]


def test_a_file_with_a_cost_of_another_version_says_so(
    make_candidate: MakeCandidate, monkeypatch: pytest.MonkeyPatch, energy: Cost
) -> None:
    data = make_front(make_candidate, Objectives.parse("accuracy,energy"), Budget()).to_json()
    monkeypatch.delitem(COSTS, "energy")
    with pytest.raises(InputError, match="unknown objective 'energy'"):
        Objectives.from_json(data)


def test_help_lists_what_is_in_the_table() -> None:
    program = (
        "from bstsearch.searching.costs import COSTS, Amount, Cost\n"
        f"{inspect.getsource(thrift)}\n"
        "COSTS['energy'] = thrift()\n"
        "from bstsearch.cli.app import app\n"
        "app(['pareto', '--help'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env={"COLUMNS": "200"})
    words = " ".join(done.stdout.replace("│", " ").split())
    assert "accuracy and one or more of latency, gflops, parameters, size, memory, prefill, decode, energy" in words
    assert (
        "Any cost at most, such as size=50%: latency, gflops, parameters, size, memory, prefill, decode, energy"
        in words
    )


def test_a_cost_of_a_phase_is_had_by_those_that_were_measured(make_candidate: MakeCandidate) -> None:
    one, other = make_candidate(correct=900), make_candidate("w1of2-d1", correct=800)
    step = Latency(ms=0.5, source="composed", low_ms=0.4, high_ms=0.6)
    both = dataclasses.replace(one, phases={"decode": step})
    assert Candidate.from_json(both.to_json()) == both
    assert both.to_json()["decode_ms"] == 0.5
    assert "decode_ms" not in one.to_json()
    assert COSTS["decode"] in known_costs([both])
    assert COSTS["decode"] not in known_costs([both, other])
    assert COSTS["decode"].text(both) == "0.500 (0.40-0.60)"
    assert Objectives.parse("accuracy,decode").losses(both) == (0.5, -0.9)
    with pytest.raises(InputError, match="decode of w1-d1 is not known here; measure it with 'bstsearch profile --ph"):
        COSTS["decode"].of(one)
    with pytest.raises(InputError, match="decode_low_ms, decode_high_ms and decode_source belong to decode_ms"):
        Candidate.from_json(one.to_json() | {"decode_ms": 1.0})


def test_budgets_of_before_there_were_phases_are_the_same() -> None:
    assert list(Budget(latency_ms=1.0).to_json()) == [*(name for name in LIMITED), "at"]
    assert Budget.from_json(Budget(decode_ms=2.0).to_json()).limits == {"decode_ms": 2.0}
