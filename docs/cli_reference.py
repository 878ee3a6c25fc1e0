"""Writes docs/cli.md from the help of every verb: `make docs`."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from bstsearch.cli.app import app

TARGET = Path(__file__).parent / "cli.md"
HEAD = """# Command line

Written by `make docs` from the help texts; change those instead. The [guide](guide.md) tells what goes together.

With `--json` a verb prints one object on stdout, as its JSON Schema in [schemas](schemas) says: `bstsearch devices
show` as [devices-show.json](schemas/devices-show.json), `pareto` for several devices or with `--compare` as
[pareto-fronts.json](schemas/pareto-fronts.json). A command that fails prints [error.json](schemas/error.json) in its
place, whatever was wrong: `kind`, `message`, `exit_code`, and `remedy`, the part of the message that says what to do,
or null.

| exit code | `kind` | |
|---|---|---|
| 0 | | done |
| 1 | `bug` | not your fault |
| 2 | `usage` | the request itself cannot be right |
| 3 | `infeasible-budget` | no submodel fits |
| 4 | `input` | a file is missing, malformed or stale |
| 5 | `device` | a device, a disk or a runtime is not available |
| 6 | `noisy-measurement` | times that say nothing |
| 130 | `interrupted` | what was finished is kept |

Progress, warnings and hints go to stderr, with `--json` too. On a terminal long work shows a bar; elsewhere a plain
line after five seconds, and then after ever longer gaps, up to a minute. Control characters in names and texts of
files become spaces on their way to a terminal. Where nobody reads the output any more, a command ends with 141.
"""


def verbs() -> list[str]:
    """The verbs, in the order of use; those of a group follow it, as "devices show"."""
    groups = [
        (group.name, group.typer_instance) for group in app.registered_groups if group.name and group.typer_instance
    ]
    inner = [f"{name} {command.name}" for name, group in groups for command in group.registered_commands]
    return [command.name for command in app.registered_commands if command.name] + [name for name, _ in groups] + inner


def reference() -> str:
    """The text of docs/cli.md."""
    sections = [_section([]), *(_section(verb.split()) for verb in verbs())]
    return "\n".join([HEAD, *sections])


def _section(arguments: list[str]) -> str:
    command = " ".join(["bstsearch", *arguments])
    result = CliRunner(env={"COLUMNS": "80"}).invoke(app, [*arguments, "--help"], prog_name="bstsearch")
    return f"## {command}\n\n```text\n$ {command} --help\n{result.stdout.rstrip()}\n```\n"


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
