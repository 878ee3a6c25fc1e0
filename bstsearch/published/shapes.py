"""The shapes of a checkpoint's tensors, asked by name, and the layers that they make (no torch)."""

from __future__ import annotations

import re

from bstsearch.errors import InputError
from bstsearch.reading import shown


class Shapes(dict[str, tuple[int, ...]]):
    """Shapes of tensors by name."""

    def of(self, name: str, axes: int) -> tuple[int, ...]:
        """The shape of `name`; InputError where it is missing, is empty, or has not that many axes."""
        if name not in self:
            raise InputError(f"lacks {name}, by which the model's sizes are told; is it whole?")
        shape = self[name]
        if len(shape) != axes or 0 in shape:
            raise InputError(
                f"{name} is {shown(shape)}; expected {axes} {'size' if axes == 1 else 'sizes'} of at least 1"
            )
        return shape

    def layers(self, what: str, prefix: str, first: int = 0) -> int:
        """How many layers there are, numbered from `first` on behind `prefix`; InputError where one is missing."""
        pattern = re.compile(rf"{re.escape(prefix)}(\d{{1,4}})\.")
        numbers = {int(match[1]) for match in map(pattern.match, self) if match}
        count = max(numbers, default=first) - first + 1
        for place, number in enumerate(range(first, first + count), start=1):
            if number not in numbers:
                raise InputError(f"lacks {what} {place} of {count} ({prefix}{number}); is it whole?")
        return count

    def sizes_by_layer(self, what: str, prefix: str, leaf: str) -> tuple[int, ...]:
        """The first size of each layer's matrix `leaf`; InputError where a layer, or its matrix, is missing."""
        return tuple(self.of(f"{prefix}{layer}.{leaf}", 2)[0] for layer in range(self.layers(what, prefix)))
