from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bstsearch.errors import UsageError
from bstsearch.listener import Listener
from bstsearch.model.supernet_folder import read_folder
from bstsearch.profiles.profile import DeviceProfile
from bstsearch.profiles.profile_file import save_profile
from bstsearch.searching.counted_space import CountedSpace, count_space

MakeProfile = Callable[..., DeviceProfile]


class Steps(Listener):
    def __init__(self) -> None:
        self.seen: list[tuple[str, int, int | None]] = []

    def progress(self, text: str, done: int = 0, total: int | None = None, news: str = "") -> None:
        self.seen.append((text, done, total))


@pytest.fixture
def counted(tiny_folder: Path, make_profile: MakeProfile, make_estimated: MakeProfile, tmp_path: Path) -> CountedSpace:
    """The tiny space on a measured and an estimated device, with half of the full model's time as the budget."""
    save_profile(make_profile(tiny_folder), tmp_path)
    save_profile(make_estimated(tiny_folder), tmp_path)
    return count_space(read_folder(tiny_folder), ["local", "phone"], profiles=tmp_path, budget_ms="50%")


def test_every_submodel_is_counted_and_told(tiny_folder: Path) -> None:
    heard = Steps()
    folder = read_folder(tiny_folder)
    found = count_space(folder, listener=heard)
    assert [one.submodel for one in found.rows] == list(folder.space.grid())
    assert heard.seen[-1] == ("counting", len(found.rows) - 1, len(found.rows))
    assert found.full == found.rows[-1].cost
    more = count_space(folder, is_all=True)
    assert len(more.rows) > len(found.rows)
    assert [one.submodel for one in more.rows if one.is_in_space] == [one.submodel for one in found.rows]


def test_a_share_is_of_each_devices_own_full_model(counted: CountedSpace, tiny_folder: Path) -> None:
    full = read_folder(tiny_folder).space.largest
    for device in counted.devices:
        assert device.limit_ms == 0.5 * device.latencies[full].safe_ms
        assert device.fitting
        assert not device.fits(full)
    assert set(counted.fit_everywhere) == {*counted.devices[0].fitting} & {*counted.devices[1].fitting}


def test_a_frame_has_a_row_per_submodel_and_columns_per_device(counted: CountedSpace) -> None:
    frame = counted.to_frame()
    assert list(frame.index) == [one.submodel.id for one in counted.rows]
    assert frame.loc["w1-d1", "parameters_ratio"] == 1
    for device in counted.devices:
        assert frame[f"{device.name}_ms"].to_dict() == {one.id: found.ms for one, found in device.latencies.items()}
        assert frame.index[frame[f"{device.name}_fits"]].isin([one.id for one in device.fitting]).all()


def test_without_a_device_a_frame_holds_counts_only(tiny_folder: Path) -> None:
    frame = count_space(read_folder(tiny_folder)).to_frame()
    assert {"parameters", "macs", "gflops", "size_bytes"} <= set(frame.columns)
    assert not any(name.endswith("_ms") for name in frame.columns)


def test_a_malformed_budget_is_wrong_usage(tiny_folder: Path) -> None:
    with pytest.raises(UsageError, match="--budget-ms 'soon' is no budget"):
        count_space(read_folder(tiny_folder), budget_ms="soon")
