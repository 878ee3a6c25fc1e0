"""The server's side, spoken to by plain HTTP as a page would, or as somebody who means ill."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import queue
import re
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bstsearch.errors import DeviceError, InputError, UsageError
from bstsearch.measuring.driver import Device, Graph, Session, Visit, Workload
from bstsearch.measuring.drivers.browser import driver as browser
from bstsearch.measuring.drivers.browser.address import lan_addresses
from bstsearch.measuring.drivers.browser.files import PROVIDERS, find_dist, ort_files, read_inputs
from bstsearch.measuring.drivers.browser.job import MOST_LOADS, Job
from bstsearch.measuring.drivers.browser.protocol import Done, Hello, Task, browser_of, hardware_of
from bstsearch.measuring.drivers.browser.server import LARGEST_POST
from bstsearch.testing.drivers import DriverContract

PIXEL = "Mozilla/5.0 (Linux; Android 13; Pixel 7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile"
ENVIRONMENT = {
    "user_agent": PIXEL,
    "model": None,
    "system": None,
    "cores": 8,
    "memory_gb": 8,
    "is_isolated": True,
}
STARTED = {"version": "1.30.0", "threads": 4, "clock_ms": 0.005}
GIGABYTE = 10**9


@dataclass
class Phone:
    """A page without a browser: it knows the address, and posts what it is told to."""

    address: str
    page: str = "a" * 32
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def port(self) -> int:
        return int(self.address.split(":")[2].split("/")[0])

    @property
    def token(self) -> str:
        return self.address.rstrip("/").rpartition("/")[2]

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the answer to one request on a connection of its own."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            connection.request(
                method, path, body, {"Host": f"localhost:{self.port}", **self.headers, **(headers or {})}
            )
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()

    def get(self, name: str) -> tuple[int, dict[str, str], bytes]:
        return self.request("GET", f"/{self.token}/{name}")

    def post(self, name: str, **values: Any) -> tuple[int, Any]:
        """Status and JSON of the answer."""
        body = json.dumps({"page": self.page, **values}).encode()
        status, _, text = self.request("POST", f"/{self.token}/{name}", body)
        return status, json.loads(text) if text else None

    def hello(self, **changes: Any) -> int:
        return self.post("hello", **ENVIRONMENT | changes)[0]

    def ask(self) -> dict[str, Any]:
        """The next task; asks again while there is none."""
        while (answer := self.post("ask"))[0] == 204 or (answer[1] or {}).get("kind") == "wait":
            pass
        assert answer[0] == 200, answer
        return dict(answer[1])

    def work(self, ms: float = 1.0) -> dict[str, Any]:
        """Does the next task as a page would, each run in `ms`; returns it."""
        task = self.ask()
        assert self.post("done", **self.result(task, ms))[0] == 204
        return task

    def result(self, task: dict[str, Any], ms: float = 1.0) -> dict[str, Any]:
        result: dict[str, Any] = {"task": task["task"]}
        if task["kind"] == "start":
            result["runtime"] = STARTED
        if task["kind"] == "time":
            result["times_ms"] = [[ms] * visit["count"] for visit in task["visits"]]
        return result


class Meeting:
    """A driver at work in a thread of its own, as the command is beside a phone."""

    def __init__(
        self,
        workload: Workload,
        work: Callable[[Any], object],
        build: Callable[[Any], object] = lambda device: None,
        **options: Any,
    ) -> None:
        self.notes: list[str] = []
        self.found: object = None
        self.error: BaseException | None = None
        self._has_address = threading.Event()
        self._workload, self._work, self._build, self._options = workload, work, build, options
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        assert self._has_address.wait(20), self.error
        self.phone = Phone(next(word for word in self.notes[-1].split() if word.startswith("http://")))

    def end(self) -> object:
        """What the work returned, when it has ended."""
        self.thread.join(20)
        assert not self.thread.is_alive()
        if self.error:
            raise self.error
        return self.found

    def _note(self, line: str) -> None:
        self.notes.append(line)
        if "http://" in line:
            self._has_address.set()

    def _run(self) -> None:
        try:
            with browser.open_device(note=self._note, **self._options) as device:
                self._build(device)
                with device.take(self._workload) as driver:
                    self.found = self._work(driver)
        except BaseException as error:
            self.error = error  # which `end` raises


Start = Callable[..., Meeting]


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    """Two files that only look like graphs: what is in them is the browser's business."""
    tmp_path, graphs = tmp_path_factory.mktemp("workload"), {}
    for number, name in enumerate(("small", "large")):
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(name.encode() * 10)
        graphs[name] = Graph(path=path, weight_bytes=64 * (number + 1))
    np.savez(tmp_path / "inputs.npz", question=np.arange(3, dtype=np.int64), image=np.ones((1, 2), np.uint8))
    return Workload(graphs=graphs, inputs=tmp_path / "inputs.npz")


