"""What the page says of models that write text, command by command, on a tiny one."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import writer

from bstsearch.measuring import rounds

PAGE = (Path(__file__).parents[2] / "docs" / "transformers.md").read_text(encoding="utf-8")
SPACE = {"widths": ["1/2", "1"], "depths": ["1/2", "1"]}
FEWER = {
    "train": ("--steps", "3", "--batch-size", "8"),
    "profile": ("--threads", "1", "--space", "space.json"),
    "pareto": ("--space", "space.json"),
}


def commands(title: str) -> list[list[str]]:
    """The words of each command in the first block under that title."""
    block = re.search(rf"^## {title}$.*?^```sh$(.*?)^```$", PAGE, re.M | re.S)
    assert block is not None
    return [shlex.split(line, comments=True)[1:] for line in block[1].strip().split("\n")]


@pytest.mark.slow  # measures nine graphs
def test_a_model_that_writes_is_slimmed_by_what_the_page_says(
    invoke: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "ROUNDS", 5)
    monkeypatch.setattr(rounds, "PATIENCE_S", 2.0)
    writer.write_model(tmp_path / "gpt2")
    writer.write_lines(tmp_path / "texts.txt")
    (tmp_path / "space.json").write_text(json.dumps(SPACE))
    for words in commands("Models that generate"):
        result = invoke(*words, *FEWER.get(words[0], ()))
        assert result.exit_code == 0, f"{words}: {result.stderr}"
    front = json.loads((tmp_path / "front" / "front.json").read_text())
    assert front["objectives"] == ["accuracy", "decode", "prefill"]
    assert front["metric"]["name"] == "loss per token"
    assert all(0 < one["decode_low_ms"] <= one["decode_ms"] for one in front["candidates"])
    assert "decode" in (tmp_path / "front" / "front.html").read_text()
    assert (tmp_path / "small" / "generation_config.json").exists()
