"""What a submodel keeps, in few words, where its id names every layer and is too long for a table (no torch)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from bstsearch.searching.pareto import Front
from bstsearch.space import Space, Submodel, nearest

ID_WIDTH = 12  # characters of an id that a table shows whole: every id of a grid


def has_long_ids(front: Front) -> bool:
    """Whether some id on the front is longer than a table shows."""
    return any(len(one.id) > ID_WIDTH for one in front)


def shape_heads(space: Space) -> list[tuple[str, str]]:
    """Title and unit of the columns that tell the shapes of submodels of `space` apart."""
    of_all = f"of {'+'.join(map(str, space.stacks))}"
    heads = [("width", ""), ("layers", of_all)]
    heads += [("heads", "%")] if space.layer_heads else []
    heads += [("FFN", "%")] if space.layer_ffn else []
    heads += [("tokens", "")] if len(space.tokens) > 1 else []
    return heads + ([("precision", "")] if len(space.precisions) > 1 else [])


def shape_cells(space: Space, one: Submodel) -> list[str]:
    """The same of a submodel: layers of each stack that stay, and of these the mean shares of heads and FFN units."""
    layers = "+".join(str(nearest(one.depth_of(stack), layers)) for stack, layers in enumerate(space.stacks))
    cells = [str(one.width), layers]
    cells += [_mean(one.heads, one.width)] if space.layer_heads else []
    cells += [_mean(one.ffn, one.width)] if space.layer_ffn else []
    cells += [str(one.tokens)] if len(space.tokens) > 1 else []
    return cells + ([one.precision] if len(space.precisions) > 1 else [])


def short_name(space: Space, one: Submodel) -> str:
    """The id, or where it is long the shape in words: "1/4, 1+4 layers, heads 44 %"."""
    if len(one.id) <= ID_WIDTH:
        return one.id
    words = {
        "width": "{}",
        "layers": "{} layers",
        "heads": "heads {}%",
        "FFN": "FFN {}%",
        "tokens": "tokens {}",
        "precision": "{}",
    }
    heads = [title for title, _ in shape_heads(space)]
    return ", ".join(words[title].format(cell) for title, cell in zip(heads, shape_cells(space, one), strict=True))


def _mean(row: Sequence[Fraction], width: Fraction) -> str:
    """The mean share of the kept layers in per cent; without a row of their own, all have that of the width."""
    return f"{float(100 * sum(row) / len(row) if row else 100 * width):.0f}"
