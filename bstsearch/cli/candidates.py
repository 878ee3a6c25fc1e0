"""What a search is given, read from a supernet folder and a device profile: origin, costs, scores."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bstsearch.data.answers import Accuracy
    from bstsearch.devices.profile import DeviceProfile
    from bstsearch.folder import SupernetFolder
    from bstsearch.origin import Origin
    from bstsearch.pareto import Candidate
    from bstsearch.space import Space, Submodel


def find_profile_of(folder: SupernetFolder, device: str, profiles: Path | None) -> tuple[Path, DeviceProfile]:
    """The profile of `device` and its file; InputError where there is none, or it is of another model."""
    from bstsearch.devices.profile import find_profile, load_profile, profile_folders

    path = find_profile(device, profile_folders(profiles))
    profile = load_profile(path)
    profile.require_model(folder.architecture, folder.family)
    return path, profile


def read_profile(
    folder: SupernetFolder,
    device: str,
    profiles: Path | None,
    space: Space,
    split: str,
    data_folder: Path | None = None,
) -> tuple[DeviceProfile, Origin]:
    """The profile of `device`, and the origin of a search with it; InputError where it is of another model."""
    from bstsearch.files import digest
    from bstsearch.origin import Origin

    path, profile = find_profile_of(folder, device, profiles)
    origin = Origin(
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
            "digest": digest(path),
            "runtime": profile.runtime.model_dump(),
        },
        data_folder=None if data_folder is None else str(data_folder.resolve()),
    )
    return profile, origin


def make_pricer(folder: SupernetFolder, profile: DeviceProfile) -> Callable[[Submodel], Candidate]:
    """What a submodel costs: counted by fvcore, timed by the profile; each is looked at once."""
    from bstsearch.cost import count
    from bstsearch.family import config_from_json, get_family
    from bstsearch.latency import LatencyTable
    from bstsearch.pareto import Candidate

    family = get_family(folder.family)
    config = config_from_json(family.config, folder.config)
    table = LatencyTable.from_profile(profile)

    @functools.cache
    def price(submodel: Submodel) -> Candidate:
        cost = count(family, config, submodel)
        return Candidate(
            submodel=submodel,
            parameters=cost.parameters,
            macs=cost.macs,
            latency=table.latency(submodel),
            memory=table.memory(submodel),
            size_bytes=cost.size_bytes,
        )

    return price


def make_scorer(path: Path, split: str, data_folder: Path | None = None) -> Callable[[Submodel], Accuracy]:
    """Scores submodels of the supernet at `path`; weights and data are read when the first one is."""

    @functools.cache
    def load() -> tuple[Any, Any]:
        from bstsearch.data import load_split
        from bstsearch.data.vocabulary import Vocabulary
        from bstsearch.supernet import Supernet

        supernet = Supernet.load(path)
        like = supernet.family.example_inputs(supernet.config, 1)
        return supernet, load_split(Vocabulary.load(path), split, like=like, folder=data_folder)

    def score(submodel: Submodel) -> Accuracy:
        from bstsearch.evaluation import evaluate

        supernet, part = load()
        return evaluate(supernet, submodel, part)

    return score
