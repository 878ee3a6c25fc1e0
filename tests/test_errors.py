from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import bstsearch
from bstsearch import errors
from bstsearch.errors import BstsearchError, InputError
from bstsearch.measuring.drivers import adb
from bstsearch.measuring.drivers.browser import job as browser_job
from bstsearch.measuring.drivers.ssh import failures as ssh_failures

ROOT = Path(bstsearch.__file__).parent
CLASSES = [one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, BstsearchError)]

# What may follow the last semicolon and is nothing to do: a guess, what was expected, what there is, what became of it.
STATEMENTS = re.compile(
    r"(is|are|was) (it|the|they|this|file)\b.*\?$|which is meant\?$|another model\?$"
    r"|expected |there are |this version |its |among its ids|known: |it (is|knows|keeps|cannot|belongs) |ids look "
    r"|nothing |what was finished is kept|only |each |every |the |this |a |image |latencies |onnxruntime-web has |\{"
)


def template(node: ast.expr) -> str:
    """A message as it is written, with the source of what is put into it in braces."""
    if isinstance(node, ast.JoinedStr):
        return "".join(map(template, node.values))
    if isinstance(node, ast.Constant):
        return str(node.value)
    return f"{{{ast.unparse(node.value if isinstance(node, ast.FormattedValue) else node)}}}"


def messages() -> Iterator[str]:
    """Every message that the package raises as one of its errors."""
    names = {one.__name__ for one in CLASSES} | {"RunnerError", "MissingRuntimeError", "_DamagedError"}
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            error = node.exc if isinstance(node, ast.Raise) else None
            if isinstance(error, ast.Call) and ast.unparse(error.func) in names and error.args:
                yield template(error.args[0])


MESSAGES = sorted({message for message in messages() if "; " in message})


def test_there_are_messages_to_look_at() -> None:
    assert len(MESSAGES) > 100


@pytest.mark.parametrize("message", MESSAGES)
def test_what_follows_a_semicolon_is_known_to_be_what_to_do_or_known_not_to_be(message: str) -> None:
    """A new message must be told apart, too: begin what to do with a verb of `INSTRUCTIONS`, or add one."""
    last = message.rpartition("; ")[2]
    assert InputError(message).remedy or STATEMENTS.match(last)


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        ("net exists; give --force to replace it, or another --out", "give --force to replace it, or another --out"),
        (
            "profile x has format 3; this version reads formats 1 and 2; measure it again, or update bstsearch",
            "measure it again, or update bstsearch",
        ),
        ("the clock fell; nothing was written. Let it cool, and go on", "Let it cool, and go on"),
        (
            "no profile of device 'a'; did you mean b? 'bstsearch devices' lists all; 'bstsearch profile' makes one",
            "did you mean b? 'bstsearch devices' lists all; 'bstsearch profile' makes one",
        ),
        (
            "the front has no submodel 'w1'; its ids: a, b; 'bstsearch pareto' shows them",
            "'bstsearch pareto' shows them",
        ),
        ("a was trained with another recipe; --force starts over", "--force starts over"),
        ("two\nlines; make\nit anew", "make it anew"),
        ("front.json does not exist", None),
        ("front.json is no JSON (x); is it truncated?", None),
        ("cannot write net: No space left on device; nothing there was changed", None),
        ("unknown split 'dev'; there are train, validation, test", None),
        ("malformed 'split'; expected 'a name' and an object", None),
        ("use of --cores 0,9: no core 9; there are [0, 1]", None),
        ("a.png: cannot identify image file. Giveaway", None),
    ],
)
def test_what_to_do_is_the_end_of_the_message(message: str, remedy: str | None) -> None:
    assert InputError(message).remedy == remedy


REMEDIES = [
    browser_job.AGAIN,
    *adb._REMEDIES.values(),
    *(line.format(**ssh_failures._names("pi@board")) for _, line in ssh_failures.KNOWN),
]


@pytest.mark.parametrize("text", REMEDIES)
def test_what_is_put_into_messages_says_what_to_do(text: str) -> None:
    assert InputError(f"something failed; nothing was written; {text}").remedy
    assert InputError(f"something failed; nothing was written. {text}").remedy


def test_every_kind_has_its_own_exit_code() -> None:
    assert {one.kind: one.exit_code for one in CLASSES} == {
        "bug": 1,
        "usage": 2,
        "infeasible-budget": 3,
        "input": 4,
        "device": 5,
        "noisy-measurement": 6,
    }
    assert len(CLASSES) == 6