@pytest.fixture
def start(workload: Workload) -> Iterator[Start]:
    sessions: list[Meeting] = []

    def starting(
        work: Callable[[Any], object] = lambda driver: None,
        build: Callable[[Any], object] = lambda device: None,
        **options: Any,
    ) -> Meeting:
        sessions.append(Meeting(workload, work, build, **{"arrival_s": 20, **options}))
        return sessions[-1]

    yield starting
    for session in sessions:
        if session.thread.is_alive():
            session.phone.hello()
            session.phone.post("failed", message="the test has ended")
            session.thread.join(20)


@pytest.fixture(scope="module")
def knock(workload: Workload) -> Iterator[Phone]:
    """The address of a server that waits for its page, for those who only knock."""
    session = Meeting(workload, lambda driver: None, arrival_s=600)
    yield session.phone
    session.phone.hello()
    session.phone.post("failed", message="the tests have ended")
    session.thread.join(20)


def time_once(driver: Session) -> list[tuple[float, ...]]:
    driver.open(["small", "large"])
    found = driver.time([Visit(name="small", count=2), Visit(name="large", count=1)])
    return [tuple(run.wall_ms for run in runs) for runs in found]


def kinds(phone: Phone, number: int) -> list[str]:
    return [phone.work()["kind"] for _ in range(number)]


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


def test_a_page_that_comes_early_loads_the_runtime_and_hears_how_far_it_is(start: Start) -> None:
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


def test_the_page_its_graphs_and_inputs_are_served_isolated(knock: Phone) -> None:
    for name, kind in (("", "text/html"), ("page.css", "text/css"), ("worker.js", "text/javascript")):
        status, headers, content = knock.get(name)
        assert (status, headers["Content-Type"].split(";")[0]) == (200, kind)
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert content
    assert knock.get("1.onnx")[2] == b"large" * 10
    assert knock.get("inputs.bin")[2] == np.arange(3).tobytes() + b"\1\1"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/TOKEN",
        "/wrong/",
        "/wrong/page.js",
        "/TOKENx/",
        "/TOKEN/other.js",
        "/TOKEN/../browser.py",
        "/TOKEN/%2e%2e/browser.py",
        "/TOKEN//etc/passwd",
        "/TOKEN/page/",
        "/TOKEN/ort/ort.wasm.bundle.min.mjs",
        "/favicon.ico",
        "/%00",
        "/tök/",
    ],
)
def test_anything_else_is_not_found_and_says_nothing(knock: Phone, path: str) -> None:
    with socket.create_connection(("127.0.0.1", knock.port), timeout=20) as connection:
        target = path.replace("TOKEN", knock.token)
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost:{knock.port}\r\n\r\n".encode())
        connection.shutdown(socket.SHUT_WR)
        answer = read_all(connection)
    assert answer == b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


def test_other_methods_and_nonsense_get_no_page_of_http_servers(knock: Phone) -> None:
    for method in ("PUT", "DELETE", "OPTIONS", "HEAD"):
        status, headers, content = knock.request(method, f"/{knock.token}/")
        assert (status, content) == (404, b"")
        assert "Server" not in headers
    with socket.create_connection(("127.0.0.1", knock.port), timeout=20) as connection:
        connection.sendall(b"hello there, web server\r\n\r\n")
        assert b"<" not in read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize("name", ["hello", "ask", "done", "failed", "alive", "leave"])
def test_posts_with_another_token_are_not_found(knock: Phone, name: str) -> None:
    stranger = Phone(f"http://localhost:{knock.port}/{'a' * 16}/")
    assert stranger.post(name, **ENVIRONMENT) == (404, None)
    assert knock.post("ask") == (409, None)  # nobody has said hello


@pytest.mark.parametrize("host", ["evil.example", "evil.example:PORT", "192.168.1.5:PORT", "", "localhost:1"])
def test_a_name_made_to_lead_here_is_refused(knock: Phone, host: str) -> None:
    for method in ("GET", "POST"):
        headers = {"Host": host.replace("PORT", str(knock.port))}
        assert knock.request(method, f"/{knock.token}/", b"{}", headers)[0] == 404
    assert knock.request("GET", f"/{knock.token}/", headers={"Host": f"127.0.0.1:{knock.port}"})[0] == 200


