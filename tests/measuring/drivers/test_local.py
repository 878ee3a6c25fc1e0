from __future__ import annotations

import itertools
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest

from bstsearch.errors import DeviceError
from bstsearch.measuring.driver import Device, Session, Visit, Workload
from bstsearch.measuring.drivers import local
from bstsearch.measuring.drivers.local import Local, open_device
from bstsearch.measuring.machine import this_hardware
from bstsearch.measuring.runner import POOL, runtime_version
from bstsearch.measuring.workload import make_workload, write_complete
from bstsearch.model.supernet_folder import read_folder
from bstsearch.space import Submodel
from bstsearch.testing.drivers import DriverContract

SMALLEST, LARGEST = "w1of4-d1of4", "w1-d1"


@pytest.fixture(scope="module")
def workload(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Workload:
    submodels = [Submodel.from_id(name) for name in (SMALLEST, LARGEST)]
    return make_workload(read_folder(tiny_folder), submodels, tmp_path_factory.mktemp("workload"))


@pytest.fixture(scope="module")
def driver(workload: Workload) -> Iterator[Session]:
    with open_device(threads=1) as device, device.take(workload) as found:
        yield found


def test_each_visit_gives_its_times_in_order(driver: Session) -> None:
    driver.open([SMALLEST, LARGEST])
    visits = [Visit(name=LARGEST, count=2), Visit(name=SMALLEST, count=3), Visit(name=LARGEST, count=1)]
    found = driver.time(visits)
    assert [len(runs) for runs in found] == [2, 3, 1]
    for run in itertools.chain(*found):
        assert run.wall_ms > 0
        assert run.cpu_ms is not None
        assert (run.switches is None) == (not hasattr(resource, "RUSAGE_THREAD"))


def test_weights_lie_beside_the_graphs(driver: Session, workload: Workload) -> None:
    pool = workload.inputs.parent / POOL
    assert pool.stat().st_size >= max(graph.weight_bytes for graph in workload.graphs.values())


def test_memory_is_that_of_the_model(driver: Session, workload: Workload, tmp_path: Path) -> None:
    write_complete(workload.graphs[LARGEST], tmp_path / "model.onnx")
    peak = driver.peak_memory(tmp_path / "model.onnx")
    assert peak is not None
    assert 1_000_000 < peak < 40_000_000


def test_the_driver_says_what_it_is(driver: Session) -> None:
    assert driver.hardware == this_hardware()
    runtime = driver.runtime
    assert (runtime.name, runtime.version, runtime.provider) == (
        "onnxruntime",
        runtime_version(),
        "CPUExecutionProvider",
    )
    assert (runtime.threads, runtime.precision, runtime.cores_used) == (1, "float32", None)


def test_threads_are_the_available_cores_by_default(workload: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "available_cores", lambda: 3)
    with open_device() as device, device.take(workload) as driver:
        assert driver.runtime.threads == 3


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot keep a process to chosen cores")
def test_it_is_kept_to_chosen_cores_and_let_go_again(workload: Workload) -> None:
    before, hardware = os.sched_getaffinity(0), this_hardware()
    core = max(before)
    with open_device(cores=(core,)) as device:
        assert os.sched_getaffinity(0) == before  # graphs are built with all
        with device.take(workload) as driver:
            assert os.sched_getaffinity(0) == {core}
            assert (driver.runtime.threads, driver.runtime.cores_used) == (1, f"cores {core}")
            assert driver.hardware == hardware  # all of it, whatever is used
    assert os.sched_getaffinity(0) == before


def test_a_core_that_is_not_there_is_a_device_error() -> None:
    with pytest.raises(DeviceError, match=r"no core 99999; there are|cannot keep"), open_device(cores=(99999,)):
        pytest.fail("must not open")


def test_a_graph_that_does_not_open_is_a_device_error(driver: Session, workload: Workload, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(onnx.ModelProto().SerializeToString())
    with pytest.raises(DeviceError, match=r"^ONNX Runtime cannot run model\.onnx: \S+") as caught:
        driver.peak_memory(tmp_path / "model.onnx")
    assert "\n" not in str(caught.value)


def test_a_missing_runtime_is_a_device_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DeviceError, match=r"cannot load onnxruntime: .* installs it$"), open_device():
        pytest.fail("must not open")


class TestLocal(DriverContract):
    tells_memory = True

    @pytest.fixture
    def device(self) -> Iterator[Device]:
        with Local(threads=1).open("local", print) as device:
            yield device
