from __future__ import annotations

import torch

from bstsearch.model.supernet import Supernet
from bstsearch.tasks.evaluation import evaluate, evaluate_model
from bstsearch.tasks.split import ImageSplit


def split_for(supernet: Supernet, questions: int) -> ImageSplit:
    inputs = supernet.family.example_inputs(supernet.config, questions)
    with torch.no_grad():
        answers = supernet.model(**inputs).argmax(-1)
    answers[::4] = (answers[::4] + 1) % supernet.config.answers  # every fourth one is wrong for the full model
    return ImageSplit(
        questions=inputs["question"],
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
