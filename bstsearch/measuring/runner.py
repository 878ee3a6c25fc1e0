"""Runs graphs with ONNX Runtime and times them, inside bstsearch for this machine or alone on a board (no torch).

A board is sent this file only: it imports nothing of bstsearch and makes do with Python 3.8, numpy and onnxruntime.

    python runner.py                                      answers requests until stdin ends (`serve` says how)
    python runner.py peak-memory MODEL.onnx INPUTS.npz N  prints the bytes that a process with N threads needs
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import platform
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

NAME = "onnxruntime"
PROVIDER = "CPUExecutionProvider"
POOL = "weights.bin"  # the weights that every graph names, beside the graphs
INPUTS = "inputs.npz"

MARK = "bstsearch runner is ready"  # comes first; what a login prints before it is not ours
IDLE_S = 600.0  # without a request for this long, the host is gone, even where the network did not say so
PEAK_RUNS = 3  # the runtime plans its buffers at the first run and may grow them at the second
CHUNK = 1 << 20
LONGEST_LINE = 1 << 24  # bytes of a request
CHILD_S = 1800.0  # for one model to be loaded and run some times, on a slow board

CPU_INFO = Path("/proc/cpuinfo")
STATUS = Path("/proc/self/status")
GROUPS = Path("/proc/self/cgroup")
MOUNTS = Path("/proc/self/mountinfo")
TOPOLOGY = Path("/sys/devices/system/cpu")
DEVICE_TREE = Path("/proc/device-tree")  # boards have one, PCs do not


class RunnerError(Exception):
    """What keeps graphs from running, in one line."""


class MissingRuntimeError(RunnerError):
    """This Python has no ONNX Runtime, or none that it can load."""


class HostLeftError(Exception):
    """Nobody waits for the answer any more."""


class Run(NamedTuple):
    """One timed run: milliseconds that passed, those that its thread had a core, how often it had to give that up.

    None where the system does not tell, or the run has several threads.
    """

    wall_ms: float
    cpu_ms: float | None = None
    switches: int | None = None


def no_usage() -> tuple[float | None, int | None]:
    """Nothing is known: what several threads use has no clock that tells one run's."""
    return None, None


def thread_usage() -> tuple[float | None, int | None]:
    """Seconds that this thread has had a core, and how often it had to give the core up; None if not known."""
    is_linux = hasattr(resource, "RUSAGE_THREAD")
    switches = int(resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw) if is_linux else None
    return time.thread_time(), switches


class Runner:
    """Graphs that are open, and the inputs that fit them all; POOL lies beside the graphs."""

    def __init__(
        self,
        threads: int,
        inputs: Path,
        timer: Callable[[], float] = time.perf_counter,
        usage: Callable[[], tuple[float | None, int | None]] | None = None,
    ) -> None:
        self.threads = threads
        self._inputs, self._timer = inputs, timer
        self._usage = usage or (thread_usage if threads == 1 else no_usage)  # one thread: the caller's own
        self._feed: dict[str, Any] = {}
        self._sessions: dict[str, Any] = {}

    def open(self, graphs: Mapping[str, Path]) -> None:
        """Loads these graphs by name, in place of those loaded before."""
        self._sessions.clear()  # before the next ones need its memory
        self._feed = read_inputs(self._inputs)
        for name, path in graphs.items():
            with _one_line_errors(f"ONNX Runtime cannot open {name!r}"):
                self._sessions[name] = open_session(path, self.threads)

    def time(self, name: str, count: int) -> list[Run]:
        """`count` runs of an open graph, made after as many untimed ones."""
        session, feed, timer, usage = self._sessions[name], self._feed, self._timer, self._usage
        runs = []
        with _one_line_errors(f"ONNX Runtime cannot run {name!r}"):
            for _ in range(count):  # the caches and threads are still those of the graph before
                session.run(None, feed)
            for _ in range(count):
                before, start = usage(), timer()
                session.run(None, feed)
                end, after = timer(), usage()
                runs.append(_run(end - start, before, after))
        return runs

    def peak_memory(self, model: Path) -> int | None:
        """Peak bytes that `model` adds to a process with the runtime; None if not known; RunnerError where it fails.

        A process of its own: nothing else is counted, and there is no earlier peak to hide behind.
        """
        command = [sys.executable, __file__, "peak-memory", str(model), str(self._inputs), str(self.threads)]
        # The script's folder stays off the path: there profile.py and statistics.py would hide Python's own.
        # glibc's allocator starts with this threshold, but raises it as it goes and then keeps up to 40 % more than the
        # model needs, not twice the same. Given, it stays, and what is freed goes back at once.
        environment = {**os.environ, "PYTHONSAFEPATH": "1", "MALLOC_MMAP_THRESHOLD_": "131072"}
        try:
            result = subprocess.run(
                command, capture_output=True, text=True, errors="replace", check=False, env=environment, timeout=CHILD_S
            )
        except subprocess.TimeoutExpired:
            raise RunnerError(f"ONNX Runtime did not run {model.name} within {CHILD_S:g} s") from None
        if result.returncode != 0:
            lines = result.stderr.strip().splitlines() or [f"exit status {result.returncode}"]
            reason = "it was killed, most likely for want of memory" if result.returncode == -9 else lines[-1]
            raise RunnerError(f"ONNX Runtime cannot run {model.name}: {reason}")
        return _peak_of(result.stdout, model)


