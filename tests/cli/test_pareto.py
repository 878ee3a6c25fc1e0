from __future__ import annotations

import csv
import dataclasses
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from bstsearch.cli.output import Output
from bstsearch.model.supernet_folder import read_folder
from bstsearch.searching.front_file import read_front
from bstsearch.searching.pareto import Candidate
from bstsearch.space import Submodel

Invoke = Callable[..., Any]
Scorer = Any  # of conftest.py
Price = Callable[[Submodel], Candidate]

FILES = {"front.json", "front.csv", "front.png", "front.html", "study.db"}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_small_space_is_scored_as_a_whole(pareto: Invoke, scorer: Scorer, tmp_path: Path) -> None:
    result = pareto()
    assert result.exit_code == 0, result.output
    ids = {submodel.id for submodel in read_folder(tmp_path / "net").space}
    assert scorer.scored == Counter(ids)
    assert {path.name for path in (tmp_path / "front").iterdir()} == FILES
    front = read_front(tmp_path / "front" / "front.json")
    assert front.is_exact
    assert {candidate.id for candidate in front.candidates} == ids
    assert front.origin.supernet["digest"] == read_folder(tmp_path / "net").digest()


def test_a_folder_of_any_name_is_taken_as_it_is(pareto: Invoke, scorer: Scorer, tmp_path: Path) -> None:
    name = "p%20x?y#z [1] ä {0} %s"
    result = pareto("--out", name)
    assert result.exit_code == 0, result.output
    assert {path.name for path in (tmp_path / name).iterdir()} == FILES
    assert not [
        path for path in tmp_path.iterdir() if path.name.startswith("p") and path.name not in (name, "profiles")
    ]
    assert f"--front '{name}/front.json'" in result.stderr
    scorer.scored.clear()
    (tmp_path / name / "front.json").unlink()
    assert pareto("--out", name).exit_code == 0
    assert not scorer.scored


def test_output_tells_the_ends_then_the_front_then_what_to_do(pareto: Invoke, finished: Path) -> None:
    result = pareto("--budget-ms", "60%")
    lines = result.stdout.splitlines()
    (smallest,) = (number for number, line in enumerate(lines) if line.startswith("smallest"))
    assert lines[smallest].endswith("yes")
    assert lines[smallest + 2].startswith("largest")
    assert lines[smallest + 2].endswith("no")
    (marked,) = (number for number, line in enumerate(lines) if line.startswith("* ") and "recommended" not in line)
    assert marked > smallest
    row = lines[marked].split()[1]
    front = read_front(finished / "front.json")
    assert front.pick(row) == front.recommended
    assert "* recommended: the most accurate within the budget" in lines
    assert f"bstsearch export --pick {row}\n" in result.stderr


def test_optuna_opens_the_study(finished: Path) -> None:
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{finished / 'study.db'}")
    front = read_front(finished / "front.json")
    best = {trial.user_attrs["id"] for trial in study.best_trials}
    assert best == {candidate.id for candidate in front.front}
    assert len(study.trials) == 10


def test_nothing_outside_the_budget_is_scored(pareto: Invoke, scorer: Scorer, price: Price, tmp_path: Path) -> None:
    assert pareto("--budget-ms", "0.5").exit_code == 0
    space = read_folder(tmp_path / "net").space
    assert scorer.scored == Counter(submodel.id for submodel in space if price(submodel).latency.ms <= 0.5)
    assert 0 < len(scorer.scored) < len(space)


def test_a_looser_budget_scores_only_what_it_adds(pareto: Invoke, scorer: Scorer) -> None:
    pareto("--budget-ms", "0.5")
    before = set(scorer.scored)
    scorer.scored.clear()
    assert pareto().exit_code == 0
    assert not before & set(scorer.scored)
    assert len(before) + len(scorer.scored) == 10


