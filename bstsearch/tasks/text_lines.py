"""Texts in files, one a line, and which of them are kept out of training (no torch)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from bstsearch.errors import InputError, UsageError
from bstsearch.reading import no_folder, read_text

ENDINGS = (".txt", ".md", ".rst")
HELD_OUT = {"validation": 500, "test": 1000}  # texts, at most; a fifth each where there are few
FEWEST = 30  # different texts
SHARE = 5

Parts = dict[str, list[str]]


def read_parts(path: Path | None) -> Parts:
    """The different texts of "train", "validation" and "test", from a file or from the files in a folder.

    In a folder with train.txt, validation.txt and test.txt these are the parts. Else validation and test get texts
    that their digests choose: the same ones at every call, wherever they stand. UsageError or InputError where there
    is nothing to read, or too little.
    """
    if path is None:
        raise UsageError("text is read from your disk; say which with --data FILE or FOLDER, one text a line")
    named = {part: path / f"{part}.txt" for part in ("train", *HELD_OUT)}
    if path.is_dir() and all(file.is_file() for file in named.values()):
        parts = {part: list(_different(_lines(file))) for part, file in named.items()}
        known = set(parts["train"])
        parts |= {part: [text for text in parts[part] if text not in known][:most] for part, most in HELD_OUT.items()}
    else:
        parts = _drawn(list(_different(text for file in _files(path) for text in _lines(file))), path)
    for part, texts in parts.items():
        if len(texts) < FEWEST // SHARE:
            raise InputError(f"{path}: {len(texts)} different texts for {part} are too few; give {FEWEST} or more")
    return parts


def _drawn(texts: list[str], path: Path) -> Parts:
    if len(texts) < FEWEST:
        raise InputError(f"{path}: {len(texts)} different texts are too few; give {FEWEST} or more, one a line")
    drawn = sorted(texts, key=lambda text: hashlib.sha256(text.encode()).digest())
    counts = [min(most, len(texts) // SHARE) for most in HELD_OUT.values()]
    held_out = {"validation": drawn[: counts[0]], "test": drawn[counts[0] : sum(counts)]}
    kept_out = {text for part in held_out.values() for text in part}
    return {"train": [text for text in texts if text not in kept_out], **held_out}


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise InputError(f"{no_folder(path)}; give a file with one text a line, or a folder of such files")
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() in ENDINGS and file.is_file())
    if not found:
        raise InputError(f"{path} holds no file that ends in {', '.join(ENDINGS)}; give files with one text a line")
    return found


def _lines(file: Path) -> Iterator[str]:
    for line in read_text(file).split("\n"):
        if text := " ".join(line.split()):
            yield text


def _different(texts: Iterator[str]) -> Iterator[str]:
    """Each text once, in the order of the first ones."""
    return iter(dict.fromkeys(texts))
