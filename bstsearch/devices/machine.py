"""This computer: its processor, how many cores this process may use, and how busy others keep it (no torch)."""

from __future__ import annotations

import math
import os
import platform
import time
from pathlib import Path

import psutil

from bstsearch.devices.profile import Machine

CPU_INFO = Path("/proc/cpuinfo")
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
TOPOLOGY = Path("/sys/devices/system/cpu")


def this_machine() -> Machine:
    """What a profile says of the computer that it was measured on."""
    return Machine(
        cpu=cpu_name(),
        cores=available_cores(),
        memory_bytes=psutil.virtual_memory().total,
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
    )


def cpu_name() -> str:
    """The processor's name as its maker writes it, else its architecture."""
    if CPU_INFO.exists():
        for line in CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return value.strip()
    return platform.processor() or platform.machine()


def available_cores() -> int:
    """Physical cores that this process may use: its CPU affinity and its container's quota count."""
    return max(1, min(_allowed_cores(), _quota()))


class OthersLoad:
    """How many cores other programs have kept busy since this object was made."""

    def __init__(self) -> None:
        self._start = _clocks()

    def cores(self) -> float:
        """Busy core-seconds that are not this process's, per second."""
        busy, own, wall = (now - before for now, before in zip(_clocks(), self._start, strict=True))
        return max(0.0, busy - own) / wall if wall > 0 else 0.0


def _allowed_cores() -> int:
    physical = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    if not hasattr(os, "sched_getaffinity"):  # macOS, Windows
        return physical
    allowed = os.sched_getaffinity(0)
    siblings = [TOPOLOGY / f"cpu{index}" / "topology" / "thread_siblings_list" for index in allowed]
    if all(path.exists() for path in siblings):  # two hardware threads of one core name the same siblings
        return len({path.read_text() for path in siblings})
    return min(physical, len(allowed))


def _quota() -> int:
    try:
        quota, period = CPU_QUOTA.read_text().split()
        return math.ceil(int(quota) / int(period))
    except (OSError, ValueError):  # no such file, or no limit ("max")
        return os.cpu_count() or 1


def _clocks() -> tuple[float, float, float]:
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    guest = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # counted in user and nice, too
    return sum(times) - idle - guest, time.process_time(), time.monotonic()
