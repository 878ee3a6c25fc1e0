"""Train one slimmable Transformer, measure a device, and export the submodel that fits it.

The public names, each loaded from its file when it is first used, so that importing this imports no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bstsearch.errors import BstsearchError
    from bstsearch.measuring.driver import Driver
    from bstsearch.measuring.run import profile
    from bstsearch.model.family import Family, get_family
    from bstsearch.model.supernet import Supernet
    from bstsearch.model.supernet_folder import DEMO
    from bstsearch.profiles.latency import LatencyTable
    from bstsearch.profiles.profile_file import load_profile
    from bstsearch.search.front_file import read_front
    from bstsearch.space import Space, Submodel
    from bstsearch.tasks import load_split
    from bstsearch.tasks.evaluation import evaluate
    from bstsearch.tasks.vocabulary import Vocabulary

__version__ = "0.1.0"
__all__ = [
    "DEMO",
    "BstsearchError",
    "Driver",
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
    "profile",
    "read_front",
]

_FILES = {
    "errors": ("BstsearchError",),
    "measuring.driver": ("Driver",),
    "measuring.run": ("profile",),
    "model.family": ("Family", "get_family"),
    "model.supernet": ("Supernet",),
    "model.supernet_folder": ("DEMO",),
    "profiles.latency": ("LatencyTable",),
    "profiles.profile_file": ("load_profile",),
    "search.front_file": ("read_front",),
    "space": ("Space", "Submodel"),
    "tasks": ("load_split",),
    "tasks.evaluation": ("evaluate",),
    "tasks.vocabulary": ("Vocabulary",),
}
_HOMES = {name: file for file, names in _FILES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'bstsearch' has no attribute {name!r}")
    return getattr(importlib.import_module(f"bstsearch.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
