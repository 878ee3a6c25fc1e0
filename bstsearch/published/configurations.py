"""What shapes cannot tell of a published model: it comes from public configurations, and is said (no torch)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from bstsearch.errors import InputError, UsageError

NO_DATA = "none"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Configuration:
    """A public configuration: whose it is, how wide, with how many heads in each layer, and layers in each stack."""

    name: str
    hidden: int
    heads: int
    layers: int


def choose_heads(known: Sequence[Configuration], hidden: int, given: int | None) -> tuple[int, str | None]:
    """How many heads a layer has, and who says so where it was not given; InputError where nobody knows."""
    fitting = [one for one in known if one.hidden == hidden]
    counts = {one.heads for one in fitting}
    if given is None and len(counts) != 1:
        said = " and ".join(f"{one.heads} in {one.name}" for one in fitting)
        why = f"public configurations have {said}" if said else "no public configuration is that wide"
        raise InputError(f"is {hidden} wide, and shapes do not tell its heads: {why}; give their number with --heads")
    heads = given or counts.pop()
    if hidden % heads:
        raise InputError(f"{heads} heads do not divide hidden={hidden}; give the model's number of heads with --heads")
    names = " and ".join(one.name for one in fitting)
    return heads, None if given else f"{heads} heads of {hidden // heads}, as in {names}; --heads says otherwise"


def said_of_layers(known: Sequence[Configuration], hidden: int, stack: str, found: int) -> str | None:
    """What to say where every public configuration of that width has another number of layers; else None."""
    fitting = [one for one in known if one.hidden == hidden]
    if not fitting or any(one.layers == found for one in fitting):
        return None
    return f"{stack} has {found} layers, but {fitting[0].layers} in {fitting[0].name}; check that the file is whole"


def choose_question_length(lengths: Mapping[str, int], data: str, given: int | None) -> tuple[int, str | None]:
    """How many tokens a question has, and why where it was not given; UsageError for an unknown data set."""
    if data not in (*lengths, NO_DATA):
        raise UsageError(f"unknown data set {data!r}; there are {', '.join(lengths)} and {NO_DATA}")
    if given:
        return given, None
    name = next(iter(lengths)) if data == NO_DATA else data
    return lengths[name], f"questions of {lengths[name]} tokens, as for {name}; --question-length says otherwise"
