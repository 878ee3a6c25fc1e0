"""What leaves: stock folders, with their checks (no torch).

The room has the name of the public function that its file run.py holds, so it can be called like that:
`bstsearch.export("recommended", has_int8=True)`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Room(ModuleType):
    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """As `bstsearch.export.run.export`."""
        from bstsearch.export.run import export

        return export(*arguments, **options)


sys.modules[__name__].__class__ = _Room
