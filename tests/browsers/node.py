"""Node, which runs the scripts of pages and of the documentation."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

NODE = shutil.which("node")


def run_module(program: str, given: Any, folder: Path | None = None) -> Any:
    """What `program`, an ES module in which `given` is defined, hands to the function `tell`, as JSON."""
    text = (
        'import { readFileSync } from "node:fs"; const given = JSON.parse(readFileSync(0, "utf8"));'
        f"const tell = (value) => process.stdout.write(JSON.stringify(value)); {program}"
    )
    command = [NODE or "node", "--input-type=module", "--eval", text]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