def test_another_budget_scores_nothing_and_draws_the_picture_anew(
    pareto: Invoke, scorer: Scorer, finished: Path
) -> None:
    before = (finished / "front.png").read_bytes()
    whole = read_front(finished / "front.json")
    result = pareto("--budget-ms", "60%")
    assert result.exit_code == 0, result.output
    assert not scorer.scored
    assert (finished / "front.png").read_bytes() != before
    within = read_front(finished / "front.json")
    assert len(within.front) < len(whole.front)
    assert within.budget.limits["latency_ms"] == pytest.approx(0.6 * whole.full.latency.safe_ms)
    with (finished / "front.csv").open(newline="") as stream:
        assert [row["id"] for row in csv.DictReader(stream)] == [candidate.id for candidate in within.front]
    assert pareto().exit_code == 0
    assert read_front(finished / "front.json").front == whole.front
    assert (finished / "front.png").read_bytes() == before


@pytest.mark.usefixtures("scorer")
def test_what_cannot_be_drawn_costs_only_the_picture(
    pareto: Invoke, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no picture of another budget is left."""

    def fail(*_: object) -> None:
        raise RuntimeError("no font")

    monkeypatch.setattr("bstsearch.report.picture.draw_picture", fail)
    result = pareto("--budget-ms", "60%")
    assert result.exit_code == 0
    assert "warning: front/front.png could not be drawn: no font" in result.stderr
    assert "written to front: front.json, front.csv, front.html" in result.stderr
    assert {path.name for path in finished.iterdir()} == FILES - {"front.png"}


@pytest.mark.parametrize("device", ["local", "phone", "local,phone"])
def test_no_table_is_wider_than_the_terminal(
    pareto: Invoke, phone: Path, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    """With three budgets, and ranges on the phone; the last line lists ids, as prose."""
    prose = ("on all ", "+ on that device's", "* recommended")
    for width in (60, 70, 80, 100, 120):  # the first is searched for, the others are answered from its scores
        monkeypatch.setenv("COLUMNS", str(width))
        result = pareto("--device", device, "--budget-ms", "500", "--budget-gflops", "0.5", "--budget-mb", "2000.5")
        assert result.exit_code == 0, result.output
        lines = [line for line in result.stdout.splitlines() if not line.startswith(prose)]
        assert len(lines) > 10
        assert [line for line in lines if len(line) > width] == []


def test_only_a_terminal_gets_a_plot(pareto: Invoke, finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "accuracy, %" not in pareto().stdout
    shown: list[int] = []
    monkeypatch.setattr(Output, "plot", lambda self, file: shown.append(len(file.front)))
    assert pareto().exit_code == 0
    assert shown == [len(read_front(finished / "front.json").front)]


@pytest.mark.usefixtures("pareto")
def test_the_same_budget_imports_nothing_heavy_and_another_one_what_draws(finished: Path, run_alone: Invoke) -> None:
    for args, loaded in (
        (["--budget-ms", "60%"], "['matplotlib', 'numpy']"),
        (["--budget-ms", "60%"], "[]"),
    ):
        result = run_alone(*args)
        assert "nothing had to be scored" in result.stderr
        assert result.stdout.splitlines()[-1] == loaded


def test_json_mode_prints_the_front_file(pareto: Invoke, finished: Path) -> None:
    result = pareto("--json", "--budget-gflops", "50%")
    assert json.loads(result.stdout) == json.loads((finished / "front.json").read_text())


@pytest.mark.parametrize("args", [[], ["--force"]])
@pytest.mark.parametrize("is_finished", [False, True])
def test_infeasible_budget_names_the_nearest_and_changes_nothing(
    pareto: Invoke, scorer: Scorer, finished: Path, args: list[str], is_finished: bool
) -> None:
    if not is_finished:
        shutil.rmtree(finished)
    before = contents(finished) if is_finished else None
    result = pareto("--budget-ms", "0.1", *args)
    assert result.exit_code == 3
    assert "no submodel fits within latency 0.1 ms; the nearest is w1of4-d1of4 with 0.2146 ms" in result.stderr
    assert "smallest" in result.stdout
    assert not scorer.scored
    assert (contents(finished) if finished.exists() else None) == before


@pytest.mark.parametrize("option", ["--budget-ms", "--budget-gflops", "--budget-mb"])
@pytest.mark.parametrize("text", ["fast", "0", "-5", "nan"])
def test_malformed_budget_is_wrong_usage(pareto: Invoke, option: str, text: str) -> None:
    result = pareto(option, text)
    assert result.exit_code == 2
    assert f"{option} '{text}' is no budget" in result.stderr


def test_unknown_budget_is_wrong_usage(pareto: Invoke) -> None:
    assert pareto("--budget-watts", "5").exit_code == 2


def test_interrupted_search_keeps_what_it_has_and_goes_on(pareto: Invoke, scorer: Scorer, tmp_path: Path) -> None:
    scorer.stop_after = 4
    result = pareto()
    assert result.exit_code == 130
    assert "4 submodels are scored and kept; the same command goes on from there" in result.stderr
    scorer.stop_after = 10_000
    assert pareto().exit_code == 0
    assert scorer.scored.total() == len(scorer.scored) == 10
    assert read_front(tmp_path / "front" / "front.json").is_exact


@pytest.mark.parametrize("sampler", ["nsga2", "tpe"])
def test_layerwise_space_is_sampled(pareto: Invoke, scorer: Scorer, tmp_path: Path, sampler: str) -> None:
    folder = read_folder(tmp_path / "net")
    dataclasses.replace(folder, space=folder.space.layerwise).write()
    args = ["--sampler", sampler, "--budget-ms", "80%"]
    result = pareto(*args, "--trials", "5")
    assert result.exit_code == 0, result.output
    front = read_front(tmp_path / "front" / "front.json")
    assert (front.sampler, front.trials, front.is_exact) == (sampler, 5, False)
    assert scorer.scored.total() == len(scorer.scored) == 5
    assert all(one.latency.safe_ms <= 0.8 * front.full.latency.ms for one in front.candidates if one.accuracy)
    assert pareto(*args, "--trials", "5").exit_code == 0
    assert scorer.scored.total() == 5
    assert pareto(*args, "--trials", "6").exit_code == 0
    assert scorer.scored.total() == len(scorer.scored) == 6


# Other objectives


def test_other_objectives_are_answered_from_the_scores_that_are_there(
    pareto: Invoke, scorer: Scorer, finished: Path
) -> None:
    before = read_front(finished / "front.json")
    result = pareto("--objectives", "accuracy,memory,latency")
    assert result.exit_code == 0, result.output
    assert not scorer.scored
    front = read_front(finished / "front.json")
    assert front.objectives.keys == ("accuracy", "memory", "latency")
    assert [one.memory.bytes for one in front.front] == sorted(one.memory.bytes for one in front.front)
    assert "memory" in result.stdout.split("Pareto front")[1]
    assert pareto().exit_code == 0
    assert read_front(finished / "front.json").front == before.front


def test_a_study_of_other_objectives_goes_on(pareto: Invoke, scorer: Scorer, finished: Path) -> None:
    (finished / "front.json").unlink()
    assert pareto("--objectives", "accuracy,parameters").exit_code == 0
    assert not scorer.scored
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{finished / 'study.db'}")
    assert study.metric_names == ["accuracy", "parameters"]
    assert {trial.user_attrs["id"] for trial in study.best_trials} == {
        one.id for one in read_front(finished / "front.json").front
    }


def test_a_front_of_older_versions_is_answered_from(pareto: Invoke, scorer: Scorer, finished: Path) -> None:
    path = finished / "front.json"
    data = json.loads(path.read_text())
    before = read_front(path)
    for name in ("objectives", "aimed_at"):
        del data[name]
    path.write_text(json.dumps(data))
    assert pareto("--objectives", "accuracy,latency,gflops").exit_code == 0
    assert not scorer.scored
    assert read_front(path).front == before.front


@pytest.mark.parametrize("text", ["accuracy,watts", "accuracy", "latency,memory", "accuracy,latency,latency", ""])
def test_what_is_no_trade_is_wrong_usage_in_one_line(pareto: Invoke, finished: Path, text: str) -> None:
    before = contents(finished)
    result = pareto("--objectives", text)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert "give two or more of accuracy, latency, gflops, parameters, size, memory" in line
    assert contents(finished) == before


def test_any_cost_can_be_bounded(pareto: Invoke, scorer: Scorer, finished: Path) -> None:
    result = pareto("--budget", "parameters=50%", "--budget", "size=1000")
    assert result.exit_code == 0, result.output
    front = read_front(finished / "front.json")
    assert all(one.parameters <= front.full.parameters / 2 for one in front.front)
    assert pareto("--budget", "watts=1").exit_code == 2
    assert pareto("--budget-ms", "1", "--budget", "latency=1").exit_code == 2
