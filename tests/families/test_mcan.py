from __future__ import annotations

import dataclasses
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from bstsearch.errors import InputError
from bstsearch.families.mcan import FAMILY, PRESETS, Mcan, McanConfig, stacks
from bstsearch.layers.keep_order import ends_first
from bstsearch.model.config import config_from_json, config_to_json
from bstsearch.model.supernet import Supernet
from bstsearch.space import Submodel
from bstsearch.testing.families import FamilyContract

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


@pytest.mark.slow
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


@pytest.mark.slow
class TestWithoutAdapters(McanContract):
    """As openvqa has it: a submodel takes the leading part of the LSTM's states."""

    config = dataclasses.replace(
        SMALL, lstm_hidden=16, regions=7, region_features=10, has_language_adapter=False, has_image_norm=False
    )


@pytest.mark.slow
class TestWithKeepOrders(McanContract):
    config = dataclasses.replace(
        SMALL, regions=7, region_features=10, encoder_keep_order=(3, 0, 2, 1), decoder_keep_order=(1, 2, 3, 0)
    )

    def test_the_given_order_says_which_layers_stay(self) -> None:
        kept = FAMILY.kept_layers(self.config, Submodel(depth=Fraction(1, 2)))
        assert kept == {"backbone.enc_list": (0, 3), "backbone.dec_list": (1, 2)}

    def test_a_submodel_keeps_its_layers_in_the_same_order(self) -> None:
        small = FAMILY.shrink(self.config, Submodel(depth=Fraction(1, 2)))
        assert (small.encoder_keep_order, small.decoder_keep_order) == ((1, 0), (0, 1))


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


def test_without_adapter_the_hidden_size_is_at_most_that_of_the_lstm() -> None:
    config = dataclasses.replace(SMALL, has_language_adapter=False)
    with pytest.raises(InputError, match="hidden=16 is a part of lstm_hidden=8"):
        Supernet(FAMILY, config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder_heads": (4, 4)}, "same number of layers"),
        ({"encoder_keep_order": (0, 1, 2)}, "encoder_keep_order must name each of 4 layers once"),
        ({"decoder_keep_order": (0, 1, 2, 2)}, "decoder_keep_order must name each of 4 layers once"),
        ({"image_side": 20, "stem_channels": (4, 4, 8)}, "image_side=20"),
    ],
)
def test_an_impossible_configuration_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        dataclasses.replace(SMALL, **changes)


def test_fewer_regions_are_the_leading_ones() -> None:
    """As if all others were padding."""
    config = dataclasses.replace(SMALL, regions=8, region_features=6, box_features=4)
    supernet = Supernet(FAMILY, config).double().eval()
    inputs = {
        name: value.double() if value.is_floating_point() else value
        for name, value in FAMILY.example_inputs(config, 3).items()
    }
    few = {**inputs, "regions": inputs["regions"].clone()}
    few["regions"][:, 2:] = 0
    for share in (Fraction(1, 4), Fraction(1, 2)):
        submodel = Submodel(width=Fraction(1, 2), depth=Fraction(1, 4), tokens=share)
        whole = supernet.materialise(dataclasses.replace(submodel, tokens=Fraction(1)))
        found = supernet.materialise(submodel)
        torch.testing.assert_close(found(**few), whole(**few), rtol=1e-9, atol=1e-9)
    assert not torch.allclose(found(**inputs), whole(**inputs))


def test_fewer_cells_of_a_grid_are_means_of_neighbours() -> None:
    config = dataclasses.replace(SMALL, image_side=16, stem_channels=(4, 8))
    supernet = Supernet(FAMILY, config).double().eval()
    inputs = FAMILY.example_inputs(config, 3)
    states, bias, visual = supernet.model.fixed(**inputs)
    quarter = supernet.materialise(Submodel(tokens=Fraction(1, 4)))
    blocks = [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]
    means = torch.stack([visual[:, block].mean(1) for block in blocks], 1)
    torch.testing.assert_close(quarter(**inputs), supernet.model.elastic(states, bias, means), rtol=1e-9, atol=1e-9)


def test_a_model_that_sees_all_tokens_is_written_as_before() -> None:
    """So that architectures keep their digests: by them profiles and tables of costs know a model."""
    plain = config_to_json(SMALL)
    assert "seen_tokens" not in plain
    assert config_from_json(McanConfig, plain) == SMALL
    few = FAMILY.shrink(SMALL, Submodel(tokens=Fraction(1, 4)))
    assert config_to_json(few)["seen_tokens"] == 25
    assert config_from_json(McanConfig, config_to_json(few)) == few
