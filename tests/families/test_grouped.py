"""The contract on grouped attention, fused; and what is said where its parts or its group are not declared."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import grouped
import pytest
from grouped import GroupedConfig

from bstsearch import doors
from bstsearch.errors import InputError
from bstsearch.model.axes import Axis
from bstsearch.model.supernet import Supernet
from bstsearch.space import Submodel
from bstsearch.testing.families import FamilyContract

FAMILY, CONFIG = grouped.FAMILY, GroupedConfig()


class TestGrouped(FamilyContract):
    family = FAMILY
    config = CONFIG
    heads_leave_by = "merge.weight"
    ffn_leaves_by = "down.weight"

    @pytest.fixture(autouse=True)
    def _is_known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(doors, "_admitted", {("family", "grouped"): FAMILY})


TOGETHER = "heads grows from (16, 16, 16, 16) to (20, 20, 20, 20) and kv_heads grows from (4, 4, 4, 4) to (5, 5, 5, 5)"


@pytest.mark.parametrize(
    ("left", "message"),
    [
        (
            "qkv",
            f"axis 0 of layers.0.qkv.weight grows from 48 to 60 when {TOGETHER}; expected 2 x heads or 2 x kv_heads",
        ),
        ("gate_up", "axis 0 of layers.0.gate_up.weight grows from 32 to 34 when ffn grows from"),
        (
            "classifier",
            "axis 1 of classifier.weight grows from 16 to 18 when hidden grows from 8 to 9; expected",
        ),
    ],
)
def test_parts_that_are_not_declared_are_refused(left: str, message: str) -> None:
    axes = tuple(axis for axis in FAMILY.axes if left not in axis.parameter)
    with pytest.raises(InputError, match=f"^grouped: {re.escape(message)}.*Declare its parts as an Axis"):
        Supernet(dataclasses.replace(FAMILY, axes=axes), CONFIG)


@pytest.mark.parametrize("parts", [(2, 2, 2), (1, 1), (3, 1), (1, 4, 4)], ids=str)
def test_parts_in_another_proportion_are_refused(parts: tuple[int, ...]) -> None:
    axes = (Axis(parameter="layers.*.qkv.*", axis=0, parts=parts), *FAMILY.axes)
    with pytest.raises(InputError, match=rf"expected parts {re.escape(str(parts))}, each of 2 x heads or 2 x kv_heads"):
        Supernet(dataclasses.replace(FAMILY, axes=axes), CONFIG)


def test_sizes_that_do_not_move_together_are_refused() -> None:
    def fewer_queries(config: GroupedConfig, submodel: Submodel) -> GroupedConfig:
        return dataclasses.replace(
            grouped.shrink(config, submodel), kv_heads=config.kv_heads[: int(4 * submodel.depth)]
        )

    message = "heads and kv_heads move together, in steps of 4 and 1; they are 4 and 4"
    with pytest.raises(InputError, match=f"^grouped w1of4-d1of4: {message}$"):
        Supernet(dataclasses.replace(FAMILY, shrink=fewer_queries), CONFIG)


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ({"heads": 4, "values": 1}, "the group of heads and values names values, which is not elastic"),
        ({"heads": 4, "kv_heads": 0}, "the group of heads and kv_heads moves kv_heads by 0, not by a whole number"),
    ],
)
def test_a_group_that_is_none_is_refused(group: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Supernet(dataclasses.replace(FAMILY, groups=lambda config: (group,)), CONFIG)


@pytest.mark.parametrize("parts", [(), (1, 0), (1.5,)], ids=str)
def test_parts_that_are_none_are_refused(parts: Any) -> None:
    with pytest.raises(InputError, match=r"Axis 0 of \*.qkv.weight: parts are positive numbers, not "):
        Axis(parameter="*.qkv.weight", axis=0, parts=parts)