def _peak_of(told: str, model: Path) -> int | None:
    """What a process of `print_peak_memory` told; RunnerError where it is no number of bytes."""
    last = (told.strip().splitlines() or [""])[-1]
    if last == "null":
        return None
    if not (last.isascii() and last.isdecimal() and len(last) < 19 and int(last) > 0):
        raise RunnerError(f"the process that ran {model.name} told {last[:40]!r}, not how much memory that took")
    return int(last)


def _run(seconds: float, before: tuple[float | None, int | None], after: tuple[float | None, int | None]) -> Run:
    """To the nanosecond, as fine as clocks are."""
    (cpu_before, switches_before), (cpu_after, switches_after) = before, after
    cpu_ms = None if cpu_before is None or cpu_after is None else round((cpu_after - cpu_before) * 1000, 6)
    switches = None if switches_before is None or switches_after is None else switches_after - switches_before
    return Run(round(seconds * 1000, 6), cpu_ms, switches)


def open_session(graph: Path, threads: int) -> Any:
    """An ONNX Runtime session that runs `graph` on the processor."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Else the threads of the graph that ran before spin on, and take the cores from the one being timed.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return onnxruntime.InferenceSession(str(graph), options, providers=[PROVIDER])


def read_inputs(path: Path) -> dict[str, Any]:
    """The arrays of an .npz file by name."""
    import numpy as np

    with np.load(path) as arrays:
        return dict(arrays)


def write_pool(folder: Path, size: int) -> None:
    """Replaces POOL in `folder` by `size` bytes or a little more: small random float32 numbers, none of them NaN."""
    import numpy as np

    generator, temporary = np.random.default_rng(0), folder / (POOL + ".part")
    with temporary.open("wb") as file:
        for _ in range(0, size, CHUNK):  # not at once: on a small board that would be much of its memory
            (generator.random(CHUNK // 4, dtype=np.float32) * np.float32(0.1) - np.float32(0.05)).tofile(file)
    temporary.replace(folder / POOL)  # graphs that are open keep the file that they have mapped


def runtime_version() -> str:
    """The version of ONNX Runtime; MissingRuntimeError or RunnerError where it cannot run graphs on the processor."""
    try:
        import numpy  # noqa: F401 - inputs need it
        import onnxruntime
    except ImportError as error:
        advice = f"'{sys.executable} -m pip install {NAME} numpy' installs it"
        raise MissingRuntimeError(f"Python {sys.executable} cannot load {NAME}: {error}; {advice}") from error
    providers = onnxruntime.get_available_providers()
    if PROVIDER not in providers:
        raise RunnerError(f"this onnxruntime has no {PROVIDER}, only {', '.join(providers)}; install it anew")
    return str(onnxruntime.__version__)


def pin(cores: Iterable[int]) -> set[int]:
    """Keeps this thread, and what it starts from now on, to `cores`; returns those it had. RunnerError if it cannot."""
    if not hasattr(os, "sched_setaffinity"):
        raise RunnerError(f"{platform.system()} cannot keep a process to chosen cores")
    allowed = os.sched_getaffinity(0)
    if not set(cores) <= allowed:
        raise RunnerError(f"no core {min(set(cores) - allowed)}; there are {sorted(allowed)}")
    os.sched_setaffinity(0, cores)
    return allowed


# What a profile says of a computer


def hardware_facts() -> dict[str, Any]:
    """Title, soc, cores, memory_bytes and system, as `profile.Hardware` means them."""
    return {
        "title": _device_tree("model") or _phone() or cpu_name(),
        # From the board to the chip on it: "raspberrypi,4-model-b", "brcm,bcm2711".
        "soc": _device_tree("compatible").split("\0")[-1] or cpu_name(),
        "cores": available_cores(),
        "memory_bytes": memory_bytes(),
        "system": " ".join([platform.system(), platform.release(), platform.machine()]),
    }


def cpu_name() -> str:
    """The processor's name as its maker writes it, else its architecture."""
    if CPU_INFO.exists():
        for line in CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return value.strip()
    return platform.processor() or platform.machine()


