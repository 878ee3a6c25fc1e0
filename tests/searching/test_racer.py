"""Submodels scored part after part, against the plain evaluation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bstsearch.errors import InputError
from bstsearch.model.supernet import Supernet
from bstsearch.score import ACCURACY, Accuracy, Metric, Score, Value
from bstsearch.searching import racing
from bstsearch.searching.racer import Racer
from bstsearch.searching.racing import order, part_ends, read_rights, write_rights
from bstsearch.tasks.evaluation import evaluate, outputs_of
from bstsearch.tasks.split import ImageSplit

ROWS = 100


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(racing, "SMALLEST", 12)


@pytest.fixture
def split(tiny_supernet: Supernet) -> ImageSplit:
    """Questions of which the full model answers every fourth."""
    inputs = tiny_supernet.family.example_inputs(tiny_supernet.config, ROWS)
    with torch.no_grad():
        answers = tiny_supernet.model(**inputs).argmax(-1)
    answers[torch.arange(ROWS) % 4 > 0] += 1
    picture = tiny_supernet.family.reader(tiny_supernet.config).needed_picture("these are images")
    rows = torch.arange(ROWS)
    return ImageSplit(
        questions={"question": inputs["question"]},
        image_of=rows,
        images=inputs["image"],
        picture=picture,
        answers=answers,
    )


def test_whole_scores_and_values_are_those_of_the_plain_evaluation(tiny_supernet: Supernet, split: ImageSplit) -> None:
    racer = Racer(tiny_supernet, split, ACCURACY)
    for submodel in tiny_supernet.space:
        found = racer.score(submodel)
        assert found.score == evaluate(tiny_supernet, submodel, split)
        assert found.is_whole
        assert found.rights is not None
        kept = outputs_of(tiny_supernet, submodel, split)
        assert np.array_equal(read_rights(found.rights, ROWS), (kept == split.answers).numpy())


ALL_RIGHT = {"all": write_rights(np.ones(ROWS))}


def test_a_submodel_is_dropped_on_a_part_where_another_is_better(tiny_supernet: Supernet, split: ImageSplit) -> None:
    racer, submodel = Racer(tiny_supernet, split, ACCURACY), tiny_supernet.space.smallest
    whole = racer.score(submodel)
    assert whole.rights is not None
    found = racer.score(submodel, {"itself": whole.rights, **ALL_RIGHT})
    assert found.beaten_by == "all"
    assert not found.is_whole
    assert found.rights is None
    assert isinstance(found.score, Accuracy)
    assert found.score.total in part_ends(ROWS)[:-1]
    rows = order(ROWS)[: found.score.total]
    assert found.score.value == read_rights(whole.rights, ROWS)[rows].mean()
    assert racer.score(submodel, {"itself": whole.rights, "none": write_rights(np.zeros(ROWS))}) == whole


class Errors(ImageSplit):
    """How far the class ids are off, on the average."""

    def values(self, kept: Tensor) -> Tensor:
        return (kept - self.answers).abs().double()

    def score(self, kept: Tensor) -> Score:  # type: ignore[override]
        return Value.mean(self.values(kept).tolist())


def test_errors_race_too_and_less_is_better(tiny_supernet: Supernet, split: ImageSplit) -> None:
    racer = Racer(tiny_supernet, Errors(**vars(split)), Metric(name="error", is_higher_better=False))
    found = racer.score(tiny_supernet.space.smallest, {"none": write_rights(np.zeros(ROWS)), **ALL_RIGHT})
    assert isinstance(found.score, Value)
    assert found.beaten_by == "none"


@pytest.mark.parametrize(
    "values", [lambda _self, _kept: None, lambda self, kept: 0.5 * (kept == self.answers).double()]
)
def test_a_score_that_is_no_mean_of_its_values_never_races(
    tiny_supernet: Supernet, split: ImageSplit, values: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageSplit, "values", values)
    assert Racer(tiny_supernet, split, ACCURACY).score(tiny_supernet.space.largest).rights is None


def test_values_that_are_not_one_for_each_row_are_refused(
    tiny_supernet: Supernet, split: ImageSplit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageSplit, "values", lambda *_: torch.ones(3))
    with pytest.raises(InputError, match=r"^ImageSplit\.values gave \(3,\) for 100 rows; check ImageSplit"):
        Racer(tiny_supernet, split, ACCURACY).score(tiny_supernet.space.largest)


def test_broken_outputs_are_counted_over_all_rows(tiny_supernet: Supernet, split: ImageSplit) -> None:
    bias = tiny_supernet.model.get_parameter("proj.bias")
    with torch.no_grad():
        kept = float(bias[-1])
        bias[-1] = float("nan")
        try:
            with pytest.raises(InputError, match=r"^runs/net, submodel w1-d1: outputs of 100 of 100 examples are not"):
                Racer(tiny_supernet, split, ACCURACY, "runs/net").score(tiny_supernet.space.largest, ALL_RIGHT)
        finally:
            bias[-1] = kept
