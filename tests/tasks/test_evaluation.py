from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator

import pytest
import torch

from bstsearch.errors import InputError
from bstsearch.model.supernet import Supernet
from bstsearch.tasks.evaluation import evaluate, evaluate_model
from bstsearch.tasks.split import ImageSplit
from bstsearch.tasks.task import Batch


def split_for(supernet: Supernet, questions: int) -> ImageSplit:
    inputs = supernet.family.example_inputs(supernet.config, questions)
    with torch.no_grad():
        answers = supernet.model(**inputs).argmax(-1)
    answers[::4] = (answers[::4] + 1) % supernet.config.answers  # every fourth one is wrong for the full model
    return ImageSplit(
        questions={"question": inputs["question"]},
        image_of=torch.arange(questions),
        images=inputs["image"],
        picture=supernet.family.reader(supernet.config).needed_picture("these are images"),
        answers=answers,
    )


def test_accuracy_counts_the_questions_answered_right(tiny_supernet: Supernet) -> None:
    split = split_for(tiny_supernet, 10)
    accuracy = evaluate(tiny_supernet, tiny_supernet.space.largest, split, batch_size=4)
    assert (accuracy.correct, accuracy.total) == (7, 10)


def test_a_submodel_scores_as_its_materialised_self(tiny_supernet: Supernet) -> None:
    split = split_for(tiny_supernet, 32)
    for submodel in tiny_supernet.space:
        bound = evaluate(tiny_supernet, submodel, split)
        assert bound == evaluate_model(tiny_supernet.materialise(submodel), split, batch_size=7)


def test_scoring_leaves_no_gradient_behind(tiny_supernet: Supernet) -> None:
    evaluate(tiny_supernet, tiny_supernet.space.smallest, split_for(tiny_supernet, 4))
    assert all(parameter.grad is None for parameter in tiny_supernet.parameters())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_outputs_that_are_not_finite_have_no_score(tiny_supernet: Supernet, value: float) -> None:
    split, broken = split_for(tiny_supernet, 10), copy.deepcopy(tiny_supernet)
    with torch.no_grad():
        broken.model.get_parameter("proj.bias")[-1] = value
    for submodel in broken.space:
        with pytest.raises(InputError) as error:
            evaluate(broken, submodel, split, batch_size=4, where="runs/net")
        message = f"runs/net, submodel {submodel.id}: outputs of 10 of 10 examples are not finite; check the weights"
        assert str(error.value) == message


def test_examples_with_broken_outputs_are_counted(tiny_supernet: Supernet) -> None:
    split, done = split_for(tiny_supernet, 10), [0]

    def model(**inputs: torch.Tensor) -> torch.Tensor:
        outputs = tiny_supernet.model(**inputs)
        for row in range(len(outputs)):
            if done[0] + row in (2, 9):
                outputs[row, 0] = float("nan")
        done[0] += len(outputs)
        return outputs

    with pytest.raises(InputError, match=r"^the model: outputs of 2 of 10 examples are not finite"):
        evaluate_model(model, split, batch_size=4)


class Kept(ImageSplit):
    """A split of somebody else's, that divides by nothing."""

    def kept(self, outputs: torch.Tensor, targets: torch.Tensor | None = None) -> torch.Tensor:
        return outputs[:, 0] / 0


def test_what_a_split_makes_of_outputs_must_be_finite_too(tiny_supernet: Supernet) -> None:
    split = Kept(**vars(split_for(tiny_supernet, 4)))
    with pytest.raises(InputError, match=r"^Kept\.kept of the model: outputs of 4 of 4 examples are not finite"):
        evaluate_model(tiny_supernet.model, split)


def test_a_split_without_targets_is_refused_before_anything_is_computed(tiny_supernet: Supernet) -> None:
    class Untold(ImageSplit):
        has_targets = False

    def model(**inputs: torch.Tensor) -> torch.Tensor:
        raise AssertionError(inputs)

    with pytest.raises(InputError, match="come without targets, so there is no score"):
        evaluate_model(model, Untold(**vars(split_for(tiny_supernet, 4))))


class Half(ImageSplit):
    """A split of somebody else's that loses rows."""

    def batches(self, size: int, order: torch.Tensor | None = None) -> Iterator[Batch]:
        return itertools.islice(super().batches(size, order), 1)


class Shares(ImageSplit):
    """A split of somebody else's whose words are no ids."""

    def batches(self, size: int, order: torch.Tensor | None = None) -> Iterator[Batch]:
        for batch in super().batches(size, order):
            yield Batch(inputs={**batch.inputs, "question": batch.inputs["question"] / 7}, targets=batch.targets)


def test_a_split_that_loses_rows_has_no_score(tiny_supernet: Supernet) -> None:
    with pytest.raises(InputError, match=r"^Half\.batches and kept gave 4 rows of 10; check Half$"):
        evaluate_model(tiny_supernet.model, Half(**vars(split_for(tiny_supernet, 10))), batch_size=4)


def test_a_batch_that_the_model_cannot_read_is_one_line(tiny_supernet: Supernet) -> None:
    with pytest.raises(InputError) as error:
        evaluate_model(tiny_supernet.model, Shares(**vars(split_for(tiny_supernet, 4))))
    message = str(error.value)
    assert message.startswith("the model cannot read 'question torch.float32 (4, ")
    assert message.endswith("; check Shares")
    assert len(message) < 350
    assert "\n" not in message
