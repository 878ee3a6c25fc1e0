"""The sizes of a configuration by name, those of nested ones too: "settings.text_config.hidden_size" (no torch)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any


def size_of(config: Any, name: str) -> Any:
    """The value of that name; dots lead from a field that holds a mapping to what is in it.

    >>> size_of({"text": {"hidden": 8}}, "text.hidden")
    8
    """
    value = config
    for word in name.split("."):
        value = value[word] if isinstance(value, Mapping) else getattr(value, word)
    return value


def resized(config: Any, sizes: Mapping[str, Any]) -> Any:
    """`config` with other values under these names; what it shares with the old one stays as it is.

    >>> resized({"text": {"hidden": 8, "layers": 2}, "labels": 3}, {"text.hidden": 4})
    {'text': {'hidden': 4, 'layers': 2}, 'labels': 3}
    """
    changes: dict[str, Any] = {}
    for name, size in sizes.items():
        word, _, rest = name.partition(".")
        changes[word] = resized(changes.get(word, size_of(config, word)), {rest: size}) if rest else size
    # All at once: a configuration may refuse some of them without the others.
    return {**config, **changes} if isinstance(config, Mapping) else dataclasses.replace(config, **changes)


def all_sizes(config: Any) -> dict[str, Any]:
    """Every value by its name, those in nested mappings included.

    >>> all_sizes({"text": {"hidden": 8}, "labels": 3})
    {'text.hidden': 8, 'labels': 3}
    """
    return dict(_walk(config, ""))


def _walk(config: Any, before: str) -> Iterator[tuple[str, Any]]:
    names = config if isinstance(config, Mapping) else [field.name for field in dataclasses.fields(config)]
    for name in names:
        value = size_of(config, name)
        if isinstance(value, Mapping):
            yield from _walk(value, f"{before}{name}.")
        else:
            yield before + name, value
