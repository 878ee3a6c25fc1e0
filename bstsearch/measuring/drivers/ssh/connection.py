"""One ssh session in which `runner.py` works in a folder of its own and answers requests (no torch)."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

from msgspec import UNSET, Struct, UnsetType

from bstsearch.errors import DeviceError, InputError
from bstsearch.measuring import runner
from bstsearch.measuring.drivers.replies import CHUNK, Replies, TooLateError, TooLongError, write_all
from bstsearch.measuring.drivers.ssh.failures import (
    Session,
    check_host,
    explain_end,
    explain_refusal,
    explain_silence,
)
from bstsearch.reading import REASON, decoded, plain

Result = TypeVar("Result")

# The user's own configuration holds otherwise: keys, names, jump hosts, and how strictly host keys are checked.
OPTIONS = (
    *("-T", "-x"),
    *("-o", "BatchMode=yes"),  # nobody may be there to answer a question
    *("-o", "ConnectTimeout=15"),
    *("-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=3"),  # a board that leaves the network does not say so
    *("-o", "ClearAllForwardings=yes", "-o", "RemoteCommand=none"),
)

# What the board's shell does: it makes a folder, runs Python, and removes the folder, whatever ends them. /var/tmp,
# since /tmp is memory on some systems, and weights are large. No quotes inside that only some login shells understand.
SCRIPT = (
    'umask 077; folder=$(mktemp -d "${TMPDIR:-/var/tmp}/bstsearch-XXXXXX" 2>/dev/null || mktemp -d) || exit 1; '
    'clean() { rm -rf "$folder"; }; trap clean EXIT; trap "exit 1" HUP INT TERM; "$1" -c "$2" "$folder"'
)
# What Python does, even an old one: it reads `runner.py` from stdin, to the byte, and runs it in the folder.
LOADER = (
    "import os, sys; "
    'sys.version_info < (3, 8) and sys.exit("it is %s, and 3.8 or newer is needed" % sys.version.split()[0]); '
    "os.chdir(sys.argv[1]); sys.path.insert(0, sys.argv[1]); "
    'file = open("runner.py", "wb"); file.write(sys.stdin.buffer.read(SIZE)); file.close(); '
    "import runner; runner.main([])"
)
LOGIN_S = 120.0  # from the call of ssh until the runner is ready
ANSWER_S = 1800.0  # the longest request times each graph that is open once, on a slow board
TAKE_S = 120.0  # in which a board takes some of what it is sent
LEAVE_S = 10.0
LONGEST_LINE = 1 << 24  # bytes; the times of a round of 1,000 graphs take a sixteenth of it
REFUSAL = 240  # characters of what a board says went wrong


@contextlib.contextmanager
def connected(host: str, python: str, command: Sequence[str]) -> Iterator[Connection]:
    """A connection to a runner on `host`; at the end of the block the runner ends, and its folder is removed.

    DeviceError where there is none to be had; UsageError where `host` can be no host.
    """
    check_host(host)
    source = Path(runner.__file__).read_bytes()
    with tempfile.TemporaryFile() as errors:
        process = _start([*command, *OPTIONS, "--", host, _remote_command(python, len(source))], errors)
        try:
            connection = Connection(process, errors, host, python)
            connection.greet(source)
            yield connection
        finally:
            _end(process)


class _Reply(Struct, Generic[Result], forbid_unknown_fields=True):
    """One line of the runner's: the result of a request, or why there is none."""

    ok: Result | UnsetType = UNSET
    error: str = ""
    kind: str = ""


