from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from bstsearch.errors import InputError
from bstsearch.searching.provenance import Provenance
from bstsearch.space import Space

ORIGIN = Provenance(
    supernet={"path": "runs/a", "digest": "a" * 16, "architecture": "b" * 16, "family": "mcan"},
    space=Space.bst(stacks=(4, 4)),
    split="validation",
    device={"name": "local", "obtained": "measured", "digest": "c" * 16, "runtime": {"threads": 2}},
)


def test_same_digests_pass_wherever_the_files_lie() -> None:
    moved = dataclasses.replace(ORIGIN, supernet={**ORIGIN.supernet, "path": "elsewhere"})
    ORIGIN.check_same(moved, Path("front.json"))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"supernet": {**ORIGIN.supernet, "digest": "d" * 16}}, r"supernet 'runs/a' \('d{16}', now 'a{16}'\)"),
        ({"space": Space.bst(stacks=(4, 4), has_triangle_filter=False)}, r"space of 16 submodels \(now 10\)"),
        ({"split": "test"}, "split 'test'"),
        ({"data_set": "points"}, r"data set 'points' \(now the supernet's\)"),
        ({"device": {**ORIGIN.device, "digest": "d" * 16}}, "device profile 'local'"),
        ({"device": {**ORIGIN.device, "digest": "d" * 16, "name": "phone"}}, r"'phone' \('d{16}', now 'local'\)"),
    ],
)
def test_whatever_changed_is_named_with_a_remedy(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        ORIGIN.check_same(dataclasses.replace(ORIGIN, **changed), Path("front.json"))
    assert "--force" in str(caught.value)
    assert "--out" in str(caught.value)


def test_names_of_any_length_are_cut() -> None:
    supernet = {**ORIGIN.supernet, "path": "x" * 300_000, "digest": "d" * 300_000}
    with pytest.raises(InputError) as caught:
        ORIGIN.check_same(dataclasses.replace(ORIGIN, supernet=supernet, data_set="y" * 300_000), Path("front.json"))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("more", [{}, {"via": "ssh", "latency_error": 0.2}, {"via": None, "latency_error": None}])
def test_json_round_trip(more: dict[str, Any]) -> None:
    """Of 0.1.0 there are files that say neither how a device was reached nor the error."""
    for data_set in (None, "points"):
        origin = dataclasses.replace(ORIGIN, device={**ORIGIN.device, **more}, data_set=data_set)
        assert Provenance.from_json(json.loads(json.dumps(origin.to_json()))) == origin


@pytest.mark.parametrize("lost", ["supernet", "space", "split", "device"])
def test_missing_part_is_an_input_error(lost: str) -> None:
    data = ORIGIN.to_json()
    del data[lost]
    with pytest.raises(InputError, match=lost):
        Provenance.from_json(data)


def test_missing_digest_is_an_input_error() -> None:
    data = ORIGIN.to_json()
    del data["supernet"]["digest"]
    with pytest.raises(InputError, match="digest"):
        Provenance.from_json(data)


@pytest.mark.parametrize(
    ("changed", "is_same"),
    [
        ({"device": {**ORIGIN.device, "digest": "d" * 16, "name": "phone"}}, True),
        ({"space": Space.bst(stacks=(4, 4), has_triangle_filter=False)}, True),
        ({"supernet": {**ORIGIN.supernet, "path": "elsewhere"}}, True),
        ({"supernet": {**ORIGIN.supernet, "digest": "d" * 16}}, False),
        ({"split": "test"}, False),
        ({"data_folder": "/data"}, False),
        ({"data_set": "points"}, False),
    ],
)
def test_scores_depend_on_weights_and_questions_only(changed: dict[str, Any], is_same: bool) -> None:
    assert ORIGIN.has_same_scores(dataclasses.replace(ORIGIN, **changed)) is is_same
