from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import onnxruntime
import pytest
import torch
from torch import Tensor

from bstsearch.errors import InputError
from bstsearch.families.clip_vil import FAMILY, PRESETS, ClipVil, ClipVilConfig, stacks
from bstsearch.graphs.onnx_file import write_onnx
from bstsearch.model.supernet import Supernet
from bstsearch.space import Submodel
from bstsearch.testing.families import FamilyContract

SMALL = ClipVilConfig(
    vocab=12,
    answers=5,
    question_length=6,
    positions=7,
    hidden=16,
    head_dim=4,
    heads=(4,) * 4,
    ffn=(32,) * 4,
    head_hidden=24,
    dropout=0.0,
    tower_layers=(1, 1),
    tower_width=4,
    image_height=16,
    image_width=24,
    visual_positions=4,
)
SAVED = dataclasses.replace(SMALL, tower_layers=(), tower_width=1, image_height=64, image_width=96)


class ClipVilContract(FamilyContract):
    family = FAMILY
    heads_leave_by = "attention.output.dense.weight"
    ffn_leaves_by = "output.dense.weight"

    def inputs(self) -> dict[str, Tensor]:
        """With padding: questions of six, four and one token."""
        inputs = super().inputs()
        inputs["question"][1, 4:] = 0
        inputs["question"][2, 1:] = 0
        return inputs


@pytest.mark.slow
class TestOnImages(ClipVilContract):
    config = SMALL

    def test_a_submodel_in_training_updates_the_one_running_mean_there_is(self, supernet: Supernet) -> None:
        supernet.train()
        running_mean = supernet.model.encoder.visual_model.visual.bn1.running_mean
        before = running_mean.clone()
        with supernet.bind(supernet.space.smallest) as model:
            model(**self.inputs())
            assert model.encoder.visual_model.visual.bn1.running_mean is running_mean
        assert not torch.allclose(running_mean, before)

    def test_upright_images_take_the_weights_of_lying_ones(self, supernet: Supernet) -> None:
        upright = dataclasses.replace(self.config, image_height=24, image_width=16)
        inputs = FAMILY.example_inputs(upright, 2)
        inputs["image"] = inputs["image"].double()
        built_upright = ClipVil(upright).double().eval()
        built_upright.load_state_dict(supernet.model.state_dict())
        assert inputs["image"].shape == (2, 3, 24, 16)
        assert torch.equal(supernet.model(**inputs), built_upright(**inputs))
        with supernet.bind(supernet.space.smallest) as model:
            assert model(**inputs).shape == (2, 5)


class TestOnASavedGrid(ClipVilContract):
    config = SAVED


@pytest.mark.slow
class TestWithTablesOfAFixedSize(ClipVilContract):
    config = dataclasses.replace(SMALL, table_hidden=10)

    def test_the_tables_are_never_cut(self, supernet: Supernet) -> None:
        table = supernet.model.embeddings.word_embeddings.weight
        assert torch.equal(supernet.materialise(supernet.space.smallest).embeddings.word_embeddings.weight, table)

    def test_the_adapter_starts_as_the_identity(self) -> None:
        model = ClipVil(dataclasses.replace(self.config, table_hidden=self.config.hidden))
        assert torch.equal(model.adapter.dense.weight, torch.eye(self.config.hidden))


@pytest.mark.slow
class TestWithAKeepOrderOfItsOwn(ClipVilContract):
    config = dataclasses.replace(SMALL, keep_order=(2, 0, 3, 1))

    def test_layers_are_kept_in_that_order(self) -> None:
        assert FAMILY.kept_layers(self.config, Submodel(depth=Fraction(1, 2))) == {"encoder.layer": (0, 2)}

    def test_a_submodel_can_be_slimmed_again(self) -> None:
        half = FAMILY.shrink(self.config, Submodel(depth=Fraction(1, 2)))
        assert half.keep_order == (1, 0)
        assert stacks(half)[0].kept(1) == (1,)


@pytest.fixture
def model() -> ClipVil:
    torch.manual_seed(0)
    return ClipVil(dataclasses.replace(SMALL, weight_std=0.3)).eval()


def test_padding_of_the_question_changes_nothing(model: ClipVil) -> None:
    inputs = FAMILY.example_inputs(SMALL, 2)
    short = {**inputs, "question": inputs["question"][:, :3]}
    padded = {**inputs, "question": inputs["question"].masked_fill(torch.arange(6) >= 3, 0)}
    torch.testing.assert_close(model(**short), model(**padded), rtol=1e-5, atol=1e-5)