def test_tokens_differ_and_are_long(start: Start) -> None:
    tokens = {start().phone.token for _ in range(3)}
    assert len(tokens) == 3
    assert all(len(token) == 16 and token.isalnum() for token in tokens)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (f"Content-Length: {GIGABYTE}", 413),
        (f"Content-Length: {LARGEST_POST + 1}", 413),
        (f"Content-Length: {'9' * 5000}", 413),
        ("Transfer-Encoding: chunked", 411),
        (f"Transfer-Encoding: chunked\r\nContent-Length: {GIGABYTE}", 411),
        ("X-None: 1", 411),
        ("Content-Length: -5", 411),
        ("Content-Length: many", 411),
        (f"Content-Length: {GIGABYTE}\r\nExpect: 100-continue", 413),
    ],
)
def test_a_body_too_long_is_refused_unread(knock: Phone, headers: str, status: int) -> None:
    with socket.create_connection(("127.0.0.1", knock.port), timeout=20) as connection:
        head = f"POST /{knock.token}/done HTTP/1.1\r\nHost: localhost:{knock.port}\r\n{headers}\r\n\r\n"
        connection.sendall(head.encode())  # and not a byte of the body
        answer = read_all(connection)  # to its end: the server hangs up
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Connection: close" in answer
    assert knock.get("page.js")[0] == 200


MALFORMED = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe",
    b'{"page": 5, "task": 1}',
    b'{"page": "PAGE"}',
    b'{"page": "PAGE", "task": "1"}',
    b'{"page": "PAGE", "task": 1, "more": 2}',
    b'{"page": "../../etc", "task": 1}',
    b'{"page": "PAGE", "task": 3, "times_ms": [[1.0, -1.0], [1.0]]}',
    b'{"page": "PAGE", "task": 3, "times_ms": [[1.0, NaN], [1.0]]}',
    b'{"page": "PAGE", "task": 3, "times_ms": [[1.0, 1e999], [1.0]]}',
    b'{"page": "PAGE", "task": 3, "times_ms": [["1", 1.0], [1.0]]}',
    b'{"page": "PAGE", "task": 3, "times_ms": [[1.0], [1.0]]}',
    b'{"page": "PAGE", "task": 3, "times_ms": [[1.0, 1.0]]}',
    b'{"page": "PAGE", "task": 3, "times_ms": []}',
    b'{"page": "PAGE", "task": 3}',
    b'{"page": "PAGE", "task": 3, "runtime": {"version": "1", "threads": 1, "clock_ms": 1}}',
    b"[" * 100_000,
]


def test_malformed_results_are_noted_and_the_job_goes_on(start: Start) -> None:
    session = start(time_once)
    phone = session.phone
    phone.hello()
    kinds(phone, 2)
    assert phone.ask()["kind"] == "time"
    before = len(session.notes)
    for number, body in enumerate(MALFORMED, start=1):
        answer = phone.request("POST", f"/{phone.token}/done", body.replace(b"PAGE", phone.page.encode()))
        assert (answer[0], answer[2]) == (400, b""), body
        assert len(session.notes[before:]) == number
        assert session.notes[-1].startswith("ignored a ")
        assert len(session.notes[-1]) < 100
    assert kinds(phone, 2) == ["time", "finish"]
    assert session.end() == [(1.0, 1.0), (1.0,)]


def test_a_second_phone_is_turned_away(start: Start) -> None:
    session = start(time_once)
    first, second = session.phone, Phone(session.phone.address, page="b" * 32)
    first.hello()
    assert second.hello() == 409
    for name in ("ask", "alive", "leave"):
        assert second.post(name) == (409, None)
    assert second.post("done", task=1, runtime=STARTED)[0] == 409
    assert second.post("failed", message="me") == (409, None)
    assert kinds(first, 4) == ["start", "open", "time", "finish"]
    session.end()


def test_a_page_loaded_anew_goes_on_with_the_task_in_hand(start: Start) -> None:
    session = start(time_once)
    phone = session.phone
    phone.hello()
    kinds(phone, 2)
    before = phone.ask()
    phone.post("leave")
    assert phone.hello() == 200
    assert phone.ask() == before
    assert before["opening"]["graphs"]  # so that it can open them again
    assert kinds(phone, 2) == ["time", "finish"]
    assert session.end() == [(1.0, 1.0), (1.0,)]
    assert "the page was loaded anew; going on" in session.notes


