"""Studies in storages that machines share, by their names: opened by who searches, joined by who works."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import optuna

from bstsearch import __version__
from bstsearch.errors import InputError, UsageError
from bstsearch.reading import cut, shown
from bstsearch.searching.costs import Objectives
from bstsearch.searching.provenance import Provenance
from bstsearch.searching.storage import Note, Storage, file_of, open_storage
from bstsearch.searching.study import VERSION, Study, create_study
from bstsearch.searching.study_file import STUDY, check_made_from, join_study

NAMED = 200  # characters of the names that an error lists
_ANOTHER = "give another --study to keep it"
_UNDER_WAY_S = 5.0  # who makes a study is done with it by then, or gone


@contextlib.contextmanager
def open_shared(url: str, name: str, origin: Provenance, objectives: Objectives, note: Note) -> Iterator[Study]:
    """The study of that name in the storage at `url`, made where there is none; InputError where it is another one."""
    with open_storage(url, note) as storage:
        try:
            study = Study(storage, name, objectives)
        except KeyError:
            study = create_study(storage, name, origin.to_json(), objectives)
        attributes = study.attributes
        if VERSION not in attributes and not study.trials():  # its maker was ended before it was done
            study = create_study(storage, name, origin.to_json(), objectives)
            attributes = study.attributes
        check_made_from(attributes, origin, objectives, _where(storage, name), _ANOTHER)
        if (held := Objectives.from_json(attributes)) != objectives:
            raise InputError(
                f"{_where(storage, name)} trades {held}, now it would be {objectives}; give another --study, or "
                f"--objectives {held}"
            )
        study.set_version()
        yield study


def check_free(url: str, name: str, note: Note, wait: Callable[[], None]) -> None:
    """Passes where nobody searches in the study of that name, or there is none; else as `Study.check_free`."""
    with open_storage(url, note) as storage, contextlib.suppress(KeyError):
        Study(storage, name).check_free(wait)


@contextlib.contextmanager
def join(place: str, name: str | None, note: Note, wait: Callable[[float], None]) -> Iterator[Study]:
    """The study of that name at `place`, a storage's URL or a file, for who works in it.

    InputError where there is no such study, or it is of another version of this package.
    """
    if (path := file_of(place)) is not None:
        if name not in (None, STUDY):
            raise InputError(f"{path}: the study in a file is named {STUDY!r}, not {shown(name)}; leave --study out")
        with join_study(path, note=note) as study:
            _check_version(study)
            study.objectives = Objectives.from_json(study.attributes)
            yield study
        return
    if name is None:
        raise UsageError("--study is missing; name the study, as 'bstsearch pareto' told it")
    with open_storage(place, note) as storage:
        study = _joined(storage, name)
        if VERSION not in study.attributes:
            wait(_UNDER_WAY_S)
        _check_version(study)
        study.objectives = Objectives.from_json(study.attributes)
        yield study


def _joined(storage: Storage, name: str) -> Study:
    try:
        return Study(storage, name)
    except KeyError:
        names = storage.ask(lambda backend: optuna.get_all_study_names(storage=backend))
        listed = cut(", ".join(sorted(names)), NAMED) or "none"
        raise InputError(f"{storage.where} holds no study {shown(name)}; there are {listed}") from None


def _check_version(study: Study) -> None:
    found = study.attributes.get(VERSION)
    if found != __version__:
        raise InputError(
            f"{study.where}: the study is searched by bstsearch {shown(found)}, this is {__version__!r}; "
            "install the same version here"
        )


def _where(storage: Storage, name: str) -> str:
    return f"{storage.where}, study {shown(name)}"
