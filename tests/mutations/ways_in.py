"""Prints which files of the package read the sound files of all readers through bstsearch.reading, as a list in JSON.

python sources.py FOLDER
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
import threading
from pathlib import Path
from types import FrameType

from attempts import PACKAGE, copied, find_imports, made, read

from bstsearch import reading

READING = str(PACKAGE / "reading.py")
# All that is done with what is in a file there; a digest of one only tells whether it has changed.
WAYS_IN = {
    name
    for name, one in inspect.getmembers(reading, inspect.isfunction)
    if not name.startswith("_") and next(iter(inspect.signature(one).parameters)) == "path"
} - {reading.check_utf8.__name__}


def main() -> None:
    """Reads everything once, and notes who asks for it."""
    root, found = Path(sys.argv[1]), set[str]()
    find_imports()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename == READING and frame.f_code.co_name in WAYS_IN:
            found.add(_asking(frame))

    for readers in importlib.import_module("readers").ROOMS.values():
        for reader in readers:
            folder = copied(made(reader, root / "sound"), root / "first")
            threading.setprofile(note)
            sys.setprofile(note)
            read(reader, folder)
            sys.setprofile(None)
            threading.setprofile(None)
    print(json.dumps(sorted(found)))  # noqa: T201


def _asking(frame: FrameType | None) -> str:
    """The file of the package that called into reading.py."""
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(str(PACKAGE)) and path != READING:
            return str(Path(path).relative_to(PACKAGE))
        frame = frame.f_back
    return ""


if __name__ == "__main__":
    main()
