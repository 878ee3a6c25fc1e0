from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bstsearch.exporting import elastic
from bstsearch.exporting.elastic import export_elastic
from bstsearch.listener import Listener
from bstsearch.profiles.latency import Latency
from bstsearch.profiles.profile_file import save_profile
from bstsearch.searching.pick import Pick, read_rows
from bstsearch.space import Submodel

Latencies = Mapping[str, Mapping[str, Latency]]
Export = Callable[[], tuple[Latencies, list[str]]]


class Notes(Listener):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def export(easy_front: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Export:
    """What `export_elastic` hands on as latencies, and what it notes; no bundle is written."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BSTSEARCH_PROFILES", raising=False)

    def run() -> tuple[Latencies, list[str]]:
        found: list[Latencies] = []

        def write(picks: list[Pick], out: Path, latencies: Latencies, **others: object) -> dict[str, Any]:
            found.append(latencies)
            return {}

        monkeypatch.setattr("bstsearch.exporting.bundle.write_bundle", write)
        listener = Notes()
        export_elastic(front=easy_front, out="out", listener=listener)
        return found[0], listener.lines

    return run


def test_latencies_are_the_front_s_and_those_of_devices_that_ran_the_model(
    export: Export, make_profile: Any, make_estimated: Any, yes_folder: Path, tiny_folder: Path
) -> None:
    for device, folder in (("local", yes_folder), ("phone", yes_folder), ("stranger", tiny_folder)):
        save_profile(make_profile(folder, device), Path("profiles"))
    save_profile(make_estimated(yes_folder, "guessed"), Path("profiles"))
    latencies, notes = export()
    assert [list(one) for one in latencies.values()] == [["local", "phone"]] * 2
    assert latencies["w1of2-d1of2"]["local"].ms == 0.5  # the front's, not the profile's
    assert latencies["w1of2-d1of2"]["phone"].ms == pytest.approx(0.45)
    assert [line for line in notes if line.startswith("left out")] == []


def test_a_device_that_lacks_a_row_is_left_out_of_all_and_named(
    export: Export, make_profile: Any, yes_folder: Path
) -> None:
    save_profile(make_profile(yes_folder, "phone"), Path("profiles"))
    path = save_profile(make_profile(yes_folder, "tablet"), Path("profiles"))
    data = json.loads(path.read_text())
    (model,) = data["models"]
    model["submodels"] = [row for row in model["submodels"] if row["id"] != "w1of2-d1of2"]
    model["blocks"] = [one for one in model["blocks"] if one["width"] != "1/2"]
    path.write_text(json.dumps(data))
    latencies, notes = export()
    assert [list(one) for one in latencies.values()] == [["local", "phone"]] * 2
    (line,) = (line for line in notes if line.startswith("left out"))
    assert line.startswith("left out latencies on tablet: device profile 'tablet' lacks the block 'base width 1/2' of ")


def test_a_device_that_was_not_measured_in_a_row_s_precision_is_left_out(
    export: Export, easy_front: Path, make_profile: Any, yes_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_profile(make_profile(yes_folder, "phone"), Path("profiles"))
    first, second = read_rows(easy_front)
    quantised = dataclasses.replace(second.candidate, submodel=Submodel.from_id("w1of2-d1of2-int8"))
    rows = [first, dataclasses.replace(second, candidate=quantised)]
    monkeypatch.setattr(elastic, "read_rows", lambda *_, **__: rows)
    latencies, notes = export()
    assert [list(one) for one in latencies.values()] == [["local"]] * 2
    assert notes[0].startswith("left out latencies on phone: device profile 'phone' holds no measurement of this model")


def test_a_damaged_profile_is_left_out_unless_it_is_the_front_s(export: Export) -> None:
    Path("profiles").mkdir()
    for device in ("local", "phone"):
        Path(f"profiles/{device}.json").write_text("{")
    latencies, notes = export()
    assert [list(one) for one in latencies.values()] == [["local"]] * 2
    assert notes[0].startswith("left out latencies on phone: profiles/phone.json: malformed ")
    assert len(notes) == 2
