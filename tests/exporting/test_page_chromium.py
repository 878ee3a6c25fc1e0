"""The page of a bundle in a real browser, served by one that knows ranges and one that knows none."""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

import easy_vqa
import pytest
from axe import AXE, violations
from chromium import CHROMIUM, Chromium, running_chromium
from PIL import Image

import bstsearch
from bstsearch.answering.bundle_folder import read_bundle
from bstsearch.exporting.page import write_page

DIST = Path(os.environ.get("BSTSEARCH_ORT_WEB", "node_modules/onnxruntime-web")) / "dist"
SMALL, LARGE = "w1of4-d1of4", "w1of2-d1of2"
KEYS = {"Home": 36, "End": 35}
# Has the page tell when it has decoded a picture, or has not, and gone on from there.
DECODED = """
    window.decode ??= window.createImageBitmap;
    window.isDecoded = false;
    window.createImageBitmap = (...given) => {
        const decoded = window.decode(...given);
        const tell = () => setTimeout(() => { window.isDecoded = true; });
        decoded.then(tell, tell);
        return decoded;
    };
"""
# Has the decoding of each picture wait for its turn in `finish`.
SLOW = """
    const decode = window.decode ?? window.createImageBitmap;
    window.finish = [];
    window.decode = async (...given) => {
        await new Promise((resolve) => { window.finish.push(resolve); });
        return decode(...given);
    };
"""
# Each has the page find that a picture is too large: by what its canvas shows, and by its sides.
TOO_LARGE = [
    "OffscreenCanvasRenderingContext2D.prototype.getImageData = () => ({ data: new Uint8Array(4) })",
    "window.decode = async () => ({ width: 2 ** 13, height: 2 ** 13 + 1, close() {} })",
]
# Has the page keep a list of whether a picture went with what it asked, and count the pictures that it closed.
NOTED = """
    window.went = [];
    window.shut = 0;
    const post = Worker.prototype.postMessage;
    Worker.prototype.postMessage = function (message) {
        window.went.push(message.picture !== undefined);
        post.call(this, message);
    };
    const close = ImageBitmap.prototype.close;
    ImageBitmap.prototype.close = function () { window.shut += 1; close.call(this); };
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this computer"),
    pytest.mark.skipif(
        not DIST.is_dir(), reason="there is no onnxruntime-web: 'npm install onnxruntime-web', or $BSTSEARCH_ORT_WEB"
    ),
]


class Asked(NamedTuple):
    """A request for a file."""

    name: str
    version: str
    span: str | None


class Files(http.server.SimpleHTTPRequestHandler):
    """The files of a folder, which browsers may keep; `asked` lists all requests, `held` delays files until it is set.

    Ranges are heeded where `knows_ranges`.
    """

    knows_ranges = True
    asked: list[Asked]
    held: dict[str, threading.Event]

    def do_GET(self) -> None:
        name, _, version = self.path.lstrip("/").partition("?")
        wanted = self.headers["Range"]
        self.asked.append(Asked(name, version, wanted))
        if name in self.held:
            self.held[name].wait(20)
        if not (wanted and self.knows_ranges):
            super().do_GET()
            return
        start, last = map(int, wanted.removeprefix("bytes=").split("-"))
        part = (Path(self.directory) / name).read_bytes()[start : last + 1]
        self.send_response(HTTPStatus.PARTIAL_CONTENT)
        self.send_header("Content-Length", str(len(part)))
        size = (Path(self.directory) / name).stat().st_size
        self.send_header("Content-Range", f"bytes {start}-{last}/{size}")
        self.send_header("ETag", '"as it was"')
        self.end_headers()
        self.wfile.write(part)

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "max-age=3600")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Shown:
    """A page's folder, served and open in a browser that is held like a telephone."""

    def __init__(self, browser: Chromium, address: str, asked: list[Asked]) -> None:
        self.browser, self.asked = browser, asked
        self.resize(390)
        browser.go(address)

    def resize(self, width: int, scheme: str = "light", *, height: int = 844) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=True)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def call(self, method: str, **params: object) -> None:
        self.browser.call(method, self.browser.session, **params)

    def wait(self, name: str = "") -> None:
        """Comes back when there is an answer, of the submodel `name`, or an error."""
        is_done = "document.getElementById('result')?.ariaBusy === 'false' && document.getElementById('id')"
        self.browser.wait_until(f"{is_done}.textContent.startsWith('{name}')")

    def wait_for_late(self, text: str) -> None:
        """Comes back when this is said in place of the page."""
        self.browser.wait_until(f"document.getElementById('late')?.textContent.startsWith('{text}')")

    def text(self, name: str) -> str:
        return str(self.browser.evaluate(f"document.getElementById('{name}').textContent"))

    def answers(self) -> list[list[str]]:
        script = "[...document.querySelectorAll('#answers li')].map((one) => one.innerText)"
        return [text.split() for text in self.browser.evaluate(script)]

    def click(self, name: str) -> None:
        self.browser.evaluate(f"document.getElementById('{name}').click()")

    def slide(self, place: int) -> None:
        """Moves the slider without letting go."""
        slider = f"Object.assign(document.getElementById('slider'), {{ value: {place} }})"
        self.browser.evaluate(f"{slider}.dispatchEvent(new Event('input'))")

    def press(self, name: str, key: str) -> None:
        self.browser.evaluate(f"document.getElementById('{name}').focus()")
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=KEYS[key])

    def ask(self, question: str) -> None:
        self.browser.evaluate(f"document.getElementById('question').value = {json.dumps(question)}")
        self.browser.evaluate("document.getElementById('form').requestSubmit()")
        self.wait()

    def take(self, path: Path) -> None:
        """Chooses a file for the picture; comes back when the page has looked at it, and answered if it is one."""
        self.choose(path)
        self.wait()

    def choose(self, path: Path) -> None:
        """Chooses a file for the picture; comes back when the page has looked at it."""
        self.browser.evaluate(DECODED)
        self.give(path)
        self.browser.wait_until("window.isDecoded")

    def give(self, path: Path) -> None:
        """Chooses a file for the picture."""
        script = "document.getElementById('file')"
        found = self.browser.call("Runtime.evaluate", self.browser.session, expression=script)["result"]
        self.call("DOM.setFileInputFiles", files=[str(path.resolve())], objectId=found["objectId"])

    def side(self) -> int:
        """The width of the picture that is shown."""
        return int(self.browser.evaluate("document.getElementById('picture').width"))

    def error(self) -> str:
        """What is told to be wrong; empty where nothing is."""
        return str(self.browser.evaluate("document.querySelector('#error:not([hidden])')?.textContent ?? ''"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with running_chromium() as running:
        yield running


@pytest.fixture(scope="module")
def site(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page") / "site"
    write_page(read_bundle(bundle_folder), folder, DIST)
    return folder


@pytest.fixture
def opening(browser: Chromium) -> Iterator[Callable[..., Shown]]:
    servers: list[http.server.ThreadingHTTPServer] = []

    def open_page(
        folder: Path, *, knows_ranges: bool = True, held: dict[str, threading.Event] | None = None, waits: bool = True
    ) -> Shown:
        asked: list[Asked] = []
        handler = type("Handler", (Files,), {"knows_ranges": knows_ranges, "asked": asked, "held": held or {}})
        servers.append(
            http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(folder)))
        )
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        page = Shown(browser, f"http://localhost:{servers[-1].server_port}/", asked)
        if waits:
            page.wait()
        return page

    yield open_page
    browser.go("about:blank")
    for server in servers:
        server.shutdown()
        server.server_close()


def test_the_sample_is_answered_at_once_and_the_slider_chooses_by_keyboard(
    opening: Callable[..., Shown], site: Path
) -> None:
    page = opening(site)
    assert page.answers()[0][0] == "yes"
    assert page.browser.evaluate("document.getElementById('question').value.split(' ').length > 2")
    spans = {one["id"]: one["spans"] for one in json.loads((site / "page.json").read_text())["submodels"]}
    assert page.text("id") == SMALL
    fetched = [one.span for one in page.asked if one.name == "weights.bin"]
    assert fetched == [f"bytes={start}-{end - 1}" for start, end in spans[SMALL]]
    page.press("slider", "End")
    page.wait(LARGE)
    assert {one.name for one in page.asked} >= {f"{SMALL}.onnx", f"{LARGE}.onnx"}
    assert page.text("profile") == "0.5 ms on local"
    page.press("slider", "Home")
    page.wait(SMALL)
    assert page.text("loaded").split()[1] == "kB,"  # the graph alone: its weights were there
    page.click("by-budget")
    page.press("slider", "Home")
    page.wait(SMALL)
    assert page.text("limit").startswith("at most ")


@pytest.mark.skipif(not AXE.exists(), reason="there is no axe-core: 'npm install axe-core', or $BSTSEARCH_AXE")
def test_it_fits_a_telephone_and_shuts_nobody_out(opening: Callable[..., Shown], site: Path) -> None:
    page = opening(site)
    page.click("by-budget")
    page.ask("xyzzy" * 30)
    for width, height, scheme in ((320, 568, "light"), (844, 390, "light"), (1100, 844, "light"), (390, 844, "dark")):
        page.resize(width, scheme, height=height)
        assert page.browser.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(page.browser) == []
    page.ask("is it red?")
    page.resize(844, height=390)
    assert page.browser.evaluate("document.getElementById('answers').getBoundingClientRect().bottom") <= 390
    page.resize(390)
    assert violations(page.browser) == []
    page.call("Emulation.setSafeAreaInsetsOverride", insets={"top": 31, "right": 32, "bottom": 33, "left": 34})
    assert page.browser.evaluate("getComputedStyle(document.body).padding") == "31px 32px 33px 34px"
    page.call("Emulation.setSafeAreaInsetsOverride", insets={})


def test_a_picture_of_one_s_own_gets_the_answers_of_the_package_and_what_is_wrong_is_said(
    opening: Callable[..., Shown], site: Path, bundle_folder: Path, tmp_path: Path
) -> None:
    page = opening(site, knows_ranges=False)
    picture = Path(easy_vqa.get_test_image_paths()[0])
    page.take(picture)
    page.ask("What colour is the circle?")
    reply = bstsearch.ask("What colour is the circle?", picture, model=bundle_folder, submodel=SMALL)
    shares = [(answer, round(100 * share)) for answer, share in reply.answers]
    found = [(answer, int(share)) for answer, share, _ in page.answers()]
    assert [answer for answer, _ in found] == [answer for answer, _ in shares]
    assert all(abs(one - other) <= 1 for (_, one), (_, other) in zip(found, shares, strict=True))
    assert [one for one in page.asked if one.name == "weights.bin"] != []
    page.ask("xyzzy")
    assert page.error().startswith("no word of the question is known; it knows ")
    assert page.answers() == []
    (tmp_path / "text.png").write_text("no picture")
    page.take(tmp_path / "text.png")
    assert page.error() == "text.png is no picture that this browser can read."
    page.ask("is it red?")
    assert (page.error(), len(page.answers())) == ("", 3)
    for stub in TOO_LARGE:
        page.browser.evaluate(stub)
        page.choose(picture)
        assert page.error() == f"{picture.name} has more pixels than this browser can hold."
        assert len(page.answers()) == 3  # about the picture that is shown
        page.ask("is it blue?")
        assert page.error() == ""


def test_a_browser_that_comes_back_keeps_the_time_budget_and_takes_new_files(
    opening: Callable[..., Shown], site: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(site, tmp_path / "site")
    page = opening(folder)
    page.click("by-budget")
    said = json.loads((folder / "page.json").read_text())
    said["files"]["sample.json"] = "of-another-export"
    (folder / "page.json").write_text(json.dumps({**said, "device": "another"}))
    page.asked.clear()
    page.browser.evaluate("window.isOld = true; window.onunload = () => {}")  # which no browser keeps alive
    page.browser.go("about:blank")
    page.browser.wait_until("location.href === 'about:blank'")
    page.browser.evaluate("history.back()")
    page.browser.wait_until("location.href !== 'about:blank' && !window.isOld")
    page.wait("w")
    assert page.browser.evaluate("document.getElementById('by-budget').checked")
    assert page.text("limit").startswith("at most ")
    assert len(page.answers()) == 3
    assert page.text("profile").endswith(" ms on another")
    assert [one.version for one in page.asked if one.name.endswith(".json")] == ["", "of-another-export"]


def test_a_page_that_cannot_run_says_why_and_one_that_comes_says_so(
    opening: Callable[..., Shown], site: Path, tmp_path: Path
) -> None:
    held = {name: threading.Event() for name in ("page.mjs", f"{SMALL}.onnx")}
    page = opening(site, held=held, waits=False)
    page.wait_for_late("Loading…")
    held["page.mjs"].set()
    page.browser.wait_until("document.getElementById('main').hidden === false")
    before, height = "document.getElementById('answers')", "document.getElementById('main').scrollHeight"
    assert (page.text("state"), page.browser.evaluate(f"{before}.children.length")) == ("Loading…", 0)
    tall = page.browser.evaluate(height)
    held[f"{SMALL}.onnx"].set()
    page.wait(SMALL)
    assert page.text("state") == ""
    assert page.browser.evaluate(height) == tall  # nothing jumps when the answer comes
    page.browser.go((site / "index.html").as_uri())
    page.wait_for_late("Opened as a file, this page cannot run.")
    folder = shutil.copytree(site, tmp_path / "site")
    (folder / "screen.mjs").unlink()
    opening(folder, waits=False).wait_for_late("The scripts of this page cannot run; is a file missing,")


def test_a_picture_travels_once_and_can_be_chosen_again(
    opening: Callable[..., Shown], site: Path, tmp_path: Path
) -> None:
    page = opening(site)
    one, other = tmp_path / "one.png", tmp_path / "other.png"
    Image.new("RGB", (30, 20), "red").save(one)
    Image.new("RGB", (40, 20), "blue").save(other)
    page.browser.evaluate(NOTED)
    page.ask("is it red?")
    page.take(one)
    page.ask("is it blue?")
    page.click("sample")
    page.wait()
    page.take(one)
    assert page.side() == 30
    assert page.browser.evaluate("window.went") == [False, True, False, True, True]
    page.click("sample")
    page.wait()
    page.browser.evaluate("document.getElementById('question').value = 'xyzzy'")
    page.take(other)
    assert page.error().startswith("no word of the question is known")
    page.click("sample")
    page.wait()
    assert page.browser.evaluate("window.went.slice(5)") == [True, True, True]  # who knows what came the last time
    assert page.browser.evaluate("window.shut") == 3


def test_what_comes_late_changes_nothing_newer(opening: Callable[..., Shown], site: Path, tmp_path: Path) -> None:
    held = {f"{LARGE}.onnx": threading.Event()}
    page = opening(site, held=held)
    few, side = page.text("choice"), page.side()
    page.press("slider", "End")
    page.slide(0)
    (tmp_path / "text.png").write_text("no picture")
    page.choose(tmp_path / "text.png")
    assert page.error() == "text.png is no picture that this browser can read."
    assert page.browser.evaluate("document.getElementById('result').ariaBusy") == "true"
    held[f"{LARGE}.onnx"].set()
    page.wait(LARGE)
    assert page.error() == "text.png is no picture that this browser can read."
    assert len(page.answers()) == 3
    assert page.text("choice") == few  # where the slider stands, not what has come
    one, other = tmp_path / "one.png", tmp_path / "other.png"
    Image.new("RGB", (30, 20), "red").save(one)
    Image.new("RGB", (40, 20), "blue").save(other)
    page.browser.evaluate(SLOW)
    page.browser.evaluate(DECODED)
    page.give(one)
    page.browser.wait_until("window.finish.length === 1")
    page.click("sample")
    page.browser.evaluate("window.finish[0]()")
    page.browser.wait_until("window.isDecoded")
    assert page.side() == side
    page.give(one)
    page.give(other)
    page.browser.wait_until("window.finish.length === 3")
    for number in (2, 1):
        page.browser.evaluate(f"window.isDecoded = false; window.finish[{number}]()")
        page.browser.wait_until("window.isDecoded")
        assert page.side() == 40


def test_damaged_files_are_noticed_before_they_answer_and_fetched_anew(
    opening: Callable[..., Shown], site: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(site, tmp_path / "site")
    weights, graph = folder / "weights.bin", folder / f"{LARGE}.onnx"
    weights.write_bytes(b"\x00" * weights.stat().st_size)
    graph.write_bytes(graph.read_bytes()[:99].ljust(graph.stat().st_size, b"\x00"))
    page = opening(folder)
    assert page.error().startswith("the sample gives other numbers than at export, by ")
    assert page.answers() == []
    shutil.copy(site / "weights.bin", folder)
    page.ask("is it red?")
    assert (page.error(), len(page.answers())) == ("", 3)
    page.press("slider", "End")
    page.wait()
    assert page.error() != ""
    shutil.copy(site / f"{LARGE}.onnx", folder)
    page.ask("is it red?")
    assert (page.error(), page.text("id")) == ("", LARGE)
