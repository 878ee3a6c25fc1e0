"""The one way in for files and for data from elsewhere: kind, size, syntax, types and ranges (no torch).

Whatever is wrong becomes one line that begins with where it is: a file's path, or the words given for a reply. Values
in it are cut, and nothing in it can move a terminal's cursor.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import mmap
import os
import re
import stat
import sys
from collections.abc import Iterator
from fractions import Fraction
from io import BufferedReader
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from bstsearch.errors import BstsearchError, DeviceError, InputError

SHOWN = 40  # characters of a value that an error shows
REASON = 140  # characters of what a library says
OWN = 1 << 28  # bytes of a file that this package writes, or of a list that people write by hand
BY_HAND = 1 << 20  # bytes of a file that people may have written, or changed
DATA = 1 << 34  # bytes of a file of a data set that is read whole

Read = TypeVar("Read")

# Numbers as files may hold them: msgspec refuses NaN and numbers beyond a float's range in JSON, these do everywhere.
_MOST = sys.float_info.max
Finite = Annotated[float, Meta(ge=-_MOST, le=_MOST)]
Amount = Annotated[float, Meta(ge=0, le=_MOST)]
Positive = Annotated[float, Meta(gt=0, le=_MOST)]
Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Whole = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Name = Annotated[str, Meta(min_length=1)]
FileName = Annotated[str, Meta(min_length=1, max_length=200)]  # as long as every disk takes it

_CONTROLS = r"\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"
_CONTROL = re.compile(f"[{_CONTROLS}]+")
# Words that are shown: on one line, of a length that somebody would write.
Line = Annotated[str, Meta(max_length=300, pattern=f"^[^{_CONTROLS}]*$")]


def plain(text: str) -> str:
    r"""`text` on one line, without characters that move a cursor, colour a terminal or turn the reading direction.

    >>> plain("red\x1b[2J\nhat")
    'red [2J hat'
    """
    return _CONTROL.sub(" ", text)


def shown(value: object, most: int = SHOWN) -> str:
    """`value` as an error shows it: on one line, cut to `most` characters.

    >>> shown("a" * 50)
    "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa..."
    """
    try:
        text = plain(repr(value))
    except Exception:  # a whole number of too many digits, a nest too deep
        text = f"a {type(value).__name__}"
    return cut(text, most)


@contextlib.contextmanager
def parsing(where: Path | str) -> Iterator[None]:
    """Turns whatever a library raises in the block into one InputError that begins with `where`.

    Errors of this package get `where` in front of them, unless they begin with it, or with its file, already.
    """
    try:
        yield
    except DeviceError:
        raise
    except BstsearchError as error:
        raise InputError(_placed(where, str(error))) from error
    except FileNotFoundError:
        raise InputError(f"{where} does not exist") from None
    except Exception as error:  # a damaged file can make a parser raise anything
        raise InputError(f"{where}{_reason(error)}") from error


def check_utf8(path: Path) -> None:
    """Passes where the path is text that can be kept in a file of JSON; else InputError."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise InputError(f"{path}: the name is no UTF-8, so no file can hold it; rename it") from None


@contextlib.contextmanager
def opened(path: Path, most: int = DATA) -> Iterator[BufferedReader]:
    """`path`, open for reading; InputError where it is no regular file, or has more than `most` bytes.

    What is read in the block stands under `parsing`, too.
    """
    with parsing(path), open(path, "rb", opener=_without_waiting) as file:
        _check(os.fstat(file.fileno()), most)
        yield file


@contextlib.contextmanager
def mapped(path: Path, most: int = DATA) -> Iterator[memoryview]:
    """The bytes of `path`, left on disk until they are looked at; InputError as of `opened`."""
    with opened(path, most) as file:
        if not os.fstat(file.fileno()).st_size:
            raise InputError("empty")
        yield memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def check_file(path: Path, most: int = DATA) -> None:
    """Passes where `path` is a file that a library may open itself; else InputError, as of `opened`."""
    with parsing(path):
        _check(os.stat(path), most)


def no_folder(path: Path) -> str:
    """What is wrong with `path`, where a folder should be and none is."""
    return f"{path} is no folder" if os.path.lexists(path) else f"{path} does not exist"


def read_bytes(path: Path, most: int = DATA) -> bytes:
    """What is in `path`; InputError as of `opened`."""
    with opened(path, most) as file:
        return file.read()


def read_text(path: Path, most: int = OWN) -> str:
    """The text of `path`, without a byte order mark; InputError where it is no UTF-8."""
    content = read_bytes(path, most)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        reason = f"byte {error.start} is {content[error.start : error.start + 1].hex()}"
        raise InputError(f"{path} is no text in UTF-8 ({reason}); save it as UTF-8") from error


def read_json(path: Path, kind: type[Read] | Any = dict[str, Any], most: int = OWN) -> Any:
    """The JSON in `path` as a `kind`, by default an object; InputError tells the place and what was expected there.

    A key that stands twice in an object is refused, but for files of data sets, which are larger than people write.
    """
    content = read_bytes(path, most)
    found = decoded(content, kind, path)
    if len(content) <= BY_HAND:
        with parsing(path):
            json.loads(content, object_pairs_hook=_check_keys, parse_int=len, parse_float=len)
    return found


def read_format(path: Path, kind: type[Read], *formats: int, most: int = OWN) -> Read:
    """The JSON object in `path` as a `kind`, whose "format" is one of these numbers; InputError as of `read_json`."""
    data = read_json(path, most=most)
    if type(found := data.pop("format", None)) is not int or found not in formats:
        known = " and ".join(map(str, formats))
        raise InputError(f"{path} has format {shown(found)}; this version reads format {known}")
    return checked(data, kind, path)


