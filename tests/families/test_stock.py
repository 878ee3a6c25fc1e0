"""The contract on a stock configuration; and what is said where its group or its layer count is not declared."""

from __future__ import annotations

import dataclasses

import pytest
import stock
from stock import StockConfig

from bstsearch import doors
from bstsearch.errors import InputError
from bstsearch.layers.keep_order import ends_first
from bstsearch.model.family import Stack
from bstsearch.model.supernet import Supernet
from bstsearch.space import Submodel
from bstsearch.testing.families import FamilyContract

FAMILY, CONFIG = stock.FAMILY, StockConfig()


class TestStock(FamilyContract):
    family = FAMILY
    config = CONFIG

    @pytest.fixture(autouse=True)
    def _is_known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(doors, "_admitted", {("family", "stock"): FAMILY})


def test_hidden_alone_is_refused_as_no_model_by_itself() -> None:
    message = (
        "^stock cannot be built when hidden_size grows from 16 to 17: ValueError: self.hidden_size=17 is no multiple "
        r"of self.num_attention_heads=4\. Declare in groups which sizes move together, and in what steps$"
    )
    with pytest.raises(InputError, match=message):
        Supernet(dataclasses.replace(FAMILY, groups=lambda config: ()), CONFIG)


def test_a_layer_count_that_is_not_declared_is_fixed() -> None:
    stacks = (Stack(prefix="layer", keep_order=ends_first(4)),)
    with pytest.raises(InputError, match=r"^stock w1of4-d1of4: num_hidden_layers is fixed at 4, not 1$"):
        Supernet(dataclasses.replace(FAMILY, stacks=lambda config: stacks), CONFIG)


def test_a_layer_count_that_is_wrong_is_refused() -> None:
    def shrink(config: StockConfig, submodel: Submodel) -> StockConfig:
        return dataclasses.replace(stock.shrink(config, submodel), num_hidden_layers=4)

    message = "^stock w1of4-d1of4: num_hidden_layers counts the layers, of which 1 are kept, not 4$"
    with pytest.raises(InputError, match=message):
        Supernet(dataclasses.replace(FAMILY, shrink=shrink), CONFIG)
