"""A family in a file of the user's own, through the command line, without touching the package."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bstsearch import doors
from bstsearch.errors import InputError
from bstsearch.model.supernet import Supernet
from bstsearch.model.supernet_folder import DEMO, read_folder
from bstsearch.searching.known_costs import KnownCosts, cache_file
from bstsearch.space import Submodel

Invoke = Callable[..., Any]

PRESET = 'PRESETS = {"toy-tiny": ToyConfig()}\nFAMILY = dataclasses.replace(FAMILY, presets=PRESETS)\nother = 1\n'


@pytest.fixture
def family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The toy family as a file of its own, with a preset; what it makes known is forgotten afterwards."""
    monkeypatch.setattr(doors, "_admitted", {})
    path = tmp_path / "mine.py"
    path.write_text(Path(__file__).with_name("toy.py").read_text() + "\n" + PRESET)
    return f"{path}:FAMILY"


@pytest.fixture
def supernet(family: str, tmp_path: Path) -> Path:
    """A supernet of it with random weights, as somebody else may have sent it: nothing is known of its family."""
    folder = tmp_path / "net"
    folder.mkdir()
    found = doors.get("family", doors.admit("family", family))
    Supernet(found, dataclasses.replace(found.presets["toy-tiny"], ffn=(20,) * 4)).save(folder)
    doors._admitted.clear()
    return folder


def test_its_preset_is_found_and_counted(family: str, invoke: Invoke) -> None:
    done = invoke("space", "--family", family, "--preset", "toy-tiny", "--json")
    assert done.exit_code == 0, done.stderr
    assert len(json.loads(done.stdout)["submodels"]) == 10


def test_its_counts_are_not_kept_for_its_code_may_change(family: str, supernet: Path) -> None:
    doors.admit("family", family)
    costs = KnownCosts(read_folder(supernet))
    costs.cost(Submodel())
    assert not cache_file(read_folder(supernet)).exists()


def test_its_supernet_gets_latencies_of_an_estimated_profile(
    family: str, supernet: Path, invoke: Invoke, make_estimated: Callable[..., Any], tmp_path: Path
) -> None:
    profile = json.dumps(make_estimated(DEMO).to_json())
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "phone.json").write_text(profile)
    done = invoke("space", "--family", family, "--supernet", supernet, "--device", "phone", "--json")
    assert done.exit_code == 0, done.stderr
    assert len(json.loads(done.stdout)["submodels"]) == 10


@pytest.mark.parametrize("verb", ["space", "profile --measure"])
def test_a_folder_that_names_an_unknown_family_runs_nothing(verb: str, supernet: Path, invoke: Invoke) -> None:
    config = supernet / "config.json"
    config.write_text(config.read_text().replace('"vocab": 11', '"vocab": 12'))  # of which nothing was counted before
    done = invoke(*verb.split(), "--supernet", supernet)
    assert done.exit_code == 4
    assert "unknown family 'toy'; known are clip_vil, hugging_face, mcan, uniter; install its package" in done.stderr
    assert "name its file by --family FILE.py:NAME" in " ".join(done.stderr.split())


def test_what_is_no_family_is_refused(family: str, invoke: Invoke) -> None:
    file = family.rpartition(":")[0]
    done = invoke("space", "--family", f"{file}:ToyConfig", "--preset", "toy-tiny")
    assert done.exit_code == 2
    assert "has no name; give it one" in done.stderr
    done = invoke("space", "--family", f"{file}:missing", "--json")
    assert (done.exit_code, json.loads(done.stdout)["error"]["kind"]) == (4, "input")


def test_an_object_that_has_a_name_but_is_no_family_is_refused(tmp_path: Path, family: str, invoke: Invoke) -> None:
    (tmp_path / "thing.py").write_text("from types import SimpleNamespace\nthing = SimpleNamespace(name='thing')\n")
    done = invoke("space", "--family", f"{tmp_path / 'thing.py'}:thing")
    assert done.exit_code == 4
    assert "'thing' is no family" in done.stderr


def test_every_verb_that_reads_a_supernet_takes_it(invoke: Invoke) -> None:
    for verb in ("train", "space", "profile", "pareto", "export", "eval", "ask"):
        assert "--family" in invoke(verb, "--help").stdout, verb


def test_a_saved_supernet_loads_once_its_family_is_known(family: str, supernet: Path) -> None:
    with pytest.raises(InputError, match="unknown family 'toy'"):
        Supernet.load(supernet)
    doors.admit("family", family)
    assert Supernet.load(shutil.copytree(supernet, supernet.with_name("copy"))).family.name == "toy"
