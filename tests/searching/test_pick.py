from __future__ import annotations

import json
from pathlib import Path

import pytest

from bstsearch.errors import InputError
from bstsearch.searching.pick import read_pick


def test_row_and_id_pick_the_same_submodel(easy_front: Path) -> None:
    assert read_pick(easy_front, "2") == read_pick(easy_front, "w1of2-d1of2")
    assert read_pick(easy_front, "2").row == 2


def test_the_recommended_one_is_picked_by_that_word(easy_front: Path) -> None:
    picked = read_pick(easy_front, "recommended")
    assert picked.candidate == picked.front.recommended
    assert read_pick(easy_front, str(picked.row)) == picked


def test_it_tells_what_was_taken(easy_front: Path) -> None:
    share = 100 * read_pick(easy_front, "2").score.value
    assert (
        str(read_pick(easy_front, "2"))
        == f"w1of2-d1of2 (row 2 of {easy_front}): {share:.2f} %, 0.5 ms measured on local"
    )
    assert f"w1-d1 (in {easy_front}, but not on the front): " in str(read_pick(easy_front, "w1-d1"))


def test_a_scored_submodel_off_the_front_can_be_picked_by_id(easy_front: Path) -> None:
    assert read_pick(easy_front, "w1-d1").row is None


def test_a_front_older_than_its_supernet_is_refused(easy_front: Path, tmp_path: Path) -> None:
    data = json.loads(easy_front.read_text())
    data["supernet"]["digest"] = "0" * 16
    stale = tmp_path / "front.json"
    stale.write_text(json.dumps(data))
    with pytest.raises(InputError, match=r"is older than its supernet .*'bstsearch pareto --force'"):
        read_pick(stale, "1")


def test_a_front_whose_supernet_is_gone_is_refused(easy_front: Path, tmp_path: Path) -> None:
    data = json.loads(easy_front.read_text())
    data["supernet"]["path"] = str(tmp_path / "gone")
    (tmp_path / "front.json").write_text(json.dumps(data))
    with pytest.raises(InputError, match="gone does not exist"):
        read_pick(tmp_path / "front.json", "1")
