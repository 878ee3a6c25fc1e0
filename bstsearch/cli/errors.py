"""Errors as the user sees them: one line on stderr, with --json one object on stdout too, and an exit code."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from bstsearch.cli.output import LINE, Output, silence
from bstsearch.doors import fault_of
from bstsearch.errors import BstsearchError, DeviceError, InputError, UsageError
from bstsearch.reading import cut, plain

BUG = BstsearchError.exit_code
INTERRUPTED = 130
BROKEN_PIPE = 141  # what a shell reports of a program that SIGPIPE ended

ENDING = (signal.SIGTERM, signal.SIGHUP)  # what ends a command as Ctrl-C does

_has_tracebacks: ContextVar[bool] = ContextVar("has_tracebacks", default=False)
_is_json: ContextVar[bool] = ContextVar("is_json", default=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a command failed: a stable word, one line, the exit code, and what to do where the line says it."""

    kind: str
    message: str
    exit_code: int
    remedy: str | None = None

    def to_json(self) -> dict[str, Any]:
        """What `--json` prints in place of a result."""
        return {"error": dataclasses.asdict(self)}


class EndedError(KeyboardInterrupt):
    """A signal that ends the command as Ctrl-C does: what it was writing goes, what it has finished stays."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number  # what a shell reports of a program that the signal ended


def end_on_signals() -> None:
    """Has SIGTERM and SIGHUP end the command as Ctrl-C does, but where somebody has them ignored, as nohup does."""
    for number in ENDING:
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _end_by)


def _end_by(number: int, _frame: object) -> NoReturn:
    raise EndedError(number)


def show_tracebacks(is_wanted: bool) -> None:
    """Makes `translated` print tracebacks too (`bstsearch --debug`), or stop doing so."""
    _has_tracebacks.set(is_wanted)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turns whatever the block raises into one line on stderr and SystemExit; usable as a decorator."""
    try:
        with _without_reader():
            yield
            sys.stdout.flush()
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise  # Typer's own
    except (Exception, KeyboardInterrupt) as error:
        failure, output = explain(error), Output()
        if _has_tracebacks.get():
            output.note("".join(traceback.format_exception(error)).rstrip())
        output.error(failure.message)
        if failure.exit_code == BUG:
            output.hint(f"this is a bug in bstsearch; {failure.remedy}")
        _end(failure)


class Verbs(TyperGroup):
    """The verbs of the command line; what Typer finds wrong ends as all errors do, with `--json` as an object too."""

    def main(self, args: Sequence[str] | None = None, *, standalone_mode: bool = True, **options: Any) -> Any:  # type: ignore[override]
        """Runs the verb that `args` name, by default those of the process."""
        if not standalone_mode:
            return super().main(args, standalone_mode=False, **options)
        token = _is_json.set(asks_for_json(sys.argv[1:] if args is None else args))
        try:
            code = super().main(args, standalone_mode=False, **options)
            if code == INTERRUPTED:  # outside of any verb, where Typer says nothing
                _end(explain(KeyboardInterrupt()))
        except Exception as error:
            if not hasattr(error, "format_message"):  # then it is none of Typer's, whose class it keeps to itself
                raise
            _end(_wrong_usage(error))
        finally:
            _is_json.reset(token)
        raise SystemExit(code or 0)

    def make_context(self, *args: Any, **options: Any) -> Any:
        """Reads the options; what they print, as help, may find no reader."""
        with _without_reader():
            return super().make_context(*args, **options)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Runs the verb, likewise."""
        with _without_reader():
            return super().invoke(ctx)


@contextlib.contextmanager
def _without_reader() -> Iterator[None]:
    """Ends the process quietly where nobody reads its standard output any more."""
    try:
        yield
    except BrokenPipeError:
        silence(sys.stdout)
        raise SystemExit(BROKEN_PIPE) from None


def asks_for_json(words: Sequence[str]) -> bool:
    """Whether `--json` is among a command's words; behind `--` it would be a question or a file.

    >>> asks_for_json(["devices", "--json"]), asks_for_json(["ask", "--", "--json"])
    (True, False)
    """
    words = list(words)
    return "--json" in words[: words.index("--")] if "--" in words else "--json" in words


def explain(error: BaseException) -> Failure:
    """What the user is told of `error`.

    >>> explain(InputError("front.json is truncated; make it anew")).remedy
    'make it anew'
    """
    match error:
        case BstsearchError():
            kind, line, remedy = type(error), str(error), error.remedy
        case KeyboardInterrupt():
            message = "interrupted; what was finished is kept"
            code = error.exit_code if isinstance(error, EndedError) else INTERRUPTED
            return Failure(kind="interrupted", message=message, exit_code=code)
        case FileNotFoundError() | NotADirectoryError() | IsADirectoryError():
            kind, line, remedy = InputError, _os_line(error), None
        case OSError(errno=int()):
            kind, line, remedy = DeviceError, _os_line(error), None
        case _:
            kind, line, remedy = BstsearchError, f"unexpected {type(error).__name__}: {error}", None
            if place := fault_of(error):
                kind, line = InputError, f"{place}: {type(error).__name__}: {error}"
                remedy = "'bstsearch --debug ...' shows how it came there"
    if kind.exit_code == BUG:
        remedy = "'bstsearch --debug ...' shows where it happened"
    return Failure(kind=kind.kind, message=cut(plain(line), LINE), exit_code=kind.exit_code, remedy=remedy)


def _wrong_usage(error: Any) -> Failure:
    """What Typer found wrong, shown on stderr below the usage."""
    shown = io.StringIO()
    error.show(shown)
    Output().note("\n".join(cut(line, LINE) for line in shown.getvalue().rstrip("\n").split("\n")))
    return Failure(
        kind=UsageError.kind,
        message=cut(plain(error.format_message()), LINE),
        exit_code=error.exit_code,
        remedy=f"'{error.ctx.command_path} --help' shows what it takes" if error.ctx else None,
    )


def _end(failure: Failure) -> NoReturn:
    """Ends the process with the failure's exit code, its JSON object on stdout where one is wanted."""
    try:
        Output(_is_json.get()).json(failure.to_json())
        sys.stdout.flush()
    except OSError:  # nobody reads, or the disk is full, which may be what failed; the exit code still tells
        silence(sys.stdout)
    raise SystemExit(failure.exit_code) from None


def _os_line(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
