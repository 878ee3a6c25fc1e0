"""A configuration as plain data, and with fields changed by the user."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from bstsearch.errors import InputError, UsageError
from bstsearch.model.family import Config, Family


def config_to_json(config: Config) -> dict[str, Any]:
    """A config as plain data."""
    return dataclasses.asdict(config)


def config_from_json(config_type: type[Any], data: Mapping[str, Any]) -> Config:
    """The config written by `config_to_json`; unknown, missing and ill-typed keys raise InputError."""
    if not isinstance(data, Mapping):
        raise InputError(f"a {config_type.__name__} is a JSON object, not {type(data).__name__}")
    fields = {field.name: field for field in dataclasses.fields(config_type)}
    required = {name for name, field in fields.items() if field.default is dataclasses.MISSING}
    if unknown := sorted(data.keys() - fields.keys()):
        raise InputError(f"{config_type.__name__} has no field {unknown[0]!r}; its fields: {', '.join(fields)}")
    if missing := sorted(required - data.keys()):
        raise InputError(f"{config_type.__name__} lacks the field {missing[0]!r}")
    hints = typing.get_type_hints(config_type)
    values = {name: _coerce(f"{config_type.__name__}.{name}", value, hints[name]) for name, value in data.items()}
    return config_type(**values)


def changed(family: Family, config: Config, settings: Sequence[str]) -> Config:
    """The config with fields replaced as in ["regions=36", "keep_order=[0, 1]"]; UsageError or InputError tell why not.

    >>> from bstsearch.model.lookup import get_preset
    >>> family, config = get_preset("uniter-base")
    >>> changed(family, config, ["regions=36"]).regions
    36
    """
    values: dict[str, Any] = {}
    for setting in settings:
        name, sign, text = setting.partition("=")
        try:
            values[name] = json.loads(text)
        except ValueError:
            sign = ""
        if not sign:
            raise UsageError(f"--set takes NAME=VALUE with a number, true, false or [list], not {setting!r}")
    return config_from_json(family.config, {**config_to_json(config), **values})


def _coerce(name: str, value: Any, hint: Any) -> Any:
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise InputError(f"{name} must be a list, not {value!r}")
        item = typing.get_args(hint)[0]
        return tuple(_coerce(name, entry, item) for entry in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        raise InputError(f"{name} must be of type {hint.__name__}, not {value!r}")
    if hint is int and value < 0:
        raise InputError(f"{name} must not be negative: {value}")
    return value
