from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bstsearch.profiles.profile_file import save_profile

Invoke = Callable[..., Any]
MakeProfile = Callable[..., Any]

SHIPPED = Path(__file__).parents[2] / "profiles"


def line_of(name: str, text: str) -> list[str]:
    return next(line.split() for line in text.splitlines() if line.split()[:1] == [name])


# The list


def test_lists_what_ships_in_80_columns(invoke: Invoke) -> None:
    result = invoke("devices")
    assert result.exit_code == 0, result.stderr
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert line_of("pixel7", result.stdout) == ["pixel7", "Google", "Tensor", "G2", "estimated", "+-40%", "any", "1"]
    assert line_of("pixel4", result.stdout)[-5:] == ["calibrated", "+-30%", "PyTorch", "Mobile", "1"]
    assert str(SHIPPED) in result.stdout
    (line,) = re.findall(r"next: bstsearch (.*)", result.stderr)
    assert invoke(*line.split()).exit_code == 0


def test_lists_own_profiles_under_their_folder(
    invoke: Invoke, tiny_folder: Path, make_profile: MakeProfile, tmp_path: Path
) -> None:
    save_profile(make_profile(tiny_folder, "my-board"), tmp_path / "mine")
    result = invoke("devices", "--profiles", "mine")
    assert result.stdout.splitlines()[0] == "mine/"
    assert line_of("my-board", result.stdout) == ["my-board", "Test", "SoC", "measured", "+-25%", "onnxruntime", "2"]


def test_the_first_folder_with_a_name_wins(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    shutil.copy(SHIPPED / "pixel7.json", tmp_path / "profiles")
    found = json.loads(invoke("devices", "--json").stdout)["devices"]
    paths = {one["device"]: one["path"] for one in found}
    assert paths["pixel7"] == str(Path("profiles/pixel7.json"))
    assert paths["pixel6"] == str(SHIPPED / "pixel6.json")


def test_a_broken_file_is_a_row_and_its_problem_a_warning(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "phone.json").write_text("{")
    result = invoke("devices")
    assert result.exit_code == 0
    assert line_of("phone", result.stdout) == ["phone", "-", "broken", "-", "-", "-"]
    assert line_of("pixel7", result.stdout)
    assert "warning: profiles/phone.json: malformed (Input data was truncated); is it truncated?" in result.stderr


def test_json_holds_what_the_table_shows(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "phone.json").write_text("{}")
    found = {one["device"]: one for one in json.loads(invoke("devices", "--json").stdout)["devices"]}
    keys = {"device", "path", "problem", "title", "soc", "obtained", "via", "date", "runtime", "interval"}
    assert all(set(one) == keys for one in found.values())
    assert found["phone"]["obtained"] is None
    assert "has format None" in found["phone"]["problem"]
    assert (found["pixel7"]["obtained"], found["pixel7"]["interval"]) == ("estimated", 0.4)
    assert found["pixel4"]["runtime"]["name"] == "PyTorch Mobile"


# One of them


def test_show_explains_an_estimate(invoke: Invoke) -> None:
    result = invoke("devices", "show", "pixel7")
    assert result.exit_code == 0, result.stderr
    text = " ".join(result.stdout.split())
    assert "pixel7: Google Pixel 7, estimated" in text
    assert "Cortex-X1: 2 x 2.85 GHz x 32 FLOP/cycle = 182.4 GFLOP/s (theory:" in text
    assert "threads: 1 on 1 x Cortex-X1 2.85 GHz" in text
    assert "nothing was measured" in text
    assert "+-40%: a latency is shown as ms / 1.4 to ms x 1.4, so 41 ms as 29-57" in text
    assert "rows on one core with four 128-bit pipes" in text
    assert "recurrent MB" in text
    assert "No fp32 latency of a Transformer on a Pixel 7 is published" in text
    assert "github.com/qed-usc/mobile-ml-benchmark" in text
    assert result.stdout.splitlines()[-1].strip() == "bstsearch profile --device pixel7 --via browser --lan"


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.json")), ids=lambda path: path.stem)
def test_show_fits_80_columns(invoke: Invoke, path: Path) -> None:
    lines = invoke("devices", "show", path.stem).stdout.splitlines()
    # A word without a blank, as a path or an address, is not broken.
    assert all(len(line) <= 80 or len(line.split()) == 1 for line in lines)


def test_show_tells_what_was_measured(
    invoke: Invoke, tiny_folder: Path, make_profile: MakeProfile, tmp_path: Path
) -> None:
    profile = make_profile(tiny_folder, "board")
    save_profile(profile, tmp_path / "profiles")
    text = " ".join(invoke("devices", "show", "board").stdout.split())
    assert "measured on that device by bstsearch" in text
    assert f"model: mcan {profile.models[0].architecture}" in text
    assert f"{len(profile.models[0].submodels)} whole submodels and {len(profile.models[0].blocks)} blocks" in text
    assert "off by 2.0% (median), 5.0% (90th percentile), 10.0% at worst" in text
    assert "the same submodel measured twice differs by 1.0%" in text
    assert text.endswith("bstsearch profile --device board --measure")


def test_show_says_where_no_error_is_known(
    invoke: Invoke, tiny_folder: Path, make_profile: MakeProfile, tmp_path: Path
) -> None:
    save_profile(make_profile(tiny_folder, "board", model={"error": None, "noise": None}), tmp_path / "profiles")
    assert "no error is known" in invoke("devices", "show", "board").stdout
    assert line_of("board", invoke("devices").stdout)[4] == "-"


def test_show_gives_the_whole_profile_as_json(invoke: Invoke) -> None:
    shown = json.loads(invoke("devices", "show", "pixel7", "--json").stdout)
    assert shown["path"] == str(SHIPPED / "pixel7.json")
    assert shown["profile"] == json.loads((SHIPPED / "pixel7.json").read_text())


def test_an_unknown_device_lists_near_ones(invoke: Invoke) -> None:
    result = invoke("devices", "show", "pixel8")
    assert result.exit_code == 4
    assert "no profile of device 'pixel8'; did you mean pixel" in result.stderr


# A file


def test_validate_says_valid(invoke: Invoke) -> None:
    result = invoke("devices", "validate", SHIPPED / "pixel7.json")
    assert result.exit_code == 0
    assert result.stdout == f"valid: {SHIPPED / 'pixel7.json'} is a profile of 'pixel7', estimated 2026-11-25\n"


def test_validate_says_what_is_wrong_in_one_line(invoke: Invoke, tmp_path: Path) -> None:
    data = json.loads((SHIPPED / "pixel7.json").read_text())
    data["rates"]["gflops_per_s"] = -1.0
    (tmp_path / "pixel7.json").write_text(json.dumps(data))
    result = invoke("devices", "validate", "pixel7.json")
    assert result.exit_code == 4
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "pixel7.json, rates.gflops_per_s: expected float > 0.0" in result.stderr


def test_validate_of_no_file(invoke: Invoke) -> None:
    result = invoke("devices", "validate", "nothing.json")
    assert (result.exit_code, result.stderr) == (4, "error: nothing.json does not exist\n")