class Connection:
    """A session's pipes: requests go in and answers come out, one at a time."""

    def __init__(self, process: subprocess.Popen[bytes], errors: IO[bytes], host: str, python: str) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._stdin = process, process.stdin.fileno()
        self._replies = Replies(process.stdout.fileno(), LONGEST_LINE)
        self._errors, self._host, self._python, self._is_ready = errors, host, python, False

    def greet(self, source: bytes) -> None:
        """Sends the runner, and returns once it is ready."""
        end = time.monotonic() + LOGIN_S
        self._write(source)
        while self._read(end - time.monotonic()).strip() != runner.MARK.encode():
            pass  # what a login prints
        self._is_ready = True

    def ask(self, request: str, kind: Any = None, **arguments: Any) -> Any:
        """The runner's answer to a request, of that kind; DeviceError where it is something else, or none comes."""
        self._write(json.dumps({"do": request, **arguments}).encode() + b"\n")
        return self._answer(request, kind)

    def send(self, path: Path, name: str) -> None:
        """Copies the file `path` into the board's folder, as `name`."""
        with path.open("rb") as file:
            self._write(json.dumps({"do": "file", "name": name, "size": path.stat().st_size}).encode() + b"\n")
            while data := file.read(CHUNK):
                self._write(data)
        self._answer("file", None)

    def _answer(self, request: str, kind: Any) -> Any:
        line = self._read(ANSWER_S)
        try:
            reply = decoded(line, _Reply[kind], f"{self._host}, asked to '{request}'")
        except InputError as error:
            raise DeviceError(str(error)) from error
        if reply.ok is UNSET:
            if not reply.error:
                raise DeviceError(f"{self._host}, asked to '{request}': expected a result, got none")
            raise DeviceError(explain_refusal(self._host, plain(reply.kind)[:REASON], plain(reply.error)[:REFUSAL]))
        return reply.ok

    def _write(self, data: bytes) -> None:
        try:
            write_all(self._stdin, data, TAKE_S)
        except OSError as error:
            raise self._failure() from error
        except TooLateError:
            raise DeviceError(explain_silence(self._host, TAKE_S)) from None

    def _read(self, seconds: float) -> bytes:
        try:
            line = self._replies.line(seconds)
        except TooLateError:
            raise DeviceError(explain_silence(self._host, ANSWER_S if self._is_ready else LOGIN_S)) from None
        except TooLongError:
            raise DeviceError(
                f"{self._host} sent a line without an end; expected {LONGEST_LINE:,} bytes at most"
            ) from None
        if not line.endswith(b"\n"):
            raise self._failure()
        return line

    def _failure(self) -> DeviceError:
        """Why the session ended, as far as ssh and the board said."""
        _end(self._process)
        self._errors.seek(max(0, self._errors.seek(0, os.SEEK_END) - CHUNK))
        session = Session(host=self._host, python=self._python, is_ready=self._is_ready)
        return DeviceError(explain_end(session, self._process.returncode, self._errors.read().decode(errors="replace")))


def _remote_command(python: str, size: int) -> str:
    """What the login shell, whichever it is, is to run."""
    # Python may be named from the home folder on, and only the board knows that one.
    program = '"$HOME"/' + shlex.quote(python[2:]) if python.startswith("~/") else shlex.quote(python)
    loader = LOADER.replace("SIZE", str(size))
    return f"exec sh -c {shlex.quote(SCRIPT)} sh {program} {shlex.quote(loader)}"


def _start(words: Sequence[str], errors: IO[bytes]) -> subprocess.Popen[bytes]:
    try:
        # A session of its own: Ctrl-C is for this process, which then ends the other one in order.
        return subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
        )
    except FileNotFoundError:
        raise DeviceError(f"there is no program {words[0]!r}; install the OpenSSH client") from None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Returns once the session is over and the board has tidied up, or does not answer; may be called again."""
    if process.stdin is None or process.stdout is None:
        return
    with contextlib.suppress(OSError):  # of requests that nobody reads any more
        process.stdin.close()
    process.stdin = None
    end = time.monotonic() + LEAVE_S
    Replies(process.stdout.fileno(), 0).discard(LEAVE_S)  # an answer that nobody reads would keep ssh from ending
    try:
        process.wait(timeout=max(0.0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
