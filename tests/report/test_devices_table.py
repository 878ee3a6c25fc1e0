from __future__ import annotations

from collections.abc import Callable

import pytest

from bstsearch.cli.output import PIPED_WIDTH
from bstsearch.cli.tables import Column, render
from bstsearch.report.devices_table import devices_table
from bstsearch.searching.budget import Budget
from bstsearch.searching.comparison import on_all_fronts
from bstsearch.searching.costs import COSTS, DEFAULT
from bstsearch.searching.front_file import FrontFile
from bstsearch.space import Space

LATENCY = COSTS["latency"]
MakeFront = Callable[..., FrontFile]

GRID = [submodel.id for submodel in Space.bst(stacks=(4, 4)).grid()]


@pytest.fixture
def files(make_front: MakeFront) -> list[FrontFile]:
    """A laptop, measured, and a phone, estimated, on which a budget leaves the small ones."""
    return [
        make_front(device="laptop"),
        make_front(Budget(latency_ms=6.0), scale=10, device="phone", estimated=GRID),
    ]


def test_every_submodel_on_some_front_has_a_row_smallest_first(files: list[FrontFile]) -> None:
    ids = [row[0] for row in devices_table(files).rows]
    assert set(ids) == {one.id for file in files for one in file.front}
    assert len(ids) == len(set(ids))
    macs = [files[0].get(name).macs for name in ids]
    assert macs == sorted(macs)


def test_a_cell_is_the_latency_there_with_its_mark(files: list[FrontFile]) -> None:
    for row in devices_table(files).rows:
        for file, cell in zip(files, row[2:], strict=True):
            one = file.get(row[0])
            is_there = one in file.front
            mark = "*" if one == file.recommended else "+" if is_there else " "
            assert cell == f"{LATENCY.text(one)} {mark}"
        assert row[1] == DEFAULT.score_text(files[0].get(row[0]))


def test_the_largest_is_off_the_phones_front(files: list[FrontFile]) -> None:
    (full,) = (row for row in devices_table(files).rows if row[0] == "w1-d1")
    assert full[2].endswith(" *")
    assert full[3].endswith(")  ")


def test_heads_tell_device_and_kind(files: list[FrontFile], make_front: MakeFront) -> None:
    mixed = make_front(device="board", estimated=GRID[:3])
    table = devices_table([*files, mixed])
    assert table.title == "Pareto fronts on 3 devices"
    assert [head[0] for head in table.heads] == [
        "id",
        "accuracy\n95 % interval",
        "laptop\nmeasured",
        "phone\nestimated",
        "board\nestimated or measured",
    ]
    assert [head[1] for head in table.heads] == ["", "%", "ms", "ms", "ms"]


def test_a_submodel_that_a_device_never_saw_is_a_dash(make_front: MakeFront) -> None:
    """Sampled searches look at different submodels."""
    whole, few = make_front(device="laptop"), make_front(device="phone", is_layerwise=True)
    rows = {row[0]: row for row in devices_table([whole, few]).rows}
    unseen = [one.id for one in whole.front if one.id not in {other.id for other in few.candidates}]
    assert unseen
    assert all(rows[name][3] == "-" for name in unseen)


def test_what_is_on_all_fronts_is_listed_fastest_first(files: list[FrontFile]) -> None:
    shared = on_all_fronts(files)
    assert list(shared) == [one.id for one in files[0].front if is_on(files[1], one.id)]
    assert 0 < len(shared) < len(files[0].front)
    assert on_all_fronts(files[:1]) == tuple(one.id for one in files[0].front)


def test_what_is_on_all_fronts_stands_below(files: list[FrontFile]) -> None:
    assert devices_table(files).legend[-1] == f"on all 2 fronts: {', '.join(on_all_fronts(files))}"


def is_on(file: FrontFile, name: str) -> bool:
    return name in {one.id for one in file.front}


@pytest.mark.parametrize("scale", [1, 100, 1000])
@pytest.mark.parametrize("is_layerwise", [False, True])
def test_two_devices_fit_eighty_columns(make_front: MakeFront, scale: int, is_layerwise: bool) -> None:
    files = [
        make_front(device=name, scale=scale, estimated=GRID, is_layerwise=is_layerwise)
        for name in ("raspberrypi4", "snapdragon-888")
    ]
    table = devices_table(files)
    text = render([Column(*head) for head in table.heads], table.rows, table.marked, PIPED_WIDTH)
    assert max(map(len, text.splitlines())) <= PIPED_WIDTH
