from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from bstsearch import doors, errors
from bstsearch.cli.errors import EndedError, Verbs, explain, show_tracebacks, translated
from bstsearch.cli.options import JsonOption

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
    """A group with one verb, which raises the error."""
    app = typer.Typer(cls=Verbs, pretty_exceptions_enable=False, rich_markup_mode=None)

    @app.callback()
    def group() -> None:
        pass

    @app.command()
    @translated()
    def command(count: int = 1, is_json: JsonOption = False) -> None:
        raise error

    return app


def run(error: BaseException, *words: str) -> Any:
    """What `prog command WORDS...` prints and returns where the command raises the error."""
    return CliRunner().invoke(app_that_raises(error), ["command", *words], prog_name="prog")


@pytest.mark.parametrize(("error", "code", "line"), ERRORS)
def test_every_error_is_one_line_and_a_code(error: BaseException, code: int, line: str) -> None:
    failure = explain(error)
    assert (failure.message, failure.exit_code) == (line, code)
    result = run(error)
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.splitlines()[0] == f"error: {line}"
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("error", "kind", "remedy"),
    [
        (errors.UsageError("net exists; give --force to replace it"), "usage", "give --force to replace it"),
        (
            errors.InfeasibleBudgetError("nothing within 1 ms; raise the budget"),
            "infeasible-budget",
            "raise the budget",
        ),
        (errors.InputError("front.json is truncated"), "input", None),
        (errors.DeviceError("no adb; install it"), "device", "install it"),
        (errors.NoisyMeasurementError("times say nothing. Let it cool"), "noisy-measurement", "Let it cool"),
        (
            errors.BstsearchError("model.onnx differs from torch"),
            "bug",
            "'bstsearch --debug ...' shows where it happened",
        ),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "a.png"), "input", None),
        (OSError(errno.ENOSPC, "No space left on device"), "device", None),
        (KeyboardInterrupt(), "interrupted", None),
        (ZeroDivisionError("division by zero"), "bug", "'bstsearch --debug ...' shows where it happened"),
    ],
)
def test_with_json_a_failure_is_one_object_on_stdout_and_the_line_on_stderr(
    error: BaseException, kind: str, remedy: str | None
) -> None:
    failure = explain(error)
    result = run(error, "--json")
    assert result.exit_code == failure.exit_code
    assert json.loads(result.stdout) == {
        "error": {"kind": kind, "message": failure.message, "exit_code": failure.exit_code, "remedy": remedy}
    }
    assert result.stderr.splitlines()[0] == f"error: {failure.message}"
    assert run(error).stdout == ""  # the next command without it prints none


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--nonsense", "--json"], "No such option: --nonsense"),
        (["--json", "--count", "many"], "Invalid value for '--count'"),
        (["--json", "stray"], "unexpected extra argument"),
    ],
)
def test_with_json_wrong_usage_that_typer_finds_is_an_object_below_the_usage(words: list[str], message: str) -> None:
    result = run(errors.InputError("x"), *words)
    assert result.exit_code == 2
    error = json.loads(result.stdout)["error"]
    assert message in error.pop("message")
    assert error == {"kind": "usage", "exit_code": 2, "remedy": "'prog command --help' shows what it takes"}
    assert result.stderr.startswith("Usage: ")
    assert f"Error: {message}" in result.stderr or message in result.stderr


def test_behind_two_dashes_json_is_a_word() -> None:
    result = run(errors.InputError("x"), "--", "--json")
    assert (result.exit_code, result.stdout) == (2, "")


@pytest.mark.parametrize(("error", "code"), [(typer.Exit(7), 7), (typer.Exit(), 0)])
def test_with_json_an_exit_keeps_its_code_and_prints_nothing(error: Exception, code: int) -> None:
    result = run(error, "--json")
    assert (result.exit_code, result.stdout) == (code, "")


def test_only_a_bug_hints_at_debug() -> None:
    assert "--debug" in run(KeyError("x")).stderr
    assert run(errors.InputError("x")).stderr == "error: x\n"


@pytest.mark.parametrize("error", [KeyError("x"), errors.InputError("x")])
def test_debug_shows_the_traceback_and_keeps_the_code(error: Exception) -> None:
    show_tracebacks(True)
    result = run(error)
    assert result.exit_code == explain(error).exit_code
    assert "Traceback" in result.stderr
    assert "in command" in result.stderr


@pytest.mark.parametrize(("error", "code"), [(typer.Exit(7), 7), (typer.BadParameter("too few"), 2)])
def test_typer_keeps_its_own_exceptions(error: Exception, code: int) -> None:
    assert run(error).exit_code == code


def test_a_translated_command_keeps_its_options() -> None:
    result = run(errors.InputError("x"), "--count", "many")
    assert result.exit_code == 2
    assert "'--count'" in result.stderr


def test_a_closed_pipe_ends_the_command_quietly() -> None:
    result = run(BrokenPipeError(errno.EPIPE, "Broken pipe"))
    assert (result.exit_code, result.output) == (141, "")


TEXT = "for _ in range(20000): Output().text('a line of the result')"
LONG_JSON = "Output(is_json=True).json(['an entry of the result'] * 20000)"
FAILURE = "errors._is_json.set(True); raise InputError('front.json is truncated')"


