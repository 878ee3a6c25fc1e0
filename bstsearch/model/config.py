"""A configuration as plain data, and with fields changed by the user."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from bstsearch.errors import InputError, UsageError
from bstsearch.model.family import Config, Family
from bstsearch.model.supernet_folder import check_sizes
from bstsearch.reading import checked, decoded, shown

LATER = "later"  # the key in the metadata of such a field


def later(default: Any) -> Any:
    """A field of a config that came after folders were written; plain data leaves it out while it is at `default`.

    So an architecture's digest stays what it was: by it profiles and tables of costs know a model.
    """
    return dataclasses.field(default=default, metadata={LATER: True})


def config_to_json(config: Config) -> dict[str, Any]:
    """A config as plain data."""
    left_out = {field.name for field in dataclasses.fields(config) if LATER in field.metadata}
    left_out = {name for name in left_out if getattr(config, name) == getattr(type(config), name)}
    return {name: value for name, value in dataclasses.asdict(config).items() if name not in left_out}


def config_from_json(config_type: type[Any], data: Mapping[str, Any]) -> Config:
    """The config written by `config_to_json`; unknown, missing, ill-typed and impossible values raise InputError."""
    check_sizes(data, config_type.__name__)
    return checked(data, config_type, config_type.__name__)


def changed(family: Family, config: Config, settings: Sequence[str]) -> Config:
    """The config with fields replaced as in ["regions=36", "keep_order=[0, 1]"]; UsageError or InputError tell why not.

    >>> from bstsearch.model.lookup import get_preset
    >>> family, config = get_preset("uniter-base")
    >>> changed(family, config, ["regions=36"]).regions
    36
    """
    values: dict[str, Any] = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        try:
            values[name] = decoded(text, Any, name)
        except InputError:
            expected = "NAME=VALUE with a number, true, false or [list]"
            raise UsageError(f"--set takes {expected}, not {shown(setting)}") from None
    return config_from_json(family.config, {**config_to_json(config), **values})
