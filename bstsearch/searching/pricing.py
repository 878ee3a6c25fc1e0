"""What submodels of a supernet cost on a device, by its profile; and what a search with both rests on (no torch)."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bstsearch.errors import InputError
from bstsearch.model.phase import WHOLE
from bstsearch.space import FLOAT32

if TYPE_CHECKING:
    from bstsearch.model.cost import Cost
    from bstsearch.model.phase import Phase
    from bstsearch.model.stack_shape import StackShape
    from bstsearch.model.supernet_folder import SupernetFolder
    from bstsearch.profiles.estimate import Work
    from bstsearch.profiles.latency import Latency, LatencyTable, Memory, Table
    from bstsearch.profiles.profile import DeviceProfile
    from bstsearch.searching.costs import Cost as SearchedCost
    from bstsearch.searching.known_costs import KnownCosts
    from bstsearch.searching.pareto import Candidate
    from bstsearch.searching.provenance import Provenance
    from bstsearch.space import Precision, Space, Submodel
    from bstsearch.tasks.task import Task


def get_profile(folder: SupernetFolder, device: str, profiles: Path | None) -> tuple[Path, DeviceProfile]:
    """The profile of `device` and its file; InputError where there is none, or it was measured on other models only."""
    from bstsearch.profiles.profile_file import load_profile
    from bstsearch.profiles.stored import get_profile_file, profile_folders

    path = get_profile_file(device, profile_folders(profiles))
    profile = load_profile(path)
    if profile.models:
        profile.get_model(folder.architecture, folder.family)
    return path, profile


def read_profile(
    folder: SupernetFolder,
    device: str,
    profiles: Path | None,
    space: Space,
    split: str,
    data_folder: Path | None = None,
    data: str | type[Task] | None = None,
) -> tuple[DeviceProfile, Provenance]:
    """The profile of `device`, and the origin of a search with it; InputError where it is of another model."""
    from bstsearch.reading import digest
    from bstsearch.searching.provenance import Provenance

    path, profile = get_profile(folder, device, profiles)
    wanted = (folder.architecture, folder.family)
    models = [profile.get_model(*wanted, precision) for precision in space.precisions if profile.models]
    errors = [error.interval for error in (profile.error, *(model.error for model in models)) if error]
    origin = Provenance(
        supernet={
            "path": str(folder.path.resolve()),
            "digest": folder.digest(),
            "architecture": folder.architecture,
            "family": folder.family,
        },
        space=space,
        split=split,
        device={
            "name": profile.device,
            "obtained": profile.obtained,
            "via": profile.via,
            "latency_error": max(errors, default=None),
            "digest": digest(path),
            "runtime": {**profile.runtime.to_json(), "words": profile.runtime.words},
        },
        data_folder=None if data_folder is None else str(data_folder.resolve()),
        data_set=other_data(folder, data),
    )
    return profile, origin


def check_costs(folder: SupernetFolder, profile: DeviceProfile, space: Space, costs: Iterable[SearchedCost]) -> None:
    """Passes where the profile tells these costs of submodels in every precision of `space`; else InputError."""
    for phase in (cost.phase for cost in costs if cost.phase is not None):
        if not profile.models:
            words = f"--device {profile.device} --phase whole,{phase} --via browser --lan"
            raise InputError(
                f"device profile {profile.device!r} is {profile.obtained}, and rates tell nothing of {phase}; measure "
                f"it with 'bstsearch profile {words}' and the same --supernet"
            )
        for precision in space.precisions:
            profile.get_model(folder.architecture, folder.family, precision, phase)


def other_data(folder: SupernetFolder, data: str | type[Task] | None) -> str | None:
    """The name of that data set; None where it is the one that the supernet was trained for."""
    if data is None:
        return None
    from bstsearch.doors import is_file
    from bstsearch.tasks import get_task, located, trained_for

    data = located(data, None, folder.path)[0] or data
    name = data if isinstance(data, str) and not is_file(data) else get_task(data).name
    return None if name == trained_for(folder.path) else name


def make_table(folder: SupernetFolder, profile: DeviceProfile) -> Table:
    """The latencies and memory that `profile` tells of the submodels of `folder`: looked up, composed or predicted."""
    return _Measured(folder, profile) if profile.models else _Estimates(folder, profile)


class _Measured:
    """The tables of a measured device, one for each precision; InputError where it was not measured in one."""

    def __init__(self, folder: SupernetFolder, profile: DeviceProfile) -> None:
        self._folder, self._profile = folder, profile
        self._tables: dict[tuple[Precision, Phase], LatencyTable] = {}
        self._phases: dict[Precision, list[Phase]] = {}
        for architecture, precision, phase in (model.key for model in profile.models):
            if architecture == folder.architecture and phase != WHOLE:
                self._phases.setdefault(precision, []).append(phase)
        self._table(FLOAT32)  # or InputError, before any submodel is asked for

    def latency(self, submodel: Submodel) -> Latency:
        return self._table(submodel.precision).latency(submodel)

    def phases(self, submodel: Submodel) -> Mapping[Phase, Latency]:
        precision = submodel.precision
        return {phase: self._table(precision, phase).latency(submodel) for phase in self._phases.get(precision, ())}

    def memory(self, submodel: Submodel) -> Memory:
        return self._table(submodel.precision).memory(submodel)

    def weight_bytes(self, submodel: Submodel) -> int:
        return self._table(submodel.precision).weight_bytes(submodel)

    def _table(self, precision: Precision, phase: Phase = WHOLE) -> LatencyTable:
        found = self._tables.get((precision, phase))
        if found is None:
            from bstsearch.profiles.latency import LatencyTable

            wanted = (self._folder.architecture, self._folder.family)
            found = LatencyTable.from_profile(self._profile, *wanted, precision, phase)
            self._tables[precision, phase] = found
        return found


class _Estimates:
    """A table of a device that was not measured: rates times work, in float32."""

    def __init__(self, folder: SupernetFolder, profile: DeviceProfile) -> None:
        self._profile, self._costs = profile, known_costs(folder)

    def latency(self, submodel: Submodel) -> Latency:
        from bstsearch.profiles.estimate import estimate

        self._check(submodel)
        return estimate(self._profile, _work(self._costs.cost(submodel)))

    def phases(self, submodel: Submodel) -> Mapping[Phase, Latency]:  # noqa: ARG002
        return {}

    def memory(self, submodel: Submodel) -> Memory:
        from bstsearch.profiles.estimate import estimate_memory

        self._check(submodel)
        return estimate_memory(self._costs.cost(submodel).size_bytes, self._costs.live_bytes(submodel))

    def weight_bytes(self, submodel: Submodel) -> int:
        self._check(submodel)
        return self._costs.cost(submodel).size_bytes

    def _check(self, submodel: Submodel) -> None:
        """Passes for what rates tell of; else InputError."""
        if (precision := submodel.precision) != FLOAT32:
            device, obtained = self._profile.device, self._profile.obtained
            raise InputError(
                f"device profile {device!r} is {obtained}, for {FLOAT32} only, and {submodel.id} computes in "
                f"{precision}; measure it with 'bstsearch profile --device {device} --precision {precision} --via "
                "browser --lan' and the same --supernet"
            )


def _work(cost: Cost) -> Work:
    from bstsearch.profiles.estimate import Work

    return Work(gflops=2 * (cost.macs - cost.recurrent_macs) / 1e9, recurrent_mb=cost.recurrent_bytes / 1e6)


def extrapolations(folder: SupernetFolder, profile: DeviceProfile, gflops: Mapping[Submodel, float]) -> list[str]:
    """A warning where one of these is smaller or larger than every model behind the profile's rates.

    `gflops` are theirs in all. The recurrent part is looked up, or counted, only where these do not decide.
    """
    if profile.rates is None:
        return []
    from bstsearch.profiles.estimate import is_extrapolated

    rates = profile.rates

    def is_outside(submodel: Submodel) -> bool:
        is_small = gflops[submodel] < rates.smallest_gflops  # and without its recurrent part still smaller
        return is_small or is_extrapolated(rates, _work(known_costs(folder).cost(submodel)))

    outside = next(filter(is_outside, gflops), None)
    if outside is None:
        return []
    return [
        f"{outside.id} has {gflops[outside]:.3g} GFLOPs; the published models behind the rates of "
        f"{profile.device} have {rates.smallest_gflops:.3g} to {rates.largest_gflops:.3g}: below them the time between "
        "operators rules, which nobody published, and real latencies will lie above the range"
    ]


def known_costs(folder: SupernetFolder) -> KnownCosts:
    """What the submodels of `folder` cost: looked up where it is known, else counted, once."""
    return _known_costs(folder.family, json.dumps(folder.config), folder.space)


@functools.cache
def _known_costs(family: str, config: str, space: Space) -> KnownCosts:
    from bstsearch.model.supernet_folder import SupernetFolder
    from bstsearch.searching.known_costs import KnownCosts

    return KnownCosts(SupernetFolder(path=Path(family), family=family, config=json.loads(config), space=space))


def make_pricer(folder: SupernetFolder, profile: DeviceProfile) -> Callable[[Submodel], Candidate]:
    """What a submodel costs: as counted, and timed by the profile. It takes microseconds, and nothing is kept of it."""
    from bstsearch.searching.pareto import Candidate

    table, count = make_table(folder, profile), known_costs(folder).cost

    def price(submodel: Submodel) -> Candidate:
        cost = count(submodel)
        return Candidate(
            submodel=submodel,
            parameters=cost.parameters,
            macs=cost.macs,
            latency=table.latency(submodel),
            phases=table.phases(submodel),
            memory=table.memory(submodel),
            size_bytes=_size_bytes(submodel, cost, table),
        )

    return price


def _size_bytes(submodel: Submodel, cost: Cost, table: Table) -> int:
    """Bytes of the parameters; in int8, where some stay float32, those of the weights in measured graphs."""
    if submodel.precision == "int8":
        return table.weight_bytes(submodel)
    return cost.size_bytes if submodel.precision == FLOAT32 else cost.size_bytes // 2


def make_repricer(folder: SupernetFolder, profile: DeviceProfile) -> Callable[[Candidate], Candidate]:
    """A candidate of another device as it is on this one: counts stay, latency and memory are the profile's."""
    table = make_table(folder, profile)

    def reprice(one: Candidate) -> Candidate:
        submodel = one.submodel
        latency, phases, memory = table.latency(submodel), table.phases(submodel), table.memory(submodel)
        return dataclasses.replace(one, latency=latency, phases=phases, memory=memory)

    return reprice


def find_stacks(folder: SupernetFolder) -> tuple[StackShape, ...]:
    """The layer stacks of the supernet's full model; loads torch."""
    from bstsearch.model.config import config_to_json
    from bstsearch.model.lookup import restored
    from bstsearch.model.stack_shape import StackShape, per_layer

    family, config = restored(folder.family, folder.config)
    stacks = family.stacks(config)
    layers = tuple(len(stack.keep_order) for stack in stacks)
    sizes = zip(*(per_layer(config_to_json(config), word, layers) for word in ("heads", "ffn")), strict=True)
    return tuple(
        StackShape(name=stack.prefix, keep_order=stack.keep_order, heads=heads, ffn=ffn)
        for stack, (heads, ffn) in zip(stacks, sizes, strict=True)
    )
