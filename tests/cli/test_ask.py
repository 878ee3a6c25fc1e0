from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import easy_vqa
import pytest

from bstsearch.profiles.profile_file import save_profile

Invoke = Callable[..., Any]
MakeProfile = Callable[..., Any]

TEXT = "what colour is the circle?"
ACCURACIES = {"w1of4-d1of4": 80, "w1of2-d1of2": 90, "w1-d1": 95}


@pytest.fixture
def image() -> str:
    path: str = easy_vqa.get_test_image_paths()[0]
    return path


@pytest.fixture
def supernet(tiny_easy_folder: Path, make_profile: MakeProfile, tmp_path: Path) -> Path:
    """A supernet that knows accuracies, with a profile in ./profiles."""
    save_profile(make_profile(tiny_easy_folder), tmp_path / "profiles")
    folder = shutil.copytree(tiny_easy_folder, tmp_path / "supernet")
    validation = {name: {"correct": correct, "total": 100} for name, correct in ACCURACIES.items()}
    (folder / "metrics.json").write_text(json.dumps({"validation": validation}))
    return folder


def test_an_exported_folder_answers(invoke: Invoke, exported_folder: Path, image: str) -> None:
    result = invoke("ask", TEXT, "--image", image, "--model", exported_folder, "--top", 2)
    assert result.exit_code == 0, result.stderr
    *_, first, second, empty, last = result.stdout.splitlines()
    assert float(first.split()[1]) >= float(second.split()[1])
    assert empty == ""
    assert last.startswith("w1of2-d1of2 answered in ")
    assert last.endswith(" ms (ONNX Runtime)")


def test_json_schema(invoke: Invoke, exported_folder: Path, image: str) -> None:
    data = json.loads(invoke("ask", TEXT, "--image", image, "--model", exported_folder, "--json").stdout)
    assert {key: type(value) for key, value in data.items()} == {
        "submodel": str,
        "answers": list,
        "time_ms": float,
        "runtime": str,
    }
    assert [sorted(answer) for answer in data["answers"]] == [["answer", "probability"]] * 3


def submodel_of(result: Any) -> str:
    assert result.exit_code == 0, result.stderr
    name: str = json.loads(result.stdout)["submodel"]
    return name


def test_a_supernet_answers_with_the_full_model(invoke: Invoke, supernet: Path, image: str) -> None:
    assert submodel_of(invoke("ask", TEXT, "--image", image, "--model", supernet, "--json")) == "w1-d1"


def test_a_supernet_answers_with_the_submodel_asked_for(invoke: Invoke, supernet: Path, image: str) -> None:
    args = ("ask", TEXT, "--image", image, "--model", supernet, "--submodel", "w1of4-d1", "--json")
    assert submodel_of(invoke(*args)) == "w1of4-d1"


def test_a_supernet_answers_within_a_budget_and_says_with_what(invoke: Invoke, supernet: Path, image: str) -> None:
    result = invoke("ask", TEXT, "--image", image, "--model", supernet, "--budget-ms", "50%", "--json")
    assert submodel_of(result) == "w1of2-d1of2"
    assert result.stderr == "took w1of2-d1of2: 0.45 ms measured on local with onnxruntime\n"


def test_a_bundle_takes_its_own_first_device_whatever_was_profiled_last(
    invoke: Invoke, bundle_folder: Path, image: str, tmp_path: Path
) -> None:
    (tmp_path / ".bstsearch.json").write_text('{"format": 1, "device": "pixel7", "profiles": "nowhere"}')
    result = invoke("ask", TEXT, "--image", image, "--model", bundle_folder, "--budget-ms", "0.3", "--json")
    assert submodel_of(result) == "w1of4-d1of4"
    assert result.stderr == "took w1of4-d1of4: 0.1 ms on local\n"


def test_an_infeasible_budget_names_the_nearest(invoke: Invoke, supernet: Path, image: str) -> None:
    result = invoke("ask", TEXT, "--image", image, "--model", supernet, "--budget-ms", "0.01")
    assert result.exit_code == 3
    assert "the nearest is w1of4-d1of4 with 0.215 ms" in result.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--submodel", "w1-d1", "--budget-ms", "1"), "exclude each other"),
        (("--submodel", "w1-d1of4"), "no submodel 'w1-d1of4', but 10 submodels: widths 1/4"),
        (("--submodel", "big"), "'big' is not a submodel id"),
        (("--budget-ms", "soon"), "--budget-ms 'soon' is no budget"),
        (("--top", "0"), "--top"),
    ],
)
def test_options_that_cannot_be_right(
    invoke: Invoke, supernet: Path, image: str, args: tuple[str, ...], message: str
) -> None:
    result = invoke("ask", TEXT, "--image", image, "--model", supernet, *args)
    assert result.exit_code == 2
    assert message in result.stderr


def test_an_exported_folder_has_no_submodels_to_choose(invoke: Invoke, exported_folder: Path, image: str) -> None:
    result = invoke("ask", TEXT, "--image", image, "--model", exported_folder, "--submodel", "w1-d1")
    assert result.exit_code == 2
    assert "holds one submodel" in result.stderr


def test_a_profile_of_another_model_is_an_input_error(
    invoke: Invoke, supernet: Path, tiny_folder: Path, make_profile: MakeProfile, tmp_path: Path, image: str
) -> None:
    save_profile(make_profile(tiny_folder), tmp_path / "profiles")
    result = invoke("ask", TEXT, "--image", image, "--model", supernet, "--budget-ms", "1")
    assert result.exit_code == 4
    assert "holds no measurement of this model" in result.stderr


def test_a_missing_profile_names_the_command_that_makes_one(invoke: Invoke, supernet: Path, image: str) -> None:
    result = invoke("ask", TEXT, "--image", image, "--model", supernet, "--budget-ms", "1", "--device", "phone")
    assert result.exit_code == 4
    assert "'bstsearch profile --device phone --via browser --lan' measures it" in result.stderr


@pytest.mark.parametrize(
    ("text", "code", "message"), [("", 2, "the question is empty"), ("quid est?", 4, "it knows a, color, contain")]
)
def test_questions_that_say_nothing(
    invoke: Invoke, exported_folder: Path, image: str, text: str, code: int, message: str
) -> None:
    result = invoke("ask", text, "--image", image, "--model", exported_folder)
    assert result.exit_code == code
    assert message in result.stderr


def test_a_file_that_is_no_image_is_an_input_error(invoke: Invoke, exported_folder: Path) -> None:
    result = invoke("ask", TEXT, "--image", exported_folder / "run.py", "--model", exported_folder)
    assert result.exit_code == 4
    assert "cannot be read as an image" in result.stderr


def test_a_missing_model_is_an_input_error(invoke: Invoke, image: str) -> None:
    result = invoke("ask", TEXT, "--image", image, "--model", "nowhere")
    assert result.exit_code == 4
    assert "nowhere does not exist" in result.stderr


def test_a_damaged_model_is_an_input_error(invoke: Invoke, exported_folder: Path, tmp_path: Path, image: str) -> None:
    folder = shutil.copytree(exported_folder, tmp_path / "exported")
    (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes()[:-100])
    result = invoke("ask", TEXT, "--image", image, "--model", folder)
    assert result.exit_code == 4
    assert "model.onnx is not the file that was exported" in result.stderr
