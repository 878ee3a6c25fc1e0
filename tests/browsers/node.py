"""Node, which runs the scripts of pages and of the documentation."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

NODE = shutil.which("node")


def run_node(program: str, given: Any) -> str:
    """What `program` prints, an ES module in which `given` and `readFileSync` are defined."""
    text = f'import {{ readFileSync }} from "node:fs"; const given = JSON.parse(readFileSync(0, "utf8")); {program}'
    command = [NODE or "node", "--input-type=module", "--eval", text]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_module(program: str, given: Any) -> Any:
    """What such a program hands to the function `tell`, as JSON."""
    return json.loads(
        run_node(f"const tell = (value) => process.stdout.write(JSON.stringify(value)); {program}", given)
    )
