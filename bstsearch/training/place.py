"""Where a supernet is trained: in its own folder, or beside a finished one, which stays until the new is complete."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bstsearch.errors import InputError, UsageError
from bstsearch.model.supernet_folder import CONFIG, OWN
from bstsearch.training.kept import CHECKPOINT, STAGES, Kept
from bstsearch.writing import check_free, discard, writing_folder, writing_together

WORK = "training"  # subfolder with checkpoints and logs
NEW = ".new"  # behind the folder's name: where its successor is made


def check_place(out: Path, *, is_forced: bool) -> None:
    """Passes where a supernet may be trained for `out`; else UsageError.

    It is free, holds an unfinished training, or with `is_forced` a finished one.
    """
    if not _is_unfinished(out):
        check_free(out, marker=WORK, is_forced=is_forced)
    beside = work_folder(out, is_forced=is_forced).parent
    if beside != out:
        if (beside / CONFIG).exists():
            raise UsageError(f"{beside} is a supernet, so none can be made there for {out}; give another --out")
        check_free(beside, marker=WORK, is_forced=True)


def work_folder(out: Path, *, is_forced: bool) -> Path:
    """The folder for checkpoints and logs: in `out`, or beside it where `out` is finished and to be replaced."""
    is_replaced = is_forced and (out / CONFIG).exists()
    return (out.with_name(out.name + NEW) if is_replaced else out) / WORK


def make_room(work: Path, made_by: Mapping[str, Any], *, is_forced: bool) -> None:
    """Passes where training can begin or go on in `work`; InputError where another one is kept there, or a damaged one.

    With `is_forced`, that one is removed.
    """
    try:
        for stage in STAGES:
            Kept(folder=work, stage=stage, made_by=made_by).read()
    except InputError:
        if not is_forced:
            raise
        discard(work)


@contextlib.contextmanager
def finishing(out: Path, work: Path) -> Iterator[Path]:
    """An empty folder for the files of the finished supernet, which are in `out` when the block ends: all, or none.

    Then the checkpoints in `work` go, and the logs are in `out`.
    """
    if work.parent == out:
        with writing_together(out, last=CONFIG) as folder:
            yield folder
        for stage in reversed(STAGES):  # so what is left without the last stage's is of no use
            (work / f"{stage}-{CHECKPOINT}").unlink(missing_ok=True)
        return
    with writing_folder(out, marker=WORK, own=OWN, is_forced=True) as folder:
        yield folder
        shutil.copytree(work, folder / WORK, ignore=shutil.ignore_patterns(f"*{CHECKPOINT}", ".*"))
    discard(work)
    with contextlib.suppress(OSError):  # somebody put something there
        work.parent.rmdir()


def _is_unfinished(out: Path) -> bool:
    """Whether `out` holds a training that was cut off, be it between its end and the removal of its checkpoints."""
    work = out / WORK
    return work.is_dir() and (not (out / CONFIG).exists() or (work / f"{STAGES[-1]}-{CHECKPOINT}").exists())
