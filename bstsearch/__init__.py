"""Train one slimmable Transformer, measure a device, and export the submodel that fits it.

The public names, each loaded from its file when it is first used, so that importing this imports no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bstsearch.errors import BstsearchError
    from bstsearch.family import Family, get_family
    from bstsearch.folder import DEMO
    from bstsearch.space import Space, Submodel
    from bstsearch.supernet import Supernet

__version__ = "0.1.0"
__all__ = ["DEMO", "BstsearchError", "Family", "Space", "Submodel", "Supernet", "get_family"]

_FILES = {
    "errors": ("BstsearchError",),
    "family": ("Family", "get_family"),
    "folder": ("DEMO",),
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
