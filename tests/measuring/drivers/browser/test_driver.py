"""The driver's side of a measurement, from before there are graphs to the end of its server."""

from __future__ import annotations

import contextlib
import http.client
import queue
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from phone import ENVIRONMENT, PIXEL, Phone, Start, kinds, time_once

from bstsearch.errors import DeviceError, UsageError
from bstsearch.measuring.driver import Device
from bstsearch.measuring.drivers.browser import driver as browser
from bstsearch.measuring.drivers.browser import job as browser_job
from bstsearch.testing.drivers import DriverContract


def test_a_phone_does_the_tasks_and_the_driver_gets_the_times(start: Start) -> None:
    session = start(time_once)
    phone = session.phone
    assert phone.hello() == 200
    tasks = [phone.work(ms=2.5) for _ in range(4)]
    assert [task["kind"] for task in tasks] == ["start", "open", "time", "finish"]
    assert tasks[1]["opening"]["graphs"] == [["small", "0.onnx", 64], ["large", "1.onnx", 128]]
    assert tasks[2]["visits"] == [{"name": "small", "count": 2}, {"name": "large", "count": 1}]
    assert tasks[3]["rows"] == [["small", 2.5], ["large", 2.5]]
    assert session.end() == [(2.5, 2.5), (2.5,)]


def test_hardware_and_runtime_are_the_phones(start: Start) -> None:
    session = start(lambda driver: (driver.hardware, driver.runtime, driver.peak_memory(Path("x"))))
    session.phone.hello()
    kinds(session.phone, 2)
    hardware, runtime, peak = session.end()  # type: ignore[misc]
    assert (hardware.title, hardware.cores, hardware.system) == ("Pixel 7", 8, PIXEL)
    assert hardware.memory_bytes == 8 * 2**30
    assert (runtime.name, runtime.version, runtime.provider) == ("onnxruntime-web", "1.30.0", "wasm")
    assert (runtime.threads, runtime.precision, peak) == (4, "float32", None)


def test_it_notes_the_address_and_who_came(start: Start) -> None:
    has_come = threading.Event()
    session = start(build=lambda device: has_come.wait(20))
    session.phone.hello(is_isolated=False)
    has_come.set()
    kinds(session.phone, 2)
    session.end()
    assert session.notes[0].startswith(f"open http://localhost:{session.phone.port}/")
    assert session.notes[1] == "Chrome 120 has come; it loads onnxruntime-web"
    assert session.notes[2].startswith(
        "measuring Pixel 7: onnxruntime-web 1.30.0, wasm, 4 threads; browsers give threads"
    )


# Before there are graphs


class Building:
    """Graphs that are built one by one, when told to."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._steps: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def __call__(self, device: Device) -> None:
        for number in range(self._total):
            if error := self._steps.get(timeout=20):
                raise error
            device.prepare(number + 1, self._total)

    def step(self, error: BaseException | None = None) -> None:
        self._steps.put(error)


def test_a_page_that_comes_early_loads_the_runtime_and_hears_how_far_it_is(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser_job, "LOOK_S", 0.02)
    building = Building(3)
    session = start(time_once, building)
    phone = session.phone
    assert phone.get("0.onnx")[0] == 404
    phone.hello()
    assert phone.work()["kind"] == "start"
    seen = [phone.post("ask")[1]]
    for number in range(1, 3):
        building.step()
        while (now := phone.post("ask")[1])["done"] != number:
            pass
        seen.append(now)
    assert seen == [{"kind": "wait", "done": done, "total": 3 if done else 0} for done in range(3)]
    building.step()
    assert kinds(phone, 3) == ["open", "time", "finish"]
    session.end()
    assert phone.address not in "".join(session.notes[1:])  # nobody has to be told again


def test_a_page_that_comes_late_is_waited_for_under_its_address(start: Start) -> None:
    session = start()
    while len(session.notes) < 2:
        pass
    assert session.notes[1] == f"the submodels are ready, and wait for {session.phone.address} to be opened"
    session.phone.hello()
    assert kinds(session.phone, 2) == ["start", "finish"]
    session.end()


def test_a_page_that_cannot_go_on_ends_the_building(start: Start) -> None:
    building = Building(2)
    session = start(build=building)
    session.phone.hello()
    session.phone.ask()
    session.phone.post("failed", message="this browser has no WASM SIMD; update it")
    building.step()
    with pytest.raises(DeviceError, match=r"^the phone cannot go on: this browser has no WASM SIMD; update it$"):
        session.end()


def test_a_page_that_left_while_graphs_were_built_may_come_back(start: Start) -> None:
    building = Building(1)
    session = start(build=building)
    session.phone.hello()
    session.phone.work()
    session.phone.post("leave")
    building.step()
    while not session.notes[-1].startswith("the submodels are ready"):
        pass
    assert session.phone.hello() == 200
    assert session.phone.work()["kind"] == "finish"
    session.end()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), DeviceError("a graph cannot be built")])
@pytest.mark.parametrize("has_come", [True, False])
def test_the_server_ends_with_the_building(start: Start, error: BaseException, has_come: bool) -> None:
    building = Building(2)
    session = start(build=building)
    phone = session.phone
    answers: list[tuple[int, Any]] = []
    if has_come:
        phone.hello()
        phone.work()
        building.step()
        asking = threading.Thread(target=lambda: answers.append(ask_to_the_end(phone)), daemon=True)
        asking.start()
    building.step(error)
    with pytest.raises(type(error)):
        session.end()
    if has_come:
        asking.join(20)
        assert answers == [(410, None)]  # "It is over", as the page says
    with pytest.raises(ConnectionRefusedError):
        phone.hello()


def ask_to_the_end(phone: Phone) -> tuple[int, Any]:
    """The answer that is none to wait on, which the end of the server may outrun."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        while (answer := phone.post("ask"))[0] == 200:
            pass
        return answer
    return 410, None


