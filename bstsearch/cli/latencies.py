"""What submodels take on some devices, before anything is trained, and which keep to a budget."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bstsearch.cli.candidates import extrapolations, find_profile_of, known_costs, make_table
from bstsearch.cli.output import Column

if TYPE_CHECKING:
    from bstsearch.model.supernet_folder import SupernetFolder
    from bstsearch.profiles.latency import Latency
    from bstsearch.search.budget import Bound
    from bstsearch.space import Submodel


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
    def columns(self) -> list[Column]:
        """The device's columns in a table: latency and, with a budget, whether it is kept."""
        from bstsearch.profiles.latency import digits

        sources = " or\n".join(sorted({latency.source for latency in self.latencies.values()}))
        latency = Column(f"{self.name}\n{sources}", "ms", is_number=True)
        return [latency] if self.limit_ms is None else [latency, Column(f"<= {digits(self.limit_ms)}", "ms")]

    def cells(self, submodel: Submodel) -> list[str]:
        """What stands in these columns."""
        from bstsearch.profiles.latency import range_text

        latency = range_text(self.latencies[submodel])
        return [latency] if self.limit_ms is None else [latency, "yes" if self.fits(submodel) else "no"]

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


def latencies_on(
    names: Sequence[str],
    folder: SupernetFolder,
    profiles: Path | None,
    submodels: Sequence[Submodel],
    bound: Bound | None,
    *,
    is_middle: bool,
) -> list[OnDevice]:
    """The latencies of `submodels` on every device of `names`; InputError where one is unknown, or knows other models.

    A share of the full model's latency, as a budget, is taken on each device by itself.
    """
    costs = known_costs(folder)
    gflops = {one: costs.cost(one).gflops for one in sorted(submodels, key=lambda one: costs.cost(one).macs)}
    found = []
    for _, profile in [find_profile_of(folder, name, profiles) for name in names]:
        table = make_table(folder, profile)
        found.append(
            OnDevice(
                name=profile.device,
                obtained=profile.obtained,
                latencies={submodel: table.latency(submodel) for submodel in gflops},
                limit_ms=_limit(bound, table.latency(folder.space.largest), is_middle=is_middle),
                is_middle=is_middle,
                warnings=extrapolations(folder, profile, gflops),
            )
        )
    return found


def _limit(bound: Bound | None, full: Latency, *, is_middle: bool) -> float | None:
    if bound is None or not bound.is_share:
        return None if bound is None else bound.value
    return bound.value * (full.ms if is_middle else full.safe_ms)


def fit_everywhere(devices: Sequence[OnDevice]) -> list[Submodel]:
    """The submodels that keep to the budget on each device."""
    return [submodel for submodel in devices[0].latencies if all(device.fits(submodel) for device in devices)]
