"""Which parts the axes of a group have: those that their lengths suggest, of which the oracle tells the right ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from bstsearch.model.zero_padding import RIGHT

AxisKey = tuple[str, int]  # a parameter's name with * for the number of a layer, and an axis of it
Parts = Mapping[AxisKey, tuple[int, ...]]

MOST_AXES = 12  # whose parts are tried one by one
MOST_PARTS, FEW_PARTS = 16, 6  # of an axis: that are tried, and that are likelier than grouped attention


def suggested(length: int, shorter: int, sizes: Sequence[int]) -> list[tuple[int, ...]]:
    """The parts that an axis of that length may have, the likeliest first; none where it is as long as a size.

    As many as the largest size goes into it, or those of grouped attention, of which sizes are numbers of heads.

    >>> suggested(96, 48, (32, 4)), suggested(32, 16, (32, 4)), suggested(128, 64, (8, 4))
    ([(1, 1, 1)], [], [(2, 1, 1), (1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)])
    """
    largest, least = max(sizes), min(sizes)
    blocks, rest = divmod(length, largest)
    if length in sizes:
        return []
    found = [(1,) * blocks] if not rest and 1 < blocks <= MOST_PARTS else []
    queries = largest // least
    if len(sizes) == 2 and largest % least == 0:
        unit, over = divmod(length, queries + 2)
        if not over and shorter % (queries + 2) == 0 and unit % least == 0:
            found.insert(0 if blocks > FEW_PARTS else len(found), (queries, 1, 1))
    return found


def fewest_parts(
    measure: Callable[[Parts], float], choices: Mapping[AxisKey, Sequence[tuple[int, ...]]]
) -> tuple[float, dict[AxisKey, tuple[int, ...]]]:
    """The least error, and the fewest parts that give it: none, all that lengths suggest, some of these."""
    error = measure({})
    if error <= RIGHT or not choices:
        return error, {}
    for parts in _candidates(choices):
        found = measure(parts)
        if found <= RIGHT:
            return _fewer(measure, parts, found)
        error = min(error, found)
    return error, {}


def _candidates(choices: Mapping[AxisKey, Sequence[tuple[int, ...]]]) -> Iterator[dict[AxisKey, tuple[int, ...]]]:
    """All likeliest ones, then all second ones; those of each number of parts; each by itself, and each left out."""
    everything = {key: options[0] for key, options in choices.items()}
    yield everything
    if any(len(options) > 1 for options in choices.values()):
        yield {key: options[-1] for key, options in choices.items()}
    for parts in dict.fromkeys(everything.values()):
        yield {key: of for key, of in everything.items() if of == parts}
        yield {key: of for key, of in everything.items() if of != parts}
    for key in list(everything)[:MOST_AXES]:
        yield {key: everything[key]}
        yield {other: of for other, of in everything.items() if other != key}


def _fewer(
    measure: Callable[[Parts], float], parts: dict[AxisKey, tuple[int, ...]], error: float
) -> tuple[float, dict[AxisKey, tuple[int, ...]]]:
    """The same without those parts that are not needed: a plain slice costs less."""
    for key in list(parts):
        without = {other: of for other, of in parts.items() if other != key}
        if (found := measure(without)) <= RIGHT:
            parts, error = without, found
    return error, parts
