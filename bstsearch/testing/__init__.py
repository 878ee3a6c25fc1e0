"""Contracts: what a family, a task or a driver of one's own must pass.

Subclass one in a test file, and run pytest. They need `pip install bstsearch[testing]`.
"""

import pytest

pytest.register_assert_rewrite("bstsearch.testing.families", "bstsearch.testing.tasks", "bstsearch.testing.drivers")
