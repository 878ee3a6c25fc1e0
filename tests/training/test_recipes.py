from __future__ import annotations

import json

import pytest

from bstsearch.errors import UsageError
from bstsearch.tasks import get_task
from bstsearch.training.recipes import (
    BST,
    BST_GQA,
    CLIP_VIL,
    DEMO,
    RECIPES,
    SHAPES,
    UNITER,
    StageRecipe,
    get_recipe,
    recipe_for,
)


def main_figures(stage: StageRecipe) -> tuple[object, ...]:
    optimizer = stage.optimizer
    return (
        stage.epochs,
        stage.steps,
        stage.batch_size,
        optimizer.learning_rate,
        optimizer.schedule.at,
        stage.clip_norm,
    )


def test_the_published_figures() -> None:
    assert main_figures(BST.sandwich) == (15, None, 64, 1e-4, (10, 12, 14), None)
    assert main_figures(BST.teacher) == (13, None, 64, 1e-4, (10, 12), None)
    assert main_figures(BST_GQA.sandwich) == (11, None, 64, 1e-4, (8, 10), None)
    assert main_figures(BST_GQA.teacher) == (11, None, 64, 1e-4, (8, 10), None)
    assert main_figures(UNITER.teacher)[1:] == (6000, 2000, 8e-5, (), 2.0)
    assert main_figures(CLIP_VIL.teacher) == (5, None, 256, 5e-5, (), 1.0)
    assert all((stage.loss.reduction, stage.drops_last) == ("sum", True) for stage in (BST.teacher, BST_GQA.sandwich))
    assert BST.sandwich.optimizer.betas == (0.9, 0.98)
    assert BST.sandwich.optimizer.eps == 1e-9
    kinds = [(recipe.teacher.loss.kind, recipe.sandwich.loss.kind) for recipe in (BST, BST_GQA, UNITER)]
    assert kinds == [("bce", "bce-teacher"), ("cross-entropy", "kl-teacher"), ("bce", "bce-teacher")]


def test_the_recipes_are_those_that_the_shipped_supernets_were_trained_with() -> None:
    assert main_figures(DEMO.teacher) == (16, None, 64, 5e-4, (10,), 1.0)
    assert main_figures(DEMO.sandwich) == (9, None, 64, 5e-4, (7,), 1.0)
    assert DEMO.sandwich.unknown_rate == 0.02
    assert main_figures(SHAPES.teacher) == (2, 1600, 64, 5e-4, (), 1.0)
    assert main_figures(SHAPES.sandwich) == (2, 1500, 64, 5e-4, (), 1.0)
    assert (SHAPES.teacher.lead_in, SHAPES.sandwich.lead_in) == (0.3, 0.1)


@pytest.mark.parametrize(
    ("family", "data", "name"),
    [
        ("mcan", "vqa-v2", "bst"),
        ("mcan", "gqa", "bst-gqa"),
        ("uniter", "gqa", "uniter"),
        ("clip_vil", "vqa-v2", "clip-vil"),
        ("uniter", "sort-of-clevr", "curriculum"),
        ("uniter", "easy-vqa", "demo"),
        ("mcan", "shapes", "shapes"),
        ("another", "gqa", "bst-gqa"),
    ],
)
def test_each_family_and_data_set_has_a_recipe(family: str, data: str, name: str) -> None:
    assert recipe_for(family, get_task(data)) is RECIPES[name]
    assert get_recipe(name).name == name


def test_an_unknown_recipe_is_one_clear_error() -> None:
    with pytest.raises(UsageError, match="unknown recipe 'soup'; there are demo, curriculum, shapes, bst"):
        get_recipe("soup")


def test_settings_are_plain_data_without_what_is_off() -> None:
    settings = BST.settings()
    assert json.loads(json.dumps(settings)) == settings
    assert settings["sandwich.optimizer.schedule.at"] == [10, 12, 14]
    assert "sandwich.clip_norm" not in settings
    assert all(recipe.settings() != BST.settings() for recipe in RECIPES.values() if recipe is not BST)


def test_given_epochs_replace_a_number_of_steps() -> None:
    changed = UNITER.teacher.changed(epochs=3, batch_size=10)
    assert (changed.epochs, changed.steps, changed.batch_size, changed.accumulate) == (3, None, 10, 5)
    assert UNITER.teacher.changed() == UNITER.teacher
