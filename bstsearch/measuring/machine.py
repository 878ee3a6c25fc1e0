"""This computer: what a profile says of it, how many cores it has, and how busy others keep them (no torch)."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

import psutil
from msgspec import Struct, structs

from bstsearch.measuring.runner import NAME, PROVIDER, available_cores, cpu_name, cpu_quota, hardware_facts
from bstsearch.profiles.profile import Hardware, Runtime, Text
from bstsearch.reading import Count, checked

__all__ = [
    "Facts",
    "OthersLoad",
    "all_cores",
    "available_cores",
    "cpu_name",
    "cpu_quota",
    "hardware_of",
    "quota_note",
    "runtime_of",
    "this_hardware",
]


class Facts(Struct, kw_only=True, forbid_unknown_fields=True):
    """What `runner.hardware_facts` finds."""

    title: Text
    soc: Text
    cores: Count
    memory_bytes: Count | None
    system: Text | None


def this_hardware() -> Hardware:
    """What a profile says of the computer that this runs on."""
    return hardware_of(checked(hardware_facts(), Facts, "this computer"))


def hardware_of(facts: Facts) -> Hardware:
    """What a profile says of a computer whose runner found these facts."""
    return Hardware(**structs.asdict(facts), clusters=(), memory_gb_per_s=None, memory_evidence=None)


def runtime_of(version: str, threads: int, cores: Sequence[int]) -> Runtime:
    """What a profile says of ONNX Runtime on a processor; `cores` are those it is kept to, if any."""
    return Runtime(
        name=NAME,
        version=version,
        provider=PROVIDER,
        threads=threads,
        precision="float32",
        cores_used=f"cores {', '.join(map(str, cores))}" if cores else None,
    )


def all_cores() -> int:
    """Physical cores of the whole computer, whoever may use them."""
    return psutil.cpu_count(logical=False) or os.cpu_count() or 1


def quota_note(threads: int) -> str | None:
    """What to say where this process is not given the time that `threads` need."""
    quota = cpu_quota()
    if quota is None or quota >= threads:
        return None
    cores = "cores" if quota != 1 else "core"
    return f"this process may use {quota:g} {cores} (its container's quota): latencies as seen will be longer"


class OthersLoad:
    """How many cores other programs have kept busy since this object was made."""

    def __init__(self) -> None:
        self._start = _clocks()

    def cores(self) -> float:
        """Busy core-seconds that are not this process's, per second."""
        busy, own, wall = (now - before for now, before in zip(_clocks(), self._start, strict=True))
        return max(0.0, busy - own) / wall if wall > 0 else 0.0


def _clocks() -> tuple[float, float, float]:
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    guest = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # counted in user and nice, too
    return sum(times) - idle - guest, time.process_time(), time.monotonic()