def test_every_visual_token_is_seen_even_where_the_image_is_zero(model: ClipVil) -> None:
    inputs = FAMILY.example_inputs(SMALL, 2)
    inputs["image"] = torch.zeros_like(inputs["image"])
    _, bias_B11S, visual_BVF = model.fixed(**inputs)
    assert bias_B11S.shape == (2, 1, 1, 6 + 6)
    assert not bias_B11S.any()
    torch.testing.assert_close(
        model.elastic(inputs["question"], bias_B11S, visual_BVF[:, torch.randperm(6)]), model(**inputs)
    )


def test_rows_are_placed_by_the_table_called_x_and_columns_by_the_one_called_y(model: ClipVil) -> None:
    position = model.encoder.visual_pos
    placed_VF = position(2, 3)
    for row in range(2):
        for column in range(3):
            expected = position.x_position_embedding.weight[row] + position.y_position_embedding.weight[column]
            assert torch.equal(placed_VF[3 * row + column], expected)


@pytest.mark.parametrize("config", [SMALL, dataclasses.replace(SMALL, table_hidden=10)], ids=["sliced", "fixed"])
def test_row_0_of_the_text_tables_is_never_trained(config: ClipVilConfig) -> None:
    model, inputs = ClipVil(config), FAMILY.example_inputs(config, 2)
    inputs["question"][:, 4:] = 0
    model(**inputs).square().sum().backward()
    for name in ("word_embeddings", "position_embeddings", "token_type_embeddings"):
        assert not getattr(model.embeddings, name).weight.grad[0].any()
    assert model.embeddings.position_embeddings.weight.grad[1].any()


def test_the_pooler_is_linear(model: ClipVil) -> None:
    x_BSD = 100 * torch.randn(2, 7, 16)
    torch.testing.assert_close(model.pooler(x_BSD), model.pooler.dense(x_BSD[:, 0]))


def test_layers_are_kept_from_both_ends_inwards() -> None:
    (stack,) = stacks(ClipVilConfig(answers=2))
    assert stack.keep_order == (0, 11, 1, 10, 2, 9, 3, 8, 4, 7, 5, 6)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_the_ten_submodels(name: str) -> None:
    space = FAMILY.space(PRESETS[name])
    FAMILY.check(PRESETS[name], space)
    assert len(space) == 10
    assert name.startswith("clip-vil-")


@pytest.mark.parametrize(
    ("name", "grid", "features"),
    [
        ("clip-vil-rn50x4", (12, 20), 2560),
        ("clip-vil-rn50", (12, 20), 2048),
        ("clip-vil-rn50x4-gqa", (12, 20), 2560),
        ("clip-vil-easy-vqa", (4, 4), 64),
    ],
)
def test_grids_of_the_presets(name: str, grid: tuple[int, int], features: int) -> None:
    assert (PRESETS[name].grid, PRESETS[name].visual_features) == (grid, features)


def test_the_small_preset_reads_square_images_and_tells_easy_vqas_answers() -> None:
    config = PRESETS["clip-vil-easy-vqa"]
    inputs = FAMILY.example_inputs(config, 3)
    assert inputs["image"].shape[2] == inputs["image"].shape[3]
    assert inputs["image"].dtype == torch.float32
    assert ClipVil(config)(**inputs).shape == (3, 13)


def test_a_row_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(InputError, match=r"names a share for 3 layers; it keeps 4"):
        FAMILY.shrink(SMALL, Submodel(heads=(Fraction(1, 2),) * 3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": (4, 4)}, "same number of layers"),
        ({"keep_order": (0, 1, 1, 3)}, "each of 4 layers once"),
        ({"question_length": 8}, "question_length=8 is over positions=7"),
        ({"image_width": 20}, "multiple of 8 pixels, at most visual_positions=4 times; it is 20"),
        ({"image_height": 40}, "multiple of 8 pixels, at most visual_positions=4 times; it is 40"),
    ],
)
def test_an_impossible_configuration_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        dataclasses.replace(SMALL, **changes)


def test_an_exported_model_reads_images_that_lie_and_that_stand(model: ClipVil, tmp_path: Path) -> None:
    free = FAMILY.free_axes(SMALL)
    write_onnx(model, FAMILY.example_inputs(SMALL, 1), tmp_path / "model.onnx", free)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    inputs = FAMILY.example_inputs(SMALL, 2)
    assert inputs["image"].shape[2] != inputs["image"].shape[3]
    for image in (inputs["image"], inputs["image"].transpose(2, 3).contiguous()):
        found = session.run(None, {"question": inputs["question"].numpy(), "image": image.numpy()})[0]
        expected = model(question=inputs["question"], image=image)
        torch.testing.assert_close(torch.from_numpy(found), expected.detach(), rtol=1e-4, atol=1e-4)


def test_square_images_are_of_one_size() -> None:
    assert FAMILY.free_axes(PRESETS["clip-vil-easy-vqa"]) == {}
