from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import onnx
import pytest

from bstsearch.devices import onnxruntime_cpu, rounds
from bstsearch.devices.profile import DeviceProfile, Machine, load_profile
from bstsearch.errors import DeviceError, NoisyMeasurementError
from bstsearch.folder import SupernetFolder, read_folder
from bstsearch.latency import LatencyTable
from bstsearch.space import Space, Submodel


class Ticks:
    """A timer that advances a millisecond at each look, so every run takes one; or as `steps` say, in turn."""

    def __init__(self, *steps: float) -> None:
        self.now, self.steps, self.looks = 0.0, steps or (0.001,), 0

    def __call__(self) -> float:
        self.now += self.steps[self.looks % len(self.steps)]
        self.looks += 1
        return self.now


@pytest.fixture(scope="module")
def folder(tiny_folder: Path) -> SupernetFolder:
    """The tiny supernet with a grid of four, so that few processes are started."""
    tiny, quarters = read_folder(tiny_folder), Space.bst(stacks=(4, 4)).widths
    space = Space(widths=quarters[1::2], depths=quarters[1::2], stacks=(4, 4), has_triangle_filter=False)
    return SupernetFolder(path=tiny.path, family=tiny.family, config=tiny.config, space=space)


@pytest.fixture(scope="module")
def reports() -> list[tuple[str, int, int]]:
    return []


@pytest.fixture(scope="module")
def profile(folder: SupernetFolder, reports: list[tuple[str, int, int]]) -> DeviceProfile:
    """One real measurement, timed by a timer of our own."""
    return onnxruntime_cpu.measure(
        folder, "here", threads=1, seed=7, timer=Ticks(), progress=lambda *report: reports.append(report)
    )


def test_every_submodel_of_the_grid_has_a_row(profile: DeviceProfile, folder: SupernetFolder) -> None:
    assert [row.id for row in profile.rows] == [submodel.id for submodel in folder.space.grid()]
    profile.require_model(folder.architecture, folder.family)


def test_times_are_the_timers(profile: DeviceProfile) -> None:
    for row in profile.rows:
        assert row.times_ms == pytest.approx([1.0] * rounds.ROUNDS * rounds.RUNS)
        assert (row.latency_ms, row.low_ms, row.high_ms, row.p90_ms) == pytest.approx((1.0, 1.0, 1.0, 1.0))
        assert (row.spread, row.outliers) == (pytest.approx(0, abs=1e-9), row.outliers)


def test_files_and_memory_are_real_and_grow_with_the_submodel(profile: DeviceProfile) -> None:
    by_id = {row.id: row for row in profile.rows}
    smallest, largest = by_id["w1of2-d1of2"], by_id["w1-d1"]
    assert 10_000 < smallest.file_bytes < largest.file_bytes < 1_000_000
    # The process itself, numpy and the runtime take 50 MB, which must not be counted.
    assert 1_000_000 < smallest.peak_memory_bytes < largest.peak_memory_bytes < 40_000_000


def test_the_profile_says_how_it_came_about(profile: DeviceProfile) -> None:
    assert (profile.device, profile.obtained) == ("here", "measured")
    assert (profile.runtime.name, profile.runtime.provider) == ("onnxruntime", "CPUExecutionProvider")
    assert (profile.runtime.threads, profile.runtime.precision) == (1, "float32")
    assert (profile.schedule.rounds, profile.schedule.seed) == (rounds.ROUNDS, 7)
    assert profile.model.inputs == {"question": (1, 10), "image": (1, 16, 16, 3)}
    assert profile.machine.cores >= 1


def test_its_error_is_that_of_rows_held_out(profile: DeviceProfile) -> None:
    """All times are equal, so a constant explains them, and estimates are right."""
    assert profile.error is not None
    assert profile.error.latency.worst == pytest.approx(0, abs=1e-9)
    assert 0 <= profile.error.memory.median <= profile.error.memory.worst < 0.5
    estimate = LatencyTable.from_profile(profile).latency(Submodel.from_id("w1-d1of2-h1.2.3.4of4"))
    assert (estimate.ms, estimate.source) == (pytest.approx(1.0), "estimated")


def test_it_survives_the_disk(profile: DeviceProfile, tmp_path: Path) -> None:
    assert load_profile(profile.save(tmp_path)) == profile