def run_with_stdout(stdout: int, code: str) -> subprocess.CompletedProcess[str]:
    """Runs the code as a command does, with `stdout` as its standard output."""
    lines = (
        "from bstsearch.cli import errors",
        "from bstsearch.cli.output import Output",
        "from bstsearch.errors import InputError",
        f"with errors.translated():\n    {code}",
    )
    command = [sys.executable, "-c", "\n".join(lines)]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)


@pytest.mark.parametrize("code", [TEXT, LONG_JSON], ids=["text", "json"])
def test_a_reader_that_goes_away_is_no_error(code: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    result = run_with_stdout(writer, code)
    os.close(writer)
    assert (result.returncode, result.stderr) == (141, "")


def test_an_error_keeps_its_code_where_nobody_reads_its_object() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    result = run_with_stdout(writer, FAILURE)
    os.close(writer)
    assert (result.returncode, result.stderr) == (4, "error: front.json is truncated\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("code", [TEXT, LONG_JSON, f"errors._is_json.set(True); {LONG_JSON}"])
def test_a_full_disk_behind_stdout_is_one_line(code: str) -> None:
    with open("/dev/full", "w") as full:
        result = run_with_stdout(full.fileno(), code)
    assert (result.returncode, result.stderr) == (5, "error: No space left on device\n")


def test_what_fails_in_the_user_s_file_is_no_bug_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pets.py").write_text("class Pets:\n    name = 'pets'\n    def rows():\n        return 1 / 0\n")
    pets = doors.get("task", doors.admit("task", f"{tmp_path / 'pets.py'}:Pets"))
    with pytest.raises(ZeroDivisionError) as caught:
        pets.rows()
    failure = explain(caught.value)
    assert failure.exit_code == 4
    assert failure.message == f"{tmp_path / 'pets.py'}, line 4: ZeroDivisionError: division by zero"
    assert failure.remedy == "'bstsearch --debug ...' shows how it came there"


def test_a_message_is_one_plain_line_of_bounded_length() -> None:
    error = errors.InputError("front.json: '\x1b[2J" + "x" * 300_000 + "'; make it anew")
    failure = explain(error)
    assert failure.message.startswith("front.json: ' [2Jxxx")
    assert (len(failure.message), failure.message.isprintable()) == (1000, True)
    assert failure.remedy == "make it anew"
    result = run(error, "--json")
    assert json.loads(result.stdout)["error"]["message"] == failure.message
    assert max(map(len, result.stderr.splitlines())) < 1100


@pytest.mark.parametrize("is_json", [True, False])
def test_what_typer_finds_wrong_is_plain_and_of_bounded_length(is_json: bool) -> None:
    for words in (["--count", "\x1b[2J" * 50_000], ["--" + "x" * 100_000], ["\u202e" * 100_000]):
        result = run(errors.InputError("x"), *words, *(["--json"] if is_json else []))
        assert result.exit_code == 2
        lines = result.stderr.splitlines()
        assert lines[0].startswith("Usage: ")
        assert lines[-1].startswith("Error: ")
        assert max(map(len, lines)) <= 1000
        assert all(line.isprintable() for line in lines)
        if is_json:
            message = json.loads(result.stdout)["error"]["message"]
            assert len(message) <= 1000
            assert message.isprintable()


# Signals

WAITING = """
import sys, time
from pathlib import Path
from bstsearch.cli.errors import end_on_signals, translated
from bstsearch.writing import writing_folder

end_on_signals()
with translated(), writing_folder(Path(sys.argv[1]), marker="a", own=("a",)) as folder:
    (folder / "a").write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


def end_while_writing(tmp_path: Path, number: int, **options: Any) -> subprocess.CompletedProcess[str]:
    """A command that gets the signal while it writes a folder."""
    command = [sys.executable, "-c", WAITING, str(tmp_path / "out")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes, **options) as process:
        assert process.stdout
        assert process.stdout.readline() == "writing\n"
        process.send_signal(number)
        if options:
            process.terminate()
        _, said = process.communicate()
        return subprocess.CompletedProcess(command, process.returncode, None, said)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=lambda one: str(one)
)
def test_a_signal_ends_a_command_in_one_line_and_leaves_nothing_half_written(
    tmp_path: Path, number: int, code: int
) -> None:
    ended = end_while_writing(tmp_path, number)
    assert (ended.returncode, ended.stderr) == (code, "error: interrupted; what was finished is kept\n")
    assert not list(tmp_path.iterdir())


def test_a_command_under_nohup_lives_on_when_its_terminal_closes(tmp_path: Path) -> None:
    ended = end_while_writing(tmp_path, signal.SIGHUP, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    assert ended.returncode == 143, "the signal that came second ended it"


def test_only_the_command_line_takes_signals() -> None:
    code = "import bstsearch; bstsearch.train; from signal import *; print(getsignal(15) == getsignal(1) == SIG_DFL)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_with_json_a_signal_is_an_object_too(number: int, code: int) -> None:
    result = run(EndedError(number), "--json")
    assert result.exit_code == code
    assert json.loads(result.stdout)["error"]["exit_code"] == code
