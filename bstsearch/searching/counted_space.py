"""What every submodel of a space costs, and takes on some devices, before anything is trained (no torch)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bstsearch.listener import SILENT, Listener
from bstsearch.model.cost_table import Cost
from bstsearch.model.supernet_folder import SupernetFolder
from bstsearch.profiles.latency import Latency
from bstsearch.searching.budget import HIGH, MIDDLE, Bound
from bstsearch.searching.pricing import extrapolations, get_profile, known_costs, make_table
from bstsearch.space import Submodel

if TYPE_CHECKING:
    import pandas


@dataclasses.dataclass(frozen=True)
class Counted:
    """A submodel, and what it costs on any device; with `is_in_space` it is trained."""

    submodel: Submodel
    is_in_space: bool
    cost: Cost


@dataclasses.dataclass(frozen=True, kw_only=True)
class OnDevice:
    """The latencies on one device, by submodel, fewest FLOPs first; `limit_ms` is the budget there, if there is one.

    With `is_middle` the value itself must keep to it, else the upper end of its range.
    """

    name: str
    obtained: str
    latencies: Mapping[Submodel, Latency]
    limit_ms: float | None
    is_middle: bool
    warnings: Sequence[str]

    def fits(self, submodel: Submodel) -> bool | None:
        """Whether the submodel keeps to the budget; None where there is none."""
        return None if self.limit_ms is None else self._held(submodel) <= self.limit_ms

    @property
    def fitting(self) -> list[Submodel]:
        """The submodels that keep to the budget."""
        return [submodel for submodel in self.latencies if self.fits(submodel)]

    @property
    def verdict(self) -> str:
        """How many keep to the budget and which is the largest of them, or which comes nearest."""
        found, end = self.fitting, "" if self.is_middle else " at the upper end of their range"
        words = f"{self.name}: {len(found)} of {len(self.latencies)} keep to {self.limit_ms:.4g} ms{end}"
        shown = found[-1] if found else min(self.latencies, key=self._held)
        return f"{words}; {'the largest' if found else 'the nearest'} is {shown.id}, {self.latencies[shown]}"

    def to_json(self, submodel: Submodel) -> dict[str, Any]:
        """One submodel's latency there as plain data."""
        return {**dataclasses.asdict(self.latencies[submodel]), "fits": self.fits(submodel)}

    def _held(self, submodel: Submodel) -> float:
        latency = self.latencies[submodel]
        return latency.ms if self.is_middle else latency.safe_ms


@dataclasses.dataclass(frozen=True, kw_only=True)
class CountedSpace:
    """The submodels of a supernet or preset, smallest first, with their costs and their latencies on `devices`."""

    folder: SupernetFolder
    rows: Sequence[Counted]
    devices: Sequence[OnDevice] = ()
    budget_at: str = HIGH

    @property
    def full(self) -> Cost:
        """What the full model costs."""
        return self.rows[-1].cost

    @property
    def fixed_macs(self) -> int:
        """The multiply-adds of the part that is never slimmed, which each submodel has."""
        return known_costs(self.folder).fixed_macs

    @property
    def fit_everywhere(self) -> list[Submodel]:
        """The submodels that keep to the budget on each device."""
        return [one for one in self.devices[0].latencies if all(device.fits(one) for device in self.devices)]

    def to_json(self) -> dict[str, Any]:
        """Plain data, as `bstsearch space --json` prints it."""
        return {
            "model": self.folder.path.name,
            "family": self.folder.family,
            "config": dict(self.folder.config),
            "fixed_macs": self.fixed_macs,
            "budget_at": self.budget_at,
            "devices": [
                {"name": one.name, "obtained": one.obtained, "budget_ms": one.limit_ms, "warnings": list(one.warnings)}
                for one in self.devices
            ],
            "submodels": [
                {
                    **self._counts(one),
                    "latencies": {device.name: device.to_json(one.submodel) for device in self.devices},
                }
                for one in self.rows
            ],
        }

    def to_frame(self) -> pandas.DataFrame:
        """The same as a pandas frame, one row per submodel by its id, and latencies in columns such as "pixel7_ms"."""
        import pandas

        rows = [
            self._counts(one)
            | {f"{device.name}_ms": device.latencies[one.submodel].ms for device in self.devices}
            | {f"{device.name}_fits": device.fits(one.submodel) for device in self.devices if device.limit_ms}
            for one in self.rows
        ]
        return pandas.DataFrame(rows).set_index("id")

    def _counts(self, one: Counted) -> dict[str, Any]:
        return {
            "id": one.submodel.id,
            "is_in_space": one.is_in_space,
            "parameters": one.cost.parameters,
            "parameters_ratio": one.cost.parameters / self.full.parameters,
            "macs": one.cost.macs,
            "macs_ratio": one.cost.macs / self.full.macs,
            "gflops": one.cost.gflops,
            "size_bytes": one.cost.size_bytes,
        }


def count_space(
    folder: SupernetFolder,
    devices: Sequence[str] = (),
    *,
    profiles: Path | None = None,
    budget_ms: str | None = None,
    budget_at: str = HIGH,
    is_all: bool = False,
    listener: Listener = SILENT,
) -> CountedSpace:
    """Every submodel's costs, and its latencies on the devices of these names; nothing needs to be trained.

    A share of the full model's latency, as a budget, is taken on each device by itself. With `is_all` the wide and
    shallow submodels that the space leaves out are counted, too. InputError where a device is unknown, or knows other
    models only.
    """
    bound = None if budget_ms is None else Bound.parse(budget_ms, "--budget-ms")
    grid = list((folder.space.unfiltered if is_all else folder.space).grid())
    costs, rows = known_costs(folder), []
    for done, submodel in enumerate(grid):
        listener.progress("counting", done, len(grid))
        rows.append(Counted(submodel, submodel in folder.space, costs.cost(submodel)))
    by_macs = {one.submodel: one.cost.gflops for one in sorted(rows, key=lambda one: one.cost.macs)}
    found = [_on_device(folder, name, profiles, by_macs, bound, budget_at) for name in devices]
    return CountedSpace(folder=folder, rows=rows, devices=found, budget_at=budget_at)


def _on_device(
    folder: SupernetFolder,
    name: str,
    profiles: Path | None,
    gflops: Mapping[Submodel, float],
    bound: Bound | None,
    budget_at: str,
) -> OnDevice:
    _, profile = get_profile(folder, name, profiles)
    table, is_middle = make_table(folder, profile), budget_at == MIDDLE
    return OnDevice(
        name=profile.device,
        obtained=profile.obtained,
        latencies={submodel: table.latency(submodel) for submodel in gflops},
        limit_ms=_limit(bound, table.latency(folder.space.largest), is_middle=is_middle),
        is_middle=is_middle,
        warnings=extrapolations(folder, profile, gflops),
    )


def _limit(bound: Bound | None, full: Latency, *, is_middle: bool) -> float | None:
    if bound is None or not bound.is_share:
        return None if bound is None else bound.value
    return bound.value * (full.ms if is_middle else full.safe_ms)
