"""The contract on a family with a fused axis, a tie and a buffer of its own; MCAN has none of them."""

from __future__ import annotations

import pytest
from toy import FAMILY, ToyConfig

from bstsearch import doors
from bstsearch.testing.families import FamilyContract


class TestToy(FamilyContract):
    family = FAMILY
    config = ToyConfig()
    heads_leave_by = "merge.weight"
    ffn_leaves_by = "down.weight"
    is_part_of_the_full_model = False  # its positions are divided by the hidden size

    @pytest.fixture(autouse=True)
    def _is_known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Lets `Supernet.load` find this family, which is no file in the package."""
        monkeypatch.setattr(doors, "_admitted", {("family", "toy"): FAMILY})
