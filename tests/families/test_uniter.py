from __future__ import annotations

import dataclasses
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from bstsearch.errors import InputError
from bstsearch.families.uniter import FAMILY, PRESETS, Uniter, UniterConfig, cell_boxes, stacks
from bstsearch.model.lookup import get_family
from bstsearch.model.supernet import Supernet
from bstsearch.space import Submodel
from bstsearch.testing.families import FamilyContract

SMALL = UniterConfig(
    vocab=12,
    answers=5,
    question_length=6,
    positions=8,
    hidden=16,
    head_dim=4,
    heads=(4,) * 4,
    ffn=(32,) * 4,
    head_hidden=24,
    regions=8,
    region_features=10,
    dropout=0.0,
)


class UniterContract(FamilyContract):
    family = FAMILY
    heads_leave_by = "attention.output.dense.weight"
    ffn_leaves_by = "output.dense.weight"

    def inputs(self) -> dict[str, Tensor]:
        """With padding: questions of six, four and one token."""
        inputs = super().inputs()
        inputs["question"][1, 4:] = 0
        inputs["question"][2, 1:] = 0
        return inputs


class TestOnRegions(UniterContract):
    config = SMALL

    def inputs(self) -> dict[str, Tensor]:
        """With padded regions too."""
        inputs = super().inputs()
        inputs["regions"][1, 5:] = 0
        return inputs


@pytest.mark.slow
class TestOnImages(UniterContract):
    config = dataclasses.replace(SMALL, image_side=16, stem_channels=(4, 8))


@pytest.mark.slow
class TestWithFixedTables(UniterContract):
    config = dataclasses.replace(SMALL, table_hidden=20)


@pytest.mark.slow
class TestWithAKeepOrderOfItsOwn(UniterContract):
    config = dataclasses.replace(SMALL, keep_order=(2, 0, 3, 1))


def test_padding_changes_nothing() -> None:
    model = Uniter(SMALL).eval()
    inputs = FAMILY.example_inputs(SMALL, 2)
    inputs["regions"][:, 4:] = 0
    short = {
        "question": inputs["question"][:, :3],
        "regions": inputs["regions"][:, :4],
        "boxes": inputs["boxes"][:, :4],
    }
    padded = {**inputs, "question": inputs["question"].clone()}
    padded["question"][:, 3:] = 0
    torch.testing.assert_close(model(**short), model(**padded), rtol=1e-5, atol=1e-6)


def test_boxes_are_corners_size_and_area() -> None:
    boxes = FAMILY.example_inputs(SMALL, 2)["boxes"]
    x1, y1, x2, y2, width, height, area = boxes.unbind(-1)
    assert (x1 <= x2).all()
    assert (y1 <= y2).all()
    torch.testing.assert_close(torch.stack([width, height, area]), torch.stack([x2 - x1, y2 - y1, width * height]))
    assert cell_boxes(16)[:, 6].sum() == pytest.approx(1.0)


def test_twelve_layers_are_kept_from_both_ends_inwards() -> None:
    (stack,) = stacks(PRESETS["uniter-base"])
    assert stack.keep_order == (0, 11, 1, 10, 2, 9, 3, 8, 4, 7, 5, 6)
    assert [stack.kept(count) for count in (2, 4, 8)] == [(0, 11), (0, 1, 10, 11), (0, 1, 2, 3, 8, 9, 10, 11)]


def test_the_family_is_found_by_name() -> None:
    assert get_family("uniter") is FAMILY


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": (4,) * 3}, "the same number of layers"),
        ({"keep_order": (0, 1, 2, 2)}, "keep_order must name each of 4 layers once"),
        ({"table_hidden": 12}, "tables of only 12"),
        ({"question_length": 9}, "question_length=9 is over positions=8"),
        ({"image_side": 15, "stem_channels": (4,)}, "halves image_side=15"),
    ],
)
def test_impossible_sizes_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        dataclasses.replace(SMALL, **changes)


def test_a_few_steps_lower_the_loss() -> None:
    torch.manual_seed(0)
    supernet = Supernet(FAMILY, SMALL)
    inputs = FAMILY.example_inputs(SMALL, 16)
    answers = inputs["question"][:, 0] % 5
    optimizer = torch.optim.Adam(supernet.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        with supernet.bind(Submodel()) as model:
            loss = torch.nn.functional.cross_entropy(model(**inputs), answers)
            loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_fewer_regions_are_the_leading_ones() -> None:
    """As if all others were padding."""
    supernet = Supernet(FAMILY, SMALL).eval()
    inputs = FAMILY.example_inputs(SMALL, 3)
    few = {**inputs, "regions": inputs["regions"].clone()}
    few["regions"][:, 2:] = 0
    quarter = supernet.materialise(Submodel(tokens=Fraction(1, 4)))
    torch.testing.assert_close(quarter(**few), supernet.model(**few), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(quarter(**inputs), supernet.model(**inputs))


def test_fewer_cells_of_a_grid_have_means_and_larger_boxes() -> None:
    config = dataclasses.replace(SMALL, image_side=16, stem_channels=(4, 8))
    supernet = Supernet(FAMILY, config).eval()
    inputs = FAMILY.example_inputs(config, 3)
    question, cells, _, bias = supernet.model.fixed(**inputs)
    quarter = supernet.materialise(Submodel(tokens=Fraction(1, 4)))
    blocks = [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]
    means = torch.stack([cells[:, block].mean(1) for block in blocks], 1)
    boxes = cell_boxes(4).expand(3, -1, -1)
    expected = supernet.model.elastic(question, means, boxes, bias[..., : SMALL.question_length + 4])
    torch.testing.assert_close(quarter(**inputs), expected, rtol=1e-4, atol=1e-5)
