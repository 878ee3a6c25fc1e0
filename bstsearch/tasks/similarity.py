"""How alike a model finds its inputs, held against how alike another model finds them.

Vectors of two models cannot be compared where one is longer than the other, as soon as the hidden size shrinks. The
cosines between the vectors of one model can: there is one for each pair of inputs, however long the vectors are.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from bstsearch.score import Z_95, Value

TEMPERATURE = 0.05  # at which cosines become shares: who the nearest are counts most
GROUPS = 10  # of the inputs, each of which is left out once for the interval


def cosines(vectors_BD: Tensor) -> Tensor:
    """The cosine of each vector with each other one (B, B - 1), itself left out."""
    x_BD = torch.nn.functional.normalize(vectors_BD.flatten(1), dim=-1)
    rows = len(x_BD)
    # In a row after row, the diagonal is every (B + 1)th: the first of each row of a table one column wider.
    return (x_BD @ x_BD.T).flatten()[1:].view(rows - 1, rows + 1)[:, :-1].reshape(rows, rows - 1)


def relation_distance(vectors_BD: Tensor, reference_BE: Tensor) -> Tensor:
    """How differently the two sets of vectors are related, per row (B,); 0 for a row that is alone.

    The KL divergence between shares (softmax of cosines), which is about the nearest of each row, and the mean squared
    difference of cosines, which is about all, in units of the temperature.
    """
    if len(vectors_BD) == 1:
        return vectors_BD.flatten(1).sum(1) * 0
    found, wanted = cosines(vectors_BD) / TEMPERATURE, cosines(reference_BE) / TEMPERATURE
    shares = wanted.softmax(1)
    divergence_B = (shares * (wanted.log_softmax(1) - found.log_softmax(1))).sum(1)
    return divergence_B + (found - wanted).square().mean(1) / 2


def rank_correlation(vectors_ND: Tensor, reference_NE: Tensor) -> Value:
    """Spearman's rank correlation of all pairs' cosines with the reference's, and its 95 % interval.

    Pairs share their inputs, so it is these that are taken as drawn: the interval is of a jackknife that leaves out one
    tenth of them at a time. Where one of the two finds all pairs alike, the correlation is 0. At least 3 inputs.
    """
    found, wanted = (_table(vectors).numpy() for vectors in (vectors_ND, reference_NE))
    total = len(found)
    value = _spearman(found, wanted)
    group = np.arange(total) % min(GROUPS, total // 2)
    rest = [group != one for one in set(group)]
    without = [_spearman(found[one][:, one], wanted[one][:, one]) for one in rest]
    count, mean = len(without), math.fsum(without) / len(without)
    half = Z_95 * math.sqrt((count - 1) / count * math.fsum((one - mean) ** 2 for one in without))
    return Value(value=value, low=max(-1.0, value - half), high=min(1.0, value + half), total=total)


def neighbours_kept(vectors_ND: Tensor, reference_NE: Tensor) -> float:
    """The share of the inputs whose nearest neighbour is the reference's."""
    found, wanted = (_table(vectors).fill_diagonal_(-math.inf).argmax(1) for vectors in (vectors_ND, reference_NE))
    return float((found == wanted).double().mean())


def _table(vectors_ND: Tensor) -> Tensor:
    x_ND = torch.nn.functional.normalize(vectors_ND.detach().flatten(1).double(), dim=-1)
    return x_ND @ x_ND.T


def _spearman(one_NN: NDArray[np.float64], other_NN: NDArray[np.float64]) -> float:
    pairs = np.triu_indices(len(one_NN), 1)
    ranks = np.stack([stats.rankdata(table[pairs]) for table in (one_NN, other_NN)])
    ranks -= ranks.mean(1, keepdims=True)
    spread = math.sqrt(float((ranks[0] ** 2).sum()) * float((ranks[1] ** 2).sum()))
    return max(-1.0, min(1.0, float((ranks[0] * ranks[1]).sum()) / spread)) if spread else 0.0
