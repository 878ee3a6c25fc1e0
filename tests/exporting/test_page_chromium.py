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

import easy_vqa
import pytest
from axe import AXE, violations
from chromium import CHROMIUM, Chromium, running_chromium

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

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this computer"),
    pytest.mark.skipif(
        not DIST.is_dir(), reason="there is no onnxruntime-web: 'npm install onnxruntime-web', or $BSTSEARCH_ORT_WEB"
    ),
]


class Files(http.server.SimpleHTTPRequestHandler):
    """The files of a folder; `asked` lists (path, Range) of all requests, where `knows_ranges` they are heeded."""

    knows_ranges = True
    asked: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        name, wanted = self.path.lstrip("/").partition("?")[0], self.headers["Range"]
        self.asked.append((name, wanted))
        if not (wanted and self.knows_ranges):
            super().do_GET()
            return
        start, last = map(int, wanted.removeprefix("bytes=").split("-"))
        part = (Path(self.directory) / name).read_bytes()[start : last + 1]
        self.send_response(HTTPStatus.PARTIAL_CONTENT)
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *_: object) -> None:
        pass


class Shown:
    """A page's folder, served and open in a browser that is held like a telephone."""

    def __init__(self, browser: Chromium, address: str, asked: list[tuple[str, str | None]]) -> None:
        self.browser, self.asked = browser, asked
        self.resize(390)
        browser.go(address)
        self.wait()

    def resize(self, width: int, scheme: str = "light") -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=844, deviceScaleFactor=1, mobile=True)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def call(self, method: str, **params: object) -> None:
        self.browser.call(method, self.browser.session, **params)

    def wait(self, name: str = "") -> None:
        """Comes back when there is an answer, of the submodel `name`, or an error."""
        is_done = "document.getElementById('result')?.ariaBusy === 'false' && document.getElementById('id')"
        self.browser.wait_until(f"{is_done}.textContent.startsWith('{name}')")

    def text(self, name: str) -> str:
        return str(self.browser.evaluate(f"document.getElementById('{name}').textContent"))

    def answers(self) -> list[list[str]]:
        script = "[...document.querySelectorAll('#answers li')].map((one) => one.innerText)"
        return [text.split() for text in self.browser.evaluate(script)]

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
        self.browser.evaluate(DECODED)
        script = "document.getElementById('file')"
        found = self.browser.call("Runtime.evaluate", self.browser.session, expression=script)["result"]
        self.call("DOM.setFileInputFiles", files=[str(path.resolve())], objectId=found["objectId"])
        self.browser.wait_until("window.isDecoded")
        self.wait()


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

    def open_page(folder: Path, *, knows_ranges: bool = True) -> Shown:
        asked: list[tuple[str, str | None]] = []
        handler = type("Handler", (Files,), {"knows_ranges": knows_ranges, "asked": asked})
        servers.append(
            http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(folder)))
        )
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return Shown(browser, f"http://localhost:{servers[-1].server_port}/", asked)

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
    fetched = [wanted for name, wanted in page.asked if name == "weights.bin"]
    assert fetched == [f"bytes={start}-{end - 1}" for start, end in spans[SMALL]]
    page.press("slider", "End")
    page.wait(LARGE)
    assert {name for name, _ in page.asked} >= {f"{SMALL}.onnx", f"{LARGE}.onnx"}
    assert page.text("profile") == "0.5 ms on local"
    page.press("slider", "Home")
    page.wait(SMALL)
    assert page.text("loaded").split()[1] == "kB,"  # the graph alone: its weights were there
    page.browser.evaluate("document.getElementById('by-budget').click()")
    page.press("slider", "Home")
    page.wait(SMALL)
    assert page.text("limit").startswith("at most ")


@pytest.mark.skipif(not AXE.exists(), reason="there is no axe-core: 'npm install axe-core', or $BSTSEARCH_AXE")
def test_it_fits_a_telephone_and_shuts_nobody_out(opening: Callable[..., Shown], site: Path) -> None:
    page = opening(site)
    for width, scheme in ((1100, "light"), (390, "light"), (390, "dark")):
        page.resize(width, scheme)
        assert page.browser.evaluate("document.documentElement.scrollWidth") <= width
        assert width > 500 or violations(page.browser) == []


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
    assert [wanted for name, wanted in page.asked if name == "weights.bin"] != []
    page.ask("xyzzy")
    assert page.text("error").startswith("no word of the question is known; it knows ")
    assert page.answers() == []
    (tmp_path / "text.png").write_text("no picture")
    page.take(tmp_path / "text.png")
    assert page.text("error") == "text.png is no picture that this browser can read."
    page.ask("is it red?")
    assert page.browser.evaluate("document.getElementById('error').hidden")
    assert len(page.answers()) == 3


def test_damaged_weights_are_noticed_before_they_answer(
    opening: Callable[..., Shown], site: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(site, tmp_path / "site")
    (folder / "weights.bin").write_bytes(b"\x00" * (folder / "weights.bin").stat().st_size)
    page = opening(folder)
    assert page.text("error").startswith("the sample gives other numbers than at export, by ")
    assert page.answers() == []
