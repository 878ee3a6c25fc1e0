"""A device profile: one JSON file with every submodel's latency and memory, and how they came about (no torch).

profiles/README.md describes each field.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

import bstsearch
from bstsearch.errors import DeviceError, InputError, UsageError
from bstsearch.files import read_json, write_text
from bstsearch.space import Submodel

FORMAT = 1
VARIABLE = "BSTSEARCH_PROFILES"

Entry = TypeVar("Entry")
# A JSON array; what is in it is checked as strictly as everything else.
Array = Annotated[tuple[Entry, ...], Field(strict=False, min_length=1)]
Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(gt=0)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, allow_inf_nan=False)]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class _Record(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Machine(_Record):
    """The computer: `cores` are the physical ones that the measuring process could use."""

    cpu: Text
    cores: Count
    memory_bytes: Count
    system: Text


class Runtime(_Record):
    """What ran the submodels."""

    name: Text
    version: Text
    provider: Text
    threads: Count
    precision: Literal["float32"]


class Model(_Record):
    """What was run: which architecture, and the shape of every input."""

    family: Text
    architecture: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    batch: Count
    inputs: dict[str, Array[Count]]


class Units(_Record):
    """The units of the numbers in the rows; there is one choice for each."""

    latency: Literal["ms"]
    memory: Literal["bytes"]


class Schedule(_Record):
    """How the runs were spread: every round visits every submodel, in an order shuffled by `seed`."""

    rounds: Count
    seed: Annotated[int, Field(ge=0)]


class RelativeError(_Record):
    """How far measured values lay from estimates by a fit that had not seen them, as shares of the estimate."""

    median: Share
    worst: Share


class EstimateErrors(_Record):
    """The errors to expect of submodels that have no row, and how they were found."""

    method: Text
    latency: RelativeError
    memory: RelativeError


class MeasuredRow(_Record):
    """One submodel: the median of its runs, the 95 % interval of that median, and the runs themselves."""

    id: str
    latency_ms: Positive
    low_ms: Positive
    high_ms: Positive
    p90_ms: Positive
    spread: Share
    outliers: Annotated[int, Field(ge=0)]
    times_ms: Array[Positive]
    file_bytes: Count
    peak_memory_bytes: Count

    @field_validator("id")
    @classmethod
    def _names_a_submodel(cls, text: str) -> str:
        try:
            return Submodel.from_id(text).id
        except UsageError as error:
            raise ValueError(str(error)) from error

    @model_validator(mode="after")
    def _lies_in_its_interval(self) -> Self:
        if not self.low_ms <= self.latency_ms <= self.high_ms:
            raise ValueError(f"latency_ms {self.latency_ms} must lie between low_ms and high_ms")
        return self


class DeviceProfile(_Record):
    """Everything that one device profile file holds."""

    format: Literal[1]
    device: Text
    machine: Machine
    obtained: Literal["measured"]
    date: Annotated[AwareDatetime, Field(strict=False)]
    bstsearch: Text
    runtime: Runtime
    model: Model
    units: Units
    schedule: Schedule
    error: EstimateErrors | None
    warnings: Annotated[tuple[str, ...], Field(strict=False)]
    rows: Array[MeasuredRow]

    @field_validator("rows")
    @classmethod
    def _ids_are_unique(cls, rows: tuple[MeasuredRow, ...]) -> tuple[MeasuredRow, ...]:
        submodel, count = Counter(row.id for row in rows).most_common(1)[0]
        if count > 1:
            raise ValueError(f"{submodel!r} occurs {count} times, expected once")
        return rows

    def require_model(self, architecture: str, family: str) -> None:
        """Passes where these rows are of that architecture; else InputError."""
        if (self.model.architecture, self.model.family) != (architecture, family):
            raise InputError(
                f"device profile {self.device!r} is of another model ({self.model.family} {self.model.architecture}, "
                f"expected {family} {architecture}); measure this one with "
                f"'bstsearch profile --device {self.device} --measure' and the same --supernet"
            )

    def save(self, folder: Path) -> Path:
        """Writes `<device>.json` into `folder`, atomically, one row a line; returns its path."""
        data = self.model_dump(mode="json")
        rows = ",\n".join(f"    {json.dumps(row, allow_nan=False)}" for row in data.pop("rows"))
        head = json.dumps(data, indent=2, allow_nan=False).removesuffix("\n}")
        path = folder / f"{self.device}.json"
        write_text(path, f'{head},\n  "rows": [\n{rows}\n  ]\n}}\n')
        return path


def load_profile(path: Path) -> DeviceProfile:
    """The profile in `path`; InputError names the file, the row and the field that are wrong."""
    data = read_json(path, "device profile")
    if data.get("format") != FORMAT:
        raise InputError(
            f"device profile {path} has format {data.get('format')!r}; this version reads format {FORMAT}; "
            "measure it again with 'bstsearch profile --measure'"
        )
    try:
        profile = DeviceProfile.model_validate(data)
    except ValidationError as error:
        raise InputError(f"device profile {path}, {_first_problem(error, data)}") from error
    if profile.device != path.stem:
        raise InputError(f"device profile {path}, device: {profile.device!r}, expected {path.stem!r}, the file's name")
    return profile


def check_name(name: str) -> None:
    """Passes where `name` can be a device's and a file's name; else UsageError."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no device name; use up to 64 letters, digits, '.', '_' and '-', a letter or digit first"
        )


