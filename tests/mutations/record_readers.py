"""Readers of device profiles, interrupted measurements and what commands remember."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import conftest
from model_readers import make_supernet
from reader import Reader

from bstsearch.cli.remembered import recall
from bstsearch.measuring.driver import Run
from bstsearch.measuring.journal import Journal
from bstsearch.model.supernet_folder import read_folder
from bstsearch.profiles.profile_file import load_profile
from bstsearch.space import Space
from bstsearch.space_names import named_space

PROFILES = Path(__file__).parents[2] / "profiles"
JOURNAL: dict[str, Any] = {"architecture": "a" * 16, "seed": 0}


def make_profiles(folder: Path) -> None:
    shutil.copy(PROFILES / "pixel7.json", folder)
    net = make_supernet(folder / "net")
    data = json.loads((PROFILES / "x86-xeon-2core.json").read_text())
    data["models"] = [conftest._measured(read_folder(net))]
    (folder / "x86-xeon-2core.json").write_text(json.dumps(data))


def make_journal(folder: Path) -> None:
    Journal(path=folder / "rounds", origin=JOURNAL).add({"w1-d1": [(Run(1.0, 0.75, 2), Run(1.25)), (Run(1.5),)]})


def make_space(folder: Path) -> None:
    (folder / "half.json").write_text(json.dumps({"widths": ["1/4", "1/2"], "has_own_depths": False}))


def make_remembered(folder: Path) -> None:
    data = {"format": 1, "device": "pixel7", "profiles": "p", "supernet": None, "front": "front/front.json"}
    (folder / ".bstsearch.json").write_text(json.dumps(data))


RECORDS = (
    Reader(
        name="profiles",
        make=make_profiles,
        read=lambda folder: [load_profile(folder / f"{name}.json") for name in ("pixel7", "x86-xeon-2core")],
        files={"pixel7.json": "json", "x86-xeon-2core.json": "json"},
    ),
    Reader(
        name="journal",
        make=make_journal,
        read=lambda folder: Journal(path=folder / "rounds", origin=JOURNAL).load(),
        files={"rounds": "json lines"},
    ),
    Reader(
        name="space",
        make=make_space,
        read=lambda folder: named_space(str(folder / "half.json"), Space.bst(stacks=(4, 4))),
        files={"half.json": "json"},
    ),
    Reader(
        name="remembered",
        make=make_remembered,
        read=lambda _: recall(),
        files={".bstsearch.json": "json"},
        is_relative=True,
    ),
)
