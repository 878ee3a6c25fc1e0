"""What every submodel of a space costs, and takes on some devices, before anything is trained (no torch)."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bstsearch.listener import SILENT, Listener
from bstsearch.model.cost import Cost
from bstsearch.model.supernet_folder import SupernetFolder
from bstsearch.profiles.latency import Latency
from bstsearch.searching.budget import HIGH, MIDDLE, Bound
from bstsearch.searching.pricing import extrapolations, get_profile, known_costs, make_table
from bstsearch.space import FLOAT32, Space, Submodel
from bstsearch.space_names import TRAINED, size_text
from bstsearch.space_sample import draw_submodel

if TYPE_CHECKING:
    import pandas

DRAWN = 12  # of an elastic space, beside its uniform submodels: a table that one screen holds
SEED = 0


@dataclasses.dataclass(frozen=True)
class Counted:
    """A submodel, and what it costs on any device; with `is_in_space` it is trained."""

    submodel: Submodel
    is_in_space: bool
    cost: Cost


@dataclasses.dataclass(frozen=True, kw_only=True)
class OnDevice:
    """The latencies on one device, by submodel, fewest FLOPs first; `limit_ms` is the budget there, if there is one.

    With `is_middle` the value itself must keep to it, else the upper end of its range. With `is_part` the space has
    more submodels than these.
    """

    name: str
    obtained: str
    latencies: Mapping[Submodel, Latency]
    limit_ms: float | None
    is_middle: bool
    is_part: bool
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
        of = f"{len(self.latencies)} listed ones" if self.is_part else str(len(self.latencies))
        words = f"{self.name}: {len(found)} of {of} keep to {self.limit_ms:.4g} ms{end}"
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
    """Submodels of a supernet or preset, smallest first, with their costs and their latencies on `devices`.

    Of an elastic space they are the uniform ones, then its corners and some drawn at random. `full` is what the full
    model costs, which may be outside.
    """

    folder: SupernetFolder
    rows: Sequence[Counted]
    full: Cost
    devices: Sequence[OnDevice] = ()
    budget_at: str = HIGH

    @property
    def space(self) -> Space:
        """The space that is counted."""
        return self.folder.space

    @property
    def corners(self) -> dict[str, Submodel]:
        """The smallest, the middle and the largest submodel of the space."""
        return {"smallest": self.space.smallest, "middle": self.space.middle, "largest": self.space.largest}

    @property
    def title(self) -> str:
        """What the rows are."""
        what = f"{self.folder.path.name}: {len(self.rows)} submodels"
        return f"{what} of {size_text(self.space.size)}" if self.space.is_elastic else what

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
            "size": self.space.size,
            "corners": {name: one.id for name, one in self.corners.items()},
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
    """The costs of the submodels, and their latencies on the devices of these names; nothing needs to be trained.

    An elastic space has too many: then they are the uniform ones, the corners and some drawn at random. A share of the
    full model's latency, as a budget, is taken on each device by itself. With `is_all` the wide and shallow submodels
    that the space leaves out are counted, too. All are taken in float32. InputError where a device is unknown, or knows
    other models only.
    """
    bound = None if budget_ms is None else Bound.parse(budget_ms, "--budget-ms")
    folder = folder.part(TRAINED, [FLOAT32])
    listed = _listed(folder.space, is_all=is_all)
    costs, rows = known_costs(folder), []
    for done, submodel in enumerate(listed):
        listener.progress("counting", done, len(listed))
        rows.append(Counted(submodel, submodel in folder.space, costs.cost(submodel)))
    by_macs = {one.submodel: one.cost.gflops for one in sorted(rows, key=lambda one: one.cost.macs)}
    found = [_on_device(folder, name, profiles, by_macs, bound, budget_at) for name in devices]
    full = costs.cost(Submodel())
    return CountedSpace(folder=folder, rows=rows, full=full, devices=found, budget_at=budget_at)


def _listed(space: Space, *, is_all: bool) -> list[Submodel]:
    """The uniform submodels, and of an elastic space its corners and some others, from narrow to wide."""
    grid = list((space.unfiltered if is_all else space).grid())
    if not space.is_elastic:
        return grid
    source = random.Random(SEED)
    others = {space.smallest, space.middle, space.largest, *(draw_submodel(space, source) for _ in range(DRAWN))}
    return grid + sorted(others - set(grid), key=lambda one: (one.width, one.depth, one.id))


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
        limit_ms=_limit(bound, table.latency(Submodel()), is_middle=is_middle),
        is_middle=is_middle,
        is_part=folder.space.is_elastic,
        warnings=extrapolations(folder, profile, gflops),
    )


def _limit(bound: Bound | None, full: Latency, *, is_middle: bool) -> float | None:
    if bound is None or not bound.is_share:
        return None if bound is None else bound.value
    return bound.value * (full.ms if is_middle else full.safe_ms)
