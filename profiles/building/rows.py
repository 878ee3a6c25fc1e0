"""The published tables: lines as they stand, and latencies as rows, which come in groups."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PUBLISHED = Path(__file__).parents[1] / "published"

Group = tuple[str, str, str]  # device, runtime and cores: rows that share these say one thing, not several


@dataclass(frozen=True, kw_only=True)
class Row:
    """One published latency, and where it comes from; `peak` is the fp32 peak of the cores used, in GFLOP/s."""

    device: str
    runtime: str
    version: str
    cores_used: str
    cores: int
    precision: str
    peak: float | None
    kind: str
    core_class: str
    use: str
    model: str
    gflops: float
    ms: float
    source: str

    @property
    def group(self) -> Group:
        """The group that the row is in."""
        return self.device, self.runtime, self.cores_used


def read_lines(name: str) -> list[dict[str, str]]:
    """The lines of a file in published/, each by the names of its columns."""
    with (PUBLISHED / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_rows() -> list[Row]:
    """All published latencies."""
    return [
        Row(
            device=line["device"],
            runtime=line["runtime"],
            version=line["version"],
            cores_used=line["cores_used"],
            cores=int(line["cores"]),
            precision=line["precision"],
            peak=float(line["peak_gflops"]) if line["peak_gflops"] else None,
            kind=line["kind"],
            core_class=line["core_class"],
            use=line["use"],
            model=line["model"],
            gflops=float(line["gflops"]),
            ms=float(line["latency_ms"]),
            source=line["source"],
        )
        for line in read_lines("latencies.csv")
    ]


def grouped(rows: Iterable[Row]) -> dict[Group, list[Row]]:
    """The rows of each group, each row once, in the order given."""
    found: dict[Group, list[Row]] = {}
    for row in dict.fromkeys(rows):
        found.setdefault(row.group, []).append(row)
    return found


def fittable(rows: Iterable[Row]) -> list[Row]:
    """The rows that a device's own latency may be fitted to: plain Transformers, of the sources with enough of them."""
    return [row for row in rows if row.kind == "plain" and row.source in ("mmlb-torch", "hat")]


def fittable_on_one_core(rows: Iterable[Row]) -> dict[Group, list[Row]]:
    """The groups of rows to fit to whose models ran on one core."""
    return {key: group for key, group in grouped(fittable(rows)).items() if group[0].cores == 1}


def known_peak(row: Row) -> float:
    """The fp32 peak of the cores used, in GFLOP/s, of a row that must state it."""
    if row.peak is None:
        raise ValueError(f"published/latencies.csv: {row.group} has no peak_gflops, which its class needs")
    return row.peak
