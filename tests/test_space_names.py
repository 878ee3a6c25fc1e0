from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from bstsearch.errors import InputError, UsageError
from bstsearch.space import Space, Submodel
from bstsearch.space_names import check_precisions, named_space, trainable, trained_part

BST = Space.bst(stacks=(6, 6))
ELASTIC = BST.elastic
HALVES = {"widths": ["1/4", "1/2"], "layer_heads": ["1/4", "1/2"], "layer_ffn": ["1/4", "1/2"]}
NET = Path("net")


def write(folder: Path, data: Any) -> str:
    path = folder / "space.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return str(path)


def test_the_names_are_the_space_itself_its_uniform_part_and_all_that_is_free() -> None:
    assert named_space("trained", ELASTIC) == named_space("elastic", BST) == ELASTIC
    assert named_space("bst", ELASTIC) == BST
    assert ELASTIC.size > BST.size == 10


def test_a_file_changes_what_it_names(tmp_path: Path) -> None:
    half = named_space(write(tmp_path, HALVES), ELASTIC)
    assert (half.widths, half.least_depths) == (BST.widths[:2], BST.least_depths[:2])
    assert half.has_own_depths
    assert half.largest == Submodel(width=Fraction(1, 2))
    assert trained_part(write(tmp_path, HALVES), ELASTIC, NET) == half
    deep = named_space(write(tmp_path, {"depths": ["2/3", "1"]}), BST)
    assert [str(depth) for depth in deep.least_depths] == ["2/3", "2/3", "2/3", "1"]


def test_what_was_not_trained_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^net was not trained on all of the space 'elastic'.*train it with --space"):
        trained_part("elastic", BST, NET)
    with pytest.raises(UsageError, match=r"was not trained on all of the space"):
        trained_part(write(tmp_path, {"least_depths": ["1/6"] * 4}), BST, NET)


def test_precisions_are_free_of_any_trained_space_and_cannot_be_trained(tmp_path: Path) -> None:
    base, path = Space.bst(stacks=(4,)), tmp_path / "both.json"
    path.write_text('{"precisions": ["float32", "int8"]}')
    assert trained_part(str(path), base, tmp_path).precisions == ("int8", "float32")
    assert trained_part("trained", base, tmp_path, ["float16"]).precisions == ("float16",)
    for words in (["int4"], ["int8", "int8"], [""]):
        with pytest.raises(UsageError, match="are not understood; give one or more of int8, float16, float32"):
            check_precisions(words)
    with pytest.raises(UsageError, match="names precisions, which need no training; leave them out"):
        trainable(str(path), base)


def test_tokens_are_free_where_they_are_asked_for_and_can_be() -> None:
    shares = (Fraction(1, 4), Fraction(1))
    assert trainable("elastic-tokens", BST, shares) == dataclasses.replace(ELASTIC, tokens=shares)
    assert trainable("elastic", BST, shares) == ELASTIC
    with pytest.raises(UsageError, match="this model sees all of the image's tokens; use --space elastic"):
        trainable("elastic-tokens", BST)


def test_a_space_without_the_full_model_cannot_be_trained(tmp_path: Path) -> None:
    assert trainable("elastic", BST) == ELASTIC
    with pytest.raises(UsageError, match="leaves the full model out, which teaches all others; add share 1"):
        trainable(write(tmp_path, HALVES), BST)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"widht": ["1/2"]}, "unknown field widht"),
        ({"stacks": [6, 6]}, "unknown field stacks"),
        ({"widths": ["1/2", "a half"]}, "widths"),
        ({"widths": []}, "space.widths must hold at least one share"),
        ({"depths": ["1/4", "1"]}, "depth 1/4 of 6 layers is not a whole number of layers"),
        ({"widths": ["3/4"], "depths": ["1/3"]}, "width 3/4 goes with depths from 2/3 on; add one to 'depths'"),
        ([], "expected `?object"),
        ("{", ""),
    ],
)
def test_a_file_that_makes_no_space_is_refused(data: Any, message: str, tmp_path: Path) -> None:
    path = write(tmp_path, data)
    with pytest.raises(InputError, match=f"^{path}.*{message}"):
        named_space(path, BST)


def test_what_is_neither_a_name_nor_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match="unknown space 'layerwise'; there are trained, bst, elastic, elastic-tokens, or give"
    ):
        named_space("layerwise", BST)
    with pytest.raises(InputError, match="none"):
        named_space(str(tmp_path / "none.json"), BST)
