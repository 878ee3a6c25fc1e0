"""The sizes of a BERT with a classifier of answers, and how they shrink: what UNITER and CLIP-ViL have in common."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import TypeVar

from bstsearch.errors import InputError
from bstsearch.layers.bert import STD
from bstsearch.layers.keep_order import ends_first
from bstsearch.model.family import Stack, whole
from bstsearch.space import Submodel


@dataclasses.dataclass(frozen=True, kw_only=True)
class BertSizes:
    """The defaults are BERT-base's.

    `hidden`, `heads`, `ffn` (one entry per layer) and `head_hidden` are elastic; all others are fixed.
    """

    answers: int
    vocab: int
    question_length: int
    positions: int = 512
    hidden: int = 768
    head_dim: int = 64
    heads: tuple[int, ...] = (12,) * 12
    ffn: tuple[int, ...] = (3072,) * 12
    head_hidden: int = 1536
    dropout: float = 0.1
    weight_std: float = STD  # of the initial weights; BERT's is too small for a narrow model to learn fast
    word_std: float = STD  # of the initial word vectors; a small model tells words apart sooner with a large one
    table_hidden: int = 0  # size of the text tables, which then stay whole and need an adapter; 0: they are slimmed
    keep_order: tuple[int, ...] = ()  # of the layers; (): the two ends first

    def __post_init__(self) -> None:
        name = type(self).__name__
        if len(self.heads) != len(self.ffn):
            raise InputError(f"{name}: heads and ffn must name the same number of layers")
        if self.keep_order and sorted(self.keep_order) != list(range(len(self.ffn))):
            raise InputError(f"{name}: keep_order must name each of {len(self.ffn)} layers once")
        if self.question_length > self.positions:
            raise InputError(f"{name}: question_length={self.question_length} is over positions={self.positions}")


Sizes = TypeVar("Sizes", bound=BertSizes)


def make_stack(sizes: BertSizes, prefix: str) -> Stack:
    """The one stack of layers. No source states its keep order; the two ends first is what BST's MCAN encoder does."""
    order = sizes.keep_order or ends_first(len(sizes.ffn))
    return Stack(prefix=prefix, keep_order=order, order="keep_order")


def shrink(sizes: Sizes, submodel: Submodel) -> Sizes:
    """The sizes of `submodel`; InputError where it does not fit the config.

    Hidden, heads, FFN and head scale; head size stays (BST section III-B).
    """
    stack = make_stack(sizes, "")
    kept = stack.kept_by(submodel, 0)
    head_shares = submodel.heads or (submodel.width,) * len(kept)
    ffn_shares = submodel.ffn or (submodel.width,) * len(kept)
    if not len(head_shares) == len(ffn_shares) == len(kept):
        raise InputError(f"{submodel.id} names a share for {len(head_shares)} layers; it keeps {len(kept)}")

    def scaled(name: str, shares: tuple[Fraction, ...]) -> tuple[int, ...]:
        of_layers = getattr(sizes, name)
        return tuple(whole(of_layers[layer], share, name) for layer, share in zip(kept, shares, strict=True))

    return dataclasses.replace(
        sizes,
        hidden=whole(sizes.hidden, submodel.width, "hidden"),
        heads=scaled("heads", head_shares),
        ffn=scaled("ffn", ffn_shares),
        head_hidden=whole(sizes.head_hidden, submodel.width, "head_hidden"),
        keep_order=tuple(kept.index(layer) for layer in sizes.keep_order if layer in kept),
    )


def elastic_units(sizes: BertSizes) -> dict[str, int]:
    """Every elastic field moves an axis by one, but a head, which is `head_dim` wide."""
    return {"hidden": 1, "heads": sizes.head_dim, "ffn": 1, "head_hidden": 1}
