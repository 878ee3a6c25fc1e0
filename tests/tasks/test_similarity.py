from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from torch import Tensor

from bstsearch.tasks.similarity import cosines, neighbours_kept, rank_correlation, relation_distance


def vectors(rows: int, size: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, size, generator=torch.Generator().manual_seed(seed))


def test_cosines_are_those_with_all_others() -> None:
    x = vectors(4, 3)
    found = cosines(x)
    for row in range(4):
        others = [other for other in range(4) if other != row]
        expected = torch.nn.functional.cosine_similarity(x[row][None], x[others])
        torch.testing.assert_close(found[row], expected)


def test_the_distance_is_one_number_per_row_and_none_of_length_or_turning() -> None:
    x = vectors(6, 4)
    turned = 3 * x @ torch.linalg.qr(vectors(4, 4, 1)).Q
    longer = torch.cat([turned, torch.zeros(6, 5)], 1)
    torch.testing.assert_close(relation_distance(longer, x), torch.zeros(6), atol=1e-5, rtol=0)
    other = relation_distance(vectors(6, 2, 2), x)
    assert other.shape == (6,)
    assert (other > 0.01).all()


def test_the_distance_is_what_its_words_say() -> None:
    one, other = vectors(5, 3), vectors(5, 4, 1)
    found, wanted = cosines(one) / 0.05, cosines(other) / 0.05
    shares, others = wanted.softmax(1), found.softmax(1)
    expected = (shares * (shares / others).log()).sum(1) + (found - wanted).square().mean(1) / 2
    torch.testing.assert_close(relation_distance(one, other), expected, rtol=1e-4, atol=1e-5)


def test_a_row_alone_has_no_distance_but_a_gradient() -> None:
    x = vectors(1, 3).requires_grad_()
    distance = relation_distance(x, vectors(1, 5))
    distance.sum().backward()
    assert distance.tolist() == [0.0]
    assert x.grad is not None


def test_the_correlation_is_scipys_of_all_pairs() -> None:
    one, other = vectors(30, 4), vectors(30, 4) + 0.8 * vectors(30, 4, 1)
    pairs = torch.triu_indices(30, 30, 1).unbind()
    sides = [torch.nn.functional.normalize(x.double(), dim=-1) for x in (one, other)]
    tables = [x @ x.T for x in sides]
    expected = stats.spearmanr(*(table[pairs] for table in tables)).statistic
    found = rank_correlation(one, other)
    assert found.value == pytest.approx(expected, abs=1e-12)
    assert found.low < found.value < found.high
    assert found.total == 30


def test_the_interval_holds_as_often_as_it_says() -> None:
    # 200 draws of forty texts each; the truth is the correlation of ten times as many as all of them.
    source = torch.Generator().manual_seed(0)

    def draw(rows: int) -> tuple[Tensor, Tensor]:
        x = torch.randn(rows, 6, generator=source)
        return x, x + 0.7 * torch.randn(rows, 6, generator=source)

    truth = rank_correlation(*draw(1000)).value
    found = [rank_correlation(*draw(40)) for _ in range(200)]
    held = sum(one.low <= truth <= one.high for one in found) / len(found)
    assert 0.9 <= held <= 1.0


@pytest.mark.parametrize("broken", [torch.ones(8, 3), torch.zeros(8, 3)])
def test_a_model_that_finds_all_alike_has_no_correlation(broken: Tensor) -> None:
    score = rank_correlation(broken, vectors(8, 4))
    assert score.value == 0
    assert all(map(math.isfinite, score.interval))


def test_the_same_vectors_agree_wholly_and_their_opposites_not() -> None:
    x = vectors(12, 4)
    assert rank_correlation(x, 2 * x).interval == (1.0, 1.0)
    assert neighbours_kept(x, 2 * x) == 1.0
    assert neighbours_kept(vectors(12, 4, 3), x) < 1.0
