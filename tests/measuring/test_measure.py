"""Measuring with a device that is made up: its times add up exactly, and it does what a test wants of it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
import onnx
import pytest
from msgspec import structs
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data

from bstsearch.errors import DeviceError, NoisyMeasurementError
from bstsearch.graphs.live_set import largest_live_set
from bstsearch.measuring import measure as measuring
from bstsearch.measuring import rounds, selection
from bstsearch.measuring.assemble import Measurement
from bstsearch.measuring.driver import Graph, Runtime, Session, Visit, Workload
from bstsearch.measuring.driver import Run as Timed
from bstsearch.measuring.estimator import BETWEEN_TIMES
from bstsearch.measuring.machine import this_hardware
from bstsearch.measuring.measure import measure
from bstsearch.measuring.runner import POOL
from bstsearch.model.supernet_folder import SupernetFolder, read_folder
from bstsearch.profiles.latency import BASE, LatencyTable, blocks_of
from bstsearch.profiles.profile import DeviceProfile, Load, MeasuredModel
from bstsearch.reading import checked
from bstsearch.space import Submodel
from bstsearch.training.sandwich import draw_submodel

MakeProfile = Callable[..., DeviceProfile]

STACKS = {"backbone.enc_list": 4, "backbone.dec_list": 4}
RUNTIME_BYTES, WEIGHT_COPIES = 10_000_000, 2


def block_ms(kind: str, shape: Sequence[Fraction]) -> float:
    if kind == BASE:
        return 0.3 + 0.1 * float(shape[0])
    width, heads, ffn = map(float, shape)
    return 0.05 + (0.2 if kind.endswith("dec_list") else 0.1) * width * (heads + 2 * ffn)


@functools.cache
def takes_ms(name: str) -> float:
    """Of a decoder's layer, four fifths for the image's tokens."""
    submodel = Submodel.from_id(name)
    fewer = {"backbone.dec_list": 0.2 + 0.8 * float(submodel.tokens)}
    return sum(fewer.get(kind, 1) * block_ms(kind, shape) for kind, shape in blocks_of(submodel, STACKS))


def columns(submodel: Submodel) -> int:
    """How wide a made-up submodel's one weight is: a sum over its blocks."""
    blocks = blocks_of(submodel, STACKS)
    return 16 * sum(4 if kind == BASE else int(16 * shape[0] * (shape[1] + shape[2])) for kind, shape in blocks)


def write_graph(submodel: Submodel, path: Path) -> Graph:
    """x -> x W -> logits, with W in POOL."""
    weight = numpy_helper.from_array(np.zeros((4, columns(submodel)), np.float32), "W")
    size = len(weight.raw_data)
    weight.raw_data = b""
    set_external_data(weight, POOL, offset=0, length=size)
    weight.ClearField("raw_data")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", None]) for name in ("x", "logits")]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "W"], ["logits"])], "g", ends[:1], ends[1:], [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)
    return Graph(path=path, weight_bytes=size)


def make_workload(
    folder: SupernetFolder,
    submodels: Sequence[Submodel],
    where: Path,
    *,
    on_graph: Callable[[], None],
    **_: object,
) -> Workload:
    """In place of the real graphs, which take a quarter of a second each."""
    graphs = {}
    for number, submodel in enumerate(submodels):
        graphs[submodel.id] = write_graph(submodel, where / f"{number}.onnx")
        on_graph()
    np.savez(where / "inputs.npz", x=np.zeros((1, 4), np.float32))
    return Workload(graphs=graphs, inputs=where / "inputs.npz")


