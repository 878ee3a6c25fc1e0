"""Worker processes of this machine: started for a search, looked after, and ended with it (no torch)."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from bstsearch.environment import for_script, with_one_thread
from bstsearch.errors import BstsearchError, DeviceError
from bstsearch.listener import Listener
from bstsearch.reading import cut, plain

ENDED_WITHIN_S = 10.0  # a worker gives back what it has at the moment, and ends
SAID_WITHIN_S = 1.0  # what a worker said is there when it has ended
LINE = 1_000  # characters of what a worker says


class Crew:
    """So many `bstsearch worker` processes, of one thread each."""

    def __init__(self, count: int, words: Sequence[str], listener: Listener) -> None:
        command = [sys.executable, "-m", "bstsearch", "worker", "--attached", "--json", *words]
        self._listener = listener
        self._workers = [
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,  # closed by the system when this process ends, however it does
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=with_one_thread(for_script()),
                text=True,
                process_group=0,  # Ctrl-C is this process's, which then ends them
            )
            for _ in range(count)
        ]

    def step(self) -> bool:
        """Looks after the workers: raises what one of them could not go on for; a killed one is told of. False."""
        for worker in list(self._workers):
            if worker.poll() is None:
                continue
            self._workers.remove(worker)
            said = _said(worker)
            if worker.returncode > 0:
                raise _error_of(said, worker.returncode)
            name = signal.Signals(-worker.returncode).name if worker.returncode else "nothing to do"
            self._listener.note(f"a worker was ended ({name}); {len(self._workers)} go on with what it had")
        if not self._workers:
            raise DeviceError("all workers were ended from outside, perhaps for lack of memory; give fewer --workers")
        return False

    def end(self) -> None:
        """Ends all, which give back what they have at the moment."""
        for worker in self._workers:
            with contextlib.suppress(OSError):
                worker.terminate()
        for worker in self._workers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.wait(ENDED_WITHIN_S)
            worker.kill()  # does nothing where it has ended
            worker.wait()
            _said(worker)


@contextlib.contextmanager
def crew(count: int, words: Sequence[str], listener: Listener) -> Iterator[Crew]:
    """The processes, which end with the block."""
    found = Crew(count, words, listener)
    try:
        yield found
    finally:
        found.end()


def end_with_parent() -> None:
    """Ends this process as Ctrl-C does, once nobody holds the other end of its standard input any more."""
    import threading

    def watch() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 1024):
                pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def _said(worker: subprocess.Popen[str]) -> str:
    """What an ended worker said; a process that it left behind may hold its output open, and is not waited for."""
    try:
        return worker.communicate(timeout=SAID_WITHIN_S)[0]
    except subprocess.TimeoutExpired as late:
        if worker.stdout is not None:
            worker.stdout.close()
        return bytes(late.stdout or b"").decode(errors="replace")


def _error_of(said: str, code: int) -> BstsearchError:
    """What a worker said, as the error that it was there."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        told: dict[str, Any] = json.loads(said)["error"]
        kinds = {one.kind: one for one in _kinds(BstsearchError)}
        return kinds.get(told["kind"], BstsearchError)(cut(plain(str(told["message"])), LINE))
    return BstsearchError(f"a worker ended with exit code {code}: {cut(plain(said), LINE) or 'it said nothing'}")


def _kinds(kind: type[BstsearchError]) -> Iterator[type[BstsearchError]]:
    yield kind
    for one in kind.__subclasses__():
        yield from _kinds(one)
