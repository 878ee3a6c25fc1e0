from __future__ import annotations

import dataclasses
from fractions import Fraction

import pytest
import torch
from contract import FamilyContract
from torch import Tensor, nn

from bstsearch.errors import InputError
from bstsearch.families.mcan import FAMILY, PRESETS, Mcan, McanConfig, McanLayerNorm, ends_first, stacks
from bstsearch.family import seeded
from bstsearch.space import Submodel
from bstsearch.supernet import Supernet

SMALL = McanConfig(
    vocab=12,
    answers=5,
    question_length=6,
    word_dim=6,
    lstm_hidden=8,
    hidden=16,
    head_dim=4,
    encoder_heads=(4,) * 4,
    encoder_ffn=(32,) * 4,
    decoder_heads=(4,) * 4,
    decoder_ffn=(32,) * 4,
    flat_mlp=8,
    flat_out=24,
    dropout=0.0,
)


class McanContract(FamilyContract):
    family = FAMILY
    heads_leave_by = "mhatt*.linear_merge.weight"
    ffn_leaves_by = "ffn.mlp.linear.weight"

    def inputs(self) -> dict[str, Tensor]:
        """With padding: questions of six, four and one word."""
        inputs = super().inputs()
        inputs["question"][1, 4:] = 0
        inputs["question"][2, 1:] = 0
        return inputs


class TestOnImages(McanContract):
    config = dataclasses.replace(SMALL, image_side=16, stem_channels=(4, 8))

    def test_a_submodel_in_training_updates_the_one_running_mean_there_is(self, supernet: Supernet) -> None:
        supernet.train()
        before = supernet.model.stem.layers[1].running_mean.clone()
        with supernet.bind(supernet.space.smallest) as model:
            model(**self.inputs())
            assert torch.equal(model.stem.layers[1].running_mean, supernet.model.stem.layers[1].running_mean)
        assert not torch.allclose(supernet.model.stem.layers[1].running_mean, before)


class TestOnRegions(McanContract):
    config = dataclasses.replace(SMALL, regions=7, region_features=10, box_features=6, has_image_norm=False)

    def inputs(self) -> dict[str, Tensor]:
        """With padded regions too."""
        inputs = super().inputs()
        inputs["regions"][1, 5:] = 0
        return inputs

    def test_a_box_is_read_as_its_corners_and_area(self) -> None:
        model = Mcan(self.config)
        regions_BVF, boxes_BV4 = torch.randn(1, 1, 10), torch.tensor([[[0.1, 0.2, 0.5, 0.7]]])
        joined = model.img_adapter.with_boxes(regions_BVF, boxes_BV4)
        expected = model.img_adapter.bbox_linear(torch.tensor([0.1, 0.2, 0.5, 0.7, 0.4 * 0.5]))
        torch.testing.assert_close(joined[0, 0], torch.cat([regions_BVF[0, 0], expected]))


@pytest.mark.parametrize("std", [1.0, 0.1])
def test_layer_norm_is_the_published_formula(std: float) -> None:
    x = std * torch.randn(5, 12, dtype=torch.float64, generator=seeded())
    norm = McanLayerNorm(12, expected_std=std).double()
    with torch.no_grad():
        norm.weight.normal_(generator=seeded(1))
        norm.bias.normal_(generator=seeded(2))
    centred = x - x.mean(-1, keepdim=True)
    expected = norm.weight * centred / (x.std(-1, keepdim=True, unbiased=True) + 1e-6) + norm.bias
    torch.testing.assert_close(norm(x), expected, rtol=1e-5, atol=1e-6)
    # Not torch's: with the n divisor the result is larger by sqrt(12/11).
    assert not torch.allclose(norm(x), nn.functional.layer_norm(x, (12,), norm.weight, norm.bias), rtol=1e-2)


def test_padding_changes_nothing() -> None:
    config = dataclasses.replace(SMALL, regions=7, region_features=10)
    model = Mcan(config).eval()
    inputs = FAMILY.example_inputs(config, 2)
    inputs["regions"][:, 4:] = 0
    short = {"question": inputs["question"][:, :3], "regions": inputs["regions"][:, :4]}
    padded = {"question": inputs["question"].clone(), "regions": inputs["regions"]}
    padded["question"][:, 3:] = 0
    torch.testing.assert_close(model(**short), model(**padded), rtol=1e-5, atol=1e-5)


def test_keep_orders_are_the_published_ones_for_six_layers() -> None:
    encoder, decoder = stacks(McanConfig(vocab=2, answers=2, question_length=2))
    assert encoder.keep_order == (0, 5, 1, 4, 2, 3)
    assert decoder.keep_order == (5, 0, 1, 4, 2, 3)


@pytest.mark.parametrize("starts_at_top", [False, True])
@pytest.mark.parametrize("layers", range(1, 13))
def test_every_layer_is_in_the_keep_order_once_and_the_ends_come_first(layers: int, starts_at_top: bool) -> None:
    order = ends_first(layers, starts_at_top=starts_at_top)
    assert sorted(order) == list(range(layers))
    assert order[0] == (layers - 1 if starts_at_top else 0)
    assert set(order[:2]) == {0, layers - 1}


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_the_ten_submodels(name: str) -> None:
    space = FAMILY.space(PRESETS[name])
    FAMILY.check(PRESETS[name], space)
    assert len(space) == 10


def test_a_row_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(InputError, match=r"names a share for 3 layers; it keeps 8"):
        FAMILY.shrink(SMALL, Submodel(heads=(Fraction(1, 2),) * 3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder_heads": (4, 4)}, "same number of layers"),
        ({"image_side": 20, "stem_channels": (4, 4, 8)}, "image_side=20"),
    ],
)
def test_an_impossible_configuration_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        dataclasses.replace(SMALL, **changes)
