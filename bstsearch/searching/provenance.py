"""What a search rests on: supernet, device profile, space and split; a result of another origin is stale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bstsearch.errors import InputError
from bstsearch.reading import REASON, Amount, Count, Line, Name, checked, cut, shown
from bstsearch.space import Space
from bstsearch.space_names import size_text

REMEDY = "give another --out to keep it, or --force to start over"


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where accuracies and latencies come from; digests tell whether two origins are the same."""

    supernet: Mapping[str, str]
    space: Space
    split: str
    device: Mapping[str, Any]
    data_folder: str | None = None  # where the data set lies, where it is read from the user's disk
    data_set: str | None = None  # the name of the data set, where it is another one than the supernet was trained for

    def changes(self, found: Provenance) -> list[str]:
        """What is different in `found`, in words; nothing where it is of the same origin."""
        changes = []
        if found.supernet["digest"] != self.supernet["digest"]:
            changes.append(f"supernet {_names(found.supernet, self.supernet, 'path')}")
        if found.space != self.space:
            changes.append(f"space of {size_text(found.space.size)} submodels (now {size_text(self.space.size)})")
        if found.split != self.split:
            changes.append(f"split {shown(found.split)} (now {self.split!r})")
        if found.data_set != self.data_set:
            usual = "the supernet's"
            changes.append(
                f"data set {shown(found.data_set) if found.data_set else usual} (now {self.data_set or usual})"
            )
        if found.device["digest"] != self.device["digest"]:
            changes.append(f"device profile {_names(found.device, self.device, 'name')}")
        return changes

    def check_same(self, found: Provenance, where: Path | str, remedy: str = REMEDY) -> None:
        """Passes where `found`, read from `where`, is of the same origin; else InputError, which says what changed."""
        if changes := self.changes(found):
            raise InputError(f"{where} was made with another {cut(' and another '.join(changes), REASON)}; {remedy}")

    def has_same_scores(self, found: Provenance) -> bool:
        """Whether a submodel's accuracy is the same there: it depends on weights and questions, not on the device."""
        return (self.supernet["digest"], self.split, self.data_folder, self.data_set) == (
            found.supernet["digest"],
            found.split,
            found.data_folder,
            found.data_set,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data; `from_json` reads it back."""
        data = {
            "supernet": dict(self.supernet),
            "space": self.space.to_json(),
            "split": self.split,
            "device": dict(self.device),
        }
        places = {"data_folder": self.data_folder, "data_set": self.data_set}
        return data | {name: place for name, place in places.items() if place is not None}

    @classmethod
    def from_json(cls, data: object) -> Provenance:
        """The origin among the keys of `data`; InputError where one is missing or malformed."""
        found = checked(data, Written, "origin")
        return cls(
            supernet=found.supernet,
            space=Space.from_json(found.space),
            split=found.split,
            device=found.device,
            data_folder=found.data_folder,
            data_set=found.data_set,
        )


class Written(msgspec.Struct, kw_only=True):
    """An origin as plain data, among other keys."""

    supernet: dict[str, str]
    space: dict[str, Any]
    split: Line
    device: dict[str, Any]
    data_folder: str | None = None
    data_set: Line | None = None

    def __post_init__(self) -> None:
        """InputError where supernet or device lack what others ask of them."""
        checked(self.supernet, _Supernet, "supernet")
        checked(self.device, _Device, "device")


class _Supernet(msgspec.Struct):
    path: Name
    digest: Line
    architecture: Line
    family: Line


class _Runtime(msgspec.Struct):
    threads: Count | None = None
    words: Line | None = None


class _Device(msgspec.Struct):
    name: Line
    obtained: Line
    digest: Line
    runtime: _Runtime
    via: Line | None = None
    latency_error: Amount | None = None


def _names(found: Mapping[str, Any], now: Mapping[str, Any], key: str) -> str:
    old, new = found[key], now[key]
    return f"{shown(old)} ({shown(found['digest'])}, now {shown(new if new != old else now['digest'])})"