# At work


def test_the_page_is_told_how_to_run_and_how_far_it_is(start: Start) -> None:
    def work(driver: Any) -> None:
        driver.report("Timing in rounds", 3, 20)
        time_once(driver)

    session = start(work, threads=2, patience_s=8)
    config = session.phone.post("hello", **ENVIRONMENT)[1]
    assert (config["provider"], config["threads"], config["pulse_ms"]) == ("wasm", 2, 2000)
    assert config["ort"]["script"]["url"].startswith("https://cdn.jsdelivr.net/npm/onnxruntime-web@1.30.0/dist/")
    assert config["ort"]["wasm"]["integrity"].startswith("sha384-")
    tasks = [session.phone.work() for _ in range(4)]
    assert [entry["name"] for entry in tasks[1]["opening"]["inputs"]] == ["question", "image"]
    assert (tasks[2]["text"], tasks[2]["done"], tasks[2]["total"]) == ("Timing in rounds", 3, 20)
    session.end()


@pytest.mark.parametrize("error", [None, KeyboardInterrupt()])
def test_the_server_ends_with_the_job(start: Start, error: BaseException | None) -> None:
    def work(driver: Any) -> None:
        if error:
            raise error

    session = start(work)
    phone = session.phone
    phone.hello()
    open_connection = http.client.HTTPConnection("127.0.0.1", phone.port, timeout=20)
    open_connection.request("GET", f"/{phone.token}/page.js", headers={"Host": f"localhost:{phone.port}"})
    assert open_connection.getresponse().read()
    assert [phone.work() for _ in range(2)][1]["text"] == ("Stopped" if error else "Done")
    with pytest.raises(KeyboardInterrupt) if error else contextlib.nullcontext():
        session.end()
    with pytest.raises(ConnectionRefusedError):
        phone.hello()
    assert open_connection.sock is not None
    with contextlib.closing(open_connection):
        assert open_connection.sock.recv(1) == b""  # the server has hung up


def test_an_unknown_provider_is_wrong_usage() -> None:
    with (
        pytest.raises(UsageError, match="unknown provider 'cuda'; onnxruntime-web has wasm and webgpu"),
        browser.open_device(note=lambda _: None, provider="cuda"),
    ):
        pass


class TestBrowser(DriverContract):
    @pytest.fixture
    def device(self) -> Iterator[Device]:
        """The device, and a phone that does whatever it is asked to."""

        def come(line: str) -> None:
            if found := ADDRESS.search(line):
                phone = Phone(found[0])
                threading.Thread(target=lambda: (phone.hello(), work_to_the_end(phone)), daemon=True).start()

        with browser.Browser().open("phone", come) as device:
            yield device


ADDRESS = re.compile(r"(?<=^open )http://\S+/")


def work_to_the_end(phone: Phone) -> None:
    while phone.work()["kind"] != "finish":
        pass
