"""What the last commands in this folder were about, which the next one takes where no option says otherwise (no torch).

One small file in the working folder, of names only: a device, folders, a front. It is a convenience, so whatever is
wrong with it is said, and the command goes on as if nothing were remembered.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Literal

from bstsearch.cli.output import Output
from bstsearch.errors import BstsearchError, InputError
from bstsearch.profiles.stored import check_name
from bstsearch.reading import read_format, shown
from bstsearch.writing import write_json

FILE = Path(".bstsearch.json")
FORMAT = 1
LONGEST = 10_000  # bytes; the longest names of all four fields take no more, and nobody wants to read a large file here


@dataclasses.dataclass(frozen=True, kw_only=True)
class Remembered:
    """The device that was profiled last, with the options that found it, and the front that was written last."""

    device: str | None = None
    profiles: str | None = None
    supernet: str | None = None
    front: str | None = None

    def __post_init__(self) -> None:
        """Refuses with InputError what none of the commands writes."""
        for name, value in dataclasses.asdict(self).items():
            if value is not None and not (value and value.isprintable()):
                raise InputError(f"{FILE}, {name}: {shown(value)}; expected a name")
        if self.device is not None:
            check_name(self.device)


def recall() -> Remembered:
    """What is remembered in the working folder; BstsearchError where this version cannot read the file."""
    if FILE.is_symlink() or (FILE.exists() and not FILE.is_file()):
        raise InputError(f"{FILE} is no plain file")
    if not FILE.exists():
        return Remembered()
    return read_format(FILE, Remembered, FORMAT, most=LONGEST)


class Memory:
    """The working folder's memory; what was taken from it is said, so that two terminals are never confused."""

    def __init__(self, output: Output) -> None:
        self._output, self._is_ours = output, True
        try:
            self._known = recall()
        except (BstsearchError, OSError, RecursionError) as error:
            # Not replaced: it may be a newer version's, or somebody else's.
            self._known, self._is_ours = Remembered(), False
            output.warning(f"nothing is remembered in this folder: {_line(error)}; remove {FILE} to change that")

    def device(self) -> str | None:
        """The device that was profiled last."""
        return self._said("device", self._known.device)

    def folder(self, option: Literal["profiles", "supernet"]) -> Path | None:
        """The folder that was given as `option` when the device was profiled."""
        found = self._said(option, getattr(self._known, option))
        return None if found is None else Path(found)

    @property
    def front(self) -> Path | None:
        """The front file that was written last."""
        return None if self._known.front is None else Path(self._known.front)

    def keep_profiled(self, device: str, profiles: Path | None, supernet: Path | None) -> bool:
        """Makes `device` the current one, with the options that found it; returns whether it is remembered now."""
        return self._keep(device=device, profiles=_portable(profiles), supernet=_portable(supernet))

    def keep_front(self, path: Path) -> bool:
        """Makes `path` the front to export from; returns whether it is remembered now."""
        return self._keep(front=_portable(path))

    def _said(self, option: str, value: str | None) -> str | None:
        if value is not None:
            self._output.note(f"{option}: {value}, profiled last; --{option} changes it")
        return value

    def _keep(self, **changes: str | None) -> bool:
        if not self._is_ours:
            return False
        try:
            # Read again: meanwhile another terminal may have changed what is none of this command's business.
            before = recall()
            self._known = dataclasses.replace(before, **changes)
            if self._known != before:
                write_json(FILE, {"format": FORMAT, **dataclasses.asdict(self._known)})
        except (BstsearchError, OSError, RecursionError) as error:
            self._output.note(f"nothing is remembered in this folder: {_line(error)}")
            return False
        return True


def _portable(path: Path | None) -> str | None:
    """`path` relative to the working folder where it lies in it, so that both can be moved together."""
    if path is None:
        return None
    absolute, here = Path(os.path.abspath(path)), Path.cwd()
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else path)


def _line(error: BaseException) -> str:
    return " ".join(str(error).splitlines())
