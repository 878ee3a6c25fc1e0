"""Every command's tables fit the terminal, with values as they are and as long as they get."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from bstsearch.cli import devices, evaluate, export, inspect, space
from bstsearch.cli.tables import Column, render
from bstsearch.profiles.profile import DeviceProfile
from bstsearch.profiles.profile_file import save_profile
from bstsearch.score import ACCURACY

Invoke = Callable[..., Any]
MakeProfile = Callable[..., DeviceProfile]

WIDTHS = [60, 70, 80, 100, 120]
GQA = ("binary", "open", "consistency", "validity", "plausibility")
LONGEST: dict[str, tuple[Sequence[Column], list[str]]] = {
    "space": (
        [*space.COLUMNS, Column("in the\nspace"), Column("pixel7\nestimated", "ms", is_number=True)],
        [
            "w3of4-d3of4",
            "198,765,432",
            "0.7500",
            "98,765,432,100",
            "1234.5678",
            "0.7500",
            "1234.5",
            "yes",
            "1234 (1234-5678)",
        ],
    ),
    "devices": (
        devices.COLUMNS,
        ["a-phone-with-a-long-name-2026", "Snapdragon 8 Gen 2 (SM..", "calibrated", "+-100%", "onnxruntime-web", "16"],
    ),
    "export": (
        export.columns("logits", ACCURACY, is_counted=True),
        ["model.int8.onnx", "1234567", "4e-05", "123,456", "100.00", "1234.5", "1000"],
    ),
    "eval": (
        evaluate.columns(ACCURACY, GQA, is_counted=True),
        ["w3of4-d3of4", "100.00", "99.50-100.00", "658,111.3", "658,111", *["100.00"] * 5],
    ),
    "import": (
        [Column("checkpoint"), Column("tensors", is_number=True), Column("parameters", is_number=True)],
        ["backbone.enc_list.0.mhatt.linear_v." * 4, "1234", "198,765,432"],
    ),
    "inspect": (
        inspect.GROUPS,
        [
            "text_config.hidden_size + text_config.num_attention_heads" * 2,
            "1024 + 8",
            "140",
            "1,1,1 and 2,1,1",
            "9e-16",
        ],
    ),
    "ask": ([Column("answer"), Column("probability", "%", is_number=True)], ["an answer " * 12, "99.93"]),
}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", LONGEST)
def test_the_longest_values_fit_and_what_matters_is_there(name: str, width: int) -> None:
    columns, row = LONGEST[name]
    lines = render(columns, [row], None, width).splitlines()
    assert max(map(len, lines)) <= width
    needed = [cell for column, cell in zip(columns, row, strict=True) if not column.rank and len(cell) < 30]
    assert all(cell in "\n".join(lines) for cell in needed)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "args",
    [
        ["space", "--supernet", "NET"],
        ["space", "--supernet", "NET", "--all"],
        ["profile", "--supernet", "NET", "--device", "local", "--profiles", "made"],
        ["profile", "--supernet", "NET", "--device", "a-phone-with-a-long-name-2026", "--profiles", "made"],
        ["devices"],
        ["devices", "--profiles", "made"],
        ["devices", "show", "pixel7"],
    ],
    ids=" ".join,
)
def test_what_commands_show_fits(
    args: list[str],
    width: int,
    invoke: Invoke,
    tiny_folder: Path,
    make_profile: MakeProfile,
    make_estimated: MakeProfile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The two lines that say what a profile is, and the fixed part of a space, are prose."""
    monkeypatch.setenv("COLUMNS", str(width))
    save_profile(make_profile(tiny_folder), tmp_path / "made")
    save_profile(make_estimated(tiny_folder, device="a-phone-with-a-long-name-2026"), tmp_path / "made")
    result = invoke(*(str(tiny_folder) if word == "NET" else word for word in args))
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    prose = 2 if args[0] == "profile" else 0
    tail = [line for line in lines[prose:] if line.startswith("each of them")]
    too_wide = [line for line in lines[prose:] if len(line) > width and line not in tail and "http" not in line]
    assert too_wide == []