def test_progress_counts_every_step_once(profile: DeviceProfile, reports: list[tuple[str, int, int]]) -> None:
    total = 2 * len(profile.rows) + rounds.ROUNDS
    assert [(done, planned) for _, done, planned in reports] == [(done, total) for done in range(1, total + 1)]
    assert list(dict.fromkeys(text for text, _, _ in reports)) == [
        "Building graphs",
        "Measuring memory",
        "Timing in rounds",
    ]


@pytest.fixture
def one_submodel(folder: SupernetFolder, monkeypatch: pytest.MonkeyPatch) -> SupernetFolder:
    """A space of the full model alone; memory is not measured, since that starts a process."""
    monkeypatch.setattr(onnxruntime_cpu, "_peak_memory", lambda *arguments: 1)
    full = Space(widths=(folder.space.widths[-1],), depths=(folder.space.depths[-1],), stacks=(4, 4))
    return SupernetFolder(path=folder.path, family=folder.family, config=folder.config, space=full)


def test_graphs_take_the_same_weights_at_every_call(one_submodel: SupernetFolder, tmp_path: Path) -> None:
    steps = onnxruntime_cpu._Steps(None, submodels=1)
    contents = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        graphs, _ = onnxruntime_cpu._write_graphs(one_submodel, tmp_path / name, 0, steps)
        contents.append([path.read_bytes() for path in graphs.values()])
    assert contents[0] == contents[1]


def test_a_space_of_one_width_has_no_error_to_report(one_submodel: SupernetFolder) -> None:
    profile = onnxruntime_cpu.measure(one_submodel, "here", threads=1, timer=Ticks())
    assert profile.error is None
    assert [row.id for row in profile.rows] == ["w1-d1"]


def test_times_that_disagree_are_refused(one_submodel: SupernetFolder) -> None:
    # Two looks a run: ten of each kind make a round of five fast runs, then one of five slow ones.
    timer = Ticks(*[0.001] * 10, *[0.002] * 10)
    with pytest.raises(NoisyMeasurementError, match=r"too noisy to trust: w1-d1 .* Meanwhile other programs"):
        onnxruntime_cpu.measure(one_submodel, "here", threads=1, timer=timer)


def test_the_seed_orders_the_rounds(one_submodel: SupernetFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds, time_in_rounds = [], rounds.time_in_rounds
    monkeypatch.setattr(
        rounds,
        "time_in_rounds",
        lambda runs, **options: seeds.append(options["seed"]) or time_in_rounds(runs, **options),
    )
    onnxruntime_cpu.measure(one_submodel, "here", threads=1, seed=5, timer=Ticks())
    assert seeds == [5]


def test_warnings_are_kept_in_the_profile(one_submodel: SupernetFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(cpu="Test CPU", cores=1, memory_bytes=1, system="Linux")
    monkeypatch.setattr(onnxruntime_cpu, "this_machine", lambda: machine)
    profile = onnxruntime_cpu.measure(one_submodel, "here", threads=2, timer=Ticks())
    assert profile.machine == machine
    assert any(warning.startswith("2 threads share 1 cores") for warning in profile.warnings)


def test_threads_are_the_available_cores_by_default(
    one_submodel: SupernetFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime_cpu, "available_cores", lambda: 3)
    assert onnxruntime_cpu.measure(one_submodel, "here", timer=Ticks()).runtime.threads == 3


def test_a_graph_that_does_not_run_is_a_device_error(tmp_path: Path) -> None:
    (tmp_path / "w1-d1.onnx").write_bytes(onnx.ModelProto().SerializeToString())
    (tmp_path / "inputs.npz").write_bytes(b"")
    steps = onnxruntime_cpu._Steps(None, submodels=1)
    with pytest.raises(DeviceError, match=r"^ONNX Runtime cannot run submodel 'w1-d1': \S+") as caught:
        onnxruntime_cpu._peak_memory(tmp_path / "w1-d1.onnx", tmp_path / "inputs.npz", 1, steps)
    assert "\n" not in str(caught.value)


def test_a_missing_runtime_is_a_device_error(folder: SupernetFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DeviceError, match=r"cannot load ONNX Runtime: .*; 'pip install onnxruntime' installs it"):
        onnxruntime_cpu.measure(folder, "here")


def test_a_missing_provider_is_a_device_error(folder: SupernetFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = SimpleNamespace(get_available_providers=lambda: ["OtherExecutionProvider"], __version__="1.0")
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    with pytest.raises(DeviceError, match="has no CPUExecutionProvider, only OtherExecutionProvider"):
        onnxruntime_cpu.measure(folder, "here")
