from __future__ import annotations

import contextlib
import csv
import functools
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from bstsearch.cli.output import Output
from bstsearch.model.supernet_folder import read_folder
from bstsearch.profiles.profile import DeviceProfile
from bstsearch.profiles.profile_file import save_profile
from bstsearch.report.table import range_text
from bstsearch.score import ACCURACY, Accuracy
from bstsearch.search.front_file import read_front
from bstsearch.search.pareto import Candidate
from bstsearch.search.pricing import make_pricer
from bstsearch.space import Submodel

Invoke = Callable[..., Any]
MakeProfile = Callable[..., DeviceProfile]
Price = Callable[[Submodel], Candidate]

FILES = {"front.json", "front.csv", "front.png", "front.html", "study.db"}
TOGETHER = {"fronts.json", "fronts.csv", "fronts.html"}  # of several devices, beside their folders


class Scorer:
    """Stands in for supernet and data: bigger is better; counts what it is asked, and stops when told to."""

    metric = ACCURACY

    def __init__(self) -> None:
        self.scored: Counter[str] = Counter()
        self.stop_after = 10_000

    def __call__(self, submodel: Submodel) -> Accuracy:
        if self.scored.total() >= self.stop_after:
            raise KeyboardInterrupt
        self.scored[submodel.id] += 1
        return Accuracy(correct=900 + int(90 * submodel.width * submodel.depth), total=1000)


class Once:
    """Asks another scorer for each submodel once, as the real one does in a command."""

    metric = ACCURACY

    def __init__(self, scorer: Scorer) -> None:
        self.score = functools.cache(scorer)

    def __call__(self, submodel: Submodel) -> Accuracy:
        return self.score(submodel)


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
        "bstsearch.search.run.make_pricer", lambda folder, profile: estimated_price if profile.rates else price
    )
    monkeypatch.setattr("bstsearch.search.run.make_scorer", lambda *_: Once(scorer))
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
        patch.setattr("bstsearch.search.run.make_pricer", lambda folder, profile: price)
        patch.setattr("bstsearch.search.run.make_scorer", lambda *_: Scorer())
        result = CliRunner().invoke(app, ["pareto", "--supernet", "net", "--device", "local"])
    assert result.exit_code == 0, result.output
    return folder / "front"


@pytest.fixture
def finished(finished_run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished_run, tmp_path / "front")


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


@pytest.mark.parametrize("width", [60, 70, 80, 100, 120])
@pytest.mark.parametrize("device", ["local", "phone", "local,phone"])
def test_no_table_is_wider_than_the_terminal(
    pareto: Invoke, phone: Path, monkeypatch: pytest.MonkeyPatch, width: int, device: str
) -> None:
    """With three budgets, and ranges on the phone; the last line lists ids, as prose."""
    monkeypatch.setenv("COLUMNS", str(width))
    result = pareto("--device", device, "--budget-ms", "500", "--budget-gflops", "0.5", "--budget-mb", "2000.5")
    assert result.exit_code == 0, result.output
    prose = ("on all ", "+ on that device's", "* recommended")
    assert [line for line in result.stdout.splitlines() if len(line) > width and not line.startswith(prose)] == []


def test_only_a_terminal_gets_a_plot(pareto: Invoke, finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "accuracy, %" not in pareto().stdout
    shown: list[int] = []
    monkeypatch.setattr(Output, "plot", lambda self, file: shown.append(len(file.front)))
    assert pareto().exit_code == 0
    assert shown == [len(read_front(finished / "front.json").front)]


def run_alone(folder: Path, *args: str) -> Any:
    """`bstsearch pareto` in a process of its own; the last line on stdout lists the heavy libraries that it loaded."""
    program = (
        "import sys; from bstsearch.cli.app import app\n"
        f"app(['pareto', '--supernet', 'net', '--device', 'local', *{list(args)}], standalone_mode=False)\n"
        "print(sorted({'torch', 'optuna', 'pandas', 'matplotlib', 'numpy'} & sys.modules.keys()))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "BSTSEARCH_PROFILES"}
    return subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )


@pytest.mark.usefixtures("pareto")
def test_the_same_budget_imports_nothing_heavy_and_another_one_what_draws(finished: Path, tmp_path: Path) -> None:
    for args, loaded in (
        (["--budget-ms", "60%"], "['matplotlib', 'numpy']"),
        (["--budget-ms", "60%"], "[]"),
    ):
        result = run_alone(tmp_path, *args)
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


def change_supernet(folder: Path) -> None:
    weights = folder / "net" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)


def change_profile(folder: Path) -> None:
    profile = folder / "profiles" / "local.json"
    profile.write_text(profile.read_text().replace("Test CPU", "Another CPU"))


CHANGES: list[tuple[Callable[[Path], None], list[str], str]] = [
    (change_supernet, [], "another supernet"),
    (change_profile, [], "another device profile local"),
    (lambda folder: None, ["--split", "test"], "another split 'validation' (now 'test')"),
    (lambda folder: None, ["--space", "layerwise"], "another space of 10 submodels"),
]


@pytest.mark.parametrize("lost", [None, "front.json"])
@pytest.mark.parametrize(("change", "args", "words"), CHANGES)
def test_scores_of_another_origin_are_refused_and_kept(
    pareto: Invoke,
    scorer: Scorer,
    finished: Path,
    tmp_path: Path,
    lost: str | None,
    change: Callable[[Path], None],
    args: list[str],
    words: str,
) -> None:
    """The study is looked at as closely as the front."""
    if lost:
        (finished / lost).unlink()
    change(tmp_path)
    before = contents(finished)
    result = pareto(*args, "--out", "front")
    assert result.exit_code == 4
    assert words in result.stderr
    assert "--force" in result.stderr
    assert contents(finished) == before
    assert not scorer.scored


