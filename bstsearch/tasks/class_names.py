"""Which classes labels are: by their names or numbers, in the order of a model's outputs (no torch)."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bstsearch.errors import InputError
from bstsearch.formats.labelled import Label, Labelled, listed
from bstsearch.reading import shown

Names = tuple[str, ...]


def classes_of(train: Labelled, known: Sequence[str] = ()) -> Names:
    """The classes of these examples to train on, in the order of a model's outputs; `known` are the model's own.

    Where the model has all their names, capitals aside, its order holds. Else labels have to be numbers, or be numbered
    by the data, or the model's names be made up ("LABEL_0"), and there must be as many as the model has. InputError
    where that is not so, a label is missing, or there is one class only.
    """
    if None in train.labels:
        row = train.rows[train.labels.index(None)]
        raise InputError(f"{train.where}, {row}: no label; remove it, or name the column with the labels 'label'")
    has_numbers = isinstance(train.labels[0], int) and not train.names
    if has_numbers and (largest := max(int(str(label)) for label in train.labels)) >= len(train):
        raise InputError(f"{train.where}: a label is {largest}, of {len(train)} examples; give numbers from 0")
    names = train.names or _found(train.labels)
    if len(names) < 2:
        raise InputError(f"{train.where} has one class only, {shown(names[0])}; add examples of another")
    if not known or _are_among(names, known):
        return tuple(known) or names
    if len(names) != len(known):
        raise InputError(
            f"{train.where} has {len(names)} classes, {listed(names)}, but the model has {len(known)}, "
            f"{listed(known)}; give the data that it was trained on"
        )
    if has_numbers:
        return tuple(known)
    if train.names or all(re.fullmatch(r"LABEL_\d+", name) for name in known):
        return names
    raise InputError(
        f"{train.where} has the classes {listed(names)}, but the model {listed(known)}; "
        "name them as the model does, or give numbers"
    )


def class_ids(part: Labelled, names: Sequence[str]) -> NDArray[np.int64] | None:
    """The place of each example's class in `names` (N,); None where no label is known.

    InputError names the first example whose class is not among them, or which has no label, though others have.
    """
    if all(label is None for label in part.labels):
        return None
    places = {name.casefold(): place for place, name in enumerate(names)}
    places |= {name: place for place, name in enumerate(names)}
    found = [_place(label, part.names, places, len(names)) for label in part.labels]
    if None in found:
        row = found.index(None)
        label = part.labels[row]
        what = "no label, but others have one" if label is None else f"{shown(label)} is none of {listed(names)}"
        raise InputError(f"{part.where}, {part.rows[row]}: {what}; remove it, or train on such examples, too")
    return np.array(found, dtype=np.int64)


def _place(label: Label, numbered: Names, places: dict[str, int], count: int) -> int | None:
    if isinstance(label, int) and not numbered:
        return label if 0 <= label < count else None
    if isinstance(label, int):
        label = numbered[label] if 0 <= label < len(numbered) else None
    return None if label is None else places.get(label, places.get(label.casefold()))


def _found(labels: Sequence[Label]) -> Names:
    """The classes of labels without names of their own: all numbers up to the largest, or the names in order."""
    if isinstance(labels[0], int):
        return tuple(map(str, range(max(int(str(label)) for label in labels) + 1)))
    return tuple(sorted({str(label) for label in labels}))


def _are_among(names: Names, known: Sequence[str]) -> bool:
    """Whether each name is one of the known ones, capitals aside, and no two are the same."""
    alike = {name.casefold() for name in names}
    return len(alike) == len(names) and alike <= {name.casefold() for name in known}
