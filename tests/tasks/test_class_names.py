from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from bstsearch.errors import InputError
from bstsearch.formats.labelled import Label, Labelled
from bstsearch.tasks.class_names import class_ids, classes_of

MADE_UP = ("LABEL_0", "LABEL_1", "LABEL_2")


def part(labels: Sequence[Label], names: tuple[str, ...] = ()) -> Labelled:
    rows = [f"row {row}" for row in range(1, len(labels) + 1)]
    return Labelled(where=Path("data.csv"), examples=rows, labels=labels, rows=rows, names=names)


@pytest.mark.parametrize(
    ("labels", "names", "known", "expected"),
    [
        (["b", "a", "b", "c"], (), (), ("a", "b", "c")),
        ([2, 0, 1], (), (), ("0", "1", "2")),
        ([1, 0], ("neg", "pos"), (), ("neg", "pos")),
        (["b", "a", "c"], (), MADE_UP, ("a", "b", "c")),
        (["b", "a"], (), ("C", "B", "A"), ("C", "B", "A")),  # the model's own, more than the data have
        ([0, 2, 1], ("entailment", "neutral", "contradiction"), ("CONTRADICTION", "NEUTRAL", "ENTAILMENT"), None),
        ([2, 0, 1], (), ("x", "y", "z"), ("x", "y", "z")),
        ([1, 0], ("neg", "pos"), ("bad", "good"), ("neg", "pos")),  # numbered by the data
    ],
)
def test_the_classes_are_in_the_order_of_the_outputs(
    labels: list[Label], names: tuple[str, ...], known: tuple[str, ...], expected: tuple[str, ...] | None
) -> None:
    assert classes_of(part(labels, names), known) == (expected or known)


def test_each_label_finds_its_place_by_name_or_number() -> None:
    model = ("CONTRADICTION", "NEUTRAL", "ENTAILMENT")
    found = class_ids(part([0, 2, 1], ("entailment", "neutral", "contradiction")), model)
    assert found is not None
    assert found.tolist() == [2, 0, 1]
    for labels, names in ((["b", "a"], ("a", "b")), ([1, 0], ("0", "1")), ([1, 0], ("x", "y"))):
        found = class_ids(part(labels), names)  # type: ignore[arg-type]
        assert found is not None
        assert found.tolist() == [1, 0]
    assert class_ids(part([None, None]), ("a", "b")) is None


@pytest.mark.parametrize(
    ("labels", "known", "message"),
    [
        (["a", None], (), r"data\.csv, row 2: no label; remove it, or name the column with the labels 'label'"),
        (["a", "a"], (), r"data\.csv has one class only, 'a'; add examples of another"),
        ([0, 0], (), r"data\.csv has one class only, '0'"),
        ([0, 1, 7], (), r"data\.csv: a label is 7, of 3 examples; give numbers from 0"),
        (["a", "b"], MADE_UP, r"has 2 classes, a, b, but the model has 3, LABEL_0, .*; give the data that it was"),
        ([0, 1], MADE_UP, r"has 2 classes, 0, 1, but the model has 3"),
        (
            ["a", "b"],
            ("no", "yes"),
            r"has the classes a, b, but the model no, yes; name them as the model does, or give",
        ),
    ],
)
def test_classes_that_cannot_be_are_one_line(labels: list[Label], known: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        classes_of(part(labels), known)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", "zebra"], r"data\.csv, row 2: 'zebra' is none of a, b; remove it, or train on such examples, too"),
        ([0, 2], r"data\.csv, row 2: 2 is none of a, b"),
        (["a", None], r"data\.csv, row 2: no label, but others have one; remove it"),
    ],
)
def test_a_label_that_training_does_not_have_is_one_line(labels: list[Label], message: str) -> None:
    with pytest.raises(InputError, match=message):
        class_ids(part(labels), ("a", "b"))
