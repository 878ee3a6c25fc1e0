"""Any phone, measured in its browser: onnxruntime-web runs the graphs, in a page that this computer serves (no torch).

How the page times: its clock moves in steps (5 us where the page is isolated, else 100 us, with some browsers
1 ms), and a reading may be a step early or late. So each timed run is a batch of runs one after the other, enough of
them to last 40 steps, divided by their number: that keeps the clock's share of a time under 2 steps in 40, 5 %.
A visit during which the page was hidden is made again.

The page is served, and its address told, before there are graphs: somebody has to walk to the phone. A page that
comes early loads onnxruntime-web, and then shows how many graphs are built.
"""

from __future__ import annotations

import contextlib
import dataclasses
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypedDict, Unpack

from msgspec import Meta, structs

from bstsearch.errors import DeviceError, UsageError
from bstsearch.measuring.driver import Device, Driver, Note, Run, Threads, Visit, Workload
from bstsearch.measuring.drivers.browser.address import lan_addresses, qr_lines
from bstsearch.measuring.drivers.browser.files import (
    PROVIDERS,
    graph_name,
    ort_files,
    page_files,
    read_inputs,
    workload_files,
)
from bstsearch.measuring.drivers.browser.job import Job
from bstsearch.measuring.drivers.browser.protocol import Hello, Opening, PageRuntime, Preparing, Task, hardware_of
from bstsearch.measuring.drivers.browser.server import PageServer, running
from bstsearch.profiles.profile import Runtime

PATIENCE_S = 60.0
ARRIVAL_S = 600.0
GOODBYE_S = 5.0  # for the page to show the result before its server goes
RUNTIME = "onnxruntime-web"

Facts = Callable[[], Mapping[str, str]]


class PageSession:
    """A page at work on one workload: a Session, which also tells the page what to show."""

    def __init__(self, job: Job, workload: Workload, phone: Hello, runtime: PageRuntime, provider: str) -> None:
        self.hardware = hardware_of(phone)
        self.runtime = Runtime(
            name=RUNTIME,
            version=runtime.version,
            provider=provider,
            threads=runtime.threads,
            precision="float32",
            cores_used=None,
        )
        self._job, self._workload = job, workload
        self._files = {name: graph_name(number) for number, name in enumerate(workload.graphs)}
        self._inputs = read_inputs(workload.inputs)[0]
        self._opening: Opening | None = None
        self._openings = 0
        self._progress = ("", 0, 0)
        self._times: dict[str, list[float]] = {}

    def report(self, text: str, done: int, total: int) -> None:
        """Sets what the page shows during the tasks to come: a progress callback, as the library's others."""
        self._progress = (text.capitalize(), done, total)

    def open(self, names: Sequence[str]) -> None:
        """Loads these graphs in a worker of their own, since the memory of WASM never shrinks."""
        self._openings += 1
        graphs = tuple((name, self._files[name], self._workload.graphs[name].weight_bytes) for name in names)
        self._opening = Opening(number=self._openings, graphs=graphs, inputs=self._inputs)
        self._job.run(self._task("open", f"Loading {len(names)} submodels"))

    def time(self, visits: Sequence[Visit]) -> list[tuple[Run, ...]]:
        """The timed runs; each is a mean over a batch where one run is too short for the clock."""
        task = self._task("time", "Timing submodels")
        times_ms = list(self._job.run(dataclasses.replace(task, visits=tuple(visits))).times_ms or ())
        for visit, times in zip(visits, times_ms, strict=True):
            self._times.setdefault(visit.name, []).extend(times)
        return [tuple(map(Run, times)) for times in times_ms]

    def peak_memory(self, model: Path) -> int | None:  # noqa: ARG002 - the protocol's
        """None: a page cannot tell."""
        return None

    def say_goodbye(self, text: str) -> None:
        """Shows `text` and the median of every submodel timed, and lets the page rest."""
        rows = tuple((name, statistics.median(times)) for name, times in self._times.items())
        with contextlib.suppress(DeviceError):
            self._job.run(Task(kind="finish", text=text, rows=rows), GOODBYE_S)

    def _task(self, kind: Any, text: str) -> Task:
        shown, done, total = self._progress
        return Task(kind=kind, text=shown or text, done=done, total=total, opening=self._opening)


class PageOptions(TypedDict, total=False):
    """Which server and page there are to be; `serving` has the defaults.

    `port` is by default a free one. `ort_web` is a folder with onnxruntime-web, to serve instead of the public copy
    that the page would load. `threads` is by default what onnxruntime-web chooses. A page that is silent for
    `patience_s` has left.
    """

    port: int
    ort_web: Path | None
    threads: int | None
    provider: str
    patience_s: float


class InPage(Driver, frozen=True, kw_only=True):
    """The options of whatever runs the page."""

    threads: Annotated[
        Threads | None, Meta(description="Threads of the runtime; default: what onnxruntime-web chooses.")
    ] = None
    ort_web: Annotated[
        Path | None, Meta(description="The folder of onnxruntime-web; default: the copy on its CDN.")
    ] = None
    webgpu: Annotated[bool, Meta(description="Run on the GPU, where there is WebGPU.")] = False

    @property
    def page(self) -> PageOptions:
        """As `serving` takes them."""
        provider = "webgpu" if self.webgpu else "wasm"
        return {"ort_web": self.ort_web, "threads": self.threads, "provider": provider}


