"""The one place where environment variables are read: bounded, typed, and named where they cannot be (no torch).

What cannot be a value counts as not set, unless it tells what to do: then it is refused in one line.
"""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

from bstsearch.errors import DeviceError, UsageError
from bstsearch.reading import shown

PROFILES = "BSTSEARCH_PROFILES"
METRICS = "PROMETHEUS_MULTIPROC_DIR"  # of the package prometheus-client
COLUMNS, NARROWEST, WIDEST = "COLUMNS", 20, 10_000
MOST_PROCESSES = 100_000
_THREADS = ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# What stops torch from being loaded, or asks it for less care than this package takes with other people's files.
_OF_TORCH = ("TORCH_LOGS", "TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")
_FEW = re.compile(r"[1-9][0-9]{0,3}(,[1-9][0-9]{0,3})*")  # as OpenMP takes them, of nested regions a list


def profiles_folder() -> Path | None:
    """The folder of device profiles that the user has for all commands; None where there is none."""
    text = os.environ.get(PROFILES)
    return Path(text) if text else None


def cache_folder() -> Path:
    """Where programs of this user keep what can be made again; DeviceError where the user has no home."""
    own = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if own.is_absolute():
        return own
    home = Path()
    if os.environ.get("HOME") != "":  # which Python takes for the root folder
        with contextlib.suppress(RuntimeError):
            home = Path.home()
    if not home.is_absolute():
        raise DeviceError("$HOME names no folder, so nothing can be kept there")
    return home / ".cache"


def columns() -> int | None:
    """The width of a line that the user asks for, within bounds; None where that is none."""
    text = os.environ.get(COLUMNS, "")
    if not re.fullmatch(r"[0-9]{1,99}", text) or not int(text):
        return None
    return min(WIDEST, max(NARROWEST, int(text)))


def wants_colours() -> bool:
    """Whether the user lets a terminal show colours."""
    return not os.environ.get("NO_COLOR")


def has_cursor() -> bool:
    """Whether a terminal, where there is one, moves its cursor and shows colours."""
    return os.environ.get("TERM") != "dumb"


def process_count() -> int:
    """How many processes torchrun started, this one included; UsageError where that is no number."""
    return _number("WORLD_SIZE", least=1, most=MOST_PROCESSES, default=1)


def process_number() -> int:
    """This process's number among them; what is left in the environment of one that is alone does not count."""
    count = process_count()
    return 0 if count == 1 else _number("RANK", least=0, most=count - 1)


def gpu_number() -> int | None:
    """Which of its machine's GPUs torchrun wants this process to use; None where it is alone."""
    count = process_count()
    return None if count == 1 else _number("LOCAL_RANK", least=0, most=count - 1)


def prepare() -> None:
    """Sets what libraries read as they are loaded, and takes away what would stop them or change what they do."""
    for name in _THREADS:
        if not _FEW.fullmatch(os.environ.get(name, "1")):
            del os.environ[name]
    for name in _OF_TORCH:
        os.environ.pop(name, None)
    # Where other programs keep the cores busy, a thread that spins while it waits for one that has no core takes that
    # core's time: ten scores on easy-vqa beside two busy loops then take 158 s, not 60 s. Idle machines lose nothing.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Else pydantic, which Typer loads, asks every installed package for plugins: longer than reading a profile takes.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
    if (width := columns()) is not None:
        os.environ[COLUMNS] = str(width)
    else:
        os.environ.pop(COLUMNS, None)
    if os.environ.pop("PYTHONWARNINGS", ""):  # which can make an error of a library's remark about another
        warnings.resetwarnings()
        for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", category)


def limit_threads(count: int) -> None:
    """Has libraries that are loaded from now on start `count` threads, unless the user said how many."""
    os.environ.setdefault("OMP_NUM_THREADS", str(count))


def share_metrics(folder: Path) -> None:
    """Has processes that are started from now on keep their metrics in `folder`, where each reads those of all."""
    os.environ[METRICS] = str(folder)


def metrics_folder() -> Path | None:
    """Where processes share their metrics; None where each has its own."""
    text = os.environ.get(METRICS)
    return Path(text) if text else None


def for_script() -> dict[str, str]:
    """What a script of this package has as its environment: its own folder is no place to import from."""
    return {**os.environ, "PYTHONSAFEPATH": "1"}


def with_one_thread(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` for a process that shares its machine with others of its kind."""
    return {**environment, **dict.fromkeys(_THREADS, "1")}


@contextlib.contextmanager
def without(*names: str) -> Iterator[None]:
    """The block runs as if these variables were not set."""
    before = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(before)


def _number(name: str, *, least: int, most: int, default: int | None = None) -> int:
    text = os.environ.get(name)
    if text is None and default is not None:
        return default
    if text is None or not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
        found = "is not set" if text is None else f"is {shown(text)}"
        raise UsageError(f"${name} {found}; expected a whole number from {least} to {most}, as torchrun gives it")
    return int(text)
