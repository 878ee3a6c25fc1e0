"""The submodels of a bundle that are in memory: as many as are allowed, those used last (no torch)."""

from __future__ import annotations

import ctypes
import itertools
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bstsearch.answering.bundle_folder import WEIGHTS, BundleFolder
from bstsearch.answering.exported_folder import open_session
from bstsearch.listener import SILENT, Listener
from bstsearch.serving.limits import BrokenError

RUNS = 3  # timed at the start, after one that warms up

Inputs = Mapping[str, Any]


class Sessions:
    """ONNX Runtime's sessions of a bundle's submodels, opened when they are needed; of use to many threads.

    Together they take at most `most_bytes` (None: as many as it takes) that no other process shares, as was measured
    when each was opened first. Where one more would take more, those go that were used longest ago; one that answers at
    that moment is freed once it has. The one that is opened stays, and so does the one to `keep`.
    """

    def __init__(
        self,
        bundle: BundleFolder,
        *,
        most_bytes: int | None = None,
        opening: Callable[..., Any] = open_session,
        private_bytes: Callable[[], int] | None = None,
    ) -> None:
        self._bundle, self._most, self._kept = bundle, most_bytes, ""
        self._opening, self._private_bytes = opening, private_bytes or _private_bytes
        self._open: dict[str, Any] = {}
        self._bytes: dict[str, int] = {}
        self._loading: dict[str, float] = {}
        self._used: dict[str, int] = {}
        self._count, self._turn = itertools.count(), threading.Lock()
        self._files = {one.id: bundle.path / one.file for one in bundle.bundle.submodels}
        self._as_read = self._state()

    def get(self, name: str) -> Any:
        """The session of that submodel; InputError where its file is no model, BrokenError where it has changed."""
        self._used[name] = next(self._count)
        session = self._open.get(name)
        if session is not None:
            return session
        with self._turn:
            return self._open[name] if name in self._open else self._load(name)

    def keep(self, name: str) -> None:
        """Has that submodel in memory from now on."""
        self._kept = name
        self.get(name)

    def loading(self, name: str) -> float:
        """Seconds until the submodel is in memory: 0 where it is."""
        return 0.0 if name in self._open else self._loading.get(name, 0.0)

    @property
    def resident(self) -> Mapping[str, int]:
        """The bytes of each submodel that is in memory."""
        return {name: self._bytes[name] for name in tuple(self._open)}

    def _load(self, name: str) -> Any:
        if self._state() != self._as_read:
            raise BrokenError("the bundle has changed since the server began; it has to be started again")
        self._make_room(self._bytes.get(name, 0), for_name=name)
        before, start = self._private_bytes(), time.perf_counter()
        session = self._opening(self._files[name], threads=1)
        self._loading[name] = time.perf_counter() - start
        self._bytes.setdefault(name, self._private_bytes() - before)  # later, others take memory meanwhile
        self._open[name] = session
        self._make_room(0, for_name=name)
        return session

    def _state(self) -> list[tuple[int, int, int] | None]:
        """What tells the bundle's files from others of the same names."""
        return [_identity(path) for path in (self._bundle.path / WEIGHTS, *self._files.values())]

    def _make_room(self, needed: int, for_name: str) -> None:
        """Closes sessions until `needed` bytes more are within the limit, or none is left that may go."""
        while self._most is not None and needed + sum(self.resident.values()) > self._most:
            others = [name for name in self._open if name not in (self._kept, for_name)]
            if not others:
                return
            del self._open[min(others, key=lambda name: self._used[name])]
            _give_back()


def measure(
    sessions: Sessions, inputs: Inputs, names: tuple[str, ...], listener: Listener = SILENT
) -> dict[str, float]:
    """Opens each submodel, the last named first, and returns the seconds that it takes for `inputs` (the quickest run).

    All of them run once at least, since a session's first run takes longer than others.
    """
    seconds = {}
    for done, name in enumerate(reversed(names)):
        listener.progress("loading", done, len(names))
        session = sessions.get(name)
        session.run(None, inputs)
        seconds[name] = min(_seconds(session, inputs) for _ in range(RUNS))
        del session  # else it would stay while the next one is opened
    _give_back()
    return {name: seconds[name] for name in names}


def _identity(path: Path) -> tuple[int, int, int] | None:
    """Which file it is, and when it was written; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _seconds(session: Any, inputs: Inputs) -> float:
    start = time.perf_counter()
    session.run(None, inputs)
    return time.perf_counter() - start


def _private_bytes() -> int:
    """Bytes of this process that it shares with no other."""
    import psutil

    return int(psutil.Process().memory_full_info().uss)


def _give_back() -> None:
    """Has the C library give freed memory back to the system, where it would keep it (glibc)."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
