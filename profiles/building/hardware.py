"""What is published of a device's cores and memory, in the file's form."""

from __future__ import annotations

import math

from bstsearch.profiles.profile import Cluster, Hardware
from building.rows import read_lines


def hardware_of(device: dict[str, str]) -> Hardware:
    """The hardware of a line of devices.csv."""
    clusters, memory = clusters_of(device["device"]), memory_of(device["device"])
    return Hardware(
        title=device["title"],
        soc=device["soc"],
        cores=sum(cluster.cores for cluster in clusters),
        clusters=clusters,
        memory_bytes=None,
        memory_gb_per_s=float(memory["gb_per_s"]),
        memory_evidence=memory["evidence"],
        system=None,
    )


def clusters_of(device: str) -> tuple[Cluster, ...]:
    """The device's clusters of cores, the one that models run on first."""
    return tuple(
        Cluster(
            core=line["core"],
            cores=int(line["cores"]),
            clock_ghz=float(line["clock_ghz"]),
            fp32_flop_per_cycle=int(line["fp32_flop_per_cycle"]) if line["fp32_flop_per_cycle"] else None,
            evidence=line["evidence"],
        )
        for line in read_lines("hardware.csv")
        if line["device"] == device
    )


def memory_of(device: str) -> dict[str, str]:
    """The device's line of memory.csv."""
    return next(line for line in read_lines("memory.csv") if line["device"] == device)


def hardware_sources(device: str) -> list[str]:
    """The keys of the sources of the device's cores and memory."""
    cores = [key for line in read_lines("hardware.csv") if line["device"] == device for key in line["sources"].split()]
    return [*cores, *memory_of(device)["sources"].split()]


def streaming_share() -> float:
    """The part of the memory's peak at which one core read weights: the middle of what GPT-2's one token allows."""
    line = read_lines("weight_streaming.csv")[0]
    middle = math.sqrt(float(line["fewest_mb"]) * float(line["most_mb"]))
    return middle / float(line["latency_ms"]) / float(line["peak_gb_per_s"])
