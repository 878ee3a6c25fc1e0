"""Which submodels are worth having (no torch).

The room has the name of the public function that its file run.py holds, so it can be called like that:
`bstsearch.search(device="pixel7", budget_ms=60)`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Room(ModuleType):
    def __call__(self, **arguments: Any) -> Any:
        """As `bstsearch.search.run.search`."""
        from bstsearch.search.run import search

        return search(**arguments)


sys.modules[__name__].__class__ = _Room
