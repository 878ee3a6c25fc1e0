"""Fronts on estimated devices, and on several at once."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bstsearch.model.supernet_folder import read_folder
from bstsearch.report.table import range_text
from bstsearch.searching.front_file import read_front
from bstsearch.searching.pareto import Candidate
from bstsearch.space import Submodel

Invoke = Callable[..., Any]
Scorer = Any  # of conftest.py
Price = Callable[[Submodel], Candidate]

FILES = {"front.json", "front.csv", "front.png", "front.html", "study.db"}
TOGETHER = {"fronts.json", "fronts.csv", "fronts.html", "fronts.png"}  # of several devices, beside their folders


def test_another_budget_on_an_estimated_device_imports_only_what_draws(
    pareto: Invoke, phone: Path, run_alone: Invoke
) -> None:
    assert pareto("--device", "phone").exit_code == 0
    result = run_alone("--device", "phone", "--budget-ms", "60%")
    assert "nothing had to be scored" in result.stderr
    assert "the published models behind the rates of phone" in result.stderr
    assert result.stdout.splitlines()[-1] == "['matplotlib', 'numpy']"


def test_an_estimated_device_has_ranges_and_says_so(
    pareto: Invoke, phone: Path, estimated_price: Price, tmp_path: Path
) -> None:
    result = pareto("--device", "phone")
    assert result.exit_code == 0, result.output
    front = read_front(tmp_path / "front" / "front.json")
    assert {one.latency.source for one in front.candidates} == {"estimated"}
    assert (front.origin.device["obtained"], front.origin.device["latency_error"]) == ("estimated", 0.4)
    assert range_text(estimated_price(Submodel()).latency) in result.stdout
    assert ") estimated" in " ".join(result.stdout.split())
    assert "warning: w1of4-d1of4 has " in result.stderr  # GFLOPs, too few for the rates


def test_a_budget_holds_for_the_upper_end_or_for_the_middle(
    pareto: Invoke, phone: Path, estimated_price: Price, scorer: Scorer, tmp_path: Path
) -> None:
    """A bound between the middle and the upper end of the full model's range."""
    full = estimated_price(Submodel()).latency
    bound = str((full.ms + full.high_ms) / 2)
    assert pareto("--device", "phone", "--budget-ms", bound).exit_code == 0
    high = read_front(tmp_path / "front" / "front.json")
    assert "w1-d1" not in scorer.scored
    assert all(one.latency.high_ms <= float(bound) for one in high.front)
    scorer.scored.clear()
    assert pareto("--device", "phone", "--budget-ms", bound, "--budget-at", "middle").exit_code == 0
    middle = read_front(tmp_path / "front" / "front.json")
    assert set(scorer.scored) == {one.id for one in middle.candidates if one.accuracy} - {
        one.id for one in high.candidates if one.accuracy
    }
    assert "w1-d1" in {one.id for one in middle.front}
    assert (high.budget.at, middle.budget.at) == ("high", "middle")
    scorer.scored.clear()
    assert pareto("--device", "phone", "--budget-ms", bound).exit_code == 0
    assert not scorer.scored
    assert read_front(tmp_path / "front" / "front.json").front == high.front


def test_another_end_of_a_range_is_wrong_usage(pareto: Invoke) -> None:
    assert pareto("--budget-ms", "1", "--budget-at", "low").exit_code == 2


# Several devices


def test_each_device_gets_its_front_and_one_table_shows_them(
    pareto: Invoke, scorer: Scorer, phone: Path, tmp_path: Path
) -> None:
    result = pareto("--device", "local,phone")
    assert result.exit_code == 0, result.output
    assert scorer.scored == Counter(submodel.id for submodel in read_folder(tmp_path / "net").space)
    assert {path.name for path in (tmp_path / "front").iterdir()} == {"local", "phone", *TOGETHER}
    files = [read_front(tmp_path / "front" / name / "front.json") for name in ("local", "phone")]
    for name, file in zip(("local", "phone"), files, strict=True):
        assert {path.name for path in (tmp_path / "front" / name).iterdir()} == FILES
        assert file.origin.device["name"] == name
        assert f"written to front/{name}: front.json" in result.stderr
    assert [line for line in result.stdout.splitlines() if line in ("local", "phone")] == ["local", "phone"]
    assert "Pareto fronts on 2 devices" in result.stdout
    assert "+ on that device's front, * recommended there" in result.stdout
    shared = [one.id for one in files[0].front if one.id in {other.id for other in files[1].front}]
    assert f"on all 2 fronts: {', '.join(shared)}\n" in result.stdout
    row = files[0].front.index(files[0].recommended) + 1
    assert "written to front: fronts.json, fronts.csv, fronts.html, fronts.png\n" in result.stderr
    assert f"next: bstsearch export --pick {row} --front front/local/front.json\n" in result.stderr


