from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from bstsearch.errors import DeviceError, NoisyMeasurementError
from bstsearch.holding import holding
from bstsearch.measuring import machine
from bstsearch.measuring.assemble import Measurement
from bstsearch.measuring.drivers import local
from bstsearch.model.supernet_folder import SupernetFolder, read_folder
from bstsearch.profiles.profile import DeviceProfile, Load
from bstsearch.profiles.profile_file import load_profile, save_profile
from bstsearch.space import Space

Invoke = Callable[..., Any]
MakeProfile = Callable[..., DeviceProfile]
Measured = list[dict[str, Any]]


class OthersLoad:
    """Nobody else is at work."""

    def cores(self) -> float:
        return 0.0


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, make_profile: MakeProfile) -> Measured:
    """The calls of `measure`, which returns a made-up measurement at once, on a machine at rest."""
    calls: Measured = []

    @contextlib.contextmanager
    def open_device(**options: Any) -> Iterator[Any]:
        calls[-1].update(options)
        yield

    def measure(
        folder: SupernetFolder,
        opens: Any,
        *,
        journal: Path,
        remedy: str,
        phase: Any,
        is_strict: bool,
        others: Callable[[], OthersLoad] | None,
        progress: Any,
    ) -> Measurement:
        calls.append({"folder": folder, "journal": journal, "is_strict": is_strict, "waited": waits.copy()})
        with opens():
            progress("Timing in rounds", 1, 2)
        made = make_profile(folder.path)
        threads = calls[-1]["threads"] or 3
        runtime = structs.replace(made.runtime, threads=threads)
        load = Load(other_cores=others().cores() if others else None, preempted=0.25)
        precision = folder.space.precisions[0]
        model = structs.replace(made.models[0], load=load, grade="good", precision=precision, phase=phase)
        return Measurement(hardware=made.hardware, runtime=runtime, model=model)

    waits: list[tuple[int, int]] = []
    for way in ("local", "browser"):
        monkeypatch.setattr(
            f"bstsearch.measuring.drivers.{way}{'.driver' if way in ('ssh', 'browser') else ''}.open_device",
            open_device,
        )
    monkeypatch.setattr("bstsearch.measuring.measure.measure", measure)
    monkeypatch.setattr(
        "bstsearch.measuring.quiet.wait_until_quiet", lambda *, threads, cores, note: waits.append((threads, cores))
    )
    monkeypatch.setattr(local, "available_cores", lambda: 3)
    monkeypatch.setattr(machine, "all_cores", lambda: 8)
    monkeypatch.setattr(machine, "cpu_name", lambda: "Example 9000")
    monkeypatch.setattr(machine, "OthersLoad", OthersLoad)
    return calls


def test_without_a_stored_profile_this_machine_is_measured(
    invoke: Invoke, measured: Measured, tiny_folder: Path, tmp_path: Path
) -> None:
    result = invoke("profile", "--supernet", tiny_folder)
    assert result.exit_code == 0, result.stderr
    (call,) = measured
    assert (call["threads"], call["cores"], call["is_strict"], call["waited"]) == (None, (), False, [])
    assert call["journal"] == Path("profiles/.local.partial")
    profile = load_profile(tmp_path / "profiles" / "local.json")
    assert (profile.device, profile.obtained, profile.via, profile.runtime.threads) == ("local", "measured", "local", 3)
    assert "measuring this machine as device 'local': Example 9000, threads: 3" in result.stderr
    assert "written to profiles/local.json" in result.stderr
    assert result.stderr.endswith("hint: next: bstsearch pareto\n")


def test_each_precision_is_measured_by_itself_and_stays(
    invoke: Invoke, measured: Measured, tiny_folder: Path, tmp_path: Path
) -> None:
    assert invoke("profile", "--supernet", tiny_folder).exit_code == 0
    asked = ("profile", "--supernet", tiny_folder, "--precision", "float16,int8")
    refused = invoke(*asked)
    assert (refused.exit_code, "--precision float16 --measure" in refused.stderr) == (4, True)
    result = invoke(*asked, "--measure")
    assert result.exit_code == 0, result.stderr
    assert [call["folder"].space.precisions for call in measured] == [("float32",), ("float16",), ("int8",)]
    models = load_profile(tmp_path / "profiles" / "local.json").models
    assert [model.precision for model in models] == ["float32", "float16", "int8"]
    assert "threads: 3, float16, int8, batch: 1" in result.stdout
    assert result.stderr.endswith("hint: next: bstsearch pareto --precision float16,int8\n")
    assert invoke(*asked).exit_code == 0