def test_the_same_phone_may_go_on_in_another_tab_but_no_other_phone(start: Start) -> None:
    session = start(time_once)
    phone, tab = session.phone, Phone(session.phone.address, page="b" * 32)
    phone.hello()
    kinds(phone, 2)
    phone.post("leave")
    assert tab.hello(user_agent="Mozilla/5.0 (iPhone)") == 409
    assert tab.hello(cores=4) == 409
    assert tab.hello() == 200
    assert phone.post("ask")[0] == 409
    assert kinds(tab, 2) == ["time", "finish"]
    session.end()


def test_a_result_posted_twice_counts_once(start: Start) -> None:
    session = start(lambda driver: [time_once(driver), time_once(driver)])
    phone = session.phone
    phone.hello()
    kinds(phone, 2)
    task = phone.ask()
    for ms in (1.0, 2.0):  # the answer to the first did not arrive
        assert phone.post("done", **phone.result(task, ms))[0] == 204
    assert [phone.work(ms=3.0)["kind"] for _ in range(3)] == ["open", "time", "finish"]
    assert session.end() == [[(1.0, 1.0), (1.0,)], [(3.0, 3.0), (3.0,)]]


def test_a_phone_that_leaves_is_an_error_that_says_how_to_go_on(start: Start) -> None:
    session = start(time_once, patience_s=0.4)
    session.phone.hello()
    with pytest.raises(DeviceError, match="the phone left while it was loading onnxruntime-web; what was measured is "):
        session.end()


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_phone_that_pulses_has_not_left() -> None:
    clock = Clock()
    job = Job(patience_s=0.4, clock=clock)
    hello = Hello(page="a" * 8, **ENVIRONMENT)
    job.hello(hello)
    found: list[Done] = []
    thread = threading.Thread(target=lambda: found.append(job.run(Task(kind="open", text=""))))
    thread.start()
    while job.ask(hello) is None:
        pass
    for _ in range(5):
        clock.now += 0.3
        job.hear(hello)
    job.finish(Done(page=hello.page, task=1))
    thread.join(20)
    assert found
    clock.now += 0.5
    with pytest.raises(DeviceError, match="the phone left while it was timing 0 submodels"):
        job.run(Task(kind="time", text=""))


def test_what_the_phone_cannot_do_is_an_error_with_its_words(start: Start) -> None:
    session = start()
    session.phone.hello()
    session.phone.ask()
    assert session.phone.post("failed", message="this browser has no WASM SIMD;\nupdate it") == (204, None)
    with pytest.raises(DeviceError, match=r"^the phone cannot go on: this browser has no WASM SIMD; update it$"):
        session.end()


def test_a_page_that_dies_again_and_again_is_out_of_memory(start: Start) -> None:
    session = start(time_once)
    phone = session.phone
    phone.hello()
    phone.work()
    assert phone.ask()["kind"] == "open"
    for _ in range(MOST_LOADS):
        assert phone.hello() == 200
    with contextlib.suppress(OSError, http.client.HTTPException):  # the server may be gone before it answers
        phone.hello()
    with pytest.raises(DeviceError, match="loaded the page anew 6 times while it was loading 2 submodels"):
        session.end()


def test_nobody_comes(start: Start) -> None:
    session = start(arrival_s=0.2)
    with pytest.raises(DeviceError, match=r"no browser opened http://localhost:\d+/\w+/ within 0.2 s"):
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


def test_a_port_in_use_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(DeviceError, match=f"cannot serve on port {port}: Address already in use"),
            browser.open_device(note=lambda _: None, port=port),
        ):
            pass


def test_without_lan_only_this_computer_is_served(knock: Phone) -> None:
    for address in addresses():
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address, knock.port), timeout=20)


def test_with_lan_the_network_is_served_under_its_address(start: Start) -> None:
    if not addresses():
        pytest.skip("this computer is in no network")
    session = start(is_lan=True)
    assert addresses()[0] in session.phone.address
    assert session.phone.request("GET", f"/{session.phone.token}/", headers={"Host": "my-laptop"})[0] == 200
    assert session.phone.request("GET", "/wrong/")[0] == 404


def addresses() -> Sequence[str]:
    try:
        return lan_addresses()
    except DeviceError:
        return []


def test_an_unknown_provider_is_wrong_usage() -> None:
    with (
        pytest.raises(UsageError, match="unknown provider 'cuda'; onnxruntime-web has wasm and webgpu"),
        browser.open_device(note=lambda _: None, provider="cuda"),
    ):
        pass


