"""front.html in a real browser: read from a file, used by keyboard, pointer and finger, and looked at by axe-core."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe import AXE, violations
from chromium import CHROMIUM, Chromium, running_chromium

from bstsearch.model.stack_shape import StackShape
from bstsearch.report.page import write_page
from bstsearch.searching.budget import Budget
from bstsearch.searching.front_file import FrontFile
from bstsearch.space import Space

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this computer"),
]

GRID = [submodel.id for submodel in Space.bst(stacks=(4, 4)).grid()]

MakeFront = Callable[..., FrontFile]
Open = Callable[..., "Shown"]


class Shown:
    """The page of some fronts, open in a browser."""

    def __init__(self, browser: Chromium, path: Path) -> None:
        self.browser, self.path = browser, path

    def load(self, *, width: int = 1280, scheme: str = "light") -> None:
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500
        )
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self._call("Emulation.setEmulatedMedia", features=features)
        self._call("Page.bringToFront")
        self.browser.go("about:blank")
        self.browser.wait_until("location.href === 'about:blank'")
        self.browser.go(f"file://{self.path}")
        self.browser.wait_until("document.readyState === 'complete' && !!document.querySelector('.point')")

    def __call__(self, script: str) -> Any:
        return self.browser.evaluate(script)

    def _call(self, method: str, **params: Any) -> Any:
        return self.browser.call(method, self.browser.session, **params)

    def enter(self, name: str, value: str) -> None:
        """Fills a field as typing does."""
        field = f"document.getElementById('{name}')"
        self(f"{field}.value = {json.dumps(value)}; {field}.dispatchEvent(new Event('input'))")

    def press(self, *keys: str) -> None:
        for key in keys:
            text = {"Enter": "\r", " ": " "}.get(key, "")
            for kind in ("keyDown", "keyUp"):
                self._call(
                    "Input.dispatchKeyEvent", type=kind, key=key, code=key, text=text, windowsVirtualKeyCode=CODES[key]
                )

    def tab_to(self, selector: str) -> None:
        for _ in range(60):
            if self(f"document.activeElement.matches({json.dumps(selector)})"):
                return
            self.press("Tab")
        raise AssertionError(f"Tab never comes to {selector}")

    def mouse(self, kind: str, x: float, y: float) -> None:
        buttons = {"button": "left", "clickCount": 1} if kind != "mouseMoved" else {}
        self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **buttons)

    def centre(self, selector: str) -> tuple[float, float]:
        box = self(f"JSON.stringify(document.querySelector({json.dumps(selector)}).getBoundingClientRect())")
        found = json.loads(box)
        return found["x"] + found["width"] / 2, found["y"] + found["height"] / 2

    def click(self, selector: str) -> None:
        self(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{ block: 'center' }})")
        x, y = self.centre(selector)
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.mouse(kind, x, y)

    def text(self, selector: str) -> str:
        return str(self(f"document.querySelector({json.dumps(selector)}).textContent"))

    @property
    def recommended(self) -> str:
        return self.text("#answer strong")

    def rows(self) -> list[str]:
        """The ids in the table, from above."""
        return list(self("[...document.querySelectorAll('#rows tbody tr')].map((row) => row.dataset.id)"))

    def violations(self) -> list[str]:
        return violations(self.browser)


CODES = {"Tab": 9, "Enter": 13, " ": 32, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowRight": 39}


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with running_chromium() as running:
        yield running


@pytest.fixture
def opened(browser: Chromium, tmp_path: Path) -> Open:
    def open_page(*files: FrontFile, **options: Any) -> Shown:
        write_page({Path(file.origin.device["name"]) / "front.json": file for file in files}, tmp_path / "front.html")
        page = Shown(browser, tmp_path / "front.html")
        page.load(**options)
        return page

    return open_page


@pytest.fixture
def file(make_front: MakeFront) -> FrontFile:
    return make_front(Budget(latency_ms=0.6), estimated=GRID)


@pytest.fixture
def phone(make_front: MakeFront) -> FrontFile:
    return make_front(Budget(latency_ms=60.0), scale=10, device="phone", estimated=GRID)


def test_the_page_opens_on_what_the_file_says(opened: Open, file: FrontFile) -> None:
    page = opened(file)
    assert page.recommended == file.recommended.id
    assert page.rows()[: len(file.front)] == [one.id for one in file.front]
    assert sorted(page.rows()) == sorted(one.id for one in file.candidates)
    assert page.text("#details-title") == file.recommended.id
    assert page.text("#command") == f"bstsearch export --pick {file.recommended.id} --front local/front.json"
    assert page("document.querySelectorAll('.point').length") == len(file.candidates)


@pytest.mark.skipif(not AXE.is_file(), reason="there is no axe-core: 'npm install axe-core', or $BSTSEARCH_AXE")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing_and_nothing_sticks_out(
    opened: Open, file: FrontFile, phone: FrontFile, scheme: str, width: int
) -> None:
    page = opened(file, phone, width=width, scheme=scheme)
    assert page.violations() == []
    assert page("document.documentElement.scrollWidth") <= width
    # Within a narrower budget, and with a row under the pointer.
    page.enter("limit", "0.3")
    page.click("#rows tbody tr:last-child button")
    assert page.violations() == []


def test_a_point_is_chosen_by_keyboard(opened: Open, file: FrontFile) -> None:
    page = opened(file)
    page.tab_to(".point")
    assert page("document.activeElement.dataset.id") == file.recommended.id
    page.press("Home")
    first = page("document.activeElement.dataset.id")
    assert first == "w1of4-d1of4"
    assert page.text("#details-title") == first
    page.press("ArrowRight", "Enter")
    chosen = page("document.activeElement.dataset.id")
    assert chosen != first
    page.tab_to("#copy")
    assert page.text("#command") == f"bstsearch export --pick {chosen} --front local/front.json"
    assert page("document.querySelector('#rows tr.chosen').dataset.id") == chosen
    assert page("document.querySelectorAll('[aria-selected=true]').length") == 1


def test_a_row_shows_its_submodel_and_marks_its_point(opened: Open, file: FrontFile) -> None:
    page = opened(file)
    page.click("#rows tr[data-id='w1-d1'] button")
    assert page.text("#details-title") == "w1-d1"
    assert page("document.querySelector('.point.chosen').dataset.id") == "w1-d1"
    assert page.text("#details-kind").startswith("Over the budget: latency up to ")
    x, y = page.centre("#rows tr[data-id='w1of4-d1'] td")
    page.mouse("mouseMoved", x, y)
    assert page.text("#details-title") == "w1of4-d1"
    page.mouse("mouseMoved", 1, 1)
    assert page.text("#details-title") == "w1-d1"


def test_a_submodel_is_shown_layer_by_layer(opened: Open, file: FrontFile) -> None:
    stacks = (
        StackShape(name="encoder", keep_order=(0, 3, 1, 2), heads=(4,) * 4, ffn=(64,) * 4),
        StackShape(name="decoder", keep_order=(3, 0, 1, 2)),
    )
    page = opened(dataclasses.replace(file, stacks=stacks))
    page.click("#rows tr[data-id='w1of2-d1of2'] button")
    stack = "[...document.querySelectorAll('.stack')].map((stack) => stack.innerText.replace(/\\s+/g, ' '))"
    assert page(stack) == [
        "encoder keeps 2 of 4 heads FFN units "
        "layer 0 2 of 4 32 of 64 layer 1 left out layer 2 left out layer 3 2 of 4 32 of 64",
        "decoder keeps 2 of 4 heads FFN units layer 0 1/2 1/2 layer 1 left out layer 2 left out layer 3 1/2 1/2",
    ]


@pytest.mark.parametrize("is_layerwise", [False, True])
def test_nothing_moves_under_the_pointer(opened: Open, make_front: MakeFront, is_layerwise: bool) -> None:
    file = make_front(Budget(latency_ms=0.3, memory_mb=13.0), is_layerwise=is_layerwise, estimated=GRID)
    page = opened(file)
    places = set()
    for one in file.candidates:
        page(
            f"document.querySelector(\"#rows tr[data-id='{one.id}']\").dispatchEvent(new PointerEvent('pointerover', "
            "{ pointerType: 'mouse', bubbles: true }))"
        )
        assert page.text("#details-title") == one.id
        places.add(page("document.getElementById('rows').getBoundingClientRect().top"))
    assert len(places) == 1


def test_a_point_is_chosen_by_pointer(opened: Open, file: FrontFile) -> None:
    page = opened(file)
    page.click(".point[data-id='w1of2-d1'] .mark")
    assert page.text("#command").startswith("bstsearch export --pick w1of2-d1 ")


@pytest.mark.parametrize("limit", ["0.25", "0.32", "0.6", "5"])
def test_a_typed_budget_recommends_what_the_command_line_would(opened: Open, file: FrontFile, limit: str) -> None:
    page = opened(file)
    page.enter("limit", limit)
    expected = file.resolve(Budget(latency_ms=float(limit)))
    assert page.recommended == expected.recommended.id
    assert page.rows()[: len(expected.front)] == [one.id for one in expected.front]


def test_what_is_barely_over_the_budget_does_not_read_as_within(opened: Open, file: FrontFile) -> None:
    page = opened(file)
    over = file.get("w1of2-d1of2")
    limit = f"{over.latency.safe_ms - 2e-5:.6f}"
    page.enter("limit", limit)
    row = "#rows tr[data-id='w1of2-d1of2']"
    assert page.text(f"{row} .status") == "over the budget"
    cell = page.text(f"{row} td:nth-child(5)")
    assert float(cell) > float(limit)
    assert len(cell) < 8
    page.click(f"{row} button")
    shown = page.text("#details-kind").removeprefix("Over the budget: latency up to ").removesuffix(" ms")
    assert float(shown) > float(page.text(".limit-text").split()[1])


def test_the_budget_moves_by_arrow_keys_and_can_be_given_up(opened: Open, file: FrontFile) -> None:
    page = opened(file)
    page.tab_to("#slider")
    page.press("Home")
    assert "No submodel fits within latency 0" in page.text("#answer")
    page.press(*["ArrowRight"] * 60)
    limit = float(page("document.getElementById('limit').value"))
    assert page.recommended == file.resolve(Budget(latency_ms=limit)).recommended.id
    assert page("document.getElementById('slider').getAttribute('aria-valuetext')") == f"{limit:g} ms"
    page.click("#none")
    free = file.resolve(Budget())
    assert page.recommended == free.recommended.id
    assert free.rule in page.text("#answer")
    page.click("#asked")
    assert page.recommended == file.recommended.id


def test_dragging_the_line_changes_the_recommended_row(opened: Open, file: FrontFile) -> None:
    page = opened(file)
    page("document.getElementById('limit').focus()")
    x, _ = page.centre("path.limit")
    left, _ = page.centre(".point[data-id='w1of4-d1']")
    _, y = page.centre("#plot")
    page.mouse("mouseMoved", x, y)
    page.mouse("mousePressed", x, y)
    page.mouse("mouseMoved", (x + left) / 2, y)
    page.mouse("mouseMoved", left, y)
    page.mouse("mouseReleased", left, y)
    limit = float(page("document.getElementById('limit').value"))
    assert limit < 0.6
    assert page.recommended == file.resolve(Budget(latency_ms=limit)).recommended.id != file.recommended.id


def test_what_is_no_budget_changes_nothing(opened: Open, file: FrontFile) -> None:
    page = opened(file)
    page("document.getElementById('limit').focus()")
    for text in ("0", "-3"):
        page.enter("limit", text)
        assert page.recommended == file.recommended.id
    page("document.getElementById('limit').blur()")
    assert page("document.getElementById('limit').value") == "0.6"


def test_other_limits_stay_in_force(opened: Open, make_front: MakeFront) -> None:
    file = make_front(Budget(latency_ms=0.6, memory_mb=13.5))
    page = opened(file)
    page("document.getElementById('none').click()")
    expected = file.resolve(Budget(memory_mb=13.5))
    assert page.recommended == expected.recommended.id
    assert "peak memory 13.5 MB" in page.text("#answer")


def test_a_budget_outside_the_points_is_a_mark_at_the_edge(opened: Open, make_front: MakeFront) -> None:
    page = opened(make_front(Budget(latency_ms=60.0)))
    assert page.text(".limit-text") == "budget 60 ms, beyond the slowest"
    ticks = page(
        "[...document.querySelectorAll('#plot text[text-anchor=middle]')].map((tick) => Number(tick.textContent))"
    )
    assert max(ticks) < 1
    page.enter("limit", "0.01")
    assert page.text(".limit-text") == "budget 0.01 ms, below the fastest"


def test_every_column_sorts_both_ways(opened: Open, file: FrontFile) -> None:
    page = opened(file)
    heads = page("document.querySelectorAll('#rows thead button').length")
    for number in range(heads):
        selector = f"#rows thead th:nth-child({number + 1}) button"
        first = page("document.querySelector('th[aria-sort]').cellIndex") == number
        orders = []
        for expected in ("descending", "ascending") if first else ("ascending", "descending"):
            page(f"document.querySelector('{selector}').click()")
            assert page(f"document.querySelector('{selector}').closest('th').getAttribute('aria-sort')") == expected
            orders.append(page.rows())
        assert page("document.querySelectorAll('[aria-sort]').length") == 1
        assert sorted(orders[0]) == sorted(orders[1])
        assert orders[0] != orders[1]
    page("document.querySelector('#rows thead th:nth-child(4) button').click()")
    latencies = [file.get(name).latency.ms for name in page.rows()]
    assert latencies == sorted(latencies)


def test_rows_are_filtered_by_words_and_front(opened: Open, file: FrontFile) -> None:
    page = opened(file)
    page("document.getElementById('front-only').click()")
    assert page.rows() == [one.id for one in file.front]
    page.enter("filter", "W1OF2")
    assert page.rows() == [one.id for one in file.front if "w1of2" in one.id]
    assert page.text("#count") == f"{len(page.rows())} of {len(file.candidates)}"
    page.enter("filter", "nothing")
    assert "No submodel matches" in page.text("#rows tbody")


def test_the_page_tells_how_the_latencies_came_about(opened: Open, make_front: MakeFront) -> None:
    measured, mixed = make_front(), make_front(device="board", estimated=["w1-d1"])
    page = opened(measured, mixed)
    assert page.text("#facts").startswith(
        f"Supernet runs/<net> ({'a' * 16}). Latencies measured with onnxruntime 1.20.0, "
    )
    page("document.querySelectorAll('#devices input')[1].click()")
    assert "Latencies estimated or measured (±25 %) with onnxruntime 1.20.0" in page.text("#facts")


def test_devices_share_one_page(opened: Open, file: FrontFile, phone: FrontFile) -> None:
    page = opened(file, phone)
    page("document.querySelectorAll('#devices input')[1].click()")
    assert page.recommended == phone.recommended.id
    assert page.text("#title") == "Pareto front of mcan on phone"
    assert page.text("#command").endswith("--front phone/front.json")
    shared = [one.id for one in file.front if one.id in {other.id for other in phone.front}]
    assert page.text("#shared").startswith(f"On all 2 fronts: {', '.join(shared)}.")
    everywhere = "[...document.querySelectorAll('#matrix tr.everywhere th')].map((cell) => cell.textContent)"
    assert sorted(page(everywhere)) == sorted(shared)


def test_the_command_is_copied_from_a_file(opened: Open, file: FrontFile) -> None:
    page = opened(file)
    page.click("#copy")
    page.browser.wait_until("document.getElementById('copied').textContent !== ''")
    assert page.text("#copied") in ("Copied", "Selected: copy it with the keyboard")


def test_a_name_that_looks_like_markup_is_text(opened: Open, make_front: MakeFront) -> None:
    page = opened(make_front(device="phone"), make_front(device="<img onerror=alert(1)>"))
    assert page("document.querySelectorAll('img').length") == 0
    assert "<img onerror=alert(1)>" in page.text("#devices")
