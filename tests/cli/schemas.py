"""docs/schemas, and what holds printed JSON against one of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.request import url2pathname

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"
SCHEMAS = sorted(FOLDER.glob("*.json"))


def validator(path: Path) -> Draft202012Validator:
    """Checks objects against a schema and the files that it refers to."""

    def read(uri: str) -> Resource[Any]:
        return DRAFT202012.create_resource(json.loads(Path(url2pathname(uri.removeprefix("file://"))).read_text()))

    return Draft202012Validator({"$ref": path.as_uri()}, registry=Registry(retrieve=read))
