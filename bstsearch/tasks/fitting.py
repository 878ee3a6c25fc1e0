"""A model's configuration held against the data that it is for: sizes, and what its outputs stand for."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from bstsearch.errors import InputError
from bstsearch.model.family import Config, Family
from bstsearch.tasks.task import Task


def fitted(family: Family, config: Config, task: Task) -> Config:
    """The configuration with the sizes and classes of the data; InputError where they are not to be changed.

    Data from the user's disk come as they are, and so do their numbers of words and answers. A data set in a package
    is always the same: there another size is a mistake.
    """
    other = task.other_sizes(config)
    if other and task.is_packaged:
        name, size = next(iter(other.items()))
        raise InputError(
            f"the preset has {name}={getattr(config, name)}, but {task.name} has {size}; "
            f"choose a preset that is named after {task.name}"
        )
    return family.with_classes(dataclasses.replace(config, **other), task.classes)


def check_fits(family: Family, config: Config, task: Task, folder: Path) -> None:
    """Passes where the model in `folder`, which is trained, has the data's sizes and classes; else InputError."""
    what = "name the data that it was trained on with --data"
    if other := task.other_sizes(config):
        name, size = next(iter(other.items()))
        raise InputError(f"{folder} has {name}={getattr(config, name)}, but {task.name} has {size}; {what}")
    try:
        family.check_classes(config, task.classes)
    except InputError as error:
        raise InputError(f"{folder} is not for {task.name}: {error}; {what}") from None