@pytest.mark.parametrize("lost", [None, "front.json"])
@pytest.mark.parametrize(("change", "args", "words"), CHANGES)
def test_without_out_they_stay_and_the_new_ones_go_beside_them(
    pareto: Invoke,
    finished: Path,
    tmp_path: Path,
    lost: str | None,
    change: Callable[[Path], None],
    args: list[str],
    words: str,
) -> None:
    if lost:
        (finished / lost).unlink()
    change(tmp_path)
    before = contents(finished)
    result = pareto(*args, "--trials", "5")
    assert result.exit_code == 0, result.output
    assert {path.name for path in (finished / "local").iterdir()} == FILES
    shutil.rmtree(finished / "local")
    assert contents(finished) == before


def test_force_starts_over(pareto: Invoke, scorer: Scorer, finished: Path, tmp_path: Path) -> None:
    change_supernet(tmp_path)
    assert pareto("--force", "--out", "front").exit_code == 0
    assert scorer.scored.total() == 10
    assert read_front(finished / "front.json").origin.supernet["digest"] == read_folder(tmp_path / "net").digest()


def test_another_out_leaves_the_first_alone(pareto: Invoke, finished: Path, tmp_path: Path) -> None:
    change_profile(tmp_path)
    before = contents(finished)
    result = pareto("--out", "second")
    assert result.exit_code == 0
    assert contents(finished) == before
    assert "--front second/front.json" in result.stderr


def test_corrupt_study_is_refused_and_kept(pareto: Invoke, finished: Path) -> None:
    (finished / "front.json").unlink()
    (finished / "study.db").write_bytes(b"no database" * 1000)
    result = pareto()
    assert result.exit_code == 4
    assert "study front/study.db cannot be read: file is not a database" in result.stderr
    assert (finished / "study.db").read_bytes() == b"no database" * 1000


def test_locked_study_is_refused(pareto: Invoke, finished: Path) -> None:
    (finished / "front.json").unlink()
    with contextlib.closing(sqlite3.connect(finished / "study.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        result = pareto()
    assert result.exit_code == 4
    assert "in use by another process" in result.stderr


def test_truncated_front_is_refused_and_kept(pareto: Invoke, finished: Path) -> None:
    path = finished / "front.json"
    path.write_text(path.read_text()[:500])
    result = pareto()
    assert result.exit_code == 4
    assert "truncated" in result.stderr
    assert path.stat().st_size == 500


def test_lost_front_is_made_again_from_the_study(pareto: Invoke, scorer: Scorer, finished: Path) -> None:
    before = read_front(finished / "front.json")
    (finished / "front.json").unlink()
    assert pareto().exit_code == 0
    assert not scorer.scored
    assert read_front(finished / "front.json").front == before.front


def test_lost_picture_is_drawn_again(pareto: Invoke, finished: Path) -> None:
    (finished / "front.png").unlink()
    assert pareto().exit_code == 0
    assert (finished / "front.png").read_bytes().startswith(b"\x89PNG")


def test_device_without_profile_says_what_makes_one(pareto: Invoke) -> None:
    result = pareto("--device", "phone")
    assert result.exit_code == 4
    assert "bstsearch profile --device phone" in result.stderr


def test_profile_of_another_model_is_refused(
    pareto: Invoke, make_profile: MakeProfile, tiny_easy_folder: Path, tmp_path: Path
) -> None:
    save_profile(make_profile(tiny_easy_folder), tmp_path / "profiles")
    result = pareto()
    assert result.exit_code == 4
    assert "holds no measurement of this model" in result.stderr


def test_out_that_is_no_folder_is_a_device_error(pareto: Invoke, tmp_path: Path) -> None:
    (tmp_path / "front").write_text("in the way")
    result = pareto()
    assert result.exit_code == 5
    assert (tmp_path / "front").read_text() == "in the way"


@pytest.mark.parametrize("sampler", ["nsga2", "tpe"])
def test_layerwise_space_is_sampled(pareto: Invoke, scorer: Scorer, tmp_path: Path, sampler: str) -> None:
    args = ["--space", "layerwise", "--sampler", sampler, "--budget-ms", "80%"]
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


# A device that was not measured


@pytest.fixture
def phone(pareto: Invoke, tiny_folder: Path, make_profile: MakeProfile, make_estimated: MakeProfile) -> Path:
    """The file of an estimated device beside the measured one's."""
    return save_profile(make_estimated(tiny_folder), Path("profiles"))


def test_another_budget_on_an_estimated_device_imports_only_what_draws(
    pareto: Invoke, phone: Path, tmp_path: Path
) -> None:
    assert pareto("--device", "phone").exit_code == 0
    result = run_alone(tmp_path, "--device", "phone", "--budget-ms", "60%")
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
    assert "written to front: fronts.json, fronts.csv, fronts.html\n" in result.stderr
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
    assert list(data) == ["devices", "on_all_fronts"]
    assert list(data["devices"]) == ["local", "phone"]
    for name, file in data["devices"].items():
        assert file == json.loads((tmp_path / "front" / name / "front.json").read_text())
    assert set(data["on_all_fronts"]) <= set(data["devices"]["phone"]["front"])
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
