"""The parts of a model's work that have latencies of their own, beside a whole forward pass (no torch)."""

from __future__ import annotations

import typing
from typing import Final, Literal

from bstsearch.errors import UsageError
from bstsearch.reading import shown

Phase = Literal["whole", "prefill", "decode"]
WHOLE: Final = "whole"
PHASES: tuple[Phase, ...] = typing.get_args(Phase)


def parse_phases(text: str | None) -> tuple[Phase, ...]:
    """The phases in a list such as "prefill,decode", each once; the whole forward pass where it is None.

    UsageError where one is unknown.

    >>> parse_phases("decode, whole"), parse_phases(None)
    (('whole', 'decode'), ('whole',))
    """
    names = [WHOLE] if text is None else [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in PHASES]:
        raise UsageError(f"--phase {shown(unknown[0])} is no part of a model's work; choose of {', '.join(PHASES)}")
    return tuple(phase for phase in PHASES if phase in names)
