"""The documents say what the program does: every verb is there, every block runs."""

from __future__ import annotations

import doctest
import importlib.util
import json
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest

import bstsearch
from bstsearch.model.supernet_folder import DEMO

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def script(name: str) -> ModuleType:
    """The module docs/`name`.py."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where pydantic looks for the types of a model's fields
    spec.loader.exec_module(module)
    return module


cli_reference = script("cli_reference")
console_blocks = script("console_blocks")
json_schemas = script("json_schemas")
profile_schema = script("profile_schema")
run_notebook = script("run_notebook")
slimming_tables = script("slimming_tables")
VERBS = cli_reference.verbs()
COMMANDS = [command for block in console_blocks.BLOCK.findall(README) for command in console_blocks.commands(block)]


def test_the_reference_is_what_the_help_says() -> None:
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == cli_reference.reference(), "run 'make docs'"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_one_line_and_an_example(verb: str, invoke: Callable[..., Any]) -> None:
    help_text = invoke(*verb.split(), "--help").stdout
    usage, _, line, after = help_text.split("\n", 3)
    assert usage.startswith("Usage:")
    assert line.strip().endswith(".")
    assert after.startswith("\n"), f"the first paragraph of '{verb}' takes more than one line"
    assert re.search(rf"Examples?:\s+(\$ )?bstsearch {verb}\b", help_text)


def test_the_changelog_begins_with_this_version() -> None:
    version, date = re.findall(r"^## (\S+) \((.+)\)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)[0]
    assert bstsearch.__version__ == (f"{version}.dev0" if date == "unreleased" else version)


def test_no_line_of_the_command_list_is_cut(invoke: Callable[..., Any]) -> None:
    assert "..." not in invoke("--help").stdout.partition("Commands:")[2]


@pytest.mark.parametrize("verb", VERBS)
def test_the_examples_of_the_help_are_accepted(verb: str, invoke: Callable[..., Any]) -> None:
    """Each example names only options that the verb has."""
    text, _, options = invoke(*verb.split(), "--help").stdout.partition("Options:")
    examples = " ".join(re.split("Examples?:", text.partition("Arguments:")[0])[-1].split())
    known = set(re.findall(r"--[a-z0-9-]+", options))
    found = re.findall(rf"bstsearch {verb}(.*?)(?= bstsearch |$)", examples)
    assert found
    for example in found:
        assert {word for word in shlex.split(example) if word.startswith("--")} <= known


@pytest.mark.parametrize("command", COMMANDS)
def test_readme_commands_exist_and_take_their_options(command: str, invoke: Callable[..., Any]) -> None:
    program, verb, *arguments = shlex.split(command)
    assert (program, verb in VERBS) == ("bstsearch", True)
    known = set(re.findall(r"--[a-z0-9-]+", invoke(verb, "--help").stdout))
    assert {argument for argument in arguments if argument.startswith("--")} <= known


def _shell_lines() -> list[str]:
    """The lines that call bstsearch in the shell blocks of all documents, comments cut off."""
    documents = [ROOT / "README.md", ROOT / "profiles" / "README.md", *(ROOT / "docs").glob("*.md")]
    text = "\n".join(document.read_text(encoding="utf-8") for document in documents)
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    lines = [line.partition(" #")[0].strip() for block in blocks for line in block.splitlines()]
    return sorted({line for line in lines if line.startswith("bstsearch ")})


@pytest.mark.parametrize("line", _shell_lines())
def test_commands_of_the_documents_exist_and_take_their_options(line: str, invoke: Callable[..., Any]) -> None:
    _, *words = shlex.split(line)
    verb = next(name for name in sorted(VERBS, key=len, reverse=True) if words[: len(name.split())] == name.split())
    known = set(re.findall(r"--[a-z0-9-]+", invoke(*verb.split(), "--help").stdout))
    assert {word for word in words if word.startswith("--")} <= known


def test_readme_shows_every_verb_or_the_guide_does() -> None:
    guide = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
    assert all(f"bstsearch {verb}" in README + guide for verb in VERBS)


@pytest.mark.parametrize(
    "document", sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").glob("*.md")), ids=lambda path: path.name
)
def test_links_lead_to_files(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_file_map_names_every_file_and_no_other() -> None:
    (block,) = re.findall(r"^```text\nbstsearch/\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    lines = [line for line in block.splitlines() if line]
    inside = {line.split()[0].rstrip("/") for line in lines if line.startswith("  ")}
    beside = {line.split()[0] for line in lines if not line.startswith("  ")}
    package = {path.name for path in (ROOT / "bstsearch").iterdir() if not path.name.startswith("_")}
    assert inside == package - {"py.typed"}
    assert all((ROOT / name).is_dir() for name in beside)


@pytest.mark.skipif(not DEMO.exists(), reason="the demo supernet is not trained yet")
def test_the_python_example_runs() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert blocks
    runner = doctest.DocTestRunner()
    for block in blocks:
        runner.run(doctest.DocTestParser().get_doctest(block, {}, "README.md", str(ROOT / "README.md"), 0))
    assert runner.summarize().failed == 0


def test_the_schema_is_that_of_the_model() -> None:
    path = ROOT / "docs" / "device-profile.schema.json"
    assert path.read_text(encoding="utf-8") == profile_schema.schema(), "run 'make docs'"


@pytest.mark.parametrize("name", json_schemas.SCHEMAS)
def test_the_schemas_of_what_verbs_print_are_those_of_their_models(name: str) -> None:
    path = ROOT / "docs" / "schemas" / f"{name}.json"
    assert path.read_text(encoding="utf-8") == json_schemas.schema(name), "run 'make docs'"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_takes_json_and_has_a_schema(verb: str, invoke: Callable[..., Any]) -> None:
    assert "--json" in invoke(*verb.split(), "--help").stdout
    assert verb.replace(" ", "-") in json_schemas.SCHEMAS


def test_the_slimming_tables_are_what_was_measured() -> None:
    text = (ROOT / "docs" / "slimming.md").read_text(encoding="utf-8")
    assert "| `w1-d1` |" in text
    assert slimming_tables.rewritten(text) == text, "run 'make docs'"


@pytest.mark.slow
def test_the_published_counts_are_what_the_commands_print(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "published.md").read_text(encoding="utf-8")
    assert console_blocks.rewritten(text, lambda command: console_blocks.run(command, tmp_path)) == text, (
        "run 'make docs'"
    )


@pytest.mark.slow
def test_every_console_block_of_the_readme_runs(tmp_path: Path) -> None:
    console_blocks.prepare(tmp_path)
    for command in COMMANDS:
        try:
            console_blocks.run(command, tmp_path)
        except RuntimeError as error:
            if "ended with 6" in str(error):
                pytest.skip("this machine is too busy to be measured")
            raise


def test_rewriting_keeps_commands_and_replaces_output() -> None:
    text = "a\n```console\n$ one\nold\nolder\n$ two\n```\nb\n```sh\n$ three\n```\n"
    new = console_blocks.rewritten(text, lambda command: f"{command} ran\n")
    assert new == "a\n```console\n$ one\none ran\n$ two\ntwo ran\n```\nb\n```sh\n$ three\n```\n"


def test_the_readme_shows_what_the_notebook_runs() -> None:
    (job,) = re.findall(r"^```python\n(import bstsearch\n.*?)^```$", README, re.MULTILINE | re.DOTALL)
    cells = nbformat.read(run_notebook.NOTEBOOK, as_version=4).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    assert [line for line in job.splitlines() if line not in code] == []


@pytest.mark.slow
def test_the_notebook_runs_and_shows_what_it_showed(tmp_path: Path) -> None:
    kept = nbformat.read(run_notebook.NOTEBOOK, as_version=4)
    found = run_notebook.executed(run_notebook.NOTEBOOK, tmp_path)
    texts = [
        [_letters(json.dumps(cell.get("outputs"), sort_keys=True)) for cell in notebook.cells]
        for notebook in (kept, found)
    ]
    assert texts[0] == texts[1], "run 'make docs'"


def _letters(text: str) -> str:
    """`text` without its numbers, which another machine rounds otherwise."""
    return re.sub(r"[0-9.e+-]+", "#", text)
