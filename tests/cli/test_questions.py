"""Questions asked of finished scores: another device, a least score, several fronts over each other."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from bstsearch.cli.app import app
from bstsearch.cli.pareto import ASKED
from bstsearch.searching.front_file import read_front, write_front
from bstsearch.searching.question import Question
from bstsearch.searching.run import Request
from bstsearch.writing import write_json

ERROR = {"name": "error", "unit": "", "is_higher_better": False, "worst": None, "best": 0}

Invoke = Callable[..., Any]
Scorer = Any  # of conftest.py


def test_another_device_scores_nothing_and_says_so(
    pareto: Invoke, scorer: Scorer, finished: Path, phone: Path, tmp_path: Path
) -> None:
    result = pareto("--device", "phone")
    assert result.exit_code == 0, result.output
    assert not scorer.scored
    assert "answered from front/front.json: nothing had to be scored" in result.stderr
    local, other = (read_front(tmp_path / "front" / place) for place in ("front.json", "phone/front.json"))
    assert (other.searched_on, other.origin.device["name"], other.is_exact) == ("local", "phone", True)
    assert [one.accuracy for one in other.candidates] == [one.accuracy for one in local.candidates]
    assert {one.latency.source for one in other.candidates} == {"estimated"}
    again = pareto("--device", "phone", "--budget-ms", "60%")
    assert "answered from front/phone/front.json" in again.stderr


def test_another_device_loads_neither_torch_nor_optuna(finished: Path, phone: Path, run_alone: Invoke) -> None:
    result = run_alone("--device", "phone", "--min-accuracy", "91")
    assert "nothing had to be scored" in result.stderr
    assert result.stdout.splitlines()[-1] == "['matplotlib', 'numpy']"


def test_what_the_first_devices_budget_left_out_is_scored(pareto: Invoke, scorer: Scorer, phone: Path) -> None:
    assert pareto("--budget-ms", "0.5").exit_code == 0
    before = set(scorer.scored)
    scorer.scored.clear()
    result = pareto("--device", "phone")
    assert result.exit_code == 0, result.output
    assert not before & set(scorer.scored)
    assert len(before) + len(scorer.scored) == 10
    assert "accuracies that an earlier search found are taken over" in result.stderr


def test_the_cheapest_that_is_good_enough_is_recommended(pareto: Invoke, scorer: Scorer, finished: Path) -> None:
    """Of 1,000 answers 900 are right, and of the full model 990."""
    result = pareto("--min-accuracy", "93.3%")
    assert result.exit_code == 0, result.output
    assert not scorer.scored
    file = read_front(finished / "front.json")
    good = [one for one in file.candidates if one.score >= 0.933]
    assert file.recommended == file.front[0] == min(good, key=lambda one: one.latency.ms)
    assert file.floor == 0.933
    assert "(exact, accuracy at least 93.30 %)" in " ".join(result.stdout.split())
    assert "* recommended: the fastest whose accuracy is at least 93.30 % (its 95 % interval reaches" in result.stdout


def test_a_drop_is_held_against_the_full_model_which_is_scored_for_it(
    pareto: Invoke, scorer: Scorer, tmp_path: Path
) -> None:
    result = pareto("--max-drop", "6", "--budget-ms", "60%")
    assert result.exit_code == 0, result.output
    assert "w1-d1" in scorer.scored
    file = read_front(tmp_path / "front" / "front.json")
    assert file.floor == (990 - 60) / 1000
    assert "w1-d1" not in {one.id for one in file.front}
    scorer.scored.clear()
    assert pareto("--max-drop", "2%", "--budget-ms", "60%").exit_code == 3
    assert not scorer.scored


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (
            ("--min-accuracy", "99.9%"),
            3,
            "scored submodels has accuracy at least 99.90 %; the nearest is w1-d1",
        ),
        (("--min-accuracy", "0.97"), 2, "--min-accuracy 0.97 may be 97% or 0.97%; write it with the sign"),
        (("--max-drop", "much"), 2, "--max-drop 'much' is no score; write a number such as 1"),
        (("--max-drop", "1", "--min-accuracy", "97%"), 2, "give one of them"),
        (("front",), 2, "front: folders of fronts are for --compare; add it"),
        (("--compare", "front"), 2, "give two or more, as folders or front.json files"),
        (("--compare", "front", "none"), 4, "none/front.json does not exist; 'bstsearch pareto --out none' makes one"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    invoke: Invoke, pareto: Invoke, finished: Path, options: tuple[str, ...], code: int, message: str
) -> None:
    before = (finished / "front.json").read_bytes()
    asked = invoke("pareto", *options) if "--compare" in options or options == ("front",) else pareto(*options)
    assert (asked.exit_code, asked.stdout) == (code, "") or "Before scoring" in asked.stdout
    assert message in asked.stderr
    assert (finished / "front.json").read_bytes() == before


@pytest.fixture
def two(finished: Path, invoke: Invoke) -> tuple[Path, Path]:
    """The finished front, and one of another supernet that is a little better and a little slower."""
    file = read_front(finished / "front.json")
    supernet = {**file.origin.supernet, "path": "runs/other", "digest": "f" * 16}
    other = finished.parent / "other"
    other.mkdir()
    origin = dataclasses.replace(file.origin, supernet=supernet)
    write_front(dataclasses.replace(file, origin=origin), other / "front.json")
    return finished, other


def test_fronts_of_two_supernets_lie_over_each_other(invoke: Invoke, two: tuple[Path, Path], tmp_path: Path) -> None:
    result = invoke("pareto", "--compare", "front", "other")
    assert result.exit_code == 0, result.output
    assert "2 Pareto fronts" in result.stdout
    assert "Best accuracy for a latency of at most" in result.stdout
    assert "crossings: 0; best beyond doubt: none" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100
    out = tmp_path / "comparison"
    assert {path.name for path in out.iterdir()} == {"fronts.json", "fronts.csv", "fronts.html", "fronts.png"}
    data = json.loads((out / "fronts.json").read_text())
    assert list(data["fronts"]) == ["net", "other"]
    assert data["hypervolumes"]["values"]["net"] == data["hypervolumes"]["values"]["other"]
    assert data["on_all_fronts"] is None
    with (out / "fronts.csv").open(newline="", encoding="utf-8") as stream:
        assert {row["front"] for row in csv.DictReader(stream)} == {"net", "other"}


def test_a_question_is_asked_of_each_and_the_fronts_stay_as_they_are(invoke: Invoke, two: tuple[Path, Path]) -> None:
    before = [(folder / "front.json").read_bytes() for folder in two]
    result = invoke("pareto", "--compare", "front", "other", "--min-accuracy", "95%", "--json")
    assert result.exit_code == 0, result.output
    assert {file["min_accuracy"] for file in json.loads(result.stdout)["fronts"].values()} == {0.95}
    assert [(folder / "front.json").read_bytes() for folder in two] == before
    result = invoke("pareto", "--compare", "front", "other", "--budget-ms", "1e-5")
    assert result.exit_code == 3
    assert "front/front.json: no submodel fits within latency 1e-05 ms" in result.stderr
    result = invoke("pareto", "--compare", "front", "other", "--device", "local")
    assert "--device is about a search, and --compare reads finished ones; leave it out" in result.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "test"}, "its split is 'test', not 'validation'; leave one of them out"),
        (
            {"metric": {"name": "error", "unit": "", "is_higher_better": False, "worst": None, "best": 0}},
            "its metric is",
        ),
        ({"front": ["nothing"]}, "other/front.json: front: "),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    invoke: Invoke, two: tuple[Path, Path], change: dict[str, Any], message: str
) -> None:
    path = two[1] / "front.json"
    write_json(path, {**json.loads(path.read_text()), **change})
    result = invoke("pareto", "--compare", "front", "other")
    assert (result.exit_code, result.stdout) == (4, "")
    assert message.split("; ")[0].split(": ")[0] in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not Path("comparison").exists()
    shutil.rmtree(two[1])


# Which options are about what

COMMAND: Any = typer.main.get_command(app)
OPTIONS = {option.name: option for option in COMMAND.commands["pareto"].params}
QUESTIONS = {field.name for field in dataclasses.fields(Question)}
SEARCHES = {field.name for field in dataclasses.fields(Request)} - QUESTIONS
# By other names than those fields': bounds, floor and precisions that words give, a flag, whom to search for.
NAMES = {"is_forced": "force", "precisions": "precision"}
BESIDES = {"devices", "_family"}


def test_every_option_is_a_question_s_or_a_search_s() -> None:
    """An option that is new, or a field, is one of the two before it is there."""
    searches = {NAMES.get(name, name) for name in SEARCHES - {"out"}} | BESIDES
    assert set(OPTIONS) == {*ASKED, *searches}
    assert not searches & {*ASKED}
    assert {field.name for field in dataclasses.fields(Request)} >= QUESTIONS


@pytest.mark.parametrize("name", sorted(OPTIONS.keys() - {*ASKED}))
def test_what_is_about_a_search_is_refused_with_compare(invoke: Invoke, name: str) -> None:
    option, values = OPTIONS[name], {"_family": "mcan", "sampler": "auto", "split": "test"}
    words = [option.opts[0], *([] if option.is_flag else [values.get(name, "1")])]
    result = invoke("pareto", "--compare", "one", "other", *words)
    assert result.exit_code == 2, result.output
    assert f"{option.opts[0]} is about a search, and --compare reads finished ones; leave it out" in result.stderr


@pytest.mark.parametrize("name", sorted({*ASKED} - {"runs", "is_comparing"}))
def test_what_is_a_question_is_taken_with_compare(invoke: Invoke, name: str) -> None:
    option, values = OPTIONS[name], {"budget": "size=1", "objectives": "accuracy,size", "budget_at": "middle"}
    words = [option.opts[0], *([] if option.is_flag else [values.get(name, "1")])]
    result = invoke("pareto", "--compare", "one", "other", *words)
    assert result.exit_code == 4, result.output
    assert "one/front.json does not exist" in result.output
