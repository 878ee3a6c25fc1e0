"""What a page and this computer say to each other: the page posts JSON, and is answered with tasks (no torch)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from bstsearch.measuring.driver import Visit
from bstsearch.profiles.profile import Filled, Hardware
from bstsearch.reading import Count, Positive, plain

PageId = Annotated[str, Meta(pattern=r"^[0-9a-z]{8,40}$")]
ShortText = Annotated[str, Meta(max_length=200)]


class Post(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every post says: which page it is from. A page keeps its id when it is loaded anew."""

    page: PageId


class Hello(Post, frozen=True, kw_only=True):
    """The first thing a page says, each time it is loaded; null where the browser does not tell."""

    user_agent: Annotated[str, Meta(min_length=1, max_length=1000)]
    model: ShortText | None
    system: ShortText | None
    cores: Annotated[int, Meta(ge=1, le=4096)] | None
    memory_gb: Annotated[float, Meta(gt=0, le=65536)] | None
    is_isolated: bool


class PageRuntime(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the page runs graphs with; `clock_ms` is the smallest step in which its clock was seen to move."""

    version: Annotated[str, Meta(min_length=1, max_length=100)]
    threads: Annotated[int, Meta(ge=1, le=4096)]
    clock_ms: Positive


class Done(Post, frozen=True, kw_only=True):
    """A task is done: `runtime` where it was to start, `times_ms` where it was to time, one list for every visit."""

    task: Count
    runtime: PageRuntime | None = None
    times_ms: tuple[Filled[Positive], ...] | None = None


class Failed(Post, frozen=True, kw_only=True):
    """The page cannot go on; `message` says why."""

    message: Annotated[str, Meta(min_length=1, max_length=2000)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Opening:
    """Graphs that a task needs open, as (name, file, bytes of weights), and the `inputs` in the file of all of them.

    `number` tells one opening from the next.
    """

    number: int
    graphs: tuple[tuple[str, str, int], ...]
    inputs: Sequence[Mapping[str, Any]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preparing:
    """What a page shows that has nothing to do yet: `done` of `total` submodels are there (0: unknown)."""

    done: int = 0
    total: int = 0

    def as_json(self) -> Mapping[str, Any]:
        """As it is sent, in place of a task."""
        return {"kind": "wait", **dataclasses.asdict(self)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """What a page is to do, and what it tells its user meanwhile: `text`, and `done` of `total` (0: unknown).

    A task says all that is needed to do it, so a page that was loaded anew does it as well.
    """

    kind: Literal["start", "open", "time", "finish"]
    text: str
    done: int = 0
    total: int = 0
    opening: Opening | None = None
    visits: tuple[Visit, ...] = ()
    rows: tuple[tuple[str, float], ...] = ()

    @property
    def doing(self) -> str:
        """What the phone is doing, as an error says it."""
        count = len(self.opening.graphs) if self.opening else 0
        submodels = "one submodel" if count == 1 else f"{count} submodels"
        texts = {"start": "loading onnxruntime-web", "open": f"loading {submodels}", "time": f"timing {submodels}"}
        return texts.get(self.kind, "showing the result")

    def as_json(self, number: int) -> Mapping[str, Any]:
        """The task as it is sent."""
        return {"task": number, **dataclasses.asdict(self)}

    def accepts(self, done: Done) -> bool:
        """Whether `done` holds what this task asks for, neither more nor less."""
        if (done.runtime is not None) != (self.kind == "start"):
            return False
        if self.kind != "time":
            return done.times_ms is None
        return done.times_ms is not None and [len(times) for times in done.times_ms] == [
            visit.count for visit in self.visits
        ]


# What a page tells of its device

GIB = 2**30

# "Mozilla/5.0 (Linux; Android 13; Pixel 7) ..."; "K" is what browsers say that tell no model.
_ANDROID = re.compile(r"\(Linux; Android [^;)]+; (?!K\))([^;)]+)")
_BROWSERS = {"Firefox": "Firefox", "EdgA": "Edge", "Edg": "Edge", "SamsungBrowser": "Samsung Internet"}
_BROWSERS |= {"CriOS": "Chrome", "FxiOS": "Firefox", "Chrome": "Chrome", "Version": "Safari"}


def hardware_of(phone: Hello, *, title: str | None = None, soc: str | None = None) -> Hardware:
    """The device as a profile describes it; `title` and `soc` go before what the browser tells.

    `cores` are those that the browser owns up to, and its memory is rounded: both may be less than there is.
    """
    memory_bytes = round(phone.memory_gb * GIB) if phone.memory_gb else None
    return Hardware(
        title=plain(title or _title(phone)),
        soc=soc or "not told by the browser",
        cores=phone.cores or 1,
        clusters=(),
        memory_bytes=memory_bytes,
        memory_gb_per_s=None,
        memory_evidence="navigator.deviceMemory, which is rounded and capped" if memory_bytes else None,
        system=plain(f"{phone.system}; {phone.user_agent}" if phone.system else phone.user_agent),
    )


def browser_of(phone: Hello) -> str:
    """The browser's name and version as its user agent has them, such as "Chrome 120".

    >>> browser_of(Hello(page="a" * 8, user_agent="(X11) Gecko Firefox/130.0", model=None, system=None, cores=None,
    ...     memory_gb=None, is_isolated=False))
    'Firefox 130'
    """
    for key, name in _BROWSERS.items():
        if found := re.search(rf"{key}/(\d+)", phone.user_agent):
            return f"{name} {found[1]}"
    return "a browser"


def _title(phone: Hello) -> str:
    if phone.model:
        return phone.model
    if found := _ANDROID.search(phone.user_agent):
        return found[1].removesuffix(" Build").strip()
    for name in ("iPhone", "iPad", "Android", "Windows", "Macintosh", "Linux"):
        if name in phone.user_agent:
            return f"{name} ({browser_of(phone)})"
    return browser_of(phone)
