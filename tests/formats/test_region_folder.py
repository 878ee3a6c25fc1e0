from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from test_butd_tsv import line

from bstsearch.errors import InputError
from bstsearch.formats.region_folder import RegionFolder, find_regions


def write_npz(path: Path, value: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    box = np.array([[20, 30, 120, 80]], np.float32)
    np.savez(path, x=np.full((8, 1), value, np.float32), bbox=box, image_w=200, image_h=100)


def first(source: RegionFolder, image: str) -> float:
    return float(source.regions(image).features[0, 0])


def test_files_and_lines_are_found_in_all_folders_below(tmp_path: Path) -> None:
    write_npz(tmp_path / "train2014" / "COCO_train2014_000000000007.jpg.npz", 7)
    write_npz(tmp_path / "0000008.npz", 8)
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a.tsv").write_bytes(line(9) + line("COCO_val2014_000000000010"))
    source = find_regions(tmp_path, 8)
    assert [first(source, image) for image in ("7", "8", "08", "9", "10", "COCO_val2014_000000000010")] == [
        *(7, 8, 8, 9, 10, 10)
    ]
    assert source.first_missing(["7", "8", "9", "10"]) is None
    missing = f"{tmp_path}: no .npz file and no line of a .tsv file for image 11"
    assert source.first_missing(["7", "11"]) == missing
    with pytest.raises(InputError) as error:
        source.regions("11")
    assert str(error.value) == f"{missing}; copy the file that has it there"


def test_a_table_goes_before_a_file(tmp_path: Path) -> None:
    write_npz(tmp_path / "7.npz", 99)
    (tmp_path / "a.tsv").write_bytes(line(7))
    assert first(find_regions(tmp_path, 8), "7") == 7


def test_strays_beside_sound_files_cost_nothing(tmp_path: Path) -> None:
    write_npz(tmp_path / "7.npz", 7)
    (tmp_path / "a.tsv").write_bytes(line(8))
    (tmp_path / "notes.tsv").write_text("image\tremark\n7\tblurred\n")
    (tmp_path / "vocab.npz").write_text("no archive")
    (tmp_path / "._7.npz").write_text("what macOS leaves")
    (tmp_path / "._a.tsv").write_text("what macOS leaves")
    (tmp_path / "folder.tsv").mkdir()
    os.mkfifo(tmp_path / "pipe.tsv")
    source = find_regions(tmp_path, 8)
    assert [first(source, "7"), first(source, "8")] == [7, 8]
    assert source.first_missing(["7", "8"]) is None


def test_the_only_table_is_named_where_it_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("image_id\tw\n")
    missing = find_regions(tmp_path, 8).first_missing(["7"])
    assert missing is not None
    assert "for image 7 (a.tsv: begins with b'image_id\\tw\\n'; expected a table of 6 columns" in missing


@pytest.mark.parametrize("kind", ["npz", "tsv"])
def test_an_image_that_two_files_claim_is_refused_if_they_differ(tmp_path: Path, kind: str) -> None:
    for place, value in (("one", 7), ("two", 7)):
        path = tmp_path / place / f"7.{kind}"
        write_npz(path, value) if kind == "npz" else path.parent.mkdir() or path.write_bytes(line(7))
    shutil.copy(tmp_path / "one" / f"7.{kind}", tmp_path / "two" / f"7.{kind}")
    source = find_regions(tmp_path, 8)
    assert first(source, "7") == 7
    if kind == "npz":
        write_npz(tmp_path / "two" / "7.npz", 8)
    else:
        (tmp_path / "two" / "7.tsv").write_bytes(line(7, regions=2))
        source = find_regions(tmp_path, 8)
    for ask in (source.regions, lambda image: source.first_missing([image])):
        with pytest.raises(InputError) as error:
            ask("7")
        assert str(error.value).startswith(f"{tmp_path / 'one' / f'7.{kind}'}: image '7' may be this or two/7.{kind}")


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    write_npz(tmp_path / "disk" / "val" / "7.npz", 7)
    (tmp_path / "disk" / "val" / "a.tsv").write_bytes(line(8))
    (tmp_path / "disk" / "val" / "again").symlink_to(tmp_path / "disk")  # a ring
    (tmp_path / "feats").mkdir()
    for name in ("val2014", "val2014-too"):
        (tmp_path / "feats" / name).symlink_to(tmp_path / "disk" / "val")
    source = find_regions(tmp_path / "feats", 8)
    assert [first(source, "7"), first(source, "8")] == [7, 8]


def test_suffixes_may_be_capitals(tmp_path: Path) -> None:
    write_npz(tmp_path / "7.npz", 7)
    (tmp_path / "7.npz").rename(tmp_path / "7.NPZ")
    (tmp_path / "A.TSV").write_bytes(line(8))
    source = find_regions(tmp_path, 8)
    assert [first(source, "7"), first(source, "8")] == [7, 8]


def test_a_table_that_is_gone_is_named_once(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(line(8))
    source = find_regions(tmp_path, 8)
    (tmp_path / "a.tsv").unlink()
    with pytest.raises(InputError) as error:
        source.regions("8")
    assert str(error.value) == f"{tmp_path / 'a.tsv'} does not exist"