class Browser(InPage, frozen=True, kw_only=True):
    """A phone or computer with a web browser."""

    name = "browser"

    lan: Annotated[bool, Meta(description="Let phones in this network open the page.")] = False

    def open(self, device: str, note: Note) -> contextlib.AbstractContextManager[Device]:  # noqa: ARG002 - every driver's
        """The browser that opens the page."""
        return open_device(note=note, is_lan=self.lan, **self.page)


@contextlib.contextmanager
def open_device(
    *, note: Note, is_lan: bool = False, arrival_s: float = ARRIVAL_S, **options: Unpack[PageOptions]
) -> Iterator[Site]:
    """The browser that opens the address which `note` gets, at this computer or with `is_lan` in its network.

    DeviceError where none comes for `arrival_s` though there are graphs, and later where it fails or is silent for too
    long.
    """
    hosts = lan_addresses() if is_lan else ["localhost"]
    with serving(hosts, note=note, is_lan=is_lan, arrival_s=arrival_s, **options) as site:
        _announce(site, is_lan=is_lan)
        yield site


@contextlib.contextmanager
def serving(
    hosts: Sequence[str],
    *,
    note: Note,
    arrival_s: float,
    is_lan: bool = False,
    facts: Facts = dict,
    port: int = 0,
    ort_web: Path | None = None,
    threads: int | None = None,
    provider: str = "wasm",
    patience_s: float = PATIENCE_S,
) -> Iterator[Site]:
    """A server for one page, as `PageOptions` say; it ends with the block."""
    if provider not in PROVIDERS:
        raise UsageError(f"unknown provider {provider!r}; onnxruntime-web has {' and '.join(PROVIDERS)}")
    job = Job(patience_s)
    files, config = page_files(ort_web, provider), _config(ort_web, threads, provider, job)
    job.give(Task(kind="start", text="Loading onnxruntime-web"))
    job.prepare(Preparing())
    server = PageServer("" if is_lan else "127.0.0.1", port, files=files, config=config, job=job, note=note)
    with running(server):
        yield Site(server=server, hosts=hosts, provider=provider, note=note, arrival_s=arrival_s, facts=facts)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Site:
    """A server that waits for a page: a Device.

    `hosts` are this computer's names for the browser. A page has `arrival_s` to come, once there is work for it.
    `facts` asks the phone what its browser does not tell, as fields of Hardware.
    """

    server: PageServer
    hosts: Sequence[str]
    provider: str
    note: Note
    arrival_s: float
    facts: Facts

    @property
    def port(self) -> int:
        """The port that it serves on."""
        return int(self.server.server_address[1])

    @property
    def addresses(self) -> list[str]:
        """Where the page is, for each of the hosts."""
        return [f"http://{host}:{self.port}/{self.server.token}/" for host in self.hosts]

    def prepare(self, done: int, total: int) -> None:
        """Shows on a page that has come how many graphs there are; DeviceError where it has failed meanwhile."""
        self.server.job.prepare(Preparing(done=done, total=total))

    @contextlib.contextmanager
    def take(self, workload: Workload) -> Iterator[PageSession]:
        """The driver of the page that has come, or the first to come; tells it at the end that it may be closed."""
        self.server.files.update(workload_files(workload))
        session = self._meet(workload)
        try:
            yield session
        except DeviceError:  # the page has gone, or shows itself why it cannot go on
            raise
        except BaseException:
            session.say_goodbye("Stopped")
            raise
        session.say_goodbye("Done")

    def _meet(self, workload: Workload) -> PageSession:
        job, (address, *_) = self.server.job, self.addresses
        job.prepare(None)
        if not job.has_phone():
            self.note(f"the submodels are ready, and wait for {address} to be opened")
        phone = job.wait_for_phone(self.arrival_s, address)
        runtime = job.result().runtime
        assert runtime, "Task.accepts lets no other answer through"
        session = PageSession(job, workload, phone, runtime, self.provider)
        session.hardware = structs.replace(session.hardware, **self.facts())
        self.note(_greeting(session, phone))
        return session


def _config(ort_web: Path | None, threads: int | None, provider: str, job: Job) -> Mapping[str, Any]:
    """What a page is told once, when it is loaded."""
    return {
        "ort": {role: dataclasses.asdict(file) for role, file in ort_files(ort_web, provider).items()},
        "provider": provider,
        "threads": threads,
        "pulse_ms": 1000 * job.pulse_s,
        "patience_ms": 1000 * job.patience_s,
    }


def _announce(site: Site, *, is_lan: bool) -> None:
    """Tells the address, and draws it where somebody can point a phone at it."""
    first, *others = site.addresses
    if not is_lan:
        site.note(f"open {first} in a browser on this computer")
        return
    if sys.stderr.isatty():
        for line in qr_lines(first):
            site.note(line)
    site.note(f"open {first} on the phone, in the same network")
    if others:
        site.note(f"if it does not open, this computer is also {' and '.join(others)}")


def _greeting(session: PageSession, phone: Hello) -> str:
    runtime = session.runtime
    threads = "one thread" if runtime.threads == 1 else f"{runtime.threads} threads"
    text = f"measuring {session.hardware.title}: {runtime.name} {runtime.version}, {runtime.provider}, {threads}"
    if phone.is_isolated:
        return text
    return f"{text}; browsers give threads only to pages over https or from the device itself, as with --via adb"
