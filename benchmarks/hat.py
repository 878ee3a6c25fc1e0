"""The block predictor on the Transformers of HAT (Wang et al., ACL 2020), timed by its authors on a Raspberry Pi 4.

    python benchmarks/hat.py FOLDER     with wmt14ende_cpu_raspberrypi_all.csv and wmt14enfr_cpu_raspberrypi_all.csv

The two tables are those of the folder latency_dataset of github.com/mit-han-lab/hardware-aware-transformers (commit
70e5a279); any CSV files with their columns will do. Ours, fitted to 200 of the 2,000 configurations, against

- HAT's predictor after 1,600: its three hidden layers of 400 units on the ten features that it takes, scaled;
- a ridge on all products of two of those features, after 1,600 and after 200.

The error is that of encoder + decoder, on configurations that the predictor has not seen; several random draws.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from bstsearch.profiles import composition
from bstsearch.profiles.composition import Blocks
from timing import report

Array = NDArray[np.float64]
Predict = Callable[[Array], Array]

FEATURES = 10
DRAWS = 5
FEW, MANY = 200, 1600
# What the features are shares of; column by column as in the tables.
LARGEST = np.array([640, 6, 3072, 8, 640, 6, 3072, 8, 8, 3], float)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with the two tables")
    folder = parser.parse_args().folder
    torch.set_num_threads(1)
    figures = {}
    for pair in ("ende", "enfr"):
        (path,) = folder.glob(f"*wmt14{pair}_cpu_raspberrypi_all.csv")
        table = pd.read_csv(path).to_numpy(float)
        figures[pair] = _compare(table[:, :FEATURES], table[:, FEATURES] + table[:, FEATURES + 1])
    report("hat", figures)


def _compare(features: Array, latency_ms: Array) -> dict[str, object]:
    sides: dict[str, tuple[Callable[[Array, Array], Predict], int]] = {
        f"blocks_{FEW}": (_blocks, FEW),
        f"blocks_{MANY}": (_blocks, MANY),
        f"degree_2_ridge_{FEW}": (_ridge, FEW),
        f"degree_2_ridge_{MANY}": (_ridge, MANY),
        f"hat_network_{MANY}": (_network, MANY),
    }
    errors: dict[str, list[float]] = {name: [] for name in sides}
    for seed in range(DRAWS):
        order = np.random.default_rng(seed).permutation(len(features))
        for name, (fit, rows) in sides.items():
            seen, unseen = order[:rows], order[rows:]
            predicted = fit(features[seen], latency_ms[seen])(features[unseen])
            errors[name].append(float(np.mean(np.abs(predicted / latency_ms[unseen] - 1))))
    return {
        "configurations": len(features),
        "mean_error_percent": {name: round(100 * statistics.median(found), 2) for name, found in errors.items()},
        "over_draws": {name: [round(100 * one, 2) for one in found] for name, found in errors.items()},
    }


def _blocks(features: Array, latency_ms: Array) -> Predict:
    """The package's own predictor: a base, encoder layers and decoder layers."""
    costs = composition.fit([_model(row) for row in features], latency_ms.tolist())
    return lambda rows: np.array([costs.total(_model(row)) for row in rows])


def _model(row: Array) -> Blocks:
    """One Transformer's blocks; the tables give the mean FFN size and heads of its layers, so its layers are alike."""
    width, layers, ffn, heads, decoder_width, decoder_layers, *decoder = (row / LARGEST).tolist()
    return {
        ("base", (width, decoder_width)): 1.0,
        ("encoder", (width, ffn, heads)): 6 * layers,
        ("decoder", (decoder_width, *decoder)): 6 * decoder_layers,
    }


def _ridge(features: Array, latency_ms: Array) -> Predict:
    """Least squares of relative errors on all monomials up to degree two, with the best of several penalties."""
    products = np.array([composition.monomials(tuple(row)) for row in features / LARGEST])
    scale = float(latency_ms.mean())
    relative = products * (scale / latency_ms)[:, None]
    half = len(relative) * 4 // 5
    best, least = np.zeros(relative.shape[1]), np.inf
    for penalty in composition.PENALTIES:
        error = float(np.abs(relative[half:] @ _solve(relative[:half], penalty) - 1).mean())
        if error < least:
            best, least = _solve(relative, penalty), error
    return lambda rows: scale * np.array([composition.monomials(tuple(row)) for row in rows / LARGEST]) @ best


def _solve(relative: Array, penalty: float) -> Array:
    square = relative.T @ relative + penalty * np.eye(relative.shape[1])
    return np.asarray(np.linalg.solve(square, relative.sum(0)))


def _network(features: Array, latency_ms: Array) -> Predict:
    torch.manual_seed(0)
    layers = [nn.Linear(FEATURES, 400), nn.ReLU(), nn.Linear(400, 400), nn.ReLU(), nn.Linear(400, 400), nn.ReLU()]
    network = nn.Sequential(*layers, nn.Linear(400, 1))
    scale = float(latency_ms.mean())
    x, y = _tensor(features / LARGEST), _tensor(latency_ms[:, None] / scale)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 5000)
    for _ in range(5000):
        rows = torch.randint(len(x), (128,))
        loss = nn.functional.mse_loss(network(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return lambda rows: scale * network(_tensor(rows / LARGEST)).detach().numpy()[:, 0].astype(float)


def _tensor(array: Array) -> torch.Tensor:
    return torch.from_numpy(array).float()


if __name__ == "__main__":
    main()
