"""A model's configuration held against the data that it is for: sizes, and what its outputs stand for."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from bstsearch.errors import InputError
from bstsearch.model.family import Config, Family
from bstsearch.tasks.task import Task

OTHER = "name the data that it was trained on with --data"


def fitted(family: Family, config: Config, task: Task, teacher: Path | None = None) -> Config:
    """The configuration with the sizes and classes of the data; InputError where they are not to be changed.

    Data from the user's disk come as they are, and so do their numbers of words and answers. A data set in a package
    is always the same: there another size is a mistake. A model that a trained one in the folder `teacher` teaches has
    that one's classes.
    """
    other = task.other_sizes(config)
    if other and task.is_packaged:
        name, size = next(iter(other.items()))
        raise InputError(
            f"the preset has {name}={getattr(config, name)}, but {task.name} has {size}; "
            f"choose a preset that is named after {task.name}"
        )
    config = dataclasses.replace(config, **other)
    if teacher is None:
        return family.with_classes(config, task.classes)
    check_classes(family, config, task, teacher)
    return config


def check_classes(family: Family, config: Config, task: Task, folder: Path) -> None:
    """Passes where the outputs of the model in `folder`, which is trained, are the data's classes; else InputError."""
    try:
        family.check_classes(config, task.classes)
    except InputError as error:
        raise InputError(f"{folder} is not for {task.name}: {error}; {OTHER}") from None


def check_fits(family: Family, config: Config, task: Task, folder: Path) -> None:
    """Passes where the model in `folder`, which is trained, has the data's sizes and classes; else InputError."""
    if other := task.other_sizes(config):
        name, size = next(iter(other.items()))
        raise InputError(f"{folder} has {name}={getattr(config, name)}, but {task.name} has {size}; {OTHER}")
    check_classes(family, config, task, folder)