class Device:
    """Takes `takes_ms` for a run, `disturbed(name, round)` times as long; it remembers what it was asked."""

    def __init__(self, made: DeviceProfile) -> None:
        self.hardware, self.runtime = made.hardware, made.runtime
        self.visits: Counter[str] = Counter()
        self.opened: list[list[str]] = []
        self.reports: list[tuple[str, int, int]] = []
        self.asked_for_peaks = 0
        self.calls, self.stop_after = 0, 10_000
        self.is_reached = self.is_open = False
        self.prepared: list[tuple[int, int]] = []
        self.disturbed: Callable[[str, int], float] = lambda name, number: 1.0
        self.tells_memory = True
        self.stopped_by: BaseException = KeyboardInterrupt()

    @contextlib.contextmanager
    def open_device(self) -> Iterator[Self]:
        self.is_reached = True
        try:
            yield self
        finally:
            self.is_reached = False

    def prepare(self, done: int, total: int) -> None:
        assert self.is_reached
        assert not self.is_open
        self.prepared.append((done, total))

    @contextlib.contextmanager
    def take(self, workload: Workload) -> Iterator[Session]:
        assert self.is_reached
        self.is_open = True
        try:
            yield self
        finally:
            self.is_open = False

    def report(self, text: str, done: int, total: int) -> None:
        assert self.is_open
        self.reports.append((text, done, total))

    def open(self, names: Sequence[str]) -> None:
        self.opened.append(list(names))

    def time(self, visits: Sequence[Visit]) -> list[tuple[Timed, ...]]:
        assert {visit.name for visit in visits} <= set(self.opened[-1])
        if self.calls == self.stop_after:
            raise self.stopped_by
        self.calls += 1
        if len({visit.name for visit in visits}) == len(visits):  # not the first runs, which are three of one
            self.visits.update(visit.name for visit in visits)
        return [
            (Timed(takes_ms(visit.name) * self.disturbed(visit.name, self.visits[visit.name])),) * visit.count
            for visit in visits
        ]

    def peak_memory(self, model: Path) -> int | None:
        self.asked_for_peaks += 1
        if not self.tells_memory:
            return None
        (weight,) = onnx.load(model, load_external_data=False).graph.initializer
        assert len(weight.raw_data) == 4 * int(np.prod(weight.dims)), "the weights must lie inside"
        live = largest_live_set(model, {"x": (1, 4)})
        return RUNTIME_BYTES + WEIGHT_COPIES * len(weight.raw_data) + live


@pytest.fixture(scope="module")
def folder(tiny_folder: Path) -> SupernetFolder:
    return read_folder(tiny_folder)


@pytest.fixture
def device(tiny_folder: Path, make_profile: MakeProfile) -> Device:
    return Device(make_profile(tiny_folder))


@pytest.fixture
def run(
    folder: SupernetFolder, device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Measurement]:
    """Measures `folder` on `device`."""
    monkeypatch.setattr(measuring, "make_workload", make_workload)
    options: dict[str, Any] = {"journal": tmp_path / ".phone.partial", "remedy": "Be still."}
    return lambda folder=folder, **more: measure(folder, device.open_device, **(options | more))


