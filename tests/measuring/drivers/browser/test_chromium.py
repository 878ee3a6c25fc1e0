"""The page itself, in a real browser without a window, which is told what to do over the DevTools protocol."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import statistics
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import CHROMIUM, Chromium, running_chromium

from bstsearch.errors import DeviceError
from bstsearch.measuring.driver import Visit, Workload
from bstsearch.measuring.drivers.browser import driver as browser
from bstsearch.measuring.drivers.browser import files as browser_files
from bstsearch.measuring.drivers.browser.driver import PageSession
from bstsearch.measuring.workload import make_workload
from bstsearch.model.supernet_folder import read_folder

ORT_WEB = Path(os.environ.get("BSTSEARCH_ORT_WEB", "node_modules/onnxruntime-web"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this computer"),
    pytest.mark.skipif(
        not ORT_WEB.is_dir(), reason="there is no onnxruntime-web: 'npm install onnxruntime-web', or $BSTSEARCH_ORT_WEB"
    ),
]


@pytest.fixture
def chromium() -> Iterator[Chromium]:
    with running_chromium() as running:
        yield running


@pytest.fixture(scope="module")
def workload(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Workload:
    """The smallest and the largest submodel of the tiny supernet."""
    folder = read_folder(tiny_folder)
    submodels = [folder.space.smallest, folder.space.largest]
    return make_workload(folder, submodels, tmp_path_factory.mktemp("graphs"))


Open = Callable[..., contextlib.AbstractContextManager[PageSession]]


@pytest.fixture
def opening(chromium: Chromium, workload: Workload) -> Open:
    """Opens a driver, and its page in Chromium, under the name `host`."""

    def note(line: str, host: str) -> None:
        if line.startswith("open http://"):
            place = line.split()[1].split(":", 2)[2]
            chromium.go(f"http://{host}:{place}")

    @contextlib.contextmanager
    def open_driver(host: str = "localhost", **options: Any) -> Iterator[PageSession]:
        options = {"ort_web": ORT_WEB, "arrival_s": 60.0, **options}
        with (
            browser.open_device(note=lambda line: note(line, host), **options) as device,
            device.take(workload) as driver,
        ):
            yield driver

    return open_driver


def time_all(driver: PageSession, rounds: int = 5) -> dict[str, float]:
    """The median of each graph's times."""
    names = ["w1of4-d1of4", "w1-d1"]
    driver.open(names)
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        driver.report("Timing in rounds", number, rounds)
        found = driver.time([Visit(name=name, count=5) for name in names])
        assert [len(runs) for runs in found] == [5, 5]
        for name, runs in zip(names, found, strict=True):
            times[name] += [run.wall_ms for run in runs]
    return {name: statistics.median(times_ms) for name, times_ms in times.items()}


def test_threads_times_and_the_result_on_the_page(chromium: Chromium, opening: Open) -> None:
    with opening(threads=2) as driver:
        assert chromium.evaluate("crossOriginIsolated") is True
        assert (driver.runtime.name, driver.runtime.provider, driver.runtime.threads) == ("onnxruntime-web", "wasm", 2)
        assert driver.runtime.version[0].isdigit()
        assert driver.hardware.cores == chromium.evaluate("navigator.hardwareConcurrency")
        medians = time_all(driver)
        assert f"onnxruntime-web {driver.runtime.version}, wasm, 2 threads" in chromium.text()
    assert 0.001 < medians["w1of4-d1of4"] < medians["w1-d1"] < 1000
    chromium.wait_for_text("You may close this page.")
    shown = chromium.text()
    assert "Done" in shown
    assert "w1of4-d1of4" in shown
    assert "w1-d1" in shown


def test_a_page_that_comes_early_shows_how_far_the_computer_is(chromium: Chromium, workload: Workload) -> None:
    def note(line: str) -> None:
        if line.startswith("open http://"):
            chromium.go(line.split()[1])

    with browser.open_device(note=note, ort_web=ORT_WEB, threads=1) as device:
        chromium.wait_for_text("The computer prepares the submodels")
        assert "onnxruntime-web 1." in chromium.text()  # it has used the time
        for done in (12, 40):
            device.prepare(done, 68)
            chromium.wait_for_text(f"{done} of 68; keep this page open")
        with device.take(workload) as driver:
            assert time_all(driver, rounds=1)
    chromium.wait_for_text("You may close this page.")


def test_a_page_whose_computer_stops_building_says_that_it_is_over(chromium: Chromium) -> None:
    def note(line: str) -> None:
        if line.startswith("open http://"):
            chromium.go(line.split()[1])

    with (
        contextlib.suppress(KeyboardInterrupt),
        browser.open_device(note=note, ort_web=ORT_WEB, threads=1, patience_s=8.0),
    ):
        chromium.wait_for_text("The computer prepares the submodels")
        raise KeyboardInterrupt
    chromium.wait_for_text("It is over")


def test_a_page_of_the_network_has_one_thread_and_says_so(chromium: Chromium, opening: Open) -> None:
    with opening("phone.test", is_lan=True, threads=2) as driver:
        assert chromium.evaluate("crossOriginIsolated") is False
        assert driver.runtime.threads == 1
        medians = time_all(driver)
        assert "Browsers give a page opened over the network one thread" in chromium.text()
        assert "Keep the screen on" in chromium.text()
    assert medians["w1of4-d1of4"] < medians["w1-d1"]


