from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from bstsearch.errors import InputError
from bstsearch.model.stack_shape import StackShape, per_layer

STACK = StackShape(name="encoder", keep_order=(0, 2, 1), heads=(4, 4, 4), ffn=(8, 8, 8))


@pytest.mark.parametrize("stack", [STACK, dataclasses.replace(STACK, heads=(), ffn=())])
def test_round_trip(stack: StackShape) -> None:
    assert StackShape.from_json(json.loads(json.dumps(stack.to_json()))) == stack


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"keep_order": [0, 0, 1]}, "keep_order must name each layer once"),
        ({"keep_order": [0, 1]}, "keep_order must name each layer once, sizes each layer"),
        ({"heads": [4, 4.5, 4]}, "heads must be a list of whole numbers"),
        ({"ffn": None}, "ffn must be a list of whole numbers"),
        ({"name": 3}, "expected an object with ffn, heads, keep_order, name"),
        ({"colour": "red"}, "expected an object with"),
    ],
)
def test_malformed_stacks_are_refused(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        StackShape.from_json({**STACK.to_json(), **changed})


@pytest.mark.parametrize("config", [{}, {"heads": (1, 1)}, {"a_heads": (1,), "b_heads": (1, 1)}, {"heads": 4}])
def test_sizes_that_do_not_name_every_layer_are_none(config: dict[str, Any]) -> None:
    assert per_layer(config, "heads", (2, 1)) == [(), ()]