def decoded(content: bytes | str | memoryview, kind: type[Read] | Any, where: Path | str) -> Any:
    """JSON as a `kind`; a byte order mark is passed over."""
    mark = "\ufeff" if isinstance(content, str) else b"\xef\xbb\xbf"
    with parsing(where):
        head = content[: len(mark)]
        rest = content[len(mark) :] if (head if isinstance(head, str) else bytes(head)) == mark else content
        if not len(rest):
            raise InputError("empty")
        if dataclasses.is_dataclass(kind):
            return checked(msgspec.json.decode(rest), kind, where)
        return msgspec.json.decode(rest, type=kind, dec_hook=_built)


def checked(data: object, kind: type[Read], where: Path | str) -> Read:
    """Plain data as a `kind`: a Struct, a dataclass or a type; InputError tells the place and what was expected.

    The data of a dataclass may hold no other key than its fields; of a Struct, it says so itself.
    """
    with parsing(where):
        if dataclasses.is_dataclass(kind) and isinstance(data, dict):
            names = [field.name for field in dataclasses.fields(kind)]
            if unknown := sorted(map(str, data.keys() - set(names))):
                raise InputError(f"unknown field {shown(unknown[0])}; its fields: {cut(', '.join(names), REASON)}")
        return msgspec.convert(data, kind, dec_hook=_built)


def digest(*paths: Path) -> str:
    """Sixteen hex digits of the contents of `paths`, in order (SHA-256, cut); InputError where one cannot be read."""
    import hashlib  # here, since it loads OpenSSL, which showing a profile does without

    total = hashlib.sha256()
    for path in paths:
        with opened(path, sys.maxsize) as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()[:16]


@contextlib.contextmanager
def needing(what: str, extra: str = "published") -> Iterator[None]:
    """InputError where an import in the block finds nothing; `what` names the work that the library is for."""
    try:
        yield
    except ModuleNotFoundError as error:
        message = f"{what} needs {error.name}; install it with pip install 'bstsearch[{extra}]'"
        raise InputError(message) from None


def _without_waiting(path: str, flags: int) -> int:
    """Opens a pipe that nobody writes to at once, so that it can be refused."""
    return os.open(path, flags | os.O_NONBLOCK)


def _check(status: os.stat_result, most: int) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError
    if not stat.S_ISREG(status.st_mode):
        raise InputError("a device, pipe or socket; expected a file")
    if status.st_size > most:
        raise InputError(f"{status.st_size:,} bytes; expected {most:,} at most")


def _built(kind: Any, value: Any) -> Any:
    """Values of types that JSON has none for."""
    if kind is Fraction:
        if not isinstance(value, str) or not re.fullmatch(r"[0-9]{1,9}(/[1-9][0-9]{0,8})?", value):
            raise ValueError(f"expected a fraction such as 1/2, got {shown(value)}")
        return Fraction(value)
    if kind is Path:
        if not isinstance(value, str):
            raise ValueError(f"expected a path, got {shown(value)}")
        return Path(value)
    raise NotImplementedError(f"no values of {kind} are read")


def _check_keys(pairs: list[tuple[str, object]]) -> None:
    """Passes where the keys of a JSON object differ: parsers take the last of those that do not."""
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise InputError(f"the key {shown(twice)} stands there twice; keep one")


def _placed(where: Path | str, message: str) -> str:
    """`message` behind `where`, unless it begins with that, or with the file of which `where` is a part."""
    file = str(where).partition(", ")[0]
    return message if message.startswith((str(where), f"{file}: ", f"{file} ")) else f"{where}: {message}"


def _reason(error: Exception) -> str:
    """What went wrong, in words that follow a file's name."""
    match error:
        case msgspec.ValidationError():
            return _misfit(str(error))
        case msgspec.DecodeError() | UnicodeDecodeError():
            what = said(error).removeprefix("JSON is malformed: ")
            return f": malformed ({what}); is it truncated?"
        case RecursionError():
            return ": nested too deep"
        case MemoryError():
            return ": asks for more memory than there is; is it damaged?"
        case IsADirectoryError():
            return ": a folder; expected a file"
        case OSError(strerror=str(reason)):
            return f" cannot be read: {cut(plain(reason), REASON)}"  # HDF5 writes lines of its own there
    return f" cannot be read: {said(error)}; is it damaged?"


def said(error: BaseException) -> str:
    """What a library says, on one line of bounded length; the name of the error where it says nothing."""
    return cut(plain(str(error)).strip() or type(error).__name__, REASON)


def _misfit(message: str) -> str:
    """msgspec's "Expected `int`, got `str` - at `$.a[0]`" as ", a[0]: expected int, got str"."""
    what, at, place = message.replace("`", "").rpartition(" - at $")
    what = what.replace(f"matching regex {f'^[^{_CONTROLS}]*$'!r}", "without control characters")
    what, place = (what, plain(place).removeprefix(".")) if at else (place, "")
    what = cut(plain(what), REASON)
    place = place if len(place) <= SHOWN else f"...{place[3 - SHOWN :]}"
    return f"{', ' if place else ''}{place}: {what[0].lower()}{what[1:]}"


def cut(text: str, most: int) -> str:
    """`text` in at most `most` characters, with dots where it is cut."""
    return text if len(text) <= most else f"{text[: most - 3]}..."
