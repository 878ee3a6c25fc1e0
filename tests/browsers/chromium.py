"""A real browser without a window, which tests tell what to do over the DevTools protocol."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=360,740",
    # Names lead nowhere but here, so that no test can reach a network.
    "--host-resolver-rules=MAP phone.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE localhost",
    "--remote-debugging-pipe",
]
# Chromium reads commands from descriptor 3 and answers on 4.
PIPES = (
    "import os, sys; i, o = map(int, sys.argv[1:3]); os.dup2(i, 3); os.dup2(o, 4); os.execv(sys.argv[3], sys.argv[3:])"
)


class Chromium:
    """A browser with one page, and a way to ask it things."""

    def __init__(self, profile: str, *flags: str) -> None:
        (take, self._to), (self._from, give) = os.pipe(), os.pipe()
        command = [sys.executable, "-c", PIPES, str(take), str(give), CHROMIUM or "", *FLAGS, *flags]
        self.process = subprocess.Popen(
            [*command, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(take, give),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(take)
        os.close(give)
        self._number, self._rest, self._lock = 0, b"", threading.Lock()
        (page,) = (target for target in self.call("Target.getTargets")["targetInfos"] if target["type"] == "page")
        self.session = self.attach(page["targetId"])

    def attach(self, target: str) -> str:
        return str(self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])

    def call(self, method: str, session: str | None = None, **params: Any) -> Any:
        """What Chromium answers."""
        answer = self._ask(method, session, params)
        assert "result" in answer, answer
        return answer["result"]

    def _ask(self, method: str, session: str | None, params: dict[str, Any]) -> dict[str, Any]:
        """The answer, also where it is an error; events in between are dropped."""
        with self._lock:
            self._number += 1
            message = {"id": self._number, "method": method, "params": params}
            os.write(self._to, json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0")
            while (answer := self._next()).get("id") != self._number:
                pass
        return answer

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            piece = os.read(self._from, 65536)
            assert piece, "Chromium has ended"
            self._rest += piece
        first, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(first))

    def go(self, address: str) -> None:
        self.call("Page.navigate", self.session, url=address)

    def evaluate(self, script: str) -> Any:
        """The script's value; None where a page that has just been opened cannot run one yet."""
        answer = self._ask("Runtime.evaluate", self.session, {"expression": script, "returnByValue": True})
        if "default execution context" in answer.get("error", {}).get("message", ""):
            return None
        assert "result" in answer, answer
        return answer["result"]["result"].get("value")

    def text(self) -> str:
        """What the page shows."""
        return str(self.evaluate("document.body.innerText"))

    def wait_for_text(self, text: str) -> None:
        """Comes back when the page shows `text`."""
        for _ in range(300):
            if text in (shown := self.text()):
                return
            threading.Event().wait(0.1)
        raise AssertionError(f"{text!r} is not in {shown!r}")

    def wait_until(self, script: str) -> None:
        """Comes back when `script` is true in the page."""
        for _ in range(300):
            if self.evaluate(script):
                return
            threading.Event().wait(0.1)
        raise AssertionError(f"never true: {script}")

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(self._to, b'{"id": 0, "method": "Browser.close"}\0')
        try:
            self.process.wait(20)
        finally:
            self.process.kill()
            self.process.wait()
            os.close(self._to)
            os.close(self._from)


@contextlib.contextmanager
def running_chromium(*flags: str) -> Iterator[Chromium]:
    """A browser that ends with the block."""
    # Not pytest's folder: a late process of Chromium's may still write there when it is removed.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        running = Chromium(profile, *flags)
        try:
            yield running
        finally:
            running.close()
