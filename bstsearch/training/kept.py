"""What a stage of training keeps in its folder as it goes, and whether a later run may go on from there."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from bstsearch.errors import InputError
from bstsearch.training.checkpoint import Standing, read_progress, save_checkpoint
from bstsearch.training.log import read_log
from bstsearch.training.optimizers import Stepper
from bstsearch.training.recipes import Recipe
from bstsearch.writing import write_text

CHECKPOINT = "checkpoint.safetensors"
LOG = "log.csv"
TEACHER, SANDWICH = STAGES = ("teacher", "sandwich")

Row = dict[str, Any]  # of the log: a step


def made_by(recipe: Recipe, identity: Mapping[str, Any]) -> dict[str, Any]:
    """All that the weights of a stage depend on, beside its name: the recipe, and what `identity` tells of the rest."""
    return {**recipe.settings(), **identity}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kept:
    """A stage's checkpoint and log in `folder`; they are good for a run that is `made_by` the same."""

    folder: Path
    stage: str
    made_by: Mapping[str, Any]

    @property
    def checkpoint(self) -> Path:
        """The file of weights and of all else that going on takes."""
        return self.folder / f"{self.stage}-{CHECKPOINT}"

    @property
    def log(self) -> Path:
        """The file with a line for each step."""
        return self.folder / f"{self.stage}-{LOG}"

    def read(self) -> tuple[int, list[Row], dict[str, float]]:
        """Steps done, their rows in the log, and the running means; nothing where there is no checkpoint.

        InputError where one of the files is damaged, or is of another run.
        """
        if not self.checkpoint.exists():
            return 0, [], {}
        progress, expected = read_progress(self.checkpoint), self._identity()
        if progress["recipe"] != expected:
            keys = {**progress["recipe"], **expected}
            changed = sorted(key for key in keys if progress["recipe"].get(key) != expected.get(key))
            raise InputError(f"{self.checkpoint} was trained with another {', '.join(changed)}; --force starts over")
        return progress["done"], read_log(self.log, progress["done"]), progress["running"]

    def write(
        self, done: int, rows: Sequence[Row], running: Mapping[str, float], model: nn.Module, stepper: Stepper
    ) -> None:
        """Replaces the log, and then the checkpoint."""
        lines = [",".join(rows[0]), *(",".join(str(value) for value in row.values()) for row in rows)]
        write_text(self.log, "\n".join(lines) + "\n")
        progress: Standing = {"done": done, "recipe": self._identity(), "running": dict(running)}
        save_checkpoint(self.checkpoint, model, stepper, progress)

    def _identity(self) -> dict[str, Any]:
        plain: dict[str, Any] = json.loads(json.dumps({"stage": self.stage, **self.made_by}))
        return plain