def test_a_folder_of_onnxruntime_web_is_served_in_place_of_the_cdn(workload: Workload, tmp_path: Path) -> None:
    package = tmp_path / "onnxruntime-web"
    (package / "dist").mkdir(parents=True)
    with pytest.raises(InputError, match=r"holds no ort\.wasm\.bundle\.min\.mjs and .*'npm install onnxruntime-web@"):
        find_dist(package, "wasm")
    for name in PROVIDERS["wasm"]:
        (package / "dist" / name).write_bytes(name.encode())
    assert find_dist(package, "wasm") == find_dist(package / "dist", "wasm") == package / "dist"
    with Opened(workload, package) as phone:
        for file in ort_files(package, "wasm").values():
            status, headers, content = phone.get(file.url)
            assert (status, content.decode(), file.integrity) == (200, file.url.removeprefix("ort/"), None)
        assert headers["Content-Type"] == "application/wasm"


class Opened:
    """A session with a folder of onnxruntime-web; its phone fails at the end."""

    def __init__(self, workload: Workload, ort_web: Path) -> None:
        self.session = Meeting(workload, lambda driver: None, ort_web=ort_web, arrival_s=20)

    def __enter__(self) -> Phone:
        return self.session.phone

    def __exit__(self, *_: object) -> None:
        self.session.phone.hello()
        self.session.phone.post("failed", message="the end")
        with pytest.raises(DeviceError, match="the end"):
            self.session.end()


def test_inputs_become_a_header_and_bytes(tmp_path: Path) -> None:
    arrays = {"a": np.arange(4, dtype=np.int64).reshape(2, 2), "b": np.ones(3, np.float32)}
    np.savez(tmp_path / "in.npz", **arrays)  # type: ignore[arg-type]
    header, content = read_inputs(tmp_path / "in.npz")
    assert header == [
        {"name": "a", "type": "int64", "dims": [2, 2], "start": 0, "end": 32},
        {"name": "b", "type": "float32", "dims": [3], "start": 32, "end": 44},
    ]
    assert content == arrays["a"].tobytes() + arrays["b"].tobytes()
    np.savez(tmp_path / "in.npz", a=np.ones(2, np.float64))
    with pytest.raises(InputError, match="input 'a' is of type float64; a browser takes only bool, float32, int32"):
        read_inputs(tmp_path / "in.npz")


@pytest.mark.parametrize(
    ("agent", "model", "title", "name"),
    [
        (PIXEL, None, "Pixel 7", "Chrome 120"),
        (PIXEL.replace("Pixel 7", "K"), "SM-G991B", "SM-G991B", "Chrome 120"),
        (PIXEL.replace("Pixel 7", "K"), None, "Android (Chrome 120)", "Chrome 120"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Version/17.0 Safari/604.1", None, "iPhone (Safari 17)",
         "Safari 17"),
        ("Mozilla/5.0 (Android 14; Mobile; rv:130.0) Gecko/130.0 Firefox/130.0", None, "Android (Firefox 130)",
         "Firefox 130"),
        ("curious", None, "a browser", "a browser"),
    ],
)  # fmt: skip
def test_a_phone_is_named_as_well_as_it_tells(agent: str, model: str | None, title: str, name: str) -> None:
    told = {**ENVIRONMENT, "user_agent": agent, "model": model, "memory_gb": None, "cores": None}
    phone = Hello(page="a" * 8, **told)
    assert (hardware_of(phone).title, browser_of(phone)) == (title, name)
    assert (hardware_of(phone).cores, hardware_of(phone).memory_bytes) == (1, None)
    assert hardware_of(phone, title="My phone", soc="Chip 1").soc == "Chip 1"


def test_a_qr_code_is_square_and_says_the_address() -> None:
    pytest.importorskip("segno")
    from bstsearch.measuring.drivers.browser.address import qr_lines

    lines = [
        line.removeprefix("\x1b[30;107m").removesuffix("\x1b[0m") for line in qr_lines("http://192.168.1.5:4000/a/")
    ]
    assert {len(line) for line in lines} == {2 * len(lines) - 1}
    assert set("".join(lines)) == set(" ▀▄█")
    assert lines[0] == " " * len(lines[0])  # the quiet zone, black on white
    assert lines[1].startswith("  █▀▀▀▀▀█ ")


def test_no_page_file_names_another_server() -> None:
    folder = Path(browser.__file__).parent / "page"
    assert sorted(os.listdir(folder)) == ["index.html", "page.css", "page.js", "screen.js", "worker.js"]
    for path in folder.iterdir():
        assert "://" not in path.read_text(encoding="utf-8")


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
