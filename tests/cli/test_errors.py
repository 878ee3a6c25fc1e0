from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from bstsearch import errors
from bstsearch.cli.errors import explain, show_tracebacks, translated

ERRORS = [
    (errors.UsageError("no row 99"), 2, "no row 99"),
    (errors.InfeasibleBudgetError("nothing within 1 ms"), 3, "nothing within 1 ms"),
    (errors.InputError("front.json is truncated"), 4, "front.json is truncated"),
    (errors.DeviceError("no such provider"), 5, "no such provider"),
    (errors.NoisyMeasurementError("spread 40 %"), 6, "spread 40 %"),
    (FileNotFoundError(errno.ENOENT, "No such file or directory", "a.png"), 4, "a.png: No such file or directory"),
    (OSError(errno.ENOSPC, "No space left on device", "out/x"), 5, "out/x: No space left on device"),
    (OSError(errno.EROFS, "Read-only file system"), 5, "Read-only file system"),
    (KeyboardInterrupt(), 130, "interrupted; what was finished is kept"),
    (errors.InputError("two\nlines"), 4, "two lines"),
    (ZeroDivisionError("division by zero"), 1, "unexpected ZeroDivisionError: division by zero"),
    (OSError("no number, so a bug"), 1, "unexpected OSError: no number, so a bug"),
]


@pytest.fixture(autouse=True)
def _no_tracebacks() -> Iterator[None]:
    yield
    show_tracebacks(False)


def app_that_raises(error: BaseException) -> typer.Typer:
    app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)

    @app.command()
    @translated()
    def command(count: int = 1) -> None:
        raise error

    return app


@pytest.mark.parametrize(("error", "code", "line"), ERRORS)
def test_every_error_is_one_line_and_a_code(error: BaseException, code: int, line: str) -> None:
    assert explain(error) == (line, code)
    result = CliRunner().invoke(app_that_raises(error))
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.splitlines()[0] == f"error: {line}"
    assert "Traceback" not in result.stderr


def test_only_a_bug_hints_at_debug() -> None:
    assert "--debug" in CliRunner().invoke(app_that_raises(KeyError("x"))).stderr
    assert CliRunner().invoke(app_that_raises(errors.InputError("x"))).stderr == "error: x\n"


@pytest.mark.parametrize("error", [KeyError("x"), errors.InputError("x")])
def test_debug_shows_the_traceback_and_keeps_the_code(error: Exception) -> None:
    show_tracebacks(True)
    result = CliRunner().invoke(app_that_raises(error))
    assert result.exit_code == explain(error)[1]
    assert "Traceback" in result.stderr
    assert "in command" in result.stderr


@pytest.mark.parametrize(("error", "code"), [(typer.Exit(7), 7), (typer.BadParameter("too few"), 2)])
def test_typer_keeps_its_own_exceptions(error: Exception, code: int) -> None:
    assert CliRunner().invoke(app_that_raises(error)).exit_code == code


def test_a_translated_command_keeps_its_options() -> None:
    result = CliRunner().invoke(app_that_raises(errors.InputError("x")), ["--count", "many"])
    assert result.exit_code == 2
    assert "'--count'" in result.stderr


def test_a_closed_pipe_ends_the_command_quietly() -> None:
    result = CliRunner().invoke(app_that_raises(BrokenPipeError(errno.EPIPE, "Broken pipe")))
    assert (result.exit_code, result.output) == (141, "")


def run_with_stdout(stdout: int) -> subprocess.CompletedProcess[str]:
    """Runs a command that prints more than a pipe holds, with `stdout` as its standard output."""
    code = (
        "from bstsearch.cli.errors import translated\n"
        "from bstsearch.cli.output import Output\n"
        "with translated():\n"
        "    for _ in range(20000): Output().text('a line of the result')\n"
    )
    return subprocess.run([sys.executable, "-c", code], stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)


def test_a_reader_that_goes_away_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    result = run_with_stdout(writer)
    os.close(writer)
    assert (result.returncode, result.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_stdout_is_one_line() -> None:
    with open("/dev/full", "w") as full:
        result = run_with_stdout(full.fileno())
    assert (result.returncode, result.stderr) == (5, "error: No space left on device\n")
