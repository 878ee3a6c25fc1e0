from __future__ import annotations

import html.parser
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from bstsearch.budget import Budget
from bstsearch.front_file import FrontFile
from bstsearch.report.page import write_page
from bstsearch.report.plot import AXES, make_plot
from bstsearch.report.table import latency_text

MakeFront = Callable[..., FrontFile]


class Page(html.parser.HTMLParser):
    """What a reader of the page sees: its table rows, its text, its embedded data."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.marked: list[int] = []
        self.links: list[str] = []
        self.scripts: list[str] = []
        self._in_cell = self._in_script = False
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag == "tr":
            self.rows.append([])
            if ("class", "recommended") in attrs:
                self.marked.append(len(self.rows) - 1)
        if tag == "td":
            self.rows[-1].append("")
        if tag == "script":
            self.scripts.append("")
        self._in_cell, self._in_script = tag == "td" or (self._in_cell and tag != "tr"), tag == "script"

    def handle_endtag(self, tag: str) -> None:
        if tag == "td":
            self._in_cell = False
        if tag == "script":
            self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts[-1] += data
        elif self._in_cell:
            self.rows[-1][-1] += data


@pytest.fixture
def file(make_front: MakeFront) -> FrontFile:
    return make_front(Budget(latency_ms=0.6))


@pytest.fixture
def source(file: FrontFile, tmp_path: Path) -> str:
    write_page(file, tmp_path / "front.html")
    return (tmp_path / "front.html").read_text(encoding="utf-8")


def test_page_needs_nothing_else(source: str) -> None:
    page = Page(source)
    assert page.links == []
    plots, plotly, _ = page.scripts
    assert "plotly.js v" in plotly[:200]
    assert "@import" not in source.split("</style>")[0]
    assert plots


def test_every_place_is_filled(source: str) -> None:
    assert not re.search(r"<!--\w+-->", source)
    assert "/*plotly.js*/" not in source


def test_plots_are_those_of_the_front(file: FrontFile, source: str) -> None:
    plots = json.loads(Page(source).scripts[0])
    assert plots == json.loads(json.dumps({axis.key: make_plot(file, axis) for axis in AXES}))
    for axis in AXES:
        assert f'value="{axis.key}"' in source


def test_table_is_the_front_with_the_recommended_row(file: FrontFile, source: str) -> None:
    page = Page(source)
    rows = page.rows[1:]
    assert [row[0] for row in rows] == [str(number + 1) for number in range(len(file.front))]
    assert [row[1].removesuffix(" recommended") for row in rows] == [one.id for one in file.front]
    assert [rows[index - 1][1] for index in page.marked] == [f"{file.recommended.id} recommended"]


def test_page_tells_the_next_command(file: FrontFile, source: str, tmp_path: Path) -> None:
    row = file.front.index(file.recommended) + 1
    assert f"bstsearch export --pick {row} --front {tmp_path}/front.json" in source


def test_page_tells_how_the_latencies_came_about(make_front: MakeFront, source: str, tmp_path: Path) -> None:
    assert "Latencies measured with onnxruntime 1.20.0" in source
    file = make_front(estimated=["w1-d1"])
    write_page(file, tmp_path / "mixed.html")
    mixed = (tmp_path / "mixed.html").read_text(encoding="utf-8")
    assert "Latencies estimated or measured (+-25%) with onnxruntime 1.20.0" in mixed
    assert f"<td>{latency_text(file.find('w1-d1'))}</td>" in mixed


def test_names_from_outside_cannot_break_the_page(source: str) -> None:
    assert "runs/&lt;net&gt;" in source
    assert "runs/<net>" not in source
