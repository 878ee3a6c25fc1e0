"""docs/everywhere.md, followed word for word as far as it runs here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from node import NODE

from bstsearch.answering.bundle_folder import read_bundle
from bstsearch.exporting.page import write_page

PAGE = (Path(__file__).parents[2] / "docs" / "everywhere.md").read_text(encoding="utf-8")
PROGRAM = re.findall(r"^```js\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[1]
MODULES = Path(os.environ.get("BSTSEARCH_NODE_MODULES", "node_modules")).resolve()


@pytest.mark.slow
@pytest.mark.skipif(NODE is None, reason="there is no node on this computer")
@pytest.mark.skipif(not (MODULES / "onnxruntime-node").is_dir(), reason="there is no onnxruntime-node")
def test_its_program_answers_in_node(bundle_folder: Path, runtime_folder: Path, tmp_path: Path) -> None:
    write_page(read_bundle(bundle_folder), tmp_path / "site", runtime_folder)
    (tmp_path / "site" / "ask.mjs").write_text(PROGRAM)
    (tmp_path / "node_modules").symlink_to(MODULES)
    command = [NODE or "node", "site/ask.mjs", "w1of4-d1of4"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("'yes'") == 2


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node on this computer")
@pytest.mark.parametrize("program", re.findall(r"^```js\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
def test_its_programs_are_modules(program: str, tmp_path: Path) -> None:
    (tmp_path / "program.mjs").write_text(program)
    subprocess.run([NODE or "node", "--check", tmp_path / "program.mjs"], check=True, capture_output=True)
