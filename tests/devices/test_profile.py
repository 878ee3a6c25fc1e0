from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bstsearch.devices import profile as profiles
from bstsearch.devices.profile import (
    DeviceProfile,
    check_name,
    find_profile,
    home_folder,
    load_profile,
    profile_folders,
    stored_profiles,
)
from bstsearch.errors import DeviceError, InputError, UsageError

MakeProfile = Callable[..., DeviceProfile]
Data = dict[str, Any]


@pytest.fixture
def data(tiny_folder: Path, make_profile: MakeProfile) -> Data:
    """A sound profile as plain data."""
    return make_profile(tiny_folder).model_dump(mode="json")


def load(data: object, tmp_path: Path) -> DeviceProfile:
    path = tmp_path / "local.json"
    path.write_text(json.dumps(data))
    return load_profile(path)


def test_what_is_saved_is_loaded_again(tiny_folder: Path, make_profile: MakeProfile, tmp_path: Path) -> None:
    profile = make_profile(tiny_folder, "phone")
    path = profile.save(tmp_path / "new")
    assert path == tmp_path / "new" / "phone.json"
    assert load_profile(path) == profile
    assert [found.name for found in path.parent.iterdir()] == ["phone.json"]


def test_the_file_has_one_line_per_row(tiny_folder: Path, make_profile: MakeProfile, tmp_path: Path) -> None:
    profile = make_profile(tiny_folder)
    lines = profile.save(tmp_path).read_text().splitlines()
    assert [json.loads(line.rstrip(","))["id"] for line in lines if '"times_ms"' in line] == [
        row.id for row in profile.rows
    ]


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("latency_ms", -1.0, "input should be greater than 0, not -1.0"),
        ("latency_ms", 0, "input should be greater than 0, not 0"),
        ("latency_ms", math.nan, "input should be a finite number, not nan"),
        ("latency_ms", math.inf, "input should be a finite number, not inf"),
        ("latency_ms", "0.5", "input should be a valid number, not '0.5'"),
        ("latency_ms", None, "input should be a valid number, not None"),
        ("times_ms", [], "tuple should have at least 1 item after validation, not 0"),
        ("peak_memory_bytes", 1.5, "input should be a valid integer"),
        ("file_bytes", 0, "input should be greater than 0"),
        ("id", "w2-d1", "'w2-d1' is not a submodel id"),
        ("surprise", 1, "extra inputs are not permitted"),
    ],
)
def test_a_wrong_field_of_a_row_is_named(field: str, value: object, problem: str, data: Data, tmp_path: Path) -> None:
    data["rows"][2][field] = value
    with pytest.raises(InputError) as caught:
        load(data, tmp_path)
    name = value if field == "id" else data["rows"][2]["id"]
    assert str(caught.value).startswith(f"device profile {tmp_path / 'local.json'}, row 3 ({name}), {field}: {problem}")
    assert "\n" not in str(caught.value)


def test_a_wrong_time_is_named_by_its_place(data: Data, tmp_path: Path) -> None:
    data["rows"][0]["times_ms"][1] = -2
    with pytest.raises(InputError, match=r"row 1 \(w1of4-d1of4\), times_ms, 1: input should be greater than 0, not -2"):
        load(data, tmp_path)


def test_a_missing_latency_is_named(data: Data, tmp_path: Path) -> None:
    del data["rows"][0]["latency_ms"]
    with pytest.raises(InputError, match=r"local\.json, row 1 \(w1of4-d1of4\), latency_ms: field required$"):
        load(data, tmp_path)


def test_a_latency_outside_its_interval_is_refused(data: Data, tmp_path: Path) -> None:
    data["rows"][0]["low_ms"] = 2 * data["rows"][0]["latency_ms"]
    with pytest.raises(InputError, match=r"row 1 \(w1of4-d1of4\): latency_ms .* must lie between low_ms and high_ms$"):
        load(data, tmp_path)


@pytest.mark.parametrize("row", ["w1-d1", None, []])
def test_a_row_that_is_no_object_is_named(row: object, data: Data, tmp_path: Path) -> None:
    data["rows"][1] = row
    with pytest.raises(InputError, match=r"row 2 \(None\): input should be"):
        load(data, tmp_path)


