"""Who is told how far a long job has come, and what it has to say (no torch)."""

from __future__ import annotations


class Listener:
    """Hears of a job while it runs; this one does nothing with it. Make a subclass with what you want to hear."""

    def progress(self, text: str, done: int = 0, total: int | None = None, news: str = "") -> None:
        """What is being done, `done` of `total` of it (None: not known), and what is known so far."""

    def note(self, line: str) -> None:
        """Something to know."""

    def warning(self, line: str) -> None:
        """What may be wrong, and its remedy."""


SILENT = Listener()