def profile_folders(option: Path | None) -> list[Path]:
    """Where profiles are looked for, in order: `option`, $BSTSEARCH_PROFILES, ./profiles, those shipped."""
    package = Path(bstsearch.__file__).parent
    # In the wheel the shipped profiles lie inside the package, in a checkout beside it.
    shipped = package / "profiles" if (package / "profiles").is_dir() else package.parent / "profiles"
    variable = os.environ.get(VARIABLE)
    chosen = [option] if option else []
    return [*chosen, *([Path(variable)] if variable else []), Path("profiles"), shipped]


def home_folder(option: Path | None) -> Path:
    """Where a new profile goes: `option`, else $BSTSEARCH_PROFILES, else ./profiles; DeviceError where it cannot."""
    folder = profile_folders(option)[0]
    existing = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    try:  # to find out before a measurement, not after it
        tempfile.TemporaryFile(dir=existing).close()
    except OSError as error:
        reason = error.strerror or error
        raise DeviceError(f"cannot write to {folder}: {reason}; choose another folder with --profiles DIR") from error
    return folder


def stored_profiles(folders: Sequence[Path]) -> dict[str, Path]:
    """Device name -> its file; of equal names the one in the earlier folder."""
    files = [path for folder in reversed(folders) for path in folder.glob("*.json")]
    return {path.stem: path for path in files}


def find_profile(name: str, folders: Sequence[Path]) -> Path:
    """The file of device `name`; InputError lists the devices that there are."""
    check_name(name)
    stored = stored_profiles(folders)
    if name not in stored:
        known = ", ".join(sorted(stored)) or "none"
        raise InputError(
            f"no profile of device {name!r}; stored are: {known}. "
            f"Run 'bstsearch profile --device {name}' to measure this machine"
        )
    return stored[name]


def _first_problem(error: ValidationError, data: Mapping[str, Any]) -> str:
    first = error.errors(include_url=False)[0]
    place = [str(step) for step in first["loc"]]
    if first["loc"][:1] == ("rows",) and len(place) > 1:
        row = data["rows"][int(place[1])]
        name = row.get("id") if isinstance(row, dict) else None
        place[:2] = [f"row {int(place[1]) + 1} ({name})"]
    message = first["msg"].removeprefix("Value error, ")
    found = "" if first["type"] in ("missing", "value_error") else f", not {_short(first['input'])}"
    return f"{', '.join(place)}: {message[0].lower()}{message[1:]}{found}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