@pytest.mark.parametrize(
    ("place", "value", "problem"),
    [
        (("units", "latency"), "s", r"units, latency: input should be 'ms', not 's'"),
        (("units", "memory"), "MB", r"units, memory: input should be 'bytes', not 'MB'"),
        (("obtained",), "guessed", r"obtained: input should be 'measured', not 'guessed'"),
        (("runtime", "threads"), 0, r"runtime, threads: input should be greater than 0"),
        (("model", "architecture"), "x", r"model, architecture: string should match pattern"),
        (("machine",), None, r"machine: input should be"),
        (("date",), "yesterday", r"date: input should be a valid datetime"),
        (("date",), "2025-01-31T12:00:00", r"date: input should have timezone info"),
        (("rows",), [], r"rows: tuple should have at least 1 item"),
        (("rows",), None, r"rows: input should be a valid tuple"),
        (("error", "latency", "worst"), -0.1, r"error, latency, worst: input should be greater than or equal to 0"),
        (("device",), "phone", r"device: 'phone', expected 'local', the file's name$"),
    ],
)
def test_a_wrong_field_of_the_head_is_named(
    place: tuple[str, ...], value: object, problem: str, data: Data, tmp_path: Path
) -> None:
    inner = data
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    with pytest.raises(InputError, match=rf"^device profile .*local\.json, {problem}") as caught:
        load(data, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", list(DeviceProfile.model_fields))
def test_every_key_is_required(key: str, data: Data, tmp_path: Path) -> None:
    del data[key]
    with pytest.raises(InputError, match=r"has format None" if key == "format" else rf", {key}: field required$"):
        load(data, tmp_path)


def test_an_id_that_occurs_twice_is_named(data: Data, tmp_path: Path) -> None:
    data["rows"].append(data["rows"][0])
    with pytest.raises(InputError, match=r"local\.json, rows: 'w1of4-d1of4' occurs 2 times, expected once$"):
        load(data, tmp_path)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_format_version_is_refused_before_all_else(version: object, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"has format {version!r}; this version reads format 1"):
        load({"format": version, "anything": "else"}, tmp_path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("latency: 3", "is no valid JSON"),
        ("", "is no valid JSON"),
        ("[1, 2]", "must hold a JSON object, not a list"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_a_file_that_is_no_profile_is_refused(text: str | bytes, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "local.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=rf"device profile {path} {problem}"):
        load_profile(path)


def test_a_truncated_file_is_refused_wherever_it_ends(data: Data, tmp_path: Path) -> None:
    text, path = json.dumps(data), tmp_path / "local.json"
    for length in range(1, len(text), len(text) // 20):
        path.write_text(text[:length])
        with pytest.raises(InputError, match=r"is no valid JSON .*; is it truncated\?$"):
            load_profile(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load_profile(tmp_path / "local.json")


def test_only_the_same_architecture_passes(tiny_folder: Path, make_profile: MakeProfile) -> None:
    profile = make_profile(tiny_folder, "phone")
    profile.require_model(profile.model.architecture, "mcan")
    for architecture, family in (("0" * 16, "mcan"), (profile.model.architecture, "uniter")):
        with pytest.raises(InputError, match=r"'phone' is of another model .* --device phone --measure"):
            profile.require_model(architecture, family)


@pytest.mark.parametrize("name", ["local", "pixel-7a", "RPi_4.8GB", "0", "a" * 64])
def test_file_safe_names_pass(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a\\b", "-x", "a b", "a\n", "ü", "a" * 65, "C:"])
def test_other_names_are_wrong_usage(name: str) -> None:
    with pytest.raises(UsageError, match="is no device name; use up to 64 letters"):
        check_name(name)
    with pytest.raises(UsageError):
        find_profile(name, [])


class TestLookUp:
    @pytest.fixture(autouse=True)
    def _places(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_profile: MakeProfile, tiny_folder: Path
    ) -> None:
        """Four folders; each holds the profile 'shared', and one of its own."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("BSTSEARCH_PROFILES", "variable")
        monkeypatch.setattr(profiles.bstsearch, "__file__", str(tmp_path / "site" / "bstsearch" / "__init__.py"))
        self.folders = [Path(name) for name in ("option", "variable", "profiles", "site/bstsearch/profiles")]
        for folder in self.folders:
            for name in ("shared", f"only-{folder.parts[0]}"):
                make_profile(tiny_folder, name).save(folder)

    def names(self, option: Path | None) -> list[str]:
        return [str(folder.resolve().relative_to(Path.cwd())) for folder in profile_folders(option)]

    def test_option_then_variable_then_here_then_shipped(self) -> None:
        assert self.names(Path("option")) == ["option", "variable", "profiles", "site/bstsearch/profiles"]

    def test_what_is_not_given_is_left_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.names(None) == ["variable", "profiles", "site/bstsearch/profiles"]
        monkeypatch.setenv("BSTSEARCH_PROFILES", "")
        assert self.names(None) == ["profiles", "site/bstsearch/profiles"]
        monkeypatch.delenv("BSTSEARCH_PROFILES")
        assert self.names(None) == ["profiles", "site/bstsearch/profiles"]

    def test_in_a_checkout_the_shipped_ones_lie_beside_the_package(self) -> None:
        Path("site/bstsearch/profiles").rename("site/profiles")
        assert self.names(None)[-1] == "site/profiles"

    def test_the_first_folder_that_has_the_name_wins(self) -> None:
        folders = self.folders.copy()
        while folders:
            assert find_profile("shared", folders) == folders[0] / "shared.json"
            folders.pop(0)

    def test_every_folder_is_searched(self) -> None:
        for folder in self.folders:
            name = f"only-{folder.parts[0]}"
            assert find_profile(name, self.folders) == folder / f"{name}.json"
        assert len(stored_profiles(self.folders)) == 5

    def test_folders_that_do_not_exist_hold_nothing(self) -> None:
        assert stored_profiles([Path("nowhere")]) == {}

    def test_an_unknown_name_lists_the_known_ones_and_how_to_measure(self) -> None:
        with pytest.raises(InputError) as caught:
            find_profile("phone", self.folders[:1])
        assert str(caught.value) == (
            "no profile of device 'phone'; stored are: only-option, shared. "
            "Run 'bstsearch profile --device phone' to measure this machine"
        )

    def test_new_profiles_go_where_is_looked_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert home_folder(Path("option")) == Path("option")
        assert home_folder(None) == Path("variable")
        monkeypatch.delenv("BSTSEARCH_PROFILES")
        assert home_folder(None) == Path("profiles")


def test_a_new_folder_is_not_made_before_it_is_needed(tmp_path: Path) -> None:
    assert home_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_found_out_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**arguments: object) -> None:
        assert arguments == {"dir": tmp_path}
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(DeviceError, match=r"cannot write to .*new: Permission denied; .* --profiles DIR"):
        home_folder(tmp_path / "new")


def test_a_file_is_no_folder_for_profiles(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DeviceError, match="cannot write to"):
        home_folder(tmp_path / "file")
