from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import structs

from bstsearch.errors import InputError
from bstsearch.profiles.profile import DeviceProfile
from bstsearch.profiles.profile_file import load_profile, save_profile

MakeProfile = Callable[..., DeviceProfile]


# Written and read


def test_what_is_saved_is_loaded_again(tiny_folder: Path, make_profile: MakeProfile, tmp_path: Path) -> None:
    profile = make_profile(tiny_folder, "phone")
    path = save_profile(profile, tmp_path / "new")
    assert path == tmp_path / "new" / "phone.json"
    assert load_profile(path) == profile
    assert [found.name for found in path.parent.iterdir()] == ["phone.json"]


def test_an_estimated_one_is_too(
    tiny_folder: Path, make_profile: MakeProfile, make_estimated: MakeProfile, tmp_path: Path
) -> None:
    profile = make_estimated(tiny_folder)
    assert load_profile(save_profile(profile, tmp_path)) == profile


def test_the_file_has_one_line_per_row(tiny_folder: Path, make_profile: MakeProfile, tmp_path: Path) -> None:
    profile = make_profile(tiny_folder)
    (model,) = profile.models
    lines = [line.strip().rstrip(",") for line in save_profile(profile, tmp_path).read_text().splitlines()]
    rows = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
    assert [row["id"] for row in rows if "times_ms" in row] == [row.id for row in model.submodels]
    assert [row["latency_ms"] for row in rows if "block" in row] == [row.latency_ms for row in model.blocks]
    assert len([row for row in rows if "share" in row]) == len(model.activations)
    assert '"device": "local"' in lines


# Files that are none


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("latency: 3", ": malformed "),
        ("", ": empty"),
        ("[1, 2]", ": expected object, got array"),
        ("[" * 200_000, ": expected object, got array"),
        ('{"format": 2, "models": ' + "[" * 200_000, ": nested too deep"),
        ('{"format": NaN}', ": malformed "),
        (b"\xff\xfe\x00", ": malformed "),
        ('{"format": 1, "rows": 3}', ", rows: expected array, got int"),
    ],
)
def test_a_file_that_is_no_profile_is_refused(text: str | bytes, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "local.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=f"^{re.escape(f'{path}{problem}')}"):
        load_profile(path)


def test_a_truncated_file_is_refused_wherever_it_ends(
    tiny_folder: Path, make_profile: MakeProfile, tmp_path: Path
) -> None:
    path = save_profile(make_profile(tiny_folder), tmp_path)
    text = path.read_text().strip()
    for length in range(1, len(text), len(text) // 20):
        path.write_text(text[:length])
        with pytest.raises(InputError, match=r"local\.json: malformed .*; is it truncated\?$"):
            load_profile(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load_profile(tmp_path / "local.json")


@pytest.mark.parametrize("version", [0, 3, "1", None, True, []])
def test_another_format_version_is_refused_before_all_else(version: object, tmp_path: Path) -> None:
    path = tmp_path / "local.json"
    path.write_text(json.dumps({"format": version, "anything": "else"}))
    told = f"{path} has format {version!r}; this version reads formats 1 and 2; measure it again"
    with pytest.raises(InputError, match=f"^{re.escape(told)}"):
        load_profile(path)


def test_what_could_not_be_loaded_again_is_not_saved(
    tiny_folder: Path, make_profile: MakeProfile, tmp_path: Path
) -> None:
    profile = make_profile(tiny_folder)
    path = save_profile(profile, tmp_path)
    before = path.read_bytes()
    (model,) = profile.models
    for change in ({"noise": math.nan}, {"batch": 0}):
        wrong = structs.replace(model, **change)
        with pytest.raises(InputError, match=rf"local\.json, models\[0\]\.{next(iter(change))}: expected "):
            save_profile(structs.replace(profile, models=(wrong,)), tmp_path)
    assert path.read_bytes() == before