def test_a_page_loaded_anew_goes_on(chromium: Chromium, opening: Open) -> None:
    with opening(threads=1) as driver:
        time_all(driver, rounds=1)
        hide(chromium, is_hidden=True)
        with running(lambda: driver.time([Visit(name="w1-d1", count=3)])) as result:
            chromium.wait_for_text("Timing")
            chromium.call("Page.reload", chromium.session)
        assert len(result()[0]) == 3


def test_a_hidden_page_waits_until_it_is_seen(chromium: Chromium, opening: Open) -> None:
    with opening(threads=1) as driver:
        time_all(driver, rounds=1)
        hide(chromium, is_hidden=True)
        with running(lambda: driver.time([Visit(name="w1-d1", count=3)])) as result:
            threading.Event().wait(1.0)
            assert result.__self__.is_alive()  # type: ignore[attr-defined]
            hide(chromium, is_hidden=False)
        assert len(result()[0]) == 3


def test_a_visit_that_the_page_was_hidden_in_is_made_again(chromium: Chromium, opening: Open) -> None:
    count = "window.asked = 0; const post = Worker.prototype.postMessage; Worker.prototype.postMessage = "
    count += "function (message) { asked += message.act === 'time'; post.call(this, message); if (asked === 1) { "
    with opening(threads=1) as driver:
        time_all(driver, rounds=1)
        # Hidden as soon as the worker has been asked for times, and seen again at once.
        chromium.evaluate(f"{count} {hiding(True)} {hiding(False)} }} }}; undefined")
        assert len(driver.time([Visit(name="w1-d1", count=3)])[0]) == 3
        assert chromium.evaluate("asked") == 2


def test_a_second_page_is_told_that_one_is_enough(chromium: Chromium, opening: Open) -> None:
    with opening(threads=1) as driver:
        target = chromium.call("Target.createTarget", url=chromium.evaluate("location.href"))["targetId"]
        first, chromium.session = chromium.session, chromium.attach(target)
        chromium.wait_for_text("Another phone is measuring")
        chromium.call("Target.closeTarget", targetId=target)
        chromium.session = first
        assert time_all(driver, rounds=1)


def test_without_the_cdn_the_error_says_what_could_not_be_loaded(chromium: Chromium, opening: Open) -> None:
    message = r"could not be loaded from cdn\.jsdelivr\.net \(Failed to fetch\); is the phone on the internet\?$"
    with pytest.raises(DeviceError, match=message), opening(ort_web=None):
        pass
    chromium.wait_for_text("This device cannot go on")
    assert "cdn.jsdelivr.net" in chromium.text()


@pytest.mark.parametrize("is_altered", [False, True])
def test_the_cdns_files_must_have_the_pinned_hashes(
    opening: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_altered: bool
) -> None:
    package = json.loads((ORT_WEB / "package.json").read_text(encoding="utf-8"))
    if package["version"] != browser_files.ORT_VERSION:
        pytest.skip(f"the onnxruntime-web here is {package['version']}, not {browser_files.ORT_VERSION}")
    for name in browser_files.PROVIDERS["wasm"]:
        shutil.copy(ORT_WEB / "dist" / name, tmp_path / name)
    if is_altered:
        with (tmp_path / browser_files.PROVIDERS["wasm"][0]).open("a", encoding="utf-8") as file:
            file.write("\n")
    pinned = {
        role: dataclasses.replace(file, url=file.url.replace(browser_files.ORT_CDN, "ort/"))
        for role, file in browser_files.ort_files(None, "wasm").items()
    }
    monkeypatch.setattr(browser, "ort_files", lambda *_: pinned)
    refused = pytest.raises(DeviceError, match=r"ort\.wasm\.bundle\.min\.mjs could not be loaded from localhost")
    with refused if is_altered else contextlib.nullcontext(), opening(ort_web=tmp_path, threads=1) as driver:
        assert time_all(driver, rounds=1)


def test_a_runtime_that_is_none_is_an_error_in_its_words(opening: Open, tmp_path: Path) -> None:
    script, wasm = browser_files.PROVIDERS["wasm"]
    shutil.copy(ORT_WEB / "dist" / script, tmp_path / script)
    (tmp_path / wasm).write_bytes(b"no wasm")
    with pytest.raises(DeviceError, match=r"the phone cannot go on: .*"), opening(ort_web=tmp_path) as driver:
        time_all(driver)


def test_without_a_gpu_webgpu_is_an_error(opening: Open) -> None:
    with pytest.raises(DeviceError, match=r"no GPU to use|no WebGPU here"), opening(provider="webgpu"):
        pass


def hiding(is_hidden: bool) -> str:
    """A script that makes the page think it was hidden, or is seen again."""
    value = "true" if is_hidden else "false"
    return (
        f"Object.defineProperty(document, 'hidden', {{ value: {value}, configurable: true }}); "
        "document.dispatchEvent(new Event('visibilitychange'));"
    )


def hide(chromium: Chromium, *, is_hidden: bool) -> None:
    chromium.evaluate(hiding(is_hidden))


class _Running(threading.Thread):
    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._work, self._found = work, None

    def run(self) -> None:
        self._found = self._work()

    def result(self) -> Any:
        self.join(60)
        assert not self.is_alive()
        return self._found


@contextlib.contextmanager
def running(work: Callable[[], Any]) -> Iterator[Callable[[], Any]]:
    """Does `work` beside the block; yields a call that waits for its result."""
    thread = _Running(work)
    thread.start()
    yield thread.result
