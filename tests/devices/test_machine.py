from __future__ import annotations

import os
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from bstsearch.devices import machine


@pytest.fixture
def sixteen_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of eight cores with two hardware threads each: 0 and 8 are one core, 1 and 9 the next."""
    for index in range(16):
        folder = tmp_path / f"cpu{index}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{index % 8},{index % 8 + 8}\n")
    monkeypatch.setattr(machine, "TOPOLOGY", tmp_path)
    monkeypatch.setattr(machine, "CPU_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 16 if logical else 8)
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)), raising=False)


@pytest.mark.usefixtures("sixteen_threads")
class TestAvailableCores:
    def test_hardware_threads_of_one_core_count_once(self) -> None:
        assert machine.available_cores() == 8

    @pytest.mark.parametrize(("allowed", "cores"), [({0, 8}, 1), ({0, 1, 8}, 2), ({3}, 1)])
    def test_only_cores_this_process_may_use_count(
        self, allowed: set[int], cores: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "sched_getaffinity", lambda process: allowed, raising=False)
        assert machine.available_cores() == cores

    @pytest.mark.parametrize(
        ("text", "cores"), [("200000 100000\n", 2), ("150000 100000\n", 2), ("max 100000\n", 8), ("", 8)]
    )
    def test_a_container_quota_counts(self, text: str, cores: int, tmp_path: Path) -> None:
        (tmp_path / "cpu.max").write_text(text)
        assert machine.available_cores() == cores

    def test_without_topology_the_smaller_count_holds(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(machine, "TOPOLOGY", tmp_path / "none")
        assert machine.available_cores() == 8
        monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1}, raising=False)
        assert machine.available_cores() == 2

    def test_systems_without_affinity_use_all_physical_cores(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delattr(os, "sched_getaffinity")
        assert machine.available_cores() == 8


def test_the_processor_has_the_name_its_maker_gave_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "CPU_INFO", tmp_path / "cpuinfo")
    assert machine.cpu_name()  # no such file: the architecture
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel\t\t: 17\nmodel name\t: Example 9000 @ 3 GHz\n\n")
    assert machine.cpu_name() == "Example 9000 @ 3 GHz"
    (tmp_path / "cpuinfo").write_text("processor\t: 0\n")
    assert machine.cpu_name() not in ("", "0")


def test_this_machine_is_described() -> None:
    found = machine.this_machine()
    assert found.cores == machine.available_cores()
    assert found.memory_bytes > 0


def test_load_is_what_others_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten seconds with 12 of user time (5 of them for guests, counted twice) and 2 of the system; 6 are our own."""
    times = namedtuple("times", "user system idle iowait guest")
    system = iter([times(100, 10, 500, 5, 50), times(112, 12, 505, 6, 55)])
    clocks = SimpleNamespace(process_time=iter([1.0, 7.0]).__next__, monotonic=iter([0.0, 10.0]).__next__)
    monkeypatch.setattr(psutil, "cpu_times", lambda: next(system))
    monkeypatch.setattr(machine, "time", clocks)
    load = machine.OthersLoad()
    assert load.cores() == pytest.approx((12 + 2 - 6) / 10)
