from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from bstsearch.errors import InputError
from bstsearch.model.stack_shape import StackShape, per_layer
from bstsearch.reading import checked

STACK = StackShape(name="encoder", keep_order=(0, 2, 1), heads=(4, 4, 4), ffn=(8, 8, 8))


@pytest.mark.parametrize("stack", [STACK, msgspec.structs.replace(STACK, heads=(), ffn=())])
def test_round_trip(stack: StackShape) -> None:
    assert checked(json.loads(json.dumps(msgspec.to_builtins(stack))), StackShape, "stack") == stack


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"keep_order": [0, 0, 1]}, "stack: keep_order must name each layer once"),
        ({"keep_order": [0, 1]}, "keep_order must name each layer once, sizes each layer"),
        ({"heads": [4, 4.5, 4]}, r"stack, heads\[1\]: expected int, got float"),
        ({"heads": [4, -4, 4]}, r"stack, heads\[1\]: expected int >= 0"),
        ({"ffn": None}, "stack, ffn: expected array, got null"),
        ({"name": 3}, "stack, name: expected str, got int"),
        ({"colour": "red"}, "stack: object contains unknown field colour"),
    ],
)
def test_malformed_stacks_are_refused(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        checked({**msgspec.to_builtins(STACK), **changed}, StackShape, "stack")


@pytest.mark.parametrize("config", [{}, {"heads": (1, 1)}, {"a_heads": (1,), "b_heads": (1, 1)}, {"heads": 4}])
def test_sizes_that_do_not_name_every_layer_are_none(config: dict[str, Any]) -> None:
    assert per_layer(config, "heads", (2, 1)) == [(), ()]
