from __future__ import annotations

import os
from collections import namedtuple
from types import SimpleNamespace

import psutil
import pytest

from bstsearch.measuring import machine


def test_this_computer_is_described() -> None:
    found = machine.this_hardware()
    assert found.cores == machine.available_cores()
    assert found.title
    assert found.system
    assert found.memory_bytes is not None
    assert found.memory_bytes > 0
    assert found.clusters == ()  # which needs evidence


def test_the_runtime_says_on_which_cores_it_runs() -> None:
    assert machine.runtime_of("1.20.0", 2, ()).cores_used is None
    found = machine.runtime_of("1.20.0", 2, (4, 5))
    assert (found.version, found.threads, found.cores_used) == ("1.20.0", 2, "cores 4, 5")


def test_all_cores_count_whoever_may_use_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0}, raising=False)
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: 8)
    assert machine.all_cores() == 8
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: None)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert machine.all_cores() == 4


@pytest.mark.parametrize(
    ("quota", "threads", "note"),
    [
        (None, 8, None),
        (2.0, 2, None),
        (0.5, 1, "this process may use 0.5 cores (its container's quota): latencies as seen will be longer"),
        (1.0, 2, "this process may use 1 core (its container's quota): latencies as seen will be longer"),
    ],
)
def test_a_quota_that_does_not_feed_the_threads_is_told(
    quota: float | None, threads: int, note: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "cpu_quota", lambda: quota)
    assert machine.quota_note(threads) == note


def test_load_is_what_others_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten seconds with 12 of user time (5 of them for guests, counted twice) and 2 of the system; 6 are our own."""
    times = namedtuple("times", "user system idle iowait guest")
    system = iter([times(100, 10, 500, 5, 50), times(112, 12, 505, 6, 55)])
    clocks = SimpleNamespace(process_time=iter([1.0, 7.0]).__next__, monotonic=iter([0.0, 10.0]).__next__)
    monkeypatch.setattr(psutil, "cpu_times", lambda: next(system))
    monkeypatch.setattr(machine, "time", clocks)
    load = machine.OthersLoad()
    assert load.cores() == pytest.approx((12 + 2 - 6) / 10)
