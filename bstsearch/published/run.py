"""From a published checkpoint to a supernet folder."""

from __future__ import annotations

from pathlib import Path

from bstsearch.holding import holding
from bstsearch.listener import SILENT, Listener
from bstsearch.model.supernet_folder import CONFIG, OWN
from bstsearch.published.checkpoint import Imported, read_checkpoint
from bstsearch.published.words import build_words
from bstsearch.writing import check_free, writing_folder


def import_checkpoint(
    family: str,
    checkpoint: Path,
    out: Path,
    *,
    data: str | None = None,
    data_dir: Path | None = None,
    vocabulary: Path | None = None,
    answers: Path | None = None,
    heads: int | None = None,
    question_length: int | None = None,
    is_forced: bool = False,
    listener: Listener = SILENT,
) -> Imported:
    """Writes the checkpoint as a supernet into the folder `out`, whole or not at all.

    The options are those of `bstsearch import`. Words and answers come from the files `vocabulary` and `answers`, or
    from the data set in `data_dir`; without them the supernet can be profiled, but not scored. UsageError where `out`
    is taken; InputError where the checkpoint is not of that family.
    """
    with holding(out):
        check_free(out, marker=CONFIG, is_forced=is_forced)
        listener.progress("reading the checkpoint")
        found = read_checkpoint(checkpoint, family, data=data, heads=heads, question_length=question_length)
        listener.progress("reading words and answers")
        words = build_words(found, vocabulary=vocabulary, answers=answers, folder=data_dir)
        listener.progress("writing the supernet")
        with writing_folder(out, marker=CONFIG, own=OWN, is_forced=is_forced) as folder:
            found.supernet.save(folder)
            if words is not None:
                words.save(folder)
    for line in found.assumed.values():
        listener.note(f"assumed: {line}")
    if words is None:
        listener.warning(
            f"{out} has no vocabulary, so it can be profiled but not scored; "
            "give --data-dir, or --vocabulary and --answers"
        )
    return found
