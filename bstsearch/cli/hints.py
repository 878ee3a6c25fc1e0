"""What a hint has to repeat: the files that the user named, since no folder makes a command run them."""

from __future__ import annotations

import re
import shlex

from bstsearch import doors

# The options that name a file of one's own, and the verbs that take them.
FILES: dict[str, tuple[doors.Kind, tuple[str, ...]]] = {
    "--family": ("family", ("space", "train", "profile", "pareto", "worker", "export", "eval", "ask")),
    "--data": ("task", ("train", "pareto", "worker", "export", "eval")),
}


def with_files(line: str) -> str:
    """`line` with the files of one's own added, where it ends in a command that has to name them again."""
    verb = re.search(r"\bbstsearch (\w+)", line)
    for option, (kind, verbs) in FILES.items():
        if verb and verb[1] in verbs and f" {option} " not in line:
            line += "".join(f" {option} {shlex.quote(text)}" for text in doors.files(kind))
    return line
