"""UNITER against its public code: logits, intermediate values and loss (golden/README.md)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bstsearch.families.uniter import FAMILY, UniterConfig
from bstsearch.model.supernet import Supernet
from bstsearch.space import Space, Submodel

Golden = Mapping[str, np.ndarray]

CONFIG = UniterConfig(
    vocab=60,
    answers=30,
    question_length=9,
    positions=40,
    hidden=32,
    head_dim=8,
    heads=(4,) * 12,
    ffn=(128,) * 12,
    head_hidden=64,
    regions=10,
    region_features=24,
)
CELLS = Space.bst(stacks=(12,), has_triangle_filter=False)


@pytest.fixture(scope="module")
def golden() -> Golden:
    with np.load(Path(__file__).parent / "golden" / "uniter.npz") as file:
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
    return {name: torch.from_numpy(golden[f"inputs/{name}"]) for name in ("question", "regions", "boxes")}


@pytest.mark.parametrize("submodel", CELLS, ids=lambda submodel: submodel.id)
def test_logits(golden: Golden, supernet: Supernet, inputs: dict[str, Tensor], submodel: Submodel) -> None:
    expected = torch.from_numpy(golden[f"logits/{submodel.id}"])
    with torch.no_grad(), supernet.bind(submodel) as model:
        torch.testing.assert_close(model(**inputs), expected, rtol=0, atol=1e-5)


def test_intermediate_values(golden: Golden, supernet: Supernet, inputs: dict[str, Tensor]) -> None:
    model = supernet.materialise(Submodel())
    found: dict[str, Tensor] = {}

    def keep(name: str, place: int | None = None) -> object:
        return lambda _module, given, output: found.update({name: output if place is None else given[place]})

    model.uniter.encoder.layer[0].register_forward_hook(keep("embedding", 0))
    model.uniter.encoder.layer[0].register_forward_hook(keep("hidden_0"))
    model.uniter.encoder.register_forward_hook(keep("hidden_last"))
    model.uniter.pooler.register_forward_hook(keep("pooled"))
    with torch.no_grad():
        model(**inputs)
    torch.testing.assert_close(found["pooled"], torch.from_numpy(golden["values/pooled"]), rtol=0, atol=1e-5)
    is_real = torch.from_numpy(golden["values/mask"]) == 1
    places = torch.from_numpy(golden["values/gather"])
    for name in ("embedding", "hidden_0", "hidden_last"):
        packed = found[name].gather(1, places[..., None].expand(-1, -1, CONFIG.hidden))
        torch.testing.assert_close(
            packed[is_real], torch.from_numpy(golden[f"values/{name}"])[is_real], rtol=0, atol=1e-5
        )


def test_loss(golden: Golden, supernet: Supernet, inputs: dict[str, Tensor]) -> None:
    targets = torch.from_numpy(golden["inputs/targets"])
    with torch.no_grad():
        loss = F.binary_cross_entropy_with_logits(supernet.model(**inputs), targets) * CONFIG.answers
    assert loss.item() == pytest.approx(float(golden["loss"]), abs=1e-4)
