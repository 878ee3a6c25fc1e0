"""Files read with one-line errors and written whole or not at all (no torch)."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bstsearch.errors import DeviceError, InputError, UsageError


def as_path(text: Path | str | None) -> Path | None:
    """`text` as a path; None stays None."""
    return None if text is None else Path(text)


def read_text(path: Path, what: str) -> str:
    """The text of `path`; InputError (naming it as `what`) where it is missing or no UTF-8 text."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{what} {path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{what} {path} cannot be read: {error}") from error


def read_json(path: Path, what: str) -> dict[str, Any]:
    """The JSON object in `path`; InputError where it is missing, truncated or something else."""
    text = read_text(path, what)
    try:
        data = json.loads(text)
    except ValueError as error:
        raise InputError(f"{what} {path} is no valid JSON ({error}); is it truncated?") from error
    if not isinstance(data, dict):
        raise InputError(f"{what} {path} must hold a JSON object, not a {type(data).__name__}")
    return data


@contextlib.contextmanager
def needing(what: str) -> Iterator[None]:
    """InputError where an import in the block finds nothing; `what` names the work that the library is for."""
    try:
        yield
    except ModuleNotFoundError as error:
        message = f"{what} needs {error.name}; install it with pip install 'bstsearch[published]'"
        raise InputError(message) from None


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that replaces it when the block ends well, and goes when it does not."""
    with _disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replaces `path` by `text`, atomically."""
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, data: Any) -> None:
    """Replaces `path` by `data` as indented JSON (no NaN), atomically."""
    write_text(path, json.dumps(data, indent=2, allow_nan=False) + "\n")


def first_free(path: Path) -> Path:
    """`path`, or where that exists the first of PATH-2, PATH-3, ... that does not."""
    numbered = (path.with_name(f"{path.name}-{number}") for number in itertools.count(2))
    return next(place for place in itertools.chain([path], numbered) if not os.path.lexists(place))


def check_free(path: Path, *, marker: str, is_forced: bool) -> None:
    """Passes where `path` may be written: it does not exist, is an empty folder, or may be replaced; else UsageError.

    It may be replaced with `is_forced`, and only where it holds `marker`: then it is one of ours.
    """
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not is_forced:
        raise UsageError(f"{path} exists; give --force to replace it, or another --out")
    if not (path / marker).exists():
        raise UsageError(f"{path} holds no {marker}, so it is not ours to replace; give another --out")


@contextlib.contextmanager
def writing_folder(path: Path, *, marker: str, is_forced: bool = False) -> Iterator[Path]:
    """An empty folder beside `path` that becomes `path` when the block ends well.

    An existing `path` is treated as `check_free` does, and stays as it is until the new one is complete.
    """
    check_free(path, marker=marker, is_forced=is_forced)
    with _disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            yield temporary
            os.chmod(temporary, 0o777 & ~_umask())
            if path.is_dir():
                old = Path(tempfile.mkdtemp(prefix=f".{path.name}.old.", dir=path.parent))
                os.replace(path, old / "replaced")
                os.replace(temporary, path)
                shutil.rmtree(old)
            else:
                os.replace(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def digest(*paths: Path) -> str:
    """Sixteen hex digits of the contents of `paths`, in order (SHA-256, cut); InputError where one cannot be read."""
    import hashlib  # here, since it loads OpenSSL, which showing a profile does without

    total = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from error
    return total.hexdigest()[:16]


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DeviceError(f"cannot write {path}: {error.strerror or error}; nothing there was changed") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
