"""Train one slimmable Transformer, measure a device, and export the submodel that fits it.

The public names, each loaded from its file when it is first used, so that importing this imports no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bstsearch.answering.asking import Reply, ask
    from bstsearch.answering.evaluation import evaluate
    from bstsearch.errors import BstsearchError
    from bstsearch.exporting.run import Exported, export
    from bstsearch.inputs.pictures import PictureReader
    from bstsearch.inputs.reader import Reader
    from bstsearch.listener import Listener
    from bstsearch.measuring.driver import Driver
    from bstsearch.measuring.run import profile
    from bstsearch.model.family import Family
    from bstsearch.model.lookup import get_family
    from bstsearch.model.supernet import Supernet
    from bstsearch.model.supernet_folder import DEMO
    from bstsearch.profiles.latency import LatencyTable
    from bstsearch.profiles.profile_file import load_profile
    from bstsearch.published.run import import_checkpoint
    from bstsearch.searching.front_file import read_front
    from bstsearch.searching.run import search
    from bstsearch.space import Space, Submodel
    from bstsearch.tasks import load_split, open_task
    from bstsearch.tasks.task import Batch, Split, Task
    from bstsearch.tasks.vocabulary import Vocabulary
    from bstsearch.training.entry import train

__version__ = "0.2.0.dev0"
__all__ = [
    "DEMO",
    "Batch",
    "BstsearchError",
    "Driver",
    "Exported",
    "Family",
    "LatencyTable",
    "Listener",
    "PictureReader",
    "Reader",
    "Reply",
    "Space",
    "Split",
    "Submodel",
    "Supernet",
    "Task",
    "Vocabulary",
    "ask",
    "evaluate",
    "export",
    "get_family",
    "import_checkpoint",
    "load_profile",
    "load_split",
    "open_task",
    "profile",
    "read_front",
    "search",
    "train",
]

_FILES = {
    "answering.asking": ("Reply", "ask"),
    "answering.evaluation": ("evaluate",),
    "errors": ("BstsearchError",),
    "exporting.run": ("Exported", "export"),
    "inputs.pictures": ("PictureReader",),
    "inputs.reader": ("Reader",),
    "listener": ("Listener",),
    "measuring.driver": ("Driver",),
    "measuring.run": ("profile",),
    "model.family": ("Family",),
    "model.lookup": ("get_family",),
    "model.supernet": ("Supernet",),
    "model.supernet_folder": ("DEMO",),
    "profiles.latency": ("LatencyTable",),
    "profiles.profile_file": ("load_profile",),
    "published.run": ("import_checkpoint",),
    "searching.front_file": ("read_front",),
    "searching.run": ("search",),
    "space": ("Space", "Submodel"),
    "tasks": ("load_split", "open_task"),
    "tasks.task": ("Batch", "Split", "Task"),
    "tasks.vocabulary": ("Vocabulary",),
    "training.entry": ("train",),
}
_HOMES = {name: file for file, names in _FILES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'bstsearch' has no attribute {name!r}")
    return getattr(importlib.import_module(f"bstsearch.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
