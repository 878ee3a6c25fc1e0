"""A preset as the folder of a supernet that is not trained yet (no torch, but where sizes or the space are others)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bstsearch.model.cost_table import shipped_preset
from bstsearch.model.supernet_folder import SupernetFolder
from bstsearch.reading import parsing
from bstsearch.space import Space
from bstsearch.space_names import TRAINED, named_space


def preset_folder(preset: str, settings: Sequence[str] = (), space: str = TRAINED) -> SupernetFolder:
    """What the folder of a supernet of that preset says; `space` is made from BST's, since nothing is trained.

    InputError where there is no such preset, or where a share of a size is no whole number.

    >>> preset_folder("mcan-vqa-v2", space="elastic").space.size
    1132527647596800
    """
    folder = (None if settings else shipped_preset(preset)) or _changed(preset, settings)
    wanted = named_space(space, folder.space)
    if wanted != folder.space:
        with parsing(space):
            _check(folder, wanted)
    return dataclasses.replace(folder, space=wanted)


def _changed(preset: str, settings: Sequence[str]) -> SupernetFolder:
    from bstsearch.model.config import changed, config_to_json
    from bstsearch.model.lookup import get_preset

    family, config = get_preset(preset)
    config = changed(family, config, settings)
    plain = msgspec.to_builtins(config_to_json(config))
    return SupernetFolder(path=Path(preset), family=family.name, config=plain, space=family.space(config))


def _check(folder: SupernetFolder, space: Space) -> None:
    from bstsearch.model.lookup import restored

    family, config = restored(folder.family, folder.config)
    family.check(config, space)
