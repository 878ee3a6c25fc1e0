from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import approx_fprime

from bstsearch.searching import accuracy_model
from bstsearch.searching.accuracy_model import AccuracyModel

GROUPS = [[0], [1], [2, 3, 4, 5], [6, 7, 8, 9]]
Array = NDArray[np.float64]


def features(count: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).choice([0.25, 0.5, 0.75, 1.0], (count, 10))


def truth(features_NF: Array) -> Array:
    """Gains of layers that diminish, and less of them in narrow submodels."""
    layers_N = features_NF[:, 2:] ** 0.5 @ np.linspace(0.02, 0.2, 8)
    return 0.5 + 0.3 * (0.5 + 0.5 * features_NF[:, 0]) * layers_N


def model(count: int, deviation: float = 0.002) -> AccuracyModel:
    known = features(count)
    scores = truth(known) + np.random.default_rng(1).normal(0, deviation, count)
    return AccuracyModel(known, scores, np.full(count, deviation**2), GROUPS)


def test_it_learns_what_layers_add() -> None:
    unseen = features(200, seed=2)
    errors = [model(count).predict(unseen).mean_M - truth(unseen) for count in (20, 100)]
    few, many = (float(np.sqrt(np.mean(error**2))) for error in errors)
    assert many < 0.5 * few
    assert many < 0.1 * truth(unseen).std()


def test_deviations_are_as_large_as_errors() -> None:
    prediction = model(40).predict(features(300, seed=2))
    errors = np.abs(prediction.mean_M - truth(features(300, seed=2)))
    assert 0.7 < np.mean(errors < 2 * prediction.deviation_M) <= 1


def test_left_out_is_what_a_model_without_that_score_expects(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = model(30)
    monkeypatch.setattr(accuracy_model, "_likeliest", lambda *_: whole.values)
    known, scores = features(30), whole._mean + whole._scale * whole._target_N
    # The mean and scale of the scores stay those of all of them.
    others = AccuracyModel(known[1:], scores[1:], np.full(29, 0.002**2), GROUPS)
    assert whole.left_out()[0] == pytest.approx(others.predict(known[:1]).mean_M[0], abs=0.01 * whole._scale)


def test_what_is_believed_makes_its_likes_less_uncertain() -> None:
    prediction = model(20).predict(features(50, seed=3))
    before = prediction.deviation_M
    prediction.believe(7)
    assert prediction.deviation_M[7] < 0.5 * before[7]
    assert (prediction.deviation_M <= before + 1e-12).all()


def test_scores_that_are_all_alike_are_no_error() -> None:
    known = features(6)
    flat = AccuracyModel(known, np.full(6, 0.7), np.full(6, 1e-5), GROUPS)
    np.testing.assert_allclose(flat.predict(features(3, seed=1)).mean_M, 0.7, atol=0.05)


def test_slopes_of_the_likelihood(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are worked out by hand; here they are held against differences."""
    found = {}

    class Found:
        x = np.zeros(2 * len(GROUPS) + 2)

    def minimize(function, start, **_):  # type: ignore[no-untyped-def]
        found["function"], found["start"] = function, start
        return Found

    monkeypatch.setattr(accuracy_model, "minimize", minimize)
    model(25)
    point = found["start"] + 0.3
    by_hand = found["function"](point)[1]
    np.testing.assert_allclose(
        by_hand, approx_fprime(point, lambda logs: found["function"](logs)[0], 1e-6), rtol=1e-3, atol=1e-3
    )
