"""Data sets with their losses and metrics, one file each; here they are found by name, and opened for a model's folder.

Nothing here loads torch before a task is asked for.
"""

from __future__ import annotations

import inspect
import shlex
import typing
from pathlib import Path

import msgspec

from bstsearch import doors
from bstsearch.errors import InputError, UsageError
from bstsearch.reading import Line, no_folder, parsing, read_format, shown
from bstsearch.score import ACCURACY, Metric
from bstsearch.writing import write_json

if typing.TYPE_CHECKING:
    from bstsearch.tasks.task import Split, Task

SPLITS = ("train", "validation", "test")
# Of this package's tasks, those that need --data-dir; so no class is loaded for a hint.
ON_DISK = ("gqa", "image-classification", "text-classification", "vqa-v2")
TEXT = "text"  # the task of a file or folder of texts, which is named in place of a data set
NEXT_TOKEN = "next-token"  # that of the same for a model that writes text
FILE = "task.json"  # in a folder, which task its model was trained for, where vocabulary.json does not say it
FORMAT = 1


def get_task(data: str | type[Task]) -> type[Task]:
    """The task of that name, or of `path/file.py:NAME`, or the one given; InputError where it is no task."""
    from bstsearch.tasks.task import Task

    found = doors.get("task", doors.admit("task", data)) if isinstance(data, str) else data
    if not (isinstance(found, type) and issubclass(found, Task)):
        raise InputError(f"{data!r} is no task, but {found!r}; make it a subclass of bstsearch.tasks.task.Task")
    if inspect.isabstract(found):
        lacking = ", ".join(sorted(found.__abstractmethods__))
        raise InputError(f"the task {found.name} lacks {lacking}; write what bstsearch.tasks.task.Task says of it")
    if found.name not in doors.names("task") or doors.get("task", found.name) is not found:
        doors.admit_object("task", found)
    return found


def data_of_preset(preset: str) -> str | None:
    """The task that a preset is named after, if it is.

    >>> data_of_preset("mcan-easy-vqa"), data_of_preset("uniter-base")
    ('easy-vqa', None)
    """
    return next((name for name in doors.names("task") if preset.endswith(f"-{name}")), None)


def located(
    data: str | type[Task] | None, folder: Path | None, model: Path | None = None
) -> tuple[str | type[Task] | None, Path | None]:
    """The data set that the user named, and the folder of its files; a file or folder in place of a name is text.

    What is asked of a text, the model in the folder `model` says: a vector, or the next token.
    """
    if not isinstance(data, str) or doors.is_file(data) or data in doors.names("task") or not Path(data).exists():
        return data, folder
    if folder is not None:
        raise UsageError(f"--data {shown(data)} says already where the text is; leave out --data-dir")
    return NEXT_TOKEN if model is not None and _writes_text(model) else TEXT, Path(data)


def _writes_text(folder: Path) -> bool:
    """Whether the model in `folder` computes a text token by token."""
    from bstsearch.model.lookup import restored
    from bstsearch.model.supernet_folder import CONFIG, read_folder

    on_disk = read_folder(folder)
    with parsing(folder / CONFIG):
        family, config = restored(on_disk.family, on_disk.config)
        return "decode" in family.phases(config)


def check_folder(task: type[Task], folder: Path | None) -> None:
    """Passes where the task's data may be read from `folder`; UsageError where they come with a package."""
    if task.is_packaged and folder is not None:
        raise UsageError(f"{task.name} comes with its package and is read from no folder; leave out --data-dir")


def needed_folder(data: str, folder: Path | None) -> Path:
    """`folder`, from which the data set is read; UsageError where it is None, InputError where it does not exist."""
    if folder is None:
        raise UsageError(f"{data} is read from your disk; say where with --data-dir DIR")
    if not folder.is_dir():
        raise InputError(f"{no_folder(folder)}; give the folder that holds {data}'s files")
    return folder


def save_task(task: Task, folder: Path) -> None:
    """Writes into a model's folder what `open_task` needs to open the task again."""
    from bstsearch.tasks.vocabulary import FILE as VOCABULARY
    from bstsearch.tasks.vqa import has_vocabulary

    for name in (FILE, VOCABULARY):  # another task's, where a folder is written again
        (folder / name).unlink(missing_ok=True)
    task.save(folder)
    typed = doors.typed("task", task.name)
    if typed is not None or task.metric != ACCURACY or not has_vocabulary(folder):
        metric = task.metric.to_json()
        write_json(folder / FILE, {"format": FORMAT, "name": task.name, "metric": metric, "from": typed})


def open_task(folder: Path, data: str | type[Task] | None = None, data_dir: Path | None = None) -> Task:
    """The task of the supernet or exported model in `folder`, or for it the one that `data` names.

    What the folder says is only looked up: code is run where it is installed, or `data` names its file. InputError
    where the folder names no task, or one that is not known here.
    """
    data, data_dir = located(data, data_dir, folder)
    task = get_task(data or _known(folder))
    check_folder(task, data_dir)
    return task.load(folder, data_dir)


def load_split(
    folder: Path, split: str, *, data: str | type[Task] | None = None, data_dir: Path | None = None
) -> Split:
    """The "train", "validation" or "test" part of the data that the model in `folder` was trained for, or of `data`."""
    return split_for(folder, open_task(folder, data, data_dir), split)


def split_for(folder: Path, task: Task, split: str) -> Split:
    """That part of the task's data, as the model in `folder` reads it; InputError where it has not the data's sizes."""
    from bstsearch.model.lookup import restored
    from bstsearch.model.supernet_folder import CONFIG, read_folder
    from bstsearch.tasks.fitting import check_fits

    if split not in SPLITS:
        raise UsageError(f"unknown split {shown(split)}; there are {', '.join(SPLITS)}")
    on_disk = read_folder(folder)
    with parsing(folder / CONFIG):
        family, config = restored(on_disk.family, on_disk.config)
        reader = family.reader(config, folder)
    check_fits(family, config, task, folder)
    return task.split(split, reader)


def read_metric(folder: Path, data: str | type[Task] | None = None) -> Metric:
    """What kind of number the scores of that task are; no code is run for what the folder says."""
    if data is not None:
        return get_task(located(data, None, folder)[0] or data).metric
    return read_format(folder / FILE, _Written, FORMAT).metric if (folder / FILE).exists() else ACCURACY


def trained_for(folder: Path) -> str | None:
    """The name of the task that the model in `folder` was trained for; None where it does not say."""
    return _remembered(folder)[0]


class _Written(msgspec.Struct):
    """What is in a `task.json`, beside its format."""

    name: Line
    metric: Metric = ACCURACY
    typed: Line | None = msgspec.field(default=None, name="from")


def _remembered(folder: Path) -> tuple[str | None, str | None]:
    """That name, and the `path/file.py:NAME` that it came from."""
    from bstsearch.tasks.vocabulary import Vocabulary
    from bstsearch.tasks.vqa import has_vocabulary

    if (folder / FILE).exists():
        found = read_format(folder / FILE, _Written, FORMAT)
        return found.name, found.typed
    return (Vocabulary.load(folder).data if has_vocabulary(folder) else None), None


def _known(folder: Path) -> str:
    """The name of that task, which must be known here."""
    name, typed = _remembered(folder)
    if name is None:
        raise InputError(f"{folder} does not say what data it is for; name them with --data NAME or FILE.py:NAME")
    if name not in doors.names("task"):
        where = shlex.quote(str(typed)) if typed else "FILE.py:NAME"
        raise InputError(
            f"{folder} is for the data set {shown(name)}, which is not known here; name it with --data {where}"
        )
    return name
