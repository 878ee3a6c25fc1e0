"""A bundle, as it is read: many submodels over one file of weights, one of which answers at a time (no torch)."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec

from bstsearch.answering.exported_folder import CARD, PREPROCESSOR, RUN, SAMPLE, is_inside, sha256
from bstsearch.errors import InfeasibleBudgetError, InputError, UsageError
from bstsearch.model.supernet_folder import CONFIG, OF_TASK
from bstsearch.reading import Count, FileName, Name, Positive, read_format, shown
from bstsearch.score import ACCURACY, Metric
from bstsearch.searching.budget import Bound
from bstsearch.stock.configuration import BESIDE, KEPT

FORMAT = 1
ELASTIC = "elastic.json"
WEIGHTS = "weights.bin"
# All that a bundle may hold, beside its graphs.
SCRIPTS = (RUN, "run_script.py", "pictures.py", "texts.py")
OWN = (CONFIG, *OF_TASK, ELASTIC, WEIGHTS, PREPROCESSOR, SAMPLE, CARD, *SCRIPTS, BESIDE, KEPT)


class _Score(msgspec.Struct):
    value: float


class _Latency(msgspec.Struct):
    ms: Positive
    high_ms: Positive


class Member(msgspec.Struct):
    """What is read of one submodel: `latencies` are by device.

    `tolerance` says how far its outputs may be from the sample's in another runtime; None where it is in float32.
    """

    id: Name
    file: FileName
    parameters: Count
    accuracy: _Score
    latencies: dict[str, _Latency]
    tolerance: Positive | None = None


class _File(msgspec.Struct):
    sha256: str


class _Tensor(msgspec.Struct):
    shape: list[Count | str]  # the name of an axis of any size


class Bundle(msgspec.Struct):
    """What is read of an `elastic.json`."""

    submodels: list[Member]
    files: dict[FileName, _File]
    threads: Count
    metric: dict[str, Any] | None = None
    inputs: dict[str, _Tensor] = msgspec.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BundleFolder:
    """A folder that 'bstsearch export --elastic' wrote, and what its `elastic.json` says."""

    path: Path
    bundle: Bundle

    @property
    def most_accurate(self) -> Member:
        """The submodel with the best score."""
        return max(self.bundle.submodels, key=self._goodness)

    @property
    def by_accuracy(self) -> tuple[str, ...]:
        """The ids of all submodels, the one with the best score first."""
        return tuple(one.id for one in sorted(self.bundle.submodels, key=self._goodness, reverse=True))

    @property
    def goodness(self) -> dict[str, float]:
        """How good each submodel is, by its score: more is better."""
        return {one.id: self._goodness(one) for one in self.bundle.submodels}

    def sizes_of(self, name: str) -> list[int] | None:
        """The shape of that input when the bundle was exported, a batch of one; None where it does not tell."""
        found = self.bundle.inputs.get(name)
        return None if found is None else [size if isinstance(size, int) else 1 for size in found.shape]

    def get(self, name: str) -> Member:
        """The submodel of that id; UsageError lists those that there are."""
        found = next((one for one in self.bundle.submodels if one.id == name), None)
        if found is None:
            ids = ", ".join(one.id for one in self.bundle.submodels)
            raise UsageError(f"{self.path} holds no submodel {shown(name)}; choose one of {ids}")
        return found

    def choose(self, bound: Bound, device: str | None = None) -> tuple[Member, str]:
        """The best submodel whose latency on `device` (None: the bundle's first) is within `bound`, and that device.

        A share is one of the slowest submodel's. UsageError where the device is unknown, InfeasibleBudgetError where no
        submodel is so fast.
        """
        device = device or next(iter(self.bundle.submodels[0].latencies))
        if lacking := [one.id for one in self.bundle.submodels if device not in one.latencies]:
            known = ", ".join(self.bundle.submodels[0].latencies)
            raise UsageError(
                f"{self.path / ELASTIC} knows no latency of {lacking[0]} on {shown(device)}; choose one of {known}"
            )
        times = {one.id: one.latencies[device].high_ms for one in self.bundle.submodels}
        limit_ms = bound.value * (max(times.values()) if bound.is_share else 1)
        within = [one for one in self.bundle.submodels if times[one.id] <= limit_ms]
        if not within:
            nearest = min(times, key=lambda name: times[name])
            raise InfeasibleBudgetError(
                f"no submodel of {self.path} answers within {limit_ms:.3g} ms on {device}; the nearest is {nearest} "
                f"with {times[nearest]:.3g} ms; raise the budget"
            )
        return max(within, key=lambda one: (self._goodness(one), -times[one.id])), device

    def _goodness(self, one: Member) -> float:
        data = self.bundle.metric
        return -(ACCURACY if data is None else Metric.from_json(data)).loss(one.accuracy.value)


def is_bundle(path: Path) -> bool:
    """Whether `path` is a bundle."""
    return (path / ELASTIC).is_file()


def read_bundle(path: Path) -> BundleFolder:
    """The bundle at `path`; InputError where a file is missing or is not the one that was exported."""
    try:
        bundle = read_format(path / ELASTIC, Bundle, FORMAT)
        needed = [WEIGHTS, *(one.file for one in bundle.submodels)]
        if lacking := [name for name in needed if name not in bundle.files]:
            raise InputError(f"{path / ELASTIC}, files: no {shown(lacking[0])}")
        if not bundle.submodels or not all(one.latencies for one in bundle.submodels):
            raise InputError(f"{path / ELASTIC}, submodels: none, or one without latencies")
        device = next(iter(bundle.submodels[0].latencies))
        if without := [one.id for one in bundle.submodels if device not in one.latencies]:
            raise InputError(f"{path / ELASTIC}, submodels: {without[0]} has no latency on {shown(device)}")
        for name, entry in bundle.files.items():
            if not is_inside(name):
                raise InputError(f"{path / ELASTIC}, files: {shown(name)} is no name of a file in this folder")
            if sha256(path / name) != entry.sha256:
                raise InputError(f"{path / name} is not the file that was exported with this bundle")
    except InputError as error:
        raise InputError(f"{error}; export the bundle again") from error
    return BundleFolder(path=path, bundle=bundle)
