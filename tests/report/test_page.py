from __future__ import annotations

import base64
import hashlib
import html.parser
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bstsearch.model.supernet_folder import DEMO
from bstsearch.report import page
from bstsearch.report.page import SCRIPTS, page_script, write_page
from bstsearch.searching.budget import Budget
from bstsearch.searching.costs import by_name
from bstsearch.searching.front_file import NAME, FrontFile, read_front

MakeFront = Callable[..., FrontFile]

LIMIT = 100_000  # bytes of a page; a phone should have it at once
DEMO_LIMIT = 300_000  # of one of two hundred submodels


class Page(html.parser.HTMLParser):
    """What a browser reads of the page before any script runs."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, list[str]] = {"script": [], "style": [], "title": []}
        self._open: str | None = None
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in self.inside:
            self._open = tag
            self.inside[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        self._open = None

    def handle_data(self, data: str) -> None:
        if self._open:
            self.inside[self._open][-1] += data


@pytest.fixture
def file(make_front: MakeFront) -> FrontFile:
    return make_front(Budget(latency_ms=0.6))


@pytest.fixture
def source(file: FrontFile, tmp_path: Path) -> str:
    return written({tmp_path / "front.json": file}, tmp_path)


def written(fronts: dict[Path, FrontFile], folder: Path) -> str:
    write_page(fronts, folder / "front.html")
    return (folder / "front.html").read_text(encoding="utf-8")


def embedded(source: str) -> dict[str, Any]:
    """The embedded data, candidates unpacked as the page does it."""

    def unpack(value: dict[str, Any]) -> Any:
        if value.keys() != {"keys", "costs", "rows"}:
            return value
        names = [*value["keys"], *value["costs"]]
        rows = [dict(zip(names, row, strict=True)) for row in value["rows"]]
        return [{**row, "costs": {name: row.pop(name) for name in value["costs"]}} for row in rows]

    return dict(json.loads(Page(source).inside["script"][0], object_hook=unpack))


def test_page_names_no_other_place_and_may_load_nothing(source: str) -> None:
    seen = Page(source)
    assert not re.search(r"https?:|//[a-z0-9-]+\.[a-z]", source)
    assert not {"src", "href", "srcset", "action", "data"} & {name for _, attrs in seen.tags for name in attrs}
    assert "@import" not in source
    assert "url(" not in source
    (policy,) = (attrs["content"] for _, attrs in seen.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy
    assert policy.startswith("default-src 'none';")


def test_only_the_pages_own_script_and_style_may_run(source: str) -> None:
    seen = Page(source)
    (script,), (style,) = seen.inside["script"][1:], seen.inside["style"]
    for kind, text in (("script", script), ("style", style)):
        found = re.search(rf"{kind}-src 'sha256-([^']+)'", source)
        assert found
        assert base64.b64decode(found[1]) == hashlib.sha256(text.encode()).digest()
    assert not [name for _, attrs in seen.tags for name in attrs if name.startswith("on") or name == "style"]


def test_every_place_is_filled_by_every_file(source: str) -> None:
    assert not re.search(r"<!--\w+-->", source)
    assert {path.name for path in page.PARTS.iterdir()} == {
        "page.html",
        "page.css",
        *(f"{name}.js" for name in SCRIPTS),
    }
    assert page_script() in source


def test_embedded_data_are_the_front_file(file: FrontFile, source: str, tmp_path: Path) -> None:
    (front,) = embedded(source)["fronts"]
    shown = front["front"].pop("candidates")
    assert front["front"].pop("trade")["costs"] == ["latency_ms", "gflops"]
    stored = json.loads(json.dumps(file.to_json()))
    assert [one["id"] for one in shown] == [one["id"] for one in stored.pop("candidates")]
    assert [front["front"].pop("compared"), front["front"].pop("not_apart")] == [[], []]  # no values are known
    assert stored.pop("not_apart")
    assert front["front"] == stored
    for one, candidate in zip(shown, file.candidates, strict=True):
        assert one["accuracy"] == candidate.score
        for name, (value, *ends) in one["costs"].items():
            amount = by_name()[name].of(candidate)
            assert value == amount.value
            assert ends == [amount.low, amount.high, amount.source][: len(ends)]
    assert front["path"] == shlex.quote(f"{tmp_path}/front.json")
    assert front["size"] == len(file.origin.space)


def test_several_devices_share_a_page(make_front: MakeFront, tmp_path: Path) -> None:
    files = {Path(name) / "front.json": make_front(device=name) for name in ("laptop", "my phone")}
    source = written(files, tmp_path)
    fronts = embedded(source)["fronts"]
    assert [front["front"]["device"]["name"] for front in fronts] == ["laptop", "my phone"]
    assert [front["path"] for front in fronts] == ["laptop/front.json", "'my phone/front.json'"]
    assert Page(source).inside["title"] == ["Pareto front of mcan on laptop, my phone"]


def test_names_from_outside_cannot_break_the_page(make_front: MakeFront, tmp_path: Path) -> None:
    name = "</script><script>alert(1)</script><!--style-->&"
    source = written({tmp_path / "front.json": make_front(device=name)}, tmp_path)
    seen = Page(source)
    assert [tag for tag, _ in seen.tags].count("script") == 2
    assert embedded(source)["fronts"][0]["front"]["device"]["name"] == name
    assert seen.inside["title"] == [f"Pareto front of mcan on {name}"]


def test_control_characters_reach_the_page_as_data_only(make_front: MakeFront, tmp_path: Path) -> None:
    name = "a\x1b[2J\x00\u202e\u2028b"
    source = written({tmp_path / f"{name[:6]}.json": make_front(device=name)}, tmp_path)
    assert embedded(source)["fronts"][0]["front"]["device"]["name"] == name
    assert Page(source).inside["title"] == ["Pareto front of mcan on a [2J b"]
    assert not set(name[1:-1]) & set(re.sub(r"[\n -~]", "", source))


def test_pages_of_ten_submodels_are_small(make_front: MakeFront, tmp_path: Path) -> None:
    assert len(written({tmp_path / "front.json": make_front()}, tmp_path).encode()) < LIMIT


def test_the_page_of_the_demos_scores_is_small(tmp_path: Path) -> None:
    assert len(written({tmp_path / "front.json": read_front(DEMO / NAME)}, tmp_path).encode()) < DEMO_LIMIT