def test_the_rounds_are_kept_until_the_profile_is_stored(
    invoke: Invoke, measured: Measured, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    rounds = tmp_path / "profiles/.local.partial"
    rounds.parent.mkdir()
    rounds.write_text("")
    with monkeypatch.context() as patch:
        patch.setattr("bstsearch.measuring.run.save_profile", full)
        assert invoke("profile", "--supernet", tiny_folder).exit_code == 5
    assert rounds.exists()
    assert invoke("profile", "--supernet", tiny_folder).exit_code == 0
    assert [path.name for path in rounds.parent.iterdir()] == ["local.json"]


def test_a_profile_that_another_process_measures_is_refused_at_once(
    invoke: Invoke, measured: Measured, tiny_folder: Path, tmp_path: Path
) -> None:
    with holding(tmp_path / "profiles/local.json"):
        result = invoke("profile", "--supernet", tiny_folder)
    assert result.exit_code == 2
    assert "local.json is being written by another process; wait until it ends, or give another --profiles" in (
        result.stderr
    )
    assert not measured


def test_half_a_core_is_told_in_one_line(
    invoke: Invoke, measured: Measured, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "available_cores", lambda: 1)
    monkeypatch.setattr(machine, "cpu_quota", lambda: 0.5)
    lines = invoke("profile", "--supernet", tiny_folder).stderr.splitlines()
    assert lines[0].endswith("threads: 1")
    assert lines[1] == "this process may use 0.5 cores (its container's quota): latencies as seen will be longer"


def test_the_table_has_a_row_per_submodel_and_units(invoke: Invoke, measured: Measured, tiny_folder: Path) -> None:
    lines = invoke("profile", "--supernet", tiny_folder, "--threads", "2").stdout.splitlines()
    assert lines[0].startswith("local: measured 2025-01-31, Test CPU, 2 cores")
    assert lines[1] == "onnxruntime 1.20.0, threads: 2, float32, batch: 1"
    (rule,) = (number for number, line in enumerate(lines) if line.startswith("---"))
    assert lines[rule - 1].split() == ["ms", "ms", "ms", "ms", "MB", "MB"]
    cells = {line.split()[0]: line.split()[1:] for line in lines[rule + 1 : -1]}
    assert list(cells) == [submodel.id for submodel in read_folder(tiny_folder).space.grid()]
    assert cells["w1-d1"] == ["1.00", "0.990-1.01", "1.02", "1.10", "2.00", "20.0"]
    assert lines[-1] == (
        "grade good: nine of ten latencies known to +-1.0% or better; 2 rounds; other programs kept 0.0 cores busy; "
        "25% of runs interrupted"
    )
    assert max(map(len, lines[:-1])) <= 80


def test_how_good_compositions_are_is_told(invoke: Invoke, measured: Measured, tiny_folder: Path) -> None:
    result = invoke("profile", "--supernet", tiny_folder)
    assert (
        "other submodels are composed of 132 blocks; on 16 measured ones that the blocks had not seen" in result.stderr
    )
    assert "off by 2.0% (median), 5.0% (90th percentile), 10.0% at worst" in result.stderr
    assert "the same submodel measured twice: 1.0%" in result.stderr


def test_a_new_name_for_this_machine_is_measured_and_said(
    invoke: Invoke, measured: Measured, tiny_folder: Path, tmp_path: Path
) -> None:
    result = invoke("profile", "--supernet", tiny_folder, "--device", "desk", "--threads", "1", "--via", "local")
    assert "measuring this machine as device 'desk': Example 9000, threads: 1" in result.stderr
    assert (tmp_path / "profiles" / "desk.json").exists()
    assert measured[0]["threads"] == 1


def test_a_name_like_a_stored_one_is_asked_back(
    invoke: Invoke, measured: Measured, tiny_folder: Path, make_profile: MakeProfile, tmp_path: Path
) -> None:
    save_profile(make_profile(tiny_folder, "my-phone"), tmp_path / "profiles")
    result = invoke("profile", "--supernet", tiny_folder, "--device", "my-phome")
    assert (result.exit_code, measured) == (4, [])
    assert "no profile of device 'my-phome'; did you mean my-phone?" in result.stderr
    result = invoke("profile", "--supernet", tiny_folder, "--device", "my-phome", "--via", "local")
    assert (result.exit_code, len(measured)) == (0, 1)


def test_strict_waits_for_the_chosen_cores(invoke: Invoke, measured: Measured, tiny_folder: Path) -> None:
    result = invoke("profile", "--supernet", tiny_folder, "--cores", "0,2", "--strict")
    assert "Example 9000, threads: 2" in result.stderr
    assert (measured[0]["cores"], measured[0]["waited"]) == ((0, 2), [(2, 8)])
    assert measured[0]["is_strict"]


def test_another_device_is_not_waited_for(invoke: Invoke, measured: Measured, tiny_folder: Path) -> None:
    result = invoke(
        "profile", "--supernet", tiny_folder, "--device", "my-phone", "--via", "browser", "--lan", "--strict"
    )
    assert result.exit_code == 0, result.stderr
    assert measured[0]["waited"] == []
    assert measured[0]["is_lan"]
    assert "this machine" not in result.stderr
    assert load_profile(Path("profiles/my-phone.json")).via == "browser"


def test_ssh_without_a_host_is_wrong_usage(invoke: Invoke, measured: Measured, tiny_folder: Path) -> None:
    result = invoke("profile", "--supernet", tiny_folder, "--device", "board", "--via", "ssh")
    assert (result.exit_code, measured) == (2, [])
    assert "--via ssh needs --host; give it: USER@BOARD" in result.stderr


def test_strict_does_not_measure_a_busy_machine(
    invoke: Invoke, measured: Measured, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise NoisyMeasurementError("other programs still keep 1.7 of 8 cores busy")

    monkeypatch.setattr("bstsearch.measuring.quiet.wait_until_quiet", refuse)
    result = invoke("profile", "--supernet", tiny_folder, "--strict")
    assert (result.exit_code, measured) == (6, [])
    assert not Path("profiles").exists()


def test_what_kept_the_machine_busy_meanwhile_is_noted(
    invoke: Invoke, measured: Measured, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OthersLoad, "cores", lambda load: 1.5)
    result = invoke("profile", "--supernet", tiny_folder, "--threads", "2")
    assert "warning: other programs kept 1.5 of 2 cores busy" in result.stderr
    assert load_profile(Path("profiles/local.json")).notes[0].startswith("other programs kept 1.5")


class TestStored:
    @pytest.fixture(autouse=True)
    def path(self, tiny_folder: Path, make_profile: MakeProfile, tmp_path: Path) -> Path:
        made = make_profile(tiny_folder, "phone", model={"warnings": ["it was a hot day"]})
        return save_profile(made, tmp_path / "profiles")

    def test_it_is_shown_and_not_measured(self, invoke: Invoke, measured: Measured, tiny_folder: Path) -> None:
        result = invoke("profile", "--supernet", tiny_folder, "--device", "phone")
        assert (result.exit_code, measured) == (0, [])
        assert result.stdout.startswith("phone: measured 2025-01-31, Test CPU, 2 cores")
        assert "read from profiles/phone.json\n" in result.stderr
        assert "warning: it was a hot day" in result.stderr

    def test_measure_replaces_it(self, invoke: Invoke, measured: Measured, tiny_folder: Path, path: Path) -> None:
        result = invoke("profile", "--supernet", tiny_folder, "--device", "phone", "--measure")
        assert (result.exit_code, len(measured)) == (0, 1)
        assert load_profile(path).models[0].warnings == ()
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
            save_profile(make_profile(tiny_folder, "phone"), tmp_path / name)
        arguments = ("profile", "--supernet", tiny_folder, "--device", "phone")
        monkeypatch.setenv("BSTSEARCH_PROFILES", "variable")
        assert "read from variable/phone.json" in invoke(*arguments).stderr
        assert "read from option/phone.json" in invoke(*arguments, "--profiles", "option").stderr

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
        invoke("profile", "--supernet", tiny_folder, "--device", "new", "--via", "local", *extra)
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
        path.write_text(path.read_text().replace('"latency_ms": 1.0,', '"latency_ms": -1.0,'))
        result = invoke("profile", "--supernet", tiny_folder, "--device", "phone")
        assert (result.exit_code, result.stdout) == (4, "")
        told = "error: profiles/phone.json, models[0].submodels[9].latency_ms: expected float > 0.0\n"
        assert result.stderr == told


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
    measured: Measured,
    tiny_folder: Path,
    make_profile: MakeProfile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise error

    path = save_profile(make_profile(tiny_folder), tmp_path / "profiles")
    before = path.read_bytes()
    monkeypatch.setattr("bstsearch.measuring.measure.measure", fail)
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
    assert not (tmp_path / "profiles").exists()


def test_a_folder_that_cannot_be_written_to_is_refused_before_measuring(
    invoke: Invoke, measured: Measured, tiny_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "profiles").write_text("a file, where a folder is needed")
    result = invoke("profile", "--supernet", tiny_folder)
    assert (result.exit_code, measured) == (5, [])
    assert "cannot write to profiles" in result.stderr


@pytest.mark.parametrize(
    "arguments", [("--device", "a/b"), ("--device", "../x"), ("--threads", "0"), ("--via", "mail"), ("--cores", "a")]
)
def test_wrong_usage(arguments: tuple[str, str], invoke: Invoke, measured: Measured, tiny_folder: Path) -> None:
    assert invoke("profile", "--supernet", tiny_folder, *arguments).exit_code == 2
    assert measured == []


def test_a_missing_supernet_is_an_input_error(invoke: Invoke) -> None:
    result = invoke("profile", "--supernet", "nowhere")
    assert result.exit_code == 4
    assert "nowhere does not exist" in result.stderr


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
    (model,) = json.loads(result.stdout)["profile"]["models"]
    rows = {row["id"]: row for row in model["submodels"]}
    assert list(rows) == ["w1-d1"]
    row = rows["w1-d1"]
    assert row["low_ms"] <= row["latency_ms"] <= row["high_ms"]
    assert row["weight_bytes"] > 0
    assert row["activation_bytes"] > 0
    assert row["peak_memory_bytes"] > 0
