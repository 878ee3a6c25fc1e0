"""Spaces as people name them: "bst", "elastic", "trained", or a JSON file that changes some of a space (no torch)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec

from bstsearch.errors import InputError, UsageError
from bstsearch.reading import parsing, read_json, shown
from bstsearch.space import FLOAT32, ONE, PRECISIONS, Precision, Shares, Space, Submodel

TRAINED, BST, ELASTIC, WITH_TOKENS = "trained", "bst", "elastic", "elastic-tokens"
NAMES = (TRAINED, BST, ELASTIC, WITH_TOKENS)
MANY = 10**6  # from so many submodels on, nobody reads each digit of their number


class _Changes(msgspec.Struct, forbid_unknown_fields=True):
    """What a file may say of a space; what it leaves out stays as it is."""

    widths: Shares | None = None
    depths: Shares | None = None
    least_depths: Shares | None = None
    has_own_depths: bool | None = None
    has_nearest_depths: bool | None = None
    layer_heads: Shares | None = None
    layer_ffn: Shares | None = None
    tokens: Shares | None = None
    precisions: tuple[Precision, ...] | None = None


def named_space(name: str, base: Space) -> Space:
    """The space of that name, or in the JSON file of that name, made from `base`, the one there is.

    "trained" is `base` itself, "bst" its uniform part, "elastic" the one in which stacks and layers choose for
    themselves, "elastic-tokens" the same with the number of the image's tokens free. A file holds some of the keys of a
    space, as a supernet's config.json has them. UsageError for another name, InputError for a file that makes no space.
    """
    if name in NAMES:
        return {TRAINED: base, BST: base.uniform, ELASTIC: base.elastic, WITH_TOKENS: base.elastic}[name]
    path = Path(name)
    if not path.exists() and path.suffix != ".json":
        raise UsageError(f"unknown space {shown(name)}; there are {', '.join(NAMES)}, or give a JSON file")
    return _changed(base, path)


def trainable(name: str, usual: Space, tokens: Shares = (ONE,)) -> Space:
    """The space of that name to train a supernet on, made from BST's; UsageError where the full model is outside.

    `tokens` are the shares of the image's tokens that are free in "elastic-tokens".
    """
    space = named_space(name, usual)
    if name == WITH_TOKENS:
        if tokens == (ONE,):
            raise UsageError("this model sees all of the image's tokens; use --space elastic")
        space = dataclasses.replace(space, tokens=tokens)
    if Submodel() not in space:
        raise UsageError(f"the space {shown(name)} leaves the full model out, which teaches all others; add share 1")
    if space.precisions != (FLOAT32,):
        raise UsageError(f"the space {shown(name)} names precisions, which need no training; leave them out")
    return space


def trained_part(name: str, trained: Space, where: Path, precisions: Sequence[Precision] = ()) -> Space:
    """The space of that name, which must be a part of the one that the supernet in `where` was trained on.

    Its submodels are there in these precisions, or where none are given in those that the space has.
    """
    space = named_space(name, trained)
    space = dataclasses.replace(space, precisions=check_precisions(precisions) or space.precisions)
    if not trained.holds(dataclasses.replace(space, precisions=trained.precisions)):
        raise UsageError(
            f"{where} was not trained on all of the space {shown(name)}, but on {describe(trained)}; "
            f"choose a part of that, or train it with --space {name}"
        )
    return space


def describe(space: Space) -> str:
    """How many submodels a space has, and what they differ in, in words.

    >>> describe(Space.bst(stacks=(6, 6)))
    '10 submodels: widths 1/4, 1/2, 3/4, 1, depths 1/6, 1/3, 2/3, 1'
    >>> describe(Space.bst(stacks=(6, 6)).elastic).partition(", each layer")[2]
    ' with its own share of heads (1/4, 1/2, 3/4, 1) and of FFN units (1/4, 1/2, 3/4, 1)'
    """
    own = " of each stack by itself" if space.has_own_depths else ""
    words = f"widths {_listed(space.widths)}, depths {_listed(space.depths)}{own}"
    rows = (("heads", space.layer_heads), ("FFN units", space.layer_ffn))
    if free := " and ".join(f"of {what} ({_listed(shares)})" for what, shares in rows if shares):
        words += f", each layer with its own share {free}"
    if space.tokens != (ONE,):
        words += f", shares of the image's tokens {_listed(space.tokens)}"
    if space.precisions != (FLOAT32,):
        words += f", in {', '.join(space.precisions)}"
    return f"{size_text(space.size)} submodel{'' if space.size == 1 else 's'}: {words}"


def parse_precisions(text: str | None) -> tuple[Precision, ...]:
    """The precisions in a list such as "float32,int8", none without one; UsageError as of `check_precisions`.

    >>> parse_precisions("int8, float32")
    ('int8', 'float32')
    """
    return () if text is None else check_precisions([word.strip() for word in text.split(",")])


def check_precisions(words: Iterable[str]) -> tuple[Precision, ...]:
    """These words where each is a precision, and none stands twice; else UsageError."""
    words = list(words)
    found = tuple(precision for word in words for precision in PRECISIONS if precision == word)
    if len(found) < len(words) or len(set(found)) < len(found):
        raise UsageError(
            f"precisions {shown(','.join(words))} are not understood; give one or more of {', '.join(PRECISIONS)}"
        )
    return found


def size_text(size: int) -> str:
    """A number of submodels, rounded where it is large.

    >>> size_text(10), size_text(123_456), size_text(1_149_886_038_441_984)
    ('10', '123,456', '1.1e15')
    """
    if size < MANY:
        return f"{size:,}"
    digits, exponent = f"{Decimal(size):.1e}".split("e")
    return f"{digits}e{int(exponent)}"


def _listed(shares: Shares) -> str:
    return ", ".join(map(str, shares))


def _changed(base: Space, path: Path) -> Space:
    found = read_json(path, _Changes)
    changes: dict[str, Any] = {key: value for key, value in msgspec.structs.asdict(found).items() if value is not None}
    with parsing(path):
        if "least_depths" not in changes and changes.keys() & {"widths", "depths"}:
            changes["least_depths"] = _least(base, found.widths or base.widths, found.depths or base.depths)
        return dataclasses.replace(base, **changes)


def _least(base: Space, widths: Shares, depths: Shares) -> Shares:
    """For each width the smallest of `depths` that it goes with in `base`; of other widths, the smallest of all."""
    known = dict(zip(base.widths, base.least_depths, strict=True))
    found = []
    for width in widths:
        fitting = [depth for depth in depths if depth >= known.get(width, Fraction(0))]
        if not fitting:
            raise InputError(f"width {width} goes with depths from {known[width]} on; add one to 'depths'")
        found.append(fitting[0])
    return tuple(found)
