"""Families and presets by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bstsearch import doors
from bstsearch.errors import InputError
from bstsearch.model.config import config_from_json
from bstsearch.model.family import Config, Family
from bstsearch.model.supernet_folder import read_folder


def family_names() -> list[str]:
    """The names of the families there are: this package's, installed ones, and those that the user named."""
    return doors.names("family")


def get_family(name: str) -> Family:
    """The family of that name ("clip-vil" is "clip_vil"); InputError lists the names there are."""
    plain = name.replace("-", "_")
    family = doors.get("family", plain if plain in family_names() else name)
    if not isinstance(family, Family):
        raise InputError(f"{name!r} is no family, but {family!r}; expected a bstsearch.model.family.Family")
    return family


def get_preset(name: str) -> tuple[Family, Config]:
    """The named configuration and its family, or those of a supernet's folder; InputError lists the presets there are.

    >>> family, config = get_preset("mcan-vqa-v2")
    >>> family.name, config.answers
    ('mcan', 3129)
    """
    families = [get_family(family) for family in family_names()]
    for family in families:
        if name in family.presets:
            return family, family.presets[name]
    if Path(name).is_dir():
        folder = read_folder(Path(name))
        return restored(folder.family, folder.config)
    known = ", ".join(preset for family in families for preset in family.presets)
    raise InputError(f"unknown preset {name!r}; this version knows {known}")


def restored(name: str, data: Mapping[str, Any]) -> tuple[Family, Config]:
    """The family of that name and the config that `config_to_json` wrote of it; InputError where either is unknown."""
    family = get_family(name)
    return family, config_from_json(family.config, data)
