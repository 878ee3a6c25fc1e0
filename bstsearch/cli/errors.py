"""Errors as the user sees them: one line on stderr and an exit code; the only translator."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import traceback
from collections.abc import Iterator
from contextvars import ContextVar

import typer

from bstsearch.cli.output import Output
from bstsearch.errors import BstsearchError, DeviceError, InputError

BUG = 1
INTERRUPTED = 130
BROKEN_PIPE = 141  # what a shell reports of a program that SIGPIPE ended

_has_tracebacks: ContextVar[bool] = ContextVar("has_tracebacks", default=False)


def show_tracebacks(is_wanted: bool) -> None:
    """Makes `translated` print tracebacks too (`bstsearch --debug`), or stop doing so."""
    _has_tracebacks.set(is_wanted)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turns whatever the block raises into one line on stderr and SystemExit; usable as a decorator."""
    try:
        yield
        sys.stdout.flush()
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise  # Typer's own
    except BrokenPipeError:
        _silence_stdout()
        raise SystemExit(BROKEN_PIPE) from None
    except (Exception, KeyboardInterrupt) as error:
        if _has_tracebacks.get():
            traceback.print_exception(error)
        line, code = explain(error)
        output = Output()
        output.error(line)
        if code == BUG:
            output.hint("this is a bug in bstsearch; 'bstsearch --debug ...' shows where it happened")
        raise SystemExit(code) from None


def explain(error: BaseException) -> tuple[str, int]:
    """One line about `error`, and the exit code for it.

    >>> explain(InputError("front.json does not exist"))
    ('front.json does not exist', 4)
    """
    match error:
        case BstsearchError():
            line, code = str(error), error.exit_code
        case KeyboardInterrupt():
            line, code = "interrupted; what was finished is kept", INTERRUPTED
        case FileNotFoundError() | NotADirectoryError() | IsADirectoryError():
            line, code = _os_line(error), InputError.exit_code
        case OSError(errno=int()):
            line, code = _os_line(error), DeviceError.exit_code
        case _:
            line, code = f"unexpected {type(error).__name__}: {error}", BUG
    return " ".join(line.splitlines()), code


def _os_line(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)


def _silence_stdout() -> None:
    # What is still buffered would otherwise raise again when Python closes the stream at exit.
    with contextlib.suppress(io.UnsupportedOperation):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
