"""How a model reads what people have: declared once by its family, used by training, answering and exports."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from torch import Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reader:
    """What one model reads. `like` are example inputs: names, types and sizes, of one example."""

    like: Mapping[str, Tensor]
