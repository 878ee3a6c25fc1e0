"""Writes docs/device-profile.schema.json, the JSON Schema of a device profile: `make docs`."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from bstsearch.profiles.profile import DeviceProfile

TARGET = Path(__file__).parent / "device-profile.schema.json"


def schema() -> str:
    """The text of the schema file."""
    return json.dumps(msgspec.json.schema(DeviceProfile), indent=2) + "\n"


if __name__ == "__main__":
    TARGET.write_text(schema(), encoding="utf-8")
