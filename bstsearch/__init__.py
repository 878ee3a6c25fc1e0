"""Train one slimmable Transformer, measure a device, and export the submodel that fits it.

The public names, each loaded from its file when it is first used, so that importing this imports no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bstsearch.data import load_split
    from bstsearch.data.vocabulary import Vocabulary
    from bstsearch.devices.profile_file import load_profile
    from bstsearch.errors import BstsearchError
    from bstsearch.evaluation import evaluate
    from bstsearch.family import Family, get_family
    from bstsearch.folder import DEMO
    from bstsearch.front_file import read_front
    from bstsearch.latency import LatencyTable
    from bstsearch.space import Space, Submodel
    from bstsearch.supernet import Supernet

__version__ = "0.1.0"
__all__ = [
    "DEMO",
    "BstsearchError",
    "Family",
    "LatencyTable",
    "Space",
    "Submodel",
    "Supernet",
    "Vocabulary",
    "evaluate",
    "get_family",
    "load_profile",
    "load_split",
    "read_front",
]

_FILES = {
    "data": ("load_split",),
    "data.vocabulary": ("Vocabulary",),
    "devices.profile_file": ("load_profile",),
    "errors": ("BstsearchError",),
    "evaluation": ("evaluate",),
    "family": ("Family", "get_family"),
    "folder": ("DEMO",),
    "front_file": ("read_front",),
    "latency": ("LatencyTable",),
    "space": ("Space", "Submodel"),
    "supernet": ("Supernet",),
}
_HOMES = {name: file for file, names in _FILES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'bstsearch' has no attribute {name!r}")
    return getattr(importlib.import_module(f"bstsearch.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
