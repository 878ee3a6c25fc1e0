"""`bstsearch serve` with submodels that take long, however busy the machine is: they sleep."""

from __future__ import annotations

import functools
import time
from pathlib import Path
from typing import Any

from bstsearch.answering.exported_folder import open_session
from bstsearch.cli.app import main
from bstsearch.serving import server
from bstsearch.serving.sessions import Sessions

SECONDS = {"w1of4-d1of4": 0.01, "w1of2-d1of2": 0.04}


class Slow:
    """A session that sleeps before it answers."""

    def __init__(self, path: Path, threads: int) -> None:
        self._session, self._seconds = open_session(path, threads=threads), SECONDS[path.stem]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run(self, names: None, inputs: Any) -> Any:
        time.sleep(self._seconds)
        return self._session.run(names, inputs)


if __name__ == "__main__":
    server.Sessions = functools.partial(Sessions, opening=Slow)  # type: ignore[misc, assignment]
    main()