def available_cores() -> int:
    """Physical cores that this process may use: its CPU affinity and its container's quota count."""
    quota = cpu_quota()
    return _allowed_cores() if quota is None else min(_allowed_cores(), math.ceil(quota))


def cpu_quota() -> float | None:
    """Cores' worth of time that this process gets at the most, such as 0.5; None where nothing limits it.

    Control groups lie in each other, and each may have a limit: the tightest holds.
    """
    limits = [_limit(folder) for group in _control_groups() for folder in (group, *group.parents)]
    tightest = min(limits, default=math.inf)
    return tightest if math.isfinite(tightest) else None


def memory_bytes() -> int | None:
    """All of the computer's memory; None if not known."""
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    psutil = _psutil()
    return psutil.virtual_memory().total if psutil else None


def _device_tree(name: str) -> str:
    try:
        return (DEVICE_TREE / name).read_text(encoding="utf-8", errors="replace").rstrip("\0").strip()
    except OSError:
        return ""


def _allowed_cores() -> int:
    psutil = _psutil()
    physical = (psutil.cpu_count(logical=False) if psutil else None) or os.cpu_count() or 1
    if not hasattr(os, "sched_getaffinity"):  # macOS, Windows
        return int(physical)
    allowed = os.sched_getaffinity(0)
    siblings = [TOPOLOGY / f"cpu{index}" / "topology" / "thread_siblings_list" for index in allowed]
    try:
        return len({path.read_text() for path in siblings})  # two hardware threads of one core name the same siblings
    except OSError:
        return min(int(physical), len(allowed))


def _control_groups() -> Iterator[Path]:
    """The folders of the control groups of this process that can limit its time: version 2, version 1, or both."""
    try:
        groups, mounts = (path.read_text().splitlines() for path in (GROUPS, MOUNTS))
    except OSError:  # not Linux
        return
    for mount in mounts:
        place, _, kind = mount.partition(" - ")
        (root, top), (system, *_, options) = place.split()[3:5], kind.split()
        for _, controllers, group in (line.split(":", 2) for line in groups):
            is_first = system == "cgroup" and "cpu" in options.split(",") and "cpu" in controllers.split(",")
            if is_first or (system == "cgroup2" and not controllers):
                # A container may see its own group mounted as if it were the root of all.
                yield Path(top, os.path.relpath(group, root) if os.path.commonpath([group, root]) == root else "")


def _limit(group: Path) -> float:
    """Cores' worth of time that a control group leaves to its processes; infinite where it has no limit."""
    try:
        if (group / "cpu.max").exists():  # version 2
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(quota) / int(period) if int(quota) > 0 else math.inf
    except (OSError, ValueError):  # no such file, or "max"
        return math.inf


def _phone() -> str:
    """Maker and model, where this is Android and a Python that can ask it (3.13)."""
    told = platform.android_ver() if hasattr(platform, "android_ver") else None
    return f"{told.manufacturer} {told.model}".strip() if told else ""


def _psutil() -> Any:
    """The module where it is installed, as beside bstsearch; a board runs Linux, which tells the same without it."""
    try:
        import psutil
    except ImportError:
        return None
    return psutil


# Peak memory, in a process of its own


def print_peak_memory(model: Path, inputs: Path, threads: int) -> None:
    """Writes to stdout the peak resident bytes, less those of the imported runtime; null if not known."""
    runtime_version()
    feed = read_inputs(inputs)
    before = _resident_bytes("VmRSS", "rss")
    session = open_session(model, threads)
    for _ in range(PEAK_RUNS):
        session.run(None, feed)
    # Linux: not ru_maxrss, which a child inherits from the process that started it.
    peak = _resident_bytes("VmHWM", "peak_wset")
    if peak is None and sys.platform == "darwin":
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.stdout.write(json.dumps(None if before is None or peak is None else peak - before) + "\n")


def _resident_bytes(linux: str, elsewhere: str) -> int | None:
    """A line of Linux's status of this process, or a field of psutil's."""
    if STATUS.exists():
        lines = [line.split() for line in STATUS.read_text().splitlines() if line.startswith(linux + ":")]
        return int(lines[0][1]) * 1024 if lines else None
    psutil = _psutil()
    return getattr(psutil.Process().memory_info(), elsewhere, None) if psutil else None


