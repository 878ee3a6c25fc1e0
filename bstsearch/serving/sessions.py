"""The submodels of a bundle that are in memory: as many as are allowed, those used last (no torch)."""

from __future__ import annotations

import ctypes
import itertools
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from bstsearch.answering.bundle_folder import BundleFolder
from bstsearch.answering.exported_folder import open_session
from bstsearch.listener import SILENT, Listener

RUNS = 3  # timed at the start, after one that warms up

Inputs = Mapping[str, Any]


class Sessions:
    """ONNX Runtime's sessions of a bundle's submodels, opened when they are needed; of use to many threads.

    Together they take at most `most_bytes` (None: as many as it takes) that no other process shares, as was measured
    when each was opened. Where one more would take more, those go that were used longest ago. The one that runs stays,
    and so does `kept`.
    """

    def __init__(
        self,
        bundle: BundleFolder,
        *,
        most_bytes: int | None = None,
        kept: str,
        opening: Callable[..., Any] = open_session,
        private_bytes: Callable[[], int] | None = None,
    ) -> None:
        self._bundle, self._most, self._kept = bundle, most_bytes, kept
        self._opening, self._private_bytes = opening, private_bytes or _private_bytes
        self._open: dict[str, Any] = {}
        self._bytes: dict[str, int] = {}
        self._loading: dict[str, float] = {}
        self._used: dict[str, int] = {}
        self._count, self._turn = itertools.count(), threading.Lock()

    def get(self, name: str) -> Any:
        """The session of the submodel of that id; InputError where its file is no model."""
        self._used[name] = next(self._count)
        session = self._open.get(name)
        if session is not None:
            return session
        with self._turn:
            return self._open[name] if name in self._open else self._load(name)

    def loading(self, name: str) -> float:
        """Seconds until the submodel is in memory: 0 where it is."""
        return 0.0 if name in self._open else self._loading.get(name, 0.0)

    @property
    def resident(self) -> Mapping[str, int]:
        """The bytes of each submodel that is in memory."""
        return {name: self._bytes[name] for name in tuple(self._open)}

    def _load(self, name: str) -> Any:
        self._make_room(self._bytes.get(name, 0), for_name=name)
        before, start = self._private_bytes(), time.perf_counter()
        session = self._opening(self._bundle.path / self._bundle.get(name).file, threads=1)
        self._loading[name] = time.perf_counter() - start
        self._bytes[name] = max(self._bytes.get(name, 0), self._private_bytes() - before)
        self._open[name] = session
        self._make_room(0, for_name=name)
        return session

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
