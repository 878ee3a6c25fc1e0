from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bstsearch.families.mcan import FAMILY, McanConfig
from bstsearch.model.supernet import Supernet
from bstsearch.space import Space, Submodel
from bstsearch.tasks.task import Batch
from bstsearch.training.loop import sandwich_stage
from bstsearch.training.losses import Loss
from bstsearch.training.recipes import BST, BST_GQA, Recipe
from bstsearch.training.sandwich import draw_sandwich, sandwich_step

KL = Loss(kind="kl-teacher")


def test_the_submodels_are_the_published_ten_in_their_order() -> None:
    names = "w1of4-d1of6 w1of4-d1of3 w1of4-d2of3 w1of4-d1 w1of2-d1of3 w1of2-d2of3 w1of2-d1 w3of4-d2of3 w3of4-d1 w1-d1"
    assert [submodel.id for submodel in Space.bst(stacks=(6, 6)).grid()] == names.split()


def test_the_draws_are_the_published_ones() -> None:
    # What the public BST code draws in its first five iterations after random.seed(0).
    drawn = ["w3of4-d2of3 w3of4-d1 w1of2-d1of3", "w1of4-d1of3 w1of4-d1 w1of2-d2of3", "w3of4-d1 w1of2-d1of3 w1of4-d1"]
    drawn += ["w3of4-d1 w1of4-d1 w1of2-d2of3", "w1of2-d1of3 w1of2-d2of3 w1of4-d2of3"]
    source = random.Random(0)
    for names in drawn:
        ids = [submodel.id for submodel in draw_sandwich(Space.bst(stacks=(6, 6)), source)]
        assert ids == ["w1of4-d1of6", "w1-d1", *names.split()]


def test_of_an_elastic_space_one_is_uniform_and_two_are_any() -> None:
    space, source = Space.bst(stacks=(6, 6)).elastic, random.Random(0)
    grid, drawn = set(space.grid()), [draw_sandwich(space, source) for _ in range(50)]
    for smallest, largest, uniform, *others in drawn:
        assert (smallest, largest) == (space.smallest, space.largest)
        assert uniform in grid
        assert len(others) <= 2
        assert all(submodel in space for submodel in others)
    assert sum(submodel not in grid for _, _, _, *others in drawn for submodel in others) > 80


def test_a_space_of_one_is_drawn_once() -> None:
    one = Submodel().width
    assert draw_sandwich(Space(widths=(one,), depths=(one,), stacks=(2,)), random.Random(0)) == [Submodel()]


def test_shared_fixed_part_gives_the_gradients_of_separate_full_passes(tiny_config: McanConfig) -> None:
    torch.manual_seed(0)
    supernet = Supernet(FAMILY, tiny_config).double().eval()
    inputs = FAMILY.example_inputs(tiny_config, 3)
    teacher = torch.randn(3, tiny_config.answers, dtype=torch.float64)
    submodels = draw_sandwich(supernet.space, random.Random(1))

    results = sandwich_step(supernet, submodels, inputs, teacher, KL)
    together = {name: parameter.grad.clone() for name, parameter in supernet.named_parameters()}
    supernet.zero_grad()
    for submodel in submodels:
        with supernet.bind(submodel) as model:
            loss = KL(model(**inputs), teacher, rows=3)
            loss.backward()
        assert results[submodel][0].item() == pytest.approx(loss.item())
    for name, parameter in supernet.named_parameters():
        torch.testing.assert_close(together[name], parameter.grad, rtol=1e-9, atol=1e-12)


def test_batch_norm_of_the_fixed_part_sees_a_batch_once(tiny_config: McanConfig) -> None:
    supernet = Supernet(FAMILY, tiny_config).train()
    inputs = FAMILY.example_inputs(tiny_config, 3)
    sandwich_step(supernet, draw_sandwich(supernet.space, random.Random(1)), inputs, torch.zeros(3, 13), KL)
    assert supernet.model.get_buffer("stem.layers.1.num_batches_tracked").item() == 1


def test_bf16_gradients_are_those_of_float32_but_for_its_rounding(tiny_config: McanConfig) -> None:
    torch.manual_seed(0)
    supernet = Supernet(FAMILY, tiny_config).eval()
    inputs = FAMILY.example_inputs(tiny_config, 8)
    teacher = torch.randn(8, tiny_config.answers)
    gradients = {}
    for precision in ("float32", "bf16"):
        supernet.zero_grad()
        results = sandwich_step(
            supernet, draw_sandwich(supernet.space, random.Random(1)), inputs, teacher, KL, precision=precision
        )
        assert {loss.dtype for loss, _ in results.values()} == {torch.float32}
        gradients[precision] = torch.cat([parameter.grad.flatten() for parameter in supernet.parameters()])
    assert gradients["bf16"].dtype == torch.float32
    assert not torch.equal(gradients["bf16"], gradients["float32"])
    assert F.cosine_similarity(gradients["bf16"], gradients["float32"], dim=0) > 0.999


# Two steps against the published training written plainly: each submodel a model of its own.

SMALL = McanConfig(
    vocab=50,
    answers=30,
    question_length=7,
    word_dim=20,
    lstm_hidden=64,
    hidden=64,
    head_dim=16,
    encoder_heads=(4,) * 6,
    encoder_ffn=(256,) * 6,
    decoder_heads=(4,) * 6,
    decoder_ffn=(256,) * 6,
    flat_mlp=64,
    flat_out=128,
    dropout=0.0,
    regions=10,
    region_features=32,
)
SMALL_GQA = dataclasses.replace(SMALL, box_features=32, has_image_norm=False)
ENCODER, DECODER = (0, 5, 1, 4, 2, 3), (5, 0, 1, 4, 2, 3)  # which layers are kept, in this order of priority


