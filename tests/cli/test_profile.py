from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bstsearch.devices import machine, onnxruntime_cpu
from bstsearch.devices.profile import DeviceProfile, load_profile
from bstsearch.errors import DeviceError, NoisyMeasurementError
from bstsearch.folder import SupernetFolder, read_folder
from bstsearch.space import Space

Invoke = Callable[..., Any]
MakeProfile = Callable[..., DeviceProfile]
Measured = list[dict[str, Any]]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, make_profile: MakeProfile) -> Measured:
    """The calls of `measure`, which returns a made-up profile at once."""
    calls: Measured = []

    def measure(folder: SupernetFolder, device: str, *, threads: int, progress: Any) -> DeviceProfile:
        calls.append({"folder": folder, "device": device, "threads": threads})
        progress("Timing in rounds", 1, 2)
        runtime = make_profile(folder.path).runtime.model_dump() | {"threads": threads}
        return make_profile(folder.path, device, runtime=runtime)

    monkeypatch.setattr(onnxruntime_cpu, "measure", measure)
    monkeypatch.setattr(machine, "available_cores", lambda: 3)
    monkeypatch.setattr(machine, "cpu_name", lambda: "Example 9000")
    return calls


def test_without_a_stored_profile_this_machine_is_measured(
    invoke: Invoke, measured: Measured, tiny_folder: Path, tmp_path: Path
) -> None:
    result = invoke("profile", "--supernet", tiny_folder)
    assert result.exit_code == 0, result.stderr
    assert [(call["device"], call["threads"]) for call in measured] == [("local", 3)]
    assert load_profile(tmp_path / "profiles" / "local.json").runtime.threads == 3
    assert "measuring this machine as device 'local': Example 9000, threads: 3" in result.stderr
    assert "written to profiles/local.json" in result.stderr
    assert f"next: bstsearch pareto --device local --supernet {tiny_folder}\n" in result.stderr


def test_the_table_has_a_row_per_submodel_and_units(invoke: Invoke, measured: Measured, tiny_folder: Path) -> None:
    lines = invoke("profile", "--supernet", tiny_folder).stdout.splitlines()
    assert lines[0] == "local: measured 2025-01-31 on Test CPU, 2 cores"
    assert lines[1] == "onnxruntime 1.20.0, threads: 3, float32, batch: 1"
    assert lines[4].split() == ["ms", "ms", "%", "MB", "MB"]
    cells = {line.split()[0]: line.split()[1:] for line in lines[6:]}
    assert list(cells) == [submodel.id for submodel in read_folder(tiny_folder).space.grid()]
    assert cells["w1-d1"] == ["1.000", "1.100", "1.0", "2.00", "20.0"]
    assert max(map(len, lines)) <= 80


def test_an_unknown_name_measures_this_machine_and_says_so(
    invoke: Invoke, measured: Measured, tiny_folder: Path, tmp_path: Path
) -> None:
    result = invoke("profile", "--supernet", tiny_folder, "--device", "phone", "--threads", "1")
    assert "measuring this machine as device 'phone': Example 9000, threads: 1" in result.stderr
    assert (tmp_path / "profiles" / "phone.json").exists()
    assert measured[0]["threads"] == 1


