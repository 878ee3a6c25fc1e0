"""The contract of families, passed by stock classes: their configurations say what can shrink."""

from __future__ import annotations

import pytest
from classes import inspected

from bstsearch.stock.configuration import StockConfig
from bstsearch.stock.family import FAMILY
from bstsearch.testing.families import FamilyContract


class _Stock(FamilyContract):
    family = FAMILY
    architecture: str

    @property
    def config(self) -> StockConfig:  # type: ignore[override]
        return inspected(self.architecture).config


class TestBert(_Stock):
    architecture = "BertForSequenceClassification"


@pytest.mark.slow
class TestPhi3(_Stock):
    architecture = "Phi3ForCausalLM"


@pytest.mark.slow
class TestClip(_Stock):
    architecture = "CLIPModel"