Run = Callable[..., Measurement]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer submodels are measured, for tests of how, not of how well."""
    monkeypatch.setattr(selection, "FITTED", 4)
    monkeypatch.setattr(selection, "CHECKED", 2)


# What is found


@pytest.fixture(scope="module")
def found(
    folder: SupernetFolder, tiny_folder: Path, make_profile: MakeProfile, tmp_path_factory: pytest.TempPathFactory
) -> Measurement:
    """A whole measurement, with seed 3."""
    kept, device = tmp_path_factory.mktemp("found") / ".phone.partial", Device(make_profile(tiny_folder))
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(measuring, "make_workload", make_workload)
        measurement = measure(folder, device.open_device, journal=kept, remedy="", seed=3)
    assert not device.is_open
    assert not device.is_reached
    assert [path.name for path in kept.parent.iterdir()] == [".phone.partial"], "it is not stored yet"
    assert (measurement.hardware, measurement.runtime) == (device.hardware, device.runtime)
    return measurement


def test_a_device_that_adds_up_is_composed_exactly(found: Measurement) -> None:
    error = found.model.error
    assert error is not None
    assert (error.rows, error.worst) == (selection.CHECKED, pytest.approx(0, abs=1e-3))
    assert error.rank_correlation == pytest.approx(1)
    table = LatencyTable("phone", found.model)
    for name in ("w1-d1-h4.4.4.4.1.1.1.1of4-f1.1.1.1.4.4.4.4of4", "w1of4-d1of4-h2.3of4-f4.1of4"):
        composed = table.latency(Submodel.from_id(name))
        assert (composed.ms, composed.source) == (pytest.approx(takes_ms(name), rel=1e-3), "composed")


def test_a_profile_of_an_elastic_supernet_prices_all_its_submodels(folder: SupernetFolder, run: Run) -> None:
    space = dataclasses.replace(folder.space.elastic, tokens=(Fraction(1, 4), Fraction(1)))
    elastic, draw = dataclasses.replace(folder, space=space), random.Random(5)
    model = run(folder=elastic).model
    assert all(Submodel.from_id(row.id) in space for row in model.submodels)
    assert model.error is not None
    assert model.error.worst < 0.01
    table = LatencyTable("phone", checked(model.to_json(), MeasuredModel, "as it is read"))
    for submodel in (space.smallest, space.middle, *(draw_submodel(space, draw) for _ in range(200))):
        assert table.latency(submodel).ms == pytest.approx(takes_ms(submodel.id), rel=0.02)
        assert table.memory(submodel).bytes > RUNTIME_BYTES


def test_what_was_chosen_has_a_row(found: Measurement, folder: SupernetFolder) -> None:
    rows = found.model.submodels
    roles = selection.choose(folder.space, is_layerwise=True, seed=3)
    assert {row.id: row.role for row in rows} == {submodel.id: role for submodel, role in roles.items()}
    for row in rows:
        assert row.latency_ms == pytest.approx(takes_ms(row.id))
        assert row.high_ms / row.latency_ms == pytest.approx(1 + BETWEEN_TIMES)
        assert row.latency_ms / row.low_ms == pytest.approx(1 + BETWEEN_TIMES)
        assert row.seen_ms == row.p90_ms == pytest.approx(takes_ms(row.id))
        assert (row.cpu_ms, row.switches) == (None, None)  # a device that does not tell
        assert row.visits == rounds.ROUNDS
        assert len(row.times_ms) % rounds.ROUNDS == 0
        assert row.weight_bytes == 4 * 4 * columns(Submodel.from_id(row.id))
        assert row.activation_bytes == 4 * (4 + columns(Submodel.from_id(row.id)))


def test_the_model_says_what_it_is_and_how_it_was_measured(found: Measurement, folder: SupernetFolder) -> None:
    model = found.model
    assert (model.family, model.architecture, model.batch) == (folder.family, folder.architecture, 1)
    assert (model.inputs, model.stacks) == ({"x": (1, 4)}, STACKS)
    assert (model.schedule.rounds, model.schedule.seed) == (rounds.ROUNDS, 3)
    assert (model.noise, model.warnings, model.grade) == (pytest.approx(0), (), "good")
    assert (model.load.other_cores, model.load.preempted) == (None, None)
    assert model.date.tzinfo is not None


def test_memory_is_the_runtime_weights_and_activations(found: Measurement, folder: SupernetFolder) -> None:
    model = found.model
    assert model.memory is not None
    assert model.memory.rows == len(list(folder.space.grid()))
    assert model.memory.runtime_bytes == pytest.approx(RUNTIME_BYTES, rel=1e-3)
    assert model.memory.weight_copies == pytest.approx(WEIGHT_COPIES, rel=0.01)
    assert model.memory.worst < 1e-3
    assert {(row.width, row.share) for row in model.activations} == {
        (str(width), str(share)) for width in folder.space.widths for share in folder.space.widths
    }


@pytest.mark.usefixtures("few")
def test_a_device_that_tells_no_memory_leaves_a_lower_bound(run: Run, device: Device) -> None:
    device.tells_memory = False
    model = run().model
    assert {row.peak_memory_bytes for row in model.submodels} == {None}
    assert model.memory is not None
    assert model.memory.rows == 0
    assert LatencyTable("phone", model).memory(Submodel()).source == "estimated"
    assert device.asked_for_peaks == 1


@pytest.mark.usefixtures("few")
def test_of_large_models_three_peaks_are_measured(
    run: Run, device: Device, folder: SupernetFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "PEAK_BYTES", 10_000)
    known = {row.id for row in run().model.submodels if row.peak_memory_bytes}
    assert known == {one.id for one in (folder.space.smallest, folder.space.middle, folder.space.largest)}
    assert device.asked_for_peaks == 3


def test_a_family_that_is_not_layerwise_has_its_grid_measured(
    run: Run, folder: SupernetFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "_is_layerwise", lambda folder: False)
    model = run().model
    assert [row.id for row in model.submodels] == [submodel.id for submodel in folder.space.grid()]
    assert (model.blocks, model.error) == ((), None)


def test_this_family_is_layerwise(folder: SupernetFolder) -> None:
    assert measuring._is_layerwise(folder)


@pytest.mark.usefixtures("few")
def test_progress_goes_from_graphs_to_rounds(run: Run, device: Device) -> None:
    reports: list[tuple[str, int, int]] = []
    model = run(progress=lambda *report: reports.append(report)).model
    graphs = len(model.submodels)
    assert reports[:graphs] == [("building graphs", number, graphs) for number in range(1, graphs + 1)]
    assert reports[graphs:] == [("timing in rounds", number, 20) for number in range(1, 21)]
    assert device.reports == reports[graphs:]
    assert device.prepared == [(number, graphs) for number in range(1, graphs + 1)]


@pytest.mark.usefixtures("few")
def test_rounds_beyond_the_first_batch_say_why(run: Run, device: Device) -> None:
    draw = random.Random(0)
    device.disturbed = lambda name, number: draw.choice([1.0, 1.6, 1.7, 1.8])
    reports: list[tuple[str, int, int]] = []
    run(progress=lambda *report: reports.append(report))
    assert ("timing in more rounds, for narrower intervals", 21, 25) in reports


def test_a_device_that_cannot_be_reached_is_refused_before_a_graph_is_built(
    folder: SupernetFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextlib.contextmanager
    def open_device() -> Iterator[Device]:
        raise DeviceError("there is no host board")
        yield

    monkeypatch.setattr(measuring, "make_workload", lambda *_, **__: pytest.fail("must not build"))
    with pytest.raises(DeviceError, match="there is no host board"):
        measure(folder, open_device, journal=tmp_path / ".board.partial", remedy="")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), DeviceError("the phone cannot go on")])
def test_what_ends_the_building_lets_go_of_the_device(
    error: BaseException, run: Run, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare(done: int, total: int) -> None:
        assert device.is_reached
        raise error

    monkeypatch.setattr(device, "prepare", prepare)
    with pytest.raises(type(error)):
        run()
    assert not device.is_reached


# What is open at once


@pytest.mark.usefixtures("few")
def test_all_graphs_that_fit_are_opened_together(run: Run, device: Device) -> None:
    names = {row.id for row in run().model.submodels}
    assert [set(opened) for opened in device.opened] == [names]


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("most", [1, 20_000, 60_000])
def test_others_are_opened_in_groups_that_fit(
    most: int, run: Run, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "OPEN_BYTES", most)
    model = run().model
    sizes = {row.id: row.weight_bytes for row in model.submodels}
    groups = list({tuple(sorted(opened)): opened for opened in device.opened}.values())
    assert len(groups) > 1
    assert Counter(name for group in groups for name in group) == dict.fromkeys(sizes, 1)
    assert all(len(group) == 1 or sum(sizes[name] for name in group) <= most for group in groups)
    assert device.visits == dict.fromkeys(sizes, rounds.ROUNDS)


# What goes wrong


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("error", [KeyboardInterrupt(), DeviceError("the phone has left")])
@pytest.mark.parametrize("most", [20_000, 256_000_000])
@pytest.mark.parametrize("stop", [35, 45])
def test_an_interrupted_measurement_goes_on_and_takes_no_round_twice(
    stop: int,
    most: int,
    error: BaseException,
    run: Run,
    device: Device,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(measuring, "OPEN_BYTES", most)
    device.stop_after, device.stopped_by = stop, error
    with pytest.raises(type(error)):
        run()
    assert [path.name for path in tmp_path.iterdir()] == [".phone.partial"]
    assert not device.is_open
    taken = device.visits.total()
    assert taken > 0
    device.stop_after = 10_000
    model = run().model
    assert device.visits == {row.id: rounds.ROUNDS for row in model.submodels}


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("change", ["seed", "runtime", "hardware"])
def test_rounds_of_another_measurement_are_left_aside(
    change: str, run: Run, device: Device, folder: SupernetFolder
) -> None:
    device.stop_after = 40
    with pytest.raises(KeyboardInterrupt):
        run()
    device.stop_after = 10_000
    device.visits.clear()
    if change == "runtime":
        device.runtime = structs.replace(device.runtime, threads=1)
    if change == "hardware":
        device.hardware = structs.replace(device.hardware, title="another")
    run(seed=int(change == "seed"))
    assert set(device.visits.values()) == {rounds.ROUNDS}


@pytest.mark.usefixtures("few")
def test_a_busy_device_has_wider_intervals_and_says_so(run: Run, device: Device) -> None:
    draw = random.Random(0)
    device.disturbed = lambda name, number: draw.choice([1.0, 1.6, 1.7, 1.8])
    model = run().model
    assert model.grade == "poor"
    assert model.schedule.rounds > rounds.ROUNDS
    (warning,) = [text for text in model.warnings if text.startswith("one latency in ten is known to +-")]
    assert "close other programs and measure again with --measure" in warning
    assert any(row.high_ms > 1.3 * row.latency_ms for row in model.submodels)
    assert all(row.low_ms <= takes_ms(row.id) <= row.high_ms for row in model.submodels)


@pytest.mark.usefixtures("few")
def test_drift_is_taken_out(run: Run, device: Device) -> None:
    device.disturbed = lambda name, number: 1.0 if number <= 14 else 1.3
    model = run().model
    assert {row.id: row.latency_ms for row in model.submodels} == pytest.approx(
        {row.id: takes_ms(row.id) for row in model.submodels}
    )
    assert any("became 30% slower" in warning for warning in model.warnings)


@pytest.mark.usefixtures("few")
def test_what_else_the_device_did_is_told(run: Run, device: Device) -> None:
    model = run(others=lambda: SimpleNamespace(cores=lambda: 1.5)).model
    assert model.load == Load(other_cores=1.5, preempted=None)


@pytest.mark.usefixtures("few")
def test_times_that_say_nothing_are_refused_with_the_remedy(run: Run, device: Device, tmp_path: Path) -> None:
    draw = random.Random(0)
    device.disturbed = lambda name, number: draw.choice([1.0, 20.0, 20.0, 20.0])
    with pytest.raises(NoisyMeasurementError, match=r"the times say nothing: .* Be still"):
        run()
    assert [path.name for path in tmp_path.iterdir()] == [".phone.partial"]


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("is_noise", [True, False])
def test_strict_refuses_and_the_rounds_serve_without_it(
    is_noise: bool, run: Run, device: Device, tmp_path: Path
) -> None:
    """A second strict run starts anew: it would be refused for ever, for the same rounds."""
    draw = random.Random(0)
    if is_noise:
        device.disturbed = lambda name, number: draw.choice([1.0, 1.5, 1.5, 1.5])
    else:
        device.disturbed = lambda name, number: 1.0 if number <= 14 else 1.3
    with pytest.raises(NoisyMeasurementError, match=r"--strict.*Be still"):
        run(is_strict=True)
    kept, before = (tmp_path / ".phone.partial").read_bytes(), device.visits.total()
    assert kept
    model = run().model
    assert model.schedule.rounds >= before // len(model.submodels)
    (tmp_path / ".phone.partial").write_bytes(kept)
    device.visits.clear()
    device.disturbed = lambda name, number: 1.0
    assert run(is_strict=True).model.schedule.rounds == rounds.ROUNDS
    assert set(device.visits.values()) == {rounds.ROUNDS}


# What a driver answers


@pytest.mark.parametrize(
    "found",
    [
        None,
        5.0,
        [],
        [None],
        ["aa"],
        [[5.0, 5.0]],
        [[Timed(1.0)]],
        [[Timed(1.0)] * 100_000],
        [[Timed(1.0), Timed(math.nan)]],
        [[Timed(1.0), Timed(math.inf)]],
        [[Timed(1.0), Timed(-1.0)]],
        [[Timed(1.0), Timed(0.0)]],
        [[Timed(1.0), Timed("5")]],  # type: ignore[arg-type]
        [[Timed(1.0), Timed(10**400)]],
        [[Timed(1.0), Timed(1.0, -1.0)]],
        [[Timed(1.0), Timed(1.0, None, math.nan)]],  # type: ignore[arg-type]
    ],
)
def test_what_are_no_times_is_refused_when_it_comes(found: object) -> None:
    with pytest.raises(DeviceError) as caught:
        measuring._sound("My box", [Visit(name="w1-d1", count=2)], found)
    assert str(caught.value).startswith(("My box gave ", "My box answered 1 visits with "))
    assert len(str(caught.value)) < 300


def test_a_driver_may_count_with_numbers_of_numpy() -> None:
    runs = [Timed(np.float32(2.5), np.float64(1.5), np.int64(3))]  # type: ignore[arg-type]
    (((ms, cpu_ms, switches),),) = measuring._sound("My box", [Visit(name="w1-d1", count=1)], [runs])
    assert [(type(one), one) for one in (ms, cpu_ms, switches)] == [(float, 2.5), (float, 1.5), (int, 3)]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"threads": 0}, ", threads: expected int >= 1"),
        ({"threads": "two"}, ", threads: expected int, got str"),
        ({"name": "a" * 100_000}, ", name: expected str of length <= 4000"),
        ({"precision": "int8"}, ", precision: invalid enum value 'int8'"),
        ({"version": object()}, " cannot be read: "),
    ],
)
def test_what_a_profile_cannot_hold_of_a_device_is_refused_before_it_is_timed(
    change: dict[str, Any], problem: str
) -> None:
    sound = {"name": "box", "version": "1", "provider": "box", "threads": 1, "precision": "float32", "cores_used": None}
    session: Any = SimpleNamespace(**dict.fromkeys(("report", "open", "time", "peak_memory"), print))
    session.hardware, session.runtime = this_hardware(), Runtime(**sound)
    measuring._check_facts(session)
    session.runtime = Runtime(**sound | change)
    with pytest.raises(DeviceError, match=f"^the driver's runtime{problem}.*; see docs/device.md$"):
        measuring._check_facts(session)
