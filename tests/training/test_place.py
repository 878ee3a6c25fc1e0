"""Where a supernet is trained, and how it comes to its place; whole trainings are tests/cli/test_crashes.py's."""

from __future__ import annotations

from pathlib import Path

import pytest

from bstsearch.errors import InputError, UsageError
from bstsearch.training.kept import CHECKPOINT
from bstsearch.training.place import check_place, finishing, make_room, work_folder

TEACHER, SANDWICH = f"teacher-{CHECKPOINT}", f"sandwich-{CHECKPOINT}"


def fill(folder: Path, **texts: str) -> Path:
    """Writes these files, with "/" for "__" and "." for "_" in their names."""
    for name, text in texts.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def stop(_folder: Path) -> None:
    raise KeyboardInterrupt


def finished(folder: Path) -> Path:
    return fill(folder, config_json="old", training__log_csv="old", notes_md="mine")


def test_a_new_place_and_one_of_a_training_that_was_cut_off_are_free(tmp_path: Path) -> None:
    for is_forced in (False, True):
        check_place(tmp_path / "new", is_forced=is_forced)
        check_place(fill(tmp_path / "begun", training__log_csv=""), is_forced=is_forced)
    ended = finished(tmp_path / "between its end and the removal of its checkpoints")
    (ended / "training" / SANDWICH).write_text("")
    check_place(ended, is_forced=False)


def test_a_finished_supernet_is_replaced_by_force_and_what_is_somebody_elses_is_not(tmp_path: Path) -> None:
    out = finished(tmp_path / "out")
    with pytest.raises(UsageError, match="out exists; give --force to replace it"):
        check_place(out, is_forced=False)
    check_place(out, is_forced=True)
    with pytest.raises(UsageError, match="holds no training, so it is not ours to replace"):
        check_place(fill(tmp_path / "foreign", notes_md="mine"), is_forced=True)


def test_what_lies_where_the_successor_would_be_made_is_not_touched(tmp_path: Path) -> None:
    out = finished(tmp_path / "out")
    fill(tmp_path / "out.new", notes_md="mine")
    with pytest.raises(UsageError, match=r"out\.new holds no training"):
        check_place(out, is_forced=True)
    finished(tmp_path / "out.new")
    with pytest.raises(UsageError, match=r"out\.new is a supernet, so none can be made there for .*out; give another"):
        check_place(out, is_forced=True)


def test_a_successor_is_made_beside_what_is_finished(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert work_folder(out, is_forced=True) == out / "training"
    finished(out)
    assert work_folder(out, is_forced=False) == out / "training"
    assert work_folder(out, is_forced=True) == tmp_path / "out.new" / "training"


def test_a_checkpoint_that_cannot_be_gone_on_from_goes_by_force_only(tmp_path: Path) -> None:
    work = fill(tmp_path / "training", log_csv="")
    make_room(work, {}, is_forced=False)
    (work / TEACHER).write_text("damaged")
    with pytest.raises(InputError, match=TEACHER):
        make_room(work, {}, is_forced=False)
    assert names(work) == ["log.csv", TEACHER]
    make_room(work, {}, is_forced=True)
    assert not list(tmp_path.iterdir())


def test_where_it_was_trained_a_supernet_gets_its_files_and_loses_its_checkpoints(tmp_path: Path) -> None:
    out = fill(tmp_path / "out", training__log_csv="log", notes_md="mine")
    for name in (TEACHER, SANDWICH):
        (out / "training" / name).write_text("")
    with finishing(out, out / "training") as folder:
        fill(folder, config_json="new")
        assert not (out / "config.json").exists()
    assert names(out) == ["config.json", "notes.md", "training", "training/log.csv"]


def test_a_successor_takes_the_place_with_its_logs_and_keeps_what_is_somebody_elses(tmp_path: Path) -> None:
    out, work = finished(tmp_path / "out"), fill(tmp_path / "out.new", training__log_csv="new") / "training"
    (work / SANDWICH).write_text("")
    with finishing(out, work) as folder:
        fill(folder, config_json="new")
        assert (out / "config.json").read_text() == "old"
    assert names(tmp_path) == ["out", *(f"out/{name}" for name in names(out))]
    assert names(out) == ["config.json", "notes.md", "training", "training/log.csv"]
    assert [(out / name).read_text() for name in ("config.json", "training/log.csv")] == ["new", "new"]


def test_a_successor_that_fails_at_its_end_leaves_both(tmp_path: Path) -> None:
    out, work = finished(tmp_path / "out"), fill(tmp_path / "out.new", training__log_csv="new") / "training"
    with pytest.raises(KeyboardInterrupt), finishing(out, work) as folder:
        stop(fill(folder, config_json="half"))
    assert (out / "config.json").read_text() == "old"
    assert names(tmp_path / "out.new") == ["training", "training/log.csv"]