def test_the_same_again_is_answered_from_both(pareto: Invoke, scorer: Scorer, phone: Path) -> None:
    pareto("--device", "local,phone")
    scorer.scored.clear()
    result = pareto("--device", "phone, local", "--budget-ms", "60%")
    assert result.exit_code == 0, result.output
    assert not scorer.scored
    for name in ("local", "phone"):
        assert f"answered from front/{name}/front.json: nothing had to be scored" in result.stderr


def test_json_holds_every_devices_front_file(pareto: Invoke, phone: Path, tmp_path: Path) -> None:
    data = json.loads(pareto("--device", "local,phone", "--json").stdout)
    assert list(data) == ["fronts", "paths", "hypervolumes", "leads", "on_all_fronts"]
    assert list(data["fronts"]) == ["local", "phone"]
    for name, file in data["fronts"].items():
        assert file == json.loads((tmp_path / "front" / name / "front.json").read_text())
    assert set(data["on_all_fronts"]) <= set(data["fronts"]["phone"]["front"])
    assert data == json.loads((tmp_path / "front" / "fronts.json").read_text())


def test_one_csv_and_one_page_hold_every_devices_front(pareto: Invoke, phone: Path, tmp_path: Path) -> None:
    assert pareto("--device", "local,phone").exit_code == 0
    with (tmp_path / "front" / "fronts.csv").open(newline="", encoding="utf-8") as stream:
        rows = [(row["device"], row["id"]) for row in csv.DictReader(stream)]
    files = {name: read_front(tmp_path / "front" / name / "front.json") for name in ("local", "phone")}
    assert rows == [(name, one.id) for name, file in files.items() for one in file.front]
    page = (tmp_path / "front" / "fronts.html").read_text(encoding="utf-8")
    assert '"path":"front/local/front.json"' in page
    assert '"path":"front/phone/front.json"' in page


def test_a_front_tells_which_layers_its_submodels_keep(pareto: Invoke, tmp_path: Path) -> None:
    assert pareto().exit_code == 0
    stacks = read_front(tmp_path / "front" / "front.json").stacks
    assert [(stack.name, stack.keep_order) for stack in stacks] == [
        ("backbone.enc_list", (0, 3, 1, 2)),
        ("backbone.dec_list", (3, 0, 1, 2)),
    ]
    assert {(stack.heads, stack.ffn) for stack in stacks} == {((4,) * 4, (32,) * 4)}


def test_a_name_given_twice_counts_once(pareto: Invoke, tmp_path: Path) -> None:
    assert pareto("--device", "local,local").exit_code == 0
    assert {path.name for path in (tmp_path / "front").iterdir()} == FILES


@pytest.mark.parametrize(("devices", "code"), [("local,", 2), ("local,tablet", 4), ("local,a/b", 2)])
def test_every_device_is_found_before_anything_is_scored(
    pareto: Invoke, scorer: Scorer, tmp_path: Path, devices: str, code: int
) -> None:
    result = pareto("--device", devices)
    assert (result.exit_code, result.stdout) == (code, "")
    assert not scorer.scored
    assert not (tmp_path / "front").exists()


def test_a_budget_too_tight_for_one_device_keeps_the_fronts_of_those_before(
    pareto: Invoke, phone: Path, tmp_path: Path
) -> None:
    result = pareto("--device", "phone,local", "--budget-ms", "0.1")
    assert result.exit_code == 3
    assert "no submodel fits within latency 0.1 ms; the nearest is w1of4-d1of4 with 0.2146 ms" in result.stderr
    assert read_front(tmp_path / "front" / "phone" / "front.json").is_exact
    assert not (tmp_path / "front" / "local").exists()
