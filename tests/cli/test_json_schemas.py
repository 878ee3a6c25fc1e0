from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import easy_vqa
import pytest
import torch
import transformers
from checkpoints import weights
from classes import TEXT
from jsonschema import Draft202012Validator
from schemas import SCHEMAS, validator
from typer.testing import CliRunner

from bstsearch.cli.app import app
from bstsearch.families.mcan import FAMILY
from bstsearch.profiles.profile_file import save_profile
from bstsearch.tasks.easy_vqa import EasyVqa

OPTIONAL = {
    "validation",
    "test",
    "order",
    "data_folder",
    "data_set",
}  # see docs/json_schemas.py

# What is run for each schema, one after the other, in a folder with the supernet `net` and two profiles of it.
COMMANDS = {
    "space": "space --supernet net --device local --budget-ms 1",
    "inspect": "inspect stock",
    "import-stock": "import --checkpoint stock --out stock-net",
    "export-stock": "export --stock stock-net --pick w1of2-d1of2 --out stock-small",
    "import": "import --family uniter --checkpoint model.pt --heads 4 --out imported",
    "train": "train --teacher-epochs 1 --epochs 1 --batch-size 24 --threads 1 --device cpu --out trained",
    "profile": "profile --supernet net",
    "pareto": "pareto --supernet net",
    "pareto-fronts": "pareto --supernet net --device local,phone --out fronts",
    "worker": "worker --supernet net --storage front/study.db",
    "export": "export --pick 1 --out exported --precision int8",
    "export-elastic": "export --elastic --pick 1 --out elastic",
    "export-web": "export --web page --bundle elastic --ort-web ort",
    "eval": "eval --model exported",
    "ask": "ask red? --image picture.png --model exported",
    "serve": "serve elastic --port 0",
    "devices": "devices",
    "devices-show": "devices show phone",
    "devices-validate": "devices validate profiles/phone.json",
    "error": "eval --model nowhere",
}


@pytest.fixture(scope="module")
def printed(
    yes_folder: Path,
    make_profile: Any,
    make_estimated: Any,
    tiny_easy_config: Any,
    runtime_folder: Path,
    tmp_path_factory: Any,
) -> dict[str, Any]:
    """What each command prints with --json, by the name of its schema."""
    folder, whole = tmp_path_factory.mktemp("json"), EasyVqa.split
    (folder / "net").symlink_to(yes_folder)
    (folder / "ort").symlink_to(runtime_folder)
    (folder / "picture.png").symlink_to(easy_vqa.get_test_image_paths()[0])
    torch.save(weights("uniter"), folder / "model.pt")
    transformers.BertModel(transformers.BertConfig(**TEXT)).save_pretrained(folder / "stock")
    save_profile(make_profile(yes_folder), folder / "profiles")
    save_profile(make_estimated(yes_folder), folder / "profiles")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("BSTSEARCH_PROFILES", raising=False)
        patch.setattr(EasyVqa, "split", lambda self, name, reader: whole(self, name, reader).head(24))
        patch.setattr("bstsearch.serving.server.OpenServer.run", lambda server: server.socket.close())
        patch.setitem(FAMILY.presets, "mcan-easy-vqa", tiny_easy_config)
        return {name: json.loads(run(command).stdout) for name, command in COMMANDS.items()}


def run(command: str) -> Any:
    return CliRunner().invoke(app, [*command.split(), "--json"])


def damaged(data: Any, path: str = "") -> Iterator[str]:
    """Damages `data` in place, names the damage, and repairs it before the next: every field of every kind once."""
    fields = enumerate(data[:1]) if isinstance(data, list) else list(data.items()) if isinstance(data, dict) else ()
    for key, value in fields:
        if isinstance(value, list | dict) and value:
            yield from damaged(value, f"{path}/{key}")
        data[key] = [{"not": "this"}]
        yield f"{path}/{key} replaced"
        data[key] = value
    if isinstance(data, dict):
        data["unheard of"] = [[]]
        yield f"{path} with another field"
        del data["unheard of"]


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.stem)
def test_a_schema_is_one_and_tells_what_was_printed_from_anything_else(path: Path, printed: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(json.loads(path.read_text()))
    schema, data = validator(path), printed[path.stem]
    schema.validate(data)
    assert [damage for damage in damaged(data) if schema.is_valid(data)] == []
    required = [key for key in data if key not in OPTIONAL]
    assert [key for key in required if schema.is_valid({k: v for k, v in data.items() if k != key})] == []
    assert not schema.is_valid([data])


def test_every_schema_is_tried() -> None:
    assert {path.stem for path in SCHEMAS} == set(COMMANDS)


def test_no_output_of_one_verb_passes_for_another_s(printed: dict[str, Any]) -> None:
    passing = {
        path.stem: {name for name, data in printed.items() if validator(path).is_valid(data)} for path in SCHEMAS
    }
    assert passing == {path.stem: {path.stem} for path in SCHEMAS}
