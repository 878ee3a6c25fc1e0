"""MCAN against the public BST code: its logits, intermediate values and counts (golden/README.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bstsearch.families.mcan import FAMILY, McanConfig
from bstsearch.model.counting import count
from bstsearch.model.supernet import Supernet
from bstsearch.space import Space, Submodel

Golden = Mapping[str, np.ndarray]

CONFIG = McanConfig(
    vocab=50,
    answers=30,
    question_length=7,
    word_dim=20,
    lstm_hidden=64,
    hidden=64,
    head_dim=16,
    encoder_heads=(4,) * 6,
    encoder_ffn=(256,) * 6,
    decoder_heads=(4,) * 6,
    decoder_ffn=(256,) * 6,
    flat_mlp=64,
    flat_out=128,
    regions=10,
    region_features=32,
)
CELLS = Space.bst(stacks=(6, 6), has_triangle_filter=False)
# Where in our model the values that golden/mcan.npz names are computed.
VALUES = (
    ("lang_adapter", "lang_adapter", None),
    ("img_adapter", "img_adapter", None),
    ("enc_out", "backbone", 0),
    ("dec_out", "backbone", 1),
    ("attflat_lang", "attflat_lang", None),
    ("attflat_img", "attflat_img", None),
    ("proj_norm", "proj_norm", None),
)


@pytest.fixture(scope="module")
def golden() -> Golden:
    with np.load(Path(__file__).parent / "golden" / "mcan.npz") as file:
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
    return {name: torch.from_numpy(golden[f"inputs/{name}"]) for name in ("question", "regions")}


@pytest.mark.parametrize("submodel", CELLS, ids=lambda submodel: submodel.id)
def test_logits(golden: Golden, supernet: Supernet, inputs: dict[str, Tensor], submodel: Submodel) -> None:
    expected = torch.from_numpy(golden[f"logits/{submodel.id}"])
    with torch.no_grad(), supernet.bind(submodel) as model:
        torch.testing.assert_close(model(**inputs), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("submodel", Space.bst(stacks=(6, 6)), ids=lambda submodel: submodel.id)
def test_intermediate_values(golden: Golden, supernet: Supernet, inputs: dict[str, Tensor], submodel: Submodel) -> None:
    model = supernet.materialise(submodel)
    found: dict[str, Tensor] = {}
    for value, module, index in VALUES:
        model.get_submodule(module).register_forward_hook(_keeper(found, value, index))
    with torch.no_grad():
        model(**inputs)
    expected = {value: torch.from_numpy(golden[f"{value}/{submodel.id}"]) for value, _, _ in VALUES}
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("submodel", CELLS, ids=lambda submodel: submodel.id)
def test_counts(golden: Golden, submodel: Submodel) -> None:
    cost = count(FAMILY, CONFIG, submodel)
    assert [cost.parameters, cost.macs] == golden[f"counts/{submodel.id}"].tolist()


def _keeper(found: dict[str, Tensor], name: str, index: int | None) -> Callable[..., None]:
    def keep(_module: nn.Module, _inputs: object, output: Tensor | tuple[Tensor, ...]) -> None:
        found[name] = output if index is None else output[index]

    return keep
