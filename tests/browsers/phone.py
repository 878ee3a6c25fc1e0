"""A page without a browser, and a driver at work in a thread of its own to meet it."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bstsearch.measuring.driver import Session, Visit, Workload
from bstsearch.measuring.drivers.browser import driver as browser

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


def time_once(driver: Session) -> list[tuple[float, ...]]:
    driver.open(["small", "large"])
    found = driver.time([Visit(name="small", count=2), Visit(name="large", count=1)])
    return [tuple(run.wall_ms for run in runs) for runs in found]


def kinds(phone: Phone, number: int) -> list[str]:
    return [phone.work()["kind"] for _ in range(number)]
