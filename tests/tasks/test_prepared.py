"""The fixed part is computed once, as far as memory allows, and the same comes out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from bstsearch.model.supernet import Supernet
from bstsearch.tasks.evaluation import Kept, evaluate
from bstsearch.tasks.prepared import PreparedSplit
from bstsearch.tasks.split import ImageSplit
from bstsearch.tasks.task import Batch

PARTS = (torch.tensor([7, 1, 4]), torch.tensor([9, 0, 2, 3, 8]), torch.tensor([6, 5]))


class Counted(ImageSplit):
    """Writes down which rows are read."""

    def batches(self, size: int, order: Tensor | None = None) -> Iterator[Batch]:
        assert order is not None
        for rows, batch in zip(order.split(size), super().batches(size, order), strict=True):
            READ.extend(rows.tolist())
            yield batch


READ: list[int] = []


@pytest.fixture
def split(tiny_supernet: Supernet) -> Counted:
    READ.clear()
    inputs = tiny_supernet.family.example_inputs(tiny_supernet.config, 10)
    with torch.no_grad():
        answers = tiny_supernet.model(**inputs).argmax(-1)
    picture = tiny_supernet.family.reader(tiny_supernet.config).needed_picture("these are images")
    rows = torch.arange(10)
    return Counted(
        questions={"question": inputs["question"]},
        image_of=rows,
        images=inputs["image"],
        picture=picture,
        answers=answers,
    )


def kept(prepared: PreparedSplit, supernet: Supernet, parts: int = 3) -> Tensor:
    found = Kept(prepared.split, "")
    with supernet.bind(supernet.space.largest) as model:
        for part in range(parts):
            prepared.run(model, part, found)
    return found.so_far()


def test_rows_are_read_once_in_ascending_order_within_a_part(tiny_supernet: Supernet, split: Counted) -> None:
    prepared = PreparedSplit(tiny_supernet, split, PARTS, batch_size=2)
    assert [rows.tolist() for rows in prepared.rows] == [[1, 4, 7], [0, 2, 3, 8, 9], [5, 6]]
    first = kept(prepared, tiny_supernet)
    assert torch.cat(prepared.rows).tolist() == READ
    assert torch.equal(first, split.answers[torch.cat(prepared.rows)])
    assert torch.equal(kept(prepared, tiny_supernet), first)
    assert len(READ) == 10


def test_what_does_not_fit_is_computed_again_the_latest_parts_first(tiny_supernet: Supernet, split: Counted) -> None:
    inputs = next(iter(ImageSplit(**vars(split)).batches(2))).inputs
    with torch.no_grad():
        features = tiny_supernet.model.fixed(**inputs)
    room = sum(one.numel() * one.element_size() for one in features) + 2 * 8
    prepared = PreparedSplit(tiny_supernet, split, PARTS, batch_size=2, limit=3 * room)
    first = kept(prepared, tiny_supernet)
    READ.clear()
    assert torch.equal(kept(prepared, tiny_supernet), first)
    assert READ == [3, 8, 9, 5, 6], "two batches of two rows and one of one fit, and what comes after is not tried"
    none = PreparedSplit(tiny_supernet, split, PARTS, batch_size=2, limit=0)
    assert torch.equal(kept(none, tiny_supernet), first)
    assert torch.equal(kept(none, tiny_supernet, 1), first[:3])


class Turned(ImageSplit):
    """The first six images are of another shape than the rest."""

    def alike(self, rows: Tensor) -> list[Tensor]:
        return [rows[rows < 6], rows[rows >= 6]]


def test_batches_keep_to_rows_of_one_shape(tiny_supernet: Supernet, split: Counted) -> None:
    turned = Turned(**vars(split))
    prepared = PreparedSplit(tiny_supernet, turned, PARTS, batch_size=4)
    assert torch.equal(kept(prepared, tiny_supernet), split.answers[torch.cat(prepared.rows)])
    assert evaluate(tiny_supernet, tiny_supernet.space.largest, turned).value == 1
