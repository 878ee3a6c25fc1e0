"""Values of an LMDB folder, read only; whatever is wrong with it is one line that names folder and key."""

from __future__ import annotations

import typing
import weakref
from pathlib import Path

from bstsearch.errors import InputError
from bstsearch.reading import needing

if typing.TYPE_CHECKING:
    import lmdb

DATA = "data.mdb"

# LMDB refuses to open a folder twice in one process; two parts of a data set may read the same images.
_OPEN: weakref.WeakValueDictionary[Path, LmdbFolder] = weakref.WeakValueDictionary()


class LmdbFolder:
    """An open LMDB folder; `open_lmdb` makes one."""

    def __init__(self, path: Path, environment: lmdb.Environment) -> None:
        self.path, self._environment = path, environment

    def __contains__(self, key: str) -> bool:
        return self._get(key) is not None

    def value(self, key: str) -> bytes:
        """The bytes under `key`; InputError where there is no such key."""
        found = self._get(key)
        if found is None:
            raise InputError(f"{self.path} has no key {key!r}; it belongs to other questions or is incomplete")
        return found

    def _get(self, key: str) -> bytes | None:
        import lmdb

        try:
            with self._environment.begin() as transaction:
                found: bytes | None = transaction.get(key.encode())
        except lmdb.Error as error:
            raise InputError(f"{self.path} cannot be read at key {key!r}: {error}; copy it again") from error
        return found


def open_lmdb(path: Path) -> LmdbFolder:
    """The LMDB folder at `path`; InputError where it is none or was not copied to its end."""
    path = path.resolve()
    folder = _OPEN.get(path)
    if folder is None:
        folder = _OPEN[path] = LmdbFolder(path, _environment(path))
    return folder


def _environment(path: Path) -> lmdb.Environment:
    with needing(f"reading {path}"):
        import lmdb
    data = path / DATA
    if not data.is_file():
        raise InputError(f"{path} is no LMDB folder: it holds no {DATA}; copy it again")
    try:
        # No lock file: the folder may lie on a disk that is read only, and nobody writes to it.
        environment = lmdb.open(str(path), readonly=True, create=False, lock=False, readahead=False)
    except (lmdb.Error, OSError) as error:
        raise InputError(f"{path} cannot be opened as LMDB: {error}; copy it again") from error
    # LMDB maps the file into memory: reading past its end would not raise but end the process.
    needed, size = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"], data.stat().st_size
    if size < needed:
        environment.close()
        raise InputError(f"{data} is truncated: it has {size} bytes of {needed}; copy it again")
    return environment
