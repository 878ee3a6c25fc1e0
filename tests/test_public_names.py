from __future__ import annotations

from types import ModuleType

import pytest

import bstsearch


def test_the_lazy_names_are_the_public_ones() -> None:
    assert sorted(bstsearch._HOMES) == sorted(bstsearch.__all__)


@pytest.mark.parametrize("name", bstsearch.__all__)
def test_every_public_name_resolves_and_says_what_it_is(name: str) -> None:
    assert name in dir(bstsearch)
    assert getattr(bstsearch, name).__doc__
    # Importing what it lies in must not put a room of that name in its place.
    assert not isinstance(getattr(bstsearch, name), ModuleType)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Supernets'"):
        _ = bstsearch.Supernets
