"""Text that is at hand wherever Python is: what the installed packages say of themselves.

To train on: sentences of the docstrings and documents (.md, .rst, package descriptions) of the installed packages. To
validate: sentences of the docstrings of Python's own library. To test, text of another kind: sentences of licences and
notices, from the packages and from /usr/share.

    python benchmarks/minilm_texts.py texts
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import re
import sysconfig
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

from bstsearch.writing import write_text
from timing import tell

PACKAGES = Path(sysconfig.get_path("purelib"))
LIBRARY = Path(sysconfig.get_path("stdlib"))
SHARED = (Path("/usr/share/common-licenses"), Path("/usr/share/doc"))
LEGAL = re.compile(r"(licen[cs]e|copying|copyright|notice|apache|gpl|lgpl|bsd|mit|mpl|artistic|gfdl)", re.IGNORECASE)
DOCUMENTS = {".md", ".rst"}
SHORTEST, LONGEST, LETTERS = 20, 400, 0.8  # characters of a sentence, and the share of them that are letters or spaces
WORDS = 4


def write_texts(folder: Path, packages: Path | None = None) -> dict[str, int]:
    """Writes train.txt, validation.txt and test.txt into `folder`, one sentence a line; returns how many there are."""
    sources = {
        "test": legal_texts(packages or PACKAGES),
        "validation": docstrings(LIBRARY, but="site-packages"),
        "train": (text for of in (documents, docstrings) for text in of(packages or PACKAGES)),
    }
    counts, known = {}, set[str]()
    folder.mkdir(parents=True, exist_ok=True)
    for name, texts in sources.items():
        found = list(dict.fromkeys(one for text in texts for one in sentences(text) if one not in known))
        known.update(found)
        if name != "train":  # what comes first should be of no package in particular
            found.sort(key=lambda one: hashlib.sha256(one.encode()).digest())
        write_text(folder / f"{name}.txt", "\n".join(found) + "\n")
        counts[name] = len(found)
        tell(f"{name}: {len(found):,} sentences")
    return counts


def sentences(text: str) -> Iterator[str]:
    """The sentences of `text` that are prose."""
    for paragraph in re.split(r"\n\s*\n", text):
        for one in re.split(r"(?<=[.!?])\s+(?=[A-Z])", " ".join(paragraph.split())):
            letters = sum(letter.isalpha() or letter == " " for letter in one)
            if SHORTEST <= len(one) <= LONGEST and letters >= LETTERS * len(one) and one.count(" ") >= WORDS - 1:
                yield one


def legal_texts(packages: Path) -> Iterator[str]:
    """Licences and notices of the packages, and those that the system shares."""
    files = [file for folder in (packages, *SHARED) for file in sorted(folder.rglob("*")) if LEGAL.match(file.name)]
    yield from read(file for file in files if file.suffix not in {".py", ".pyc", ".gz", ".json"})


def documents(packages: Path) -> Iterator[str]:
    """What packages describe themselves with."""
    files = sorted(packages.rglob("*"))
    yield from read(file for file in files if file.name == "METADATA" or file.suffix in DOCUMENTS)


def docstrings(folder: Path, but: str = "") -> Iterator[str]:
    """The docstrings of all modules, classes and functions in `folder`."""
    for file in sorted(folder.rglob("*.py")):
        if but in file.parts or "test" in file.name:
            continue
        for source in read([file]):
            try:
                with warnings.catch_warnings(action="ignore"):
                    tree = ast.parse(source)
            except (SyntaxError, ValueError, RecursionError):
                continue
            for node in ast.walk(tree):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                    yield ast.get_docstring(node) or ""


def read(files: Iterable[Path]) -> Iterator[str]:
    """The texts of the files that hold text."""
    for file in files:
        if file.is_file():
            try:
                yield file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                continue


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where train.txt, validation.txt and test.txt are written")
    parser.add_argument("--packages", type=Path, metavar="DIR", help="site-packages to take texts from")
    options = parser.parse_args()
    write_texts(options.folder, options.packages)
