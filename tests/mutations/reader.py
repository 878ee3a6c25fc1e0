"""What reads files in the package: how a sound one is made, and how all of it is read."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reader:
    """A way into the package; `make` writes sound files into a folder that exists, `read` reads them there.

    `files` are those that are damaged, each with its kind (`mutators.KINDS`), of whose mutations every `step`-th is
    tried. Where `is_relative`, messages name the file as seen from that folder, in which all is read.
    """

    name: str
    make: Callable[[Path], object]
    read: Callable[[Path], object]
    files: Mapping[str, str]
    step: int = 1
    is_relative: bool = False
