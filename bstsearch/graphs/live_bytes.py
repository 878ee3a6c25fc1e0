"""Which bytes of a file of weights a graph reads: its tensors lie there one after the other (no torch)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

Span = tuple[int, int]  # the first byte, and one past the last


def read_spans(graph: Path, *, gap: int = 0) -> list[Span]:
    """The spans of the file beside `graph` that it reads, in order; those less than `gap` bytes apart are one."""
    import onnx  # here, so that what only names these spans starts quickly

    tensors = onnx.load(graph, load_external_data=False).graph.initializer
    places = [{entry.key: entry.value for entry in tensor.external_data} for tensor in tensors]
    starts = [(int(place["offset"]), int(place["length"])) for place in places if place]
    return list(joined(((start, start + length) for start, length in starts), gap))


def joined(spans: Iterable[Span], gap: int) -> Iterator[Span]:
    """The spans in order, those that touch, overlap or lie less than `gap` apart as one.

    >>> list(joined([(50, 60), (0, 10), (10, 20), (12, 15), (24, 30)], gap=5))
    [(0, 30), (50, 60)]
    """
    last: Span | None = None
    for start, end in sorted(spans):
        if last and start <= last[1] + max(0, gap - 1):
            last = (last[0], max(last[1], end))
            continue
        if last:
            yield last
        last = (start, end)
    if last:
        yield last
