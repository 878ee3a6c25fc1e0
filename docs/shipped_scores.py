"""Puts the scores of a finished search beside the supernet in the package: `python docs/shipped_scores.py runs/front`.

A first search of that supernet is answered from them, whatever the device. What is on the front there may not be on
that of the search, so all that were scored on the whole validation part answer the test part, too.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from bstsearch.model.supernet_folder import SUPERNETS
from bstsearch.searching.front_file import NAME, read_front, write_front
from bstsearch.searching.scoring import make_scorer


def main() -> None:
    """Writes the front file, which names the supernet by its place in the package."""
    parser = argparse.ArgumentParser(description="Ship the scores of a finished search.")
    parser.add_argument("front", type=Path, help="folder of the search")
    file = read_front(parser.parse_args().front / NAME)
    path = Path(file.origin.supernet["path"])
    name, score = path.name, make_scorer(path, file.origin.split)
    tests = {one.id: score.test(one.submodel) for one in file.candidates if one.accuracy is not None and not one.test}
    file = file.tested({key: found for key, found in tests.items() if found is not None})
    origin = dataclasses.replace(file.origin, supernet={**file.origin.supernet, "path": name})
    write_front(dataclasses.replace(file, origin=origin), SUPERNETS / name / NAME)


if __name__ == "__main__":
    main()
