"""CLIP-ViL against its public code: logits and intermediate values (golden/README.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bstsearch.families.clip_vil import FAMILY, ClipVilConfig
from bstsearch.model.supernet import Supernet
from bstsearch.space import Space, Submodel

Golden = Mapping[str, np.ndarray]

CONFIG = ClipVilConfig(
    vocab=60,
    answers=30,
    positions=40,
    hidden=32,
    head_dim=8,
    heads=(4,) * 12,
    ffn=(128,) * 12,
    head_hidden=64,
    tower_layers=(1, 2, 1, 1),
    tower_width=8,
    image_height=96,
    image_width=160,
)
CELLS = Space.bst(stacks=(12,), has_triangle_filter=False)
# Where in our model the values that golden/clip_vil.npz names are computed.
MODULES = {
    "embeddings": "embeddings",
    "grid": "encoder.visual_model",
    "visn_fc": "encoder.visn_fc",
    "layer0": "encoder.layer.0",
    "layer11": "encoder.layer.11",
    "pooled": "pooler",
}


@pytest.fixture(scope="module")
def golden() -> Golden:
    with np.load(Path(__file__).parent / "golden" / "clip_vil.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def supernet(golden: Golden) -> Supernet:
    supernet = Supernet(FAMILY, CONFIG, CELLS).eval()
    prefix = "weights/"
    weights = {key.removeprefix(prefix): value for key, value in golden.items() if key.startswith(prefix)}
    supernet.model.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    return supernet


@pytest.fixture(scope="module")
def inputs(golden: Golden) -> dict[str, Tensor]:
    return {name: torch.from_numpy(golden[f"inputs/{name}"]) for name in ("question", "image")}


@pytest.mark.parametrize("submodel", CELLS, ids=lambda submodel: submodel.id)
def test_logits(golden: Golden, supernet: Supernet, inputs: dict[str, Tensor], submodel: Submodel) -> None:
    expected = torch.from_numpy(golden[f"logits/{submodel.id}"])
    with torch.no_grad(), supernet.bind(submodel) as model:
        torch.testing.assert_close(model(**inputs), expected, rtol=0, atol=1e-5)


def test_intermediate_values(golden: Golden, supernet: Supernet, inputs: dict[str, Tensor]) -> None:
    model = supernet.materialise(Submodel())
    found: dict[str, Tensor] = {}
    for value, module in MODULES.items():
        model.get_submodule(module).register_forward_hook(_keeper(found, value))
    with torch.no_grad():
        _, _, found["visual_pos"] = model.fixed(**inputs)
        model(**inputs)
    expected = {value: torch.from_numpy(golden[f"values/{value}"]) for value in found}
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_a_saved_grid_gives_what_the_tower_would(golden: Golden, supernet: Supernet, inputs: dict[str, Tensor]) -> None:
    grid = torch.from_numpy(golden["values/grid"]).flatten(2).transpose(1, 2)
    with torch.no_grad():
        found = supernet.model(question=inputs["question"], grid=grid)
    torch.testing.assert_close(found, torch.from_numpy(golden["logits/w1-d1"]), rtol=0, atol=1e-5)


def _keeper(found: dict[str, Tensor], name: str) -> Callable[..., None]:
    def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        found[name] = output

    return keep
