"""Layers held against the teacher's: which ones, by what, and that submodels learn from it."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import sentences
import torch
from torch import Tensor

from bstsearch.errors import InputError, UsageError
from bstsearch.model.supernet import Supernet
from bstsearch.space import Submodel
from bstsearch.training.layers import LayerMatch
from bstsearch.training.recipes import DISTIL
from bstsearch.training.run import _match_of
from bstsearch.training.sandwich import sandwich_step

HALF = Submodel.from_id("w1of2-d1of2")
Inputs = dict[str, Tensor]


def nothing(outputs: Tensor, _target: object, *, rows: int) -> Tensor:
    return outputs.sum() * 0


@pytest.fixture
def teacher() -> Supernet:
    torch.manual_seed(0)
    supernet = Supernet(sentences.FAMILY, sentences.SentencesConfig()).eval()
    with torch.no_grad():
        for parameter in supernet.parameters():
            parameter.normal_(0, 0.5)
    return supernet


@pytest.fixture
def inputs() -> Inputs:
    return sentences.example_inputs(sentences.SentencesConfig(), 12)


@pytest.fixture
def match(teacher: Supernet, inputs: Inputs) -> LayerMatch:
    found = LayerMatch(teacher)
    with torch.no_grad(), found.teaching(teacher.model, inputs):
        teacher.model(**inputs)
    return found


def layer_loss(match: LayerMatch, supernet: Supernet, submodel: Submodel, inputs: Inputs) -> float:
    with torch.no_grad(), supernet.bind(submodel) as model:
        with match.learning(model) as states:
            model(**inputs)
        return float(match.loss(submodel, states, 12))


def test_the_full_model_is_as_its_teacher_and_a_slice_is_not(
    match: LayerMatch, teacher: Supernet, inputs: Inputs
) -> None:
    assert layer_loss(match, teacher, Submodel(), inputs) == pytest.approx(0, abs=1e-7)
    assert layer_loss(match, teacher, HALF, inputs) > 1e-3


def test_a_kept_layer_is_held_against_the_same_one_of_the_teacher(
    match: LayerMatch, teacher: Supernet, inputs: Inputs
) -> None:
    first_two = dataclasses.replace(sentences.SentencesConfig(), keep_order=(0, 1, 2, 3))
    other = Supernet(sentences.FAMILY, first_two)
    other.load_state_dict(teacher.state_dict())
    other_match = LayerMatch(other)
    with torch.no_grad(), other_match.teaching(other.model, inputs):
        other.model(**inputs)
    shallow = Submodel.from_id("w1-d1of2")
    assert layer_loss(other_match, other, shallow, inputs) == pytest.approx(0, abs=1e-7)  # layers 0 and 1
    assert layer_loss(match, teacher, shallow, inputs) > 1e-4  # layers 0 and 3: 3 reads what 0 gives


def test_padding_counts_for_nothing(match: LayerMatch, teacher: Supernet, inputs: Inputs) -> None:
    inputs["attention_mask"][:, 5:] = 0
    with torch.no_grad(), match.teaching(teacher.model, inputs):
        teacher.model(**inputs)
    states = torch.randn(12, 8, 16)
    changed = states.clone()
    changed[:, 5:] += 1
    assert torch.equal(match._pooled(states), match._pooled(changed))


def test_gradients_reach_every_layer_that_is_kept(match: LayerMatch, teacher: Supernet, inputs: Inputs) -> None:
    pupil = copy.deepcopy(teacher).requires_grad_(True)
    sandwich_step(pupil, [HALF], inputs, torch.zeros(12), nothing, match=match)
    reached = {name for name, one in pupil.model.named_parameters() if one.grad is not None and one.grad.any()}
    assert {name.split(".")[1] for name in reached if name.startswith("layer")} == {"0", "3"}
    assert not any(module._forward_hooks for module in [*pupil.modules(), *teacher.modules()])


def test_a_submodel_gets_closer_by_its_layers_alone(match: LayerMatch, teacher: Supernet, inputs: Inputs) -> None:
    pupil = copy.deepcopy(teacher).requires_grad_(True)
    stepper = torch.optim.Adam(pupil.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        ((loss, _),) = sandwich_step(pupil, [HALF], inputs, torch.zeros(12), nothing, match=match).values()
        losses.append(float(loss))
        stepper.step()
        stepper.zero_grad()
    assert losses[-1] < 0.5 * losses[0]


def test_layers_without_a_row_for_each_example_are_refused(match: LayerMatch) -> None:
    with pytest.raises(InputError, match="no layer of this sentences has a row for each example; leave out --match"):
        match.loss(Submodel(), {"layer": [torch.zeros(3, 5)] * 4}, 12)


def test_what_is_matched_is_the_recipes_or_as_asked_for() -> None:
    assert _match_of(DISTIL, None) is None
    assert _match_of(DISTIL, "layers") == "layers"
    assert _match_of(dataclasses.replace(DISTIL, match="layers"), "outputs") is None
    with pytest.raises(UsageError, match="unknown match 'all'; choose one of outputs, layers"):
        _match_of(DISTIL, "all")
