"""Contracts: what a family of one's own must pass. They need pytest (`pip install bstsearch[testing]`)."""

import pytest

pytest.register_assert_rewrite("bstsearch.testing.families")