class TestStored:
    @pytest.fixture(autouse=True)
    def path(self, tiny_folder: Path, make_profile: MakeProfile, tmp_path: Path) -> Path:
        return make_profile(tiny_folder, "phone", warnings=["it was a hot day"]).save(tmp_path / "profiles")

    def test_it_is_shown_and_not_measured(self, invoke: Invoke, measured: Measured, tiny_folder: Path) -> None:
        result = invoke("profile", "--supernet", tiny_folder, "--device", "phone")
        assert (result.exit_code, measured) == (0, [])
        assert result.stdout.startswith("phone: measured 2025-01-31 on Test CPU")
        assert "read from profiles/phone.json; --measure measures it anew" in result.stderr
        assert "warning: it was a hot day" in result.stderr

    def test_measure_replaces_it(self, invoke: Invoke, measured: Measured, tiny_folder: Path, path: Path) -> None:
        result = invoke("profile", "--supernet", tiny_folder, "--device", "phone", "--measure")
        assert (result.exit_code, len(measured)) == (0, 1)
        assert load_profile(path).warnings == ()
        assert [found.name for found in path.parent.iterdir()] == ["phone.json"]

    def test_the_option_and_the_variable_come_first(
        self,
        invoke: Invoke,
        tiny_folder: Path,
        make_profile: MakeProfile,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        for name in ("option", "variable"):
            make_profile(tiny_folder, "phone").save(tmp_path / name)
        arguments = ("profile", "--supernet", tiny_folder, "--device", "phone")
        monkeypatch.setenv("BSTSEARCH_PROFILES", "variable")
        assert "read from variable/phone.json" in invoke(*arguments).stderr
        result = invoke(*arguments, "--profiles", "option")
        assert "read from option/phone.json" in result.stderr
        assert "--profiles option" in result.stderr

    @pytest.mark.parametrize(("option", "expected"), [(None, "variable"), ("option", "option")])
    def test_a_new_one_goes_where_is_looked_first(
        self,
        option: str | None,
        expected: str,
        invoke: Invoke,
        measured: Measured,
        tiny_folder: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("BSTSEARCH_PROFILES", "variable")
        extra = ("--profiles", option) if option else ()
        invoke("profile", "--supernet", tiny_folder, "--device", "new", *extra)
        assert [path.parent.name for path in tmp_path.rglob("new.json")] == [expected]

    def test_other_threads_than_asked_for_are_said(self, invoke: Invoke, tiny_folder: Path) -> None:
        arguments = ("profile", "--supernet", tiny_folder, "--device", "phone", "--threads")
        assert "is for --threads 2; add --measure to measure 1" in invoke(*arguments, "1").stderr
        assert "--threads" not in invoke(*arguments, "2").stderr

    def test_rows_that_the_space_needs_and_the_profile_lacks_are_said(
        self, invoke: Invoke, tiny_folder: Path, tmp_path: Path
    ) -> None:
        shutil.copytree(tiny_folder, tmp_path / "wider")
        folder = read_folder(tmp_path / "wider")
        space = Space.bst(stacks=(4, 4), has_triangle_filter=False)
        SupernetFolder(path=folder.path, family=folder.family, config=folder.config, space=space).write()
        result = invoke("profile", "--supernet", tmp_path / "wider", "--device", "phone")
        assert "no row for 6 of this supernet's 16 submodels, such as w1-d1of2;" in result.stderr

    def test_another_model_is_refused_with_the_command_that_helps(
        self, invoke: Invoke, measured: Measured, tiny_easy_folder: Path
    ) -> None:
        result = invoke("profile", "--supernet", tiny_easy_folder, "--device", "phone")
        assert (result.exit_code, result.stdout, measured) == (4, "", [])
        assert "'bstsearch profile --device phone --measure'" in result.stderr
        assert invoke("profile", "--supernet", tiny_easy_folder, "--device", "phone", "--measure").exit_code == 0

    def test_a_malformed_one_is_refused_in_one_line(self, invoke: Invoke, tiny_folder: Path, path: Path) -> None:
        path.write_text(path.read_text().replace('"latency_ms": 1.0,', '"latency_ms": NaN,'))
        result = invoke("profile", "--supernet", tiny_folder, "--device", "phone")
        assert (result.exit_code, result.stdout) == (4, "")
        assert result.stderr == (
            "error: device profile profiles/phone.json, row 10 (w1-d1), latency_ms: "
            "input should be a finite number, not nan\n"
        )


def test_json_is_one_object_with_the_whole_profile(invoke: Invoke, measured: Measured, tiny_folder: Path) -> None:
    first = json.loads(invoke("profile", "--supernet", tiny_folder, "--json").stdout)
    assert list(first) == ["path", "is_new", "profile"]
    assert (first["path"], first["is_new"]) == ("profiles/local.json", True)
    assert first["profile"] == json.loads(Path("profiles/local.json").read_text())
    second = json.loads(invoke("profile", "--supernet", tiny_folder, "--json").stdout)
    assert second == first | {"is_new": False}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NoisyMeasurementError("too noisy to trust"), 6),
        (DeviceError("cannot load ONNX Runtime"), 5),
        (KeyboardInterrupt(), 130),
    ],
)
def test_a_measurement_that_fails_leaves_everything_as_it_was(
    error: BaseException,
    code: int,
    invoke: Invoke,
    tiny_folder: Path,
    make_profile: MakeProfile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise error

    path = make_profile(tiny_folder).save(tmp_path / "profiles")
    before = path.read_bytes()
    monkeypatch.setattr(onnxruntime_cpu, "measure", fail)
    result = invoke("profile", "--supernet", tiny_folder, "--measure")
    assert (result.exit_code, result.stdout) == (code, "")
    assert len(result.stderr.splitlines()) == 2  # what was tried, and why it failed
    assert path.read_bytes() == before
    assert list(tmp_path.rglob("*")) == [path.parent, path]


def test_an_interrupt_while_writing_leaves_no_half_file(
    invoke: Invoke, measured: Measured, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(path: Path, text: str, **options: object) -> int:
        with path.open("w") as file:
            file.write(text[: len(text) // 2])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", half)
    assert invoke("profile", "--supernet", tiny_folder).exit_code == 130
    assert list((tmp_path / "profiles").iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_refused_before_measuring(
    invoke: Invoke, measured: Measured, tiny_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "profiles").write_text("a file, where a folder is needed")
    result = invoke("profile", "--supernet", tiny_folder)
    assert (result.exit_code, measured) == (5, [])
    assert "cannot write to profiles" in result.stderr


@pytest.mark.parametrize("arguments", [("--device", "a/b"), ("--device", "../x"), ("--threads", "0")])
def test_wrong_usage(arguments: tuple[str, str], invoke: Invoke, measured: Measured, tiny_folder: Path) -> None:
    assert invoke("profile", "--supernet", tiny_folder, *arguments).exit_code == 2
    assert measured == []


def test_a_missing_supernet_is_an_input_error(invoke: Invoke) -> None:
    result = invoke("profile", "--supernet", "nowhere")
    assert result.exit_code == 4
    assert "supernet nowhere does not exist" in result.stderr


def test_the_command_measures_for_real(invoke: Invoke, tiny_folder: Path, tmp_path: Path) -> None:
    """End to end on a supernet whose space is the full model alone; only structure is asserted, no time."""
    shutil.copytree(tiny_folder, tmp_path / "one")
    folder = read_folder(tmp_path / "one")
    full = Space(widths=folder.space.widths[-1:], depths=folder.space.depths[-1:], stacks=(4, 4))
    SupernetFolder(path=folder.path, family=folder.family, config=folder.config, space=full).write()
    result = invoke("profile", "--supernet", tmp_path / "one", "--threads", "1", "--json")
    if result.exit_code == NoisyMeasurementError.exit_code:
        pytest.skip("this machine is too busy to be measured")
    assert result.exit_code == 0, result.stderr
    (row,) = json.loads(result.stdout)["profile"]["rows"]
    assert row["id"] == "w1-d1"
    assert row["low_ms"] <= row["latency_ms"] <= row["high_ms"]
    assert row["file_bytes"] > 0
    assert row["peak_memory_bytes"] > 0