@dataclasses.dataclass(frozen=True)
class Tensors:
    """The whole of a data set, in the order in which it is stored, as every batch."""

    inputs: dict[str, Tensor]

    def __len__(self) -> int:
        return len(self.inputs["question"])

    def batches(self, size: int, order: Tensor | None = None) -> Iterator[Batch]:
        assert order is not None
        for rows in order.sort().values.split(size):
            inputs = {name: tensor[rows] for name, tensor in self.inputs.items()}
            yield Batch(inputs=inputs, targets=torch.zeros(len(rows), dtype=torch.int64))

    def grouped(self, order: Tensor, size: int) -> Tensor:
        return order

    def right(self, outputs: Tensor, targets: Tensor) -> None:
        return None

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"training asked for {name}")


def plain_losses_and_gradients(
    config: McanConfig, weights: dict[str, Tensor], submodels: list[str], inputs: dict[str, Tensor], teacher: Tensor
) -> tuple[dict[str, float], dict[str, Tensor]]:
    gradients = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    losses = {}
    for submodel_id in submodels:
        width, depth = (Fraction(share[1:].replace("of", "/")) for share in submodel_id.split("-"))
        small = FAMILY.build(FAMILY.shrink(config, Submodel(width=width, depth=depth))).double()
        places = {name: _place(name, int(depth * 6)) for name, _ in small.named_parameters()}
        with torch.no_grad():
            for name, parameter in small.named_parameters():
                parameter.copy_(weights[places[name]][tuple(slice(size) for size in parameter.shape)])
        logits = small(**inputs)
        if config.box_features:  # the GQA model's loss
            loss = nn.KLDivLoss(reduction="sum")(F.log_softmax(logits, -1), F.softmax(teacher, -1))
        else:
            loss = nn.BCEWithLogitsLoss(reduction="sum")(logits, torch.sigmoid(teacher))
        loss.backward()
        losses[submodel_id] = loss.item()
        for name, parameter in small.named_parameters():
            if parameter.grad is not None:
                gradients[places[name]][tuple(slice(size) for size in parameter.shape)] += parameter.grad
    return losses, gradients


def _place(name: str, layers: int) -> str:
    """The full model's name of a small one's parameter."""
    parts = name.split(".")
    if parts[:2] in (["backbone", "enc_list"], ["backbone", "dec_list"]):
        kept = sorted((ENCODER if parts[1] == "enc_list" else DECODER)[:layers])
        parts[2] = str(kept[int(parts[2])])
    return ".".join(parts)


@pytest.mark.parametrize(("recipe", "config", "stairs"), [(BST, SMALL, (4, 1, 2)), (BST_GQA, SMALL_GQA, (3, 2, 3))])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_two_steps_are_the_published_ones(
    tmp_path: Path, recipe: Recipe, config: McanConfig, stairs: tuple[int, int, int], accumulate: int
) -> None:
    torch.manual_seed(0)
    teacher, supernet = Supernet(FAMILY, config).double(), Supernet(FAMILY, config).double()
    inputs = {name: _double(tensor) for name, tensor in FAMILY.example_inputs(config, 8).items()}
    inputs["question"][3, 4:] = 0
    inputs["regions"][5, 7:] = 0
    with torch.no_grad():
        target = teacher.model(**inputs)
    weights = {name: tensor.detach().clone() for name, tensor in teacher.model.named_parameters()}
    changed = dataclasses.replace(recipe, sandwich=recipe.sandwich.changed(epochs=2, batch_size=8))
    draws: list[list[str]] = []
    if accumulate == 2:
        changed = dataclasses.replace(changed, sandwich=changed.sandwich.changed(accumulate=2))
    stage = sandwich_stage(supernet, teacher, changed, tmp_path)
    drawn = stage.objective.draw

    def draw(source: random.Random) -> list[Submodel]:
        draws.append([submodel.id for submodel in drawn(source)])
        return [Submodel.from_id(name) for name in draws[-1]]

    stage.objective = dataclasses.replace(stage.objective, draw=draw)
    losses = [progress.losses for progress in stage.run(Tensors(inputs))]
    adam = torch.optim.Adam(weights.values(), betas=(0.9, 0.98), eps=1e-9)
    whole, *rises = stairs
    for step, rise in enumerate(rises):
        adam.param_groups[0]["lr"] = 1e-4 * rise / whole
        adam.zero_grad()
        for part in range(accumulate):
            rows = slice(part * 8 // accumulate, (part + 1) * 8 // accumulate)
            some = {name: tensor[rows] for name, tensor in inputs.items()}
            submodels = draws[step * accumulate + part]
            expected, gradients = plain_losses_and_gradients(config, weights, submodels, some, target[rows])
            if accumulate == 1:
                assert losses[step] == pytest.approx(expected, rel=1e-6)
            for name, weight in weights.items():
                weight.grad = gradients[name] if weight.grad is None else weight.grad + gradients[name]
        adam.step()
    moved = max(float((weights[name] - tensor).abs().max()) for name, tensor in teacher.model.named_parameters())
    assert moved > 5e-5
    for name, parameter in supernet.model.named_parameters():
        # Adam makes steps of 1e-5 of gradients that are mere rounding: the second step starts from other weights.
        torch.testing.assert_close(parameter.data, weights[name], rtol=0, atol=1e-6)
        if state := stage.stepper.state_of(parameter):
            expected_mean = adam.state[weights[name]]["exp_avg"]
            torch.testing.assert_close(state["exp_avg"], expected_mean, rtol=1e-6, atol=1e-7)


def _double(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor.clone()
