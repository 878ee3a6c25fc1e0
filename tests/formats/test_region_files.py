from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bstsearch.errors import InputError
from bstsearch.formats.region_files import read_npz

GOOD: dict[str, Any] = {
    "x": np.ones((8, 3), np.float32),
    "bbox": np.full((3, 4), 50, np.float32),
    "image_w": 200,
    "image_h": 100,
}


def written(folder: Path, **changes: Any) -> Path:
    arrays = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    np.savez(folder / "image.npz", **arrays)
    return folder / "image.npz"


def test_features_are_read_in_either_orientation(tmp_path: Path) -> None:
    for x in (GOOD["x"], GOOD["x"].T):
        found = read_npz(written(tmp_path, x=x), 8)
        assert found.features.shape == (3, 8)
        assert found.boxes[0].tolist() == [0.25, 0.5, 0.25, 0.5]


BAD = {
    "NaN": ({"x": np.full((8, 3), np.nan, np.float32)}, "NaN or infinite"),
    "no boxes": ({"x": np.ones((8, 0)), "bbox": np.ones((0, 4))}, "has 0 boxes; expected 1 to 100"),
    "101 boxes": ({"x": np.ones((8, 101)), "bbox": np.ones((101, 4))}, "has 101 boxes; expected 1 to 100"),
    "no bbox": ({"bbox": None}, "lacks 'bbox"),
    "other features": ({"x": np.ones((9, 3))}, "the model reads 8 features"),
    "no size": ({"image_w": 0}, "size as 0 x 100"),
    "boxes of two numbers": ({"bbox": np.ones((3, 2))}, r"expected \(n, 8\) and \(n, 4\)"),
    "a pickle inside": ({"x": np.array([{}], dtype=object)}, "cannot be read"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_malformed_file_names_itself(tmp_path: Path, case: str) -> None:
    changes, message = BAD[case]
    with pytest.raises(InputError, match=rf"feature file .*image.npz.*{message}"):
        read_npz(written(tmp_path, **changes), 8)


def test_missing_and_truncated_files_name_themselves(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_npz(tmp_path / "none.npz", 8)
    path = written(tmp_path)
    content = path.read_bytes()
    for size in (0, 10, len(content) // 2, len(content) - 30):
        path.write_bytes(content[:size])
        with pytest.raises(InputError, match="truncated"):
            read_npz(path, 8)