# Requests over a pipe


class _Service:
    """What a host may ask for, by name; every answer can be written as JSON."""

    def __init__(self, folder: Path, requests: BinaryIO) -> None:
        self._folder, self._requests = folder, requests
        self._runner: Runner | None = None

    def start(self, threads: int | None, cores: Sequence[int]) -> dict[str, Any]:
        """Gets ready to run graphs, on `cores` if any; says with what."""
        version, facts = runtime_version(), hardware_facts()
        if cores:
            pin(cores)
        self._runner = Runner(threads or available_cores(), self._folder / INPUTS)
        return {"hardware": facts, "version": version, "threads": self._runner.threads}

    def alive(self) -> None:
        """Nothing, but the host is there, and hears that the board is."""

    def pool(self, size: int) -> None:
        """Makes weights for graphs that have up to `size` bytes of them."""
        write_pool(self._folder, size)

    def file(self, name: str, size: int) -> None:
        """Writes the `size` bytes that follow the request to `name`."""
        chunks = self._read(size)
        try:
            with (self._folder / name).open("wb") as file:
                file.writelines(chunks)
        finally:
            for _ in chunks:
                pass  # a disk may be full, but after these bytes comes the next request

    def open(self, graphs: Mapping[str, str]) -> None:
        self._started().open({name: self._folder / path for name, path in graphs.items()})

    def time(self, visits: Sequence[tuple[str, int]]) -> list[list[Run]]:
        """A run goes over the pipe as [wall_ms, cpu_ms, switches]."""
        runs = []
        for name, count in visits:
            if select.select([self._requests], [], [], 0)[0]:  # a host that waits sends nothing, so this is its end
                raise HostLeftError
            runs.append(self._started().time(name, count))
        return runs

    def peak_memory(self, model: str) -> int | None:
        return self._started().peak_memory(self._folder / model)

    def _read(self, size: int) -> Iterator[bytes]:
        while size:
            data = self._requests.read(min(size, CHUNK))
            if not data:
                raise HostLeftError
            size -= len(data)
            yield data

    def _started(self) -> Runner:
        if self._runner is None:
            raise RunnerError("'start' comes before other requests")
        return self._runner


def serve(requests: BinaryIO, replies: BinaryIO, folder: Path, idle_s: float = IDLE_S) -> None:
    """Answers requests, one at a time, until they end or none comes for `idle_s`; files are kept in `folder`.

    MARK is the first line. A request is a JSON object on a line, {"do": "open", "graphs": {...}}, with the name and
    the arguments of a method of `_Service`; after "file" come the file's bytes. The answer is {"ok": result}, or
    {"error": "one line", "kind": "RunnerError"}.
    """
    service = _Service(folder, requests)
    _write(replies, "\n" + MARK)
    while select.select([requests], [], [], idle_s)[0]:
        line = requests.readline(LONGEST_LINE)
        if not line.endswith(b"\n"):
            return
        try:
            reply = _answer(service, line)
        except HostLeftError:
            return
        _write(replies, json.dumps(reply))


def _answer(service: _Service, line: bytes) -> dict[str, Any]:
    methods: dict[str, Callable[..., Any]] = {
        "start": service.start,
        "alive": service.alive,
        "pool": service.pool,
        "file": service.file,
        "open": service.open,
        "time": service.time,
        "peak_memory": service.peak_memory,
    }
    try:
        request = json.loads(line)
        if not isinstance(request, dict) or request.get("do") not in methods:
            raise RunnerError("a request is a JSON object that says what to do")
        return {"ok": methods[request.pop("do")](**request)}
    except HostLeftError:
        raise
    except Exception as error:  # a full disk, say: the host's user must hear of it
        return {"error": _one_line(error), "kind": type(error).__name__}


def _write(replies: BinaryIO, line: str) -> None:
    replies.write(line.encode() + b"\n")
    replies.flush()


@contextlib.contextmanager
def _one_line_errors(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # the runtime's own classes have no common root but this
        raise RunnerError(f"{what}: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def main(words: Sequence[str]) -> None:
    """Does what the module's docstring says of these arguments."""
    if words[:1] == ["peak-memory"]:
        print_peak_memory(Path(words[1]), Path(words[2]), int(words[3]))
        return
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get among the replies
    with contextlib.suppress(BrokenPipeError):
        serve(sys.stdin.buffer, replies, Path(__file__).resolve().parent)


if __name__ == "__main__":
    main(sys.argv[1:])
