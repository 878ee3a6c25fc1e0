"""How to train: the recipes of the published models, the demo's, and one for any task.

A recipe has two halves, the teacher's and the sandwich's. Where a source gives only one (BST's code trains no
teacher, UNITER's and CLIP-ViL's no submodels), the other is our reading, and its comment says so.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from bstsearch.errors import UsageError
from bstsearch.tasks.task import Task
from bstsearch.training.losses import OF_TASK, Loss
from bstsearch.training.optimizers import Optimizer
from bstsearch.training.schedules import Schedule

IMPORTANCE, NO_ORDER = ORDERS = ("importance", "none")
OUTPUTS, LAYERS = MATCHES = ("outputs", "layers")


@dataclasses.dataclass(frozen=True, kw_only=True)
class StageRecipe:
    """One run over the training data; `steps`, where given, counts in place of `epochs`.

    A batch is what one optimiser step sees, all processes together; it is cut into `accumulate` parts,
    each with submodels of its own, whose gradients add up.
    """

    loss: Loss
    optimizer: Optimizer
    tower: Optimizer | None = None  # for the image tower alone; `optimizer` has the rest
    epochs: int = 1
    steps: int | None = None
    batch_size: int = 64
    accumulate: int = 1
    drops_last: bool = False  # leaves out an epoch's last batch where it is smaller
    clip_norm: float | None = None
    lead_in: float | None = None  # epochs at the start that show simple rows only, where the data set has such
    unknown_rate: float = (
        0.0  # of `Task.augmented`: words replaced by the unknown one, so that its embedding is trained
    )

    def changed(
        self,
        *,
        epochs: int | None = None,
        steps: int | None = None,
        batch_size: int | None = None,
        accumulate: int | None = None,
    ) -> StageRecipe:
        """The same but for what is given; epochs that are given replace a number of steps."""
        return dataclasses.replace(
            self,
            steps=steps or (self.steps if epochs is None else None),
            epochs=epochs or self.epochs,
            batch_size=batch_size or self.batch_size,
            accumulate=accumulate or self.accumulate,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """A teacher, then the sandwich; the same recipe, seed, machine and thread count give the same weights."""

    name: str
    teacher: StageRecipe
    sandwich: StageRecipe
    seed: int = 0
    precision: str = "float32"
    checkpoint_every: int = 200  # steps
    order: str | None = None  # IMPORTANCE: units of a given teacher are put in order before the sandwich begins
    match: str | None = None  # LAYERS: submodels are held against the teacher's layers, too, and not its outputs alone

    def settings(self) -> dict[str, Any]:
        """Every setting as plain data under a dotted name, without those that are off."""
        return dict(_flat("", self))


def get_recipe(name: str) -> Recipe:
    """The named recipe; UsageError lists the names there are."""
    if name not in RECIPES:
        raise UsageError(f"unknown recipe {name!r}; there are {', '.join(RECIPES)}")
    return RECIPES[name]


def recipe_for(family: str, task: type[Task]) -> Recipe:
    """The recipe that a family's model is trained with for a task, where none is asked for.

    UsageError where the task names no recipe that there is.
    """
    names = [name.format(family=family.replace("_", "-")) for name in task.recipes]
    found = next((RECIPES[name] for name in names if name in RECIPES), None)
    if found is None:
        raise UsageError(f"{task.name} is trained by {', '.join(names)}, none of which there is; choose a --recipe")
    return found


def check_recipe(recipe: Recipe, task: type[Task]) -> None:
    """Passes where the recipe's losses can be taken of the task's outputs; else UsageError."""
    of_classes = [stage.loss.kind for stage in (recipe.teacher, recipe.sandwich) if stage.loss.kind not in OF_TASK]
    if of_classes and not task.has_classes:
        raise UsageError(
            f"the recipe {recipe.name} has the loss {of_classes[0]}, which is of classes, and {task.name} has none; "
            "leave out --recipe, or give --recipe task"
        )


def _flat(prefix: str, value: Any) -> list[tuple[str, Any]]:
    if dataclasses.is_dataclass(value):
        fields = [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
        return [pair for name, inner in fields for pair in _flat(f"{prefix}.{name}" if prefix else name, inner)]
    is_off = value is None or value == ()
    return [] if is_off else [(prefix, list(value) if isinstance(value, tuple) else value)]


def _small(epochs: int, loss: str, restart: tuple[int, ...] = ()) -> StageRecipe:
    schedule = Schedule(kind="cosine", warmup=0.05, at=restart)
    return StageRecipe(
        loss=Loss(kind=loss),
        optimizer=Optimizer(kind="adam", learning_rate=5e-4, schedule=schedule),
        epochs=epochs,
        clip_norm=1.0,
        unknown_rate=0.02,
    )


def _published(epochs: int, warmup: int, decay: tuple[int, ...], loss: str) -> StageRecipe:
    """As in the public code MILVLG/bst and openvqa: Adam, stairs up, a fifth at each epoch of `decay`, sums."""
    schedule = Schedule(kind="steps", warmup=warmup, at=decay, factor=0.2)
    return StageRecipe(
        loss=Loss(kind=loss, reduction="sum"),
        optimizer=Optimizer(kind="adam", learning_rate=1e-4, schedule=schedule),
        epochs=epochs,
        drops_last=True,
    )


TASK = Recipe(name="task", teacher=_small(16, "task", (10,)), sandwich=_small(9, "task-teacher", (7,)))

# For pretrained weights, which a high rate would spoil; a step sees as many texts as a batch has pairs to compare.
DISTIL = Recipe(
    name="distil",
    order=IMPORTANCE,
    checkpoint_every=50,
    teacher=_small(1, "task"),
    sandwich=StageRecipe(
        loss=Loss(kind="task-teacher"),
        optimizer=Optimizer(
            kind="adamw",
            learning_rate=1e-4,
            schedule=Schedule(kind="cosine", warmup=0.05),
            betas=(0.9, 0.999),
            eps=1e-8,
            weight_decay=0.01,
            no_decay=("bias", "norm.weight", "Norm.weight"),
        ),
        steps=1000,
        clip_norm=1.0,
    ),
)

# docs/decisions.md tells why the learning rate rises again.
DEMO = Recipe(name="demo", teacher=_small(16, "cross-entropy", (10,)), sandwich=_small(9, "kl-teacher", (7,)))

# Simple questions first (curriculum learning; Bengio et al., 2009). docs/log.md tells what for.
CURRICULUM = Recipe(
    name="curriculum",
    teacher=dataclasses.replace(_small(4, "cross-entropy"), batch_size=128, lead_in=1),
    sandwich=dataclasses.replace(_small(2, "kl-teacher"), batch_size=128, lead_in=1),
)

# As the curriculum, but simple questions are few, and an epoch is long. docs/log.md tells what else was tried.
SHAPES = Recipe(
    name="shapes",
    teacher=dataclasses.replace(_small(2, "cross-entropy"), steps=1_600, lead_in=0.3),
    sandwich=dataclasses.replace(_small(2, "kl-teacher"), steps=1_500, lead_in=0.1),
)

# MCAN-small as openvqa trains it: BST's teachers are of that kind, but how they were trained is not published.
MCAN_TEACHER = _published(13, 3, (10, 12), "bce")
MCAN_TEACHER_GQA = _published(11, 2, (8, 10), "cross-entropy")

BST = Recipe(name="bst", teacher=MCAN_TEACHER, sandwich=_published(15, 3, (10, 12, 14), "bce-teacher"))
BST_GQA = Recipe(name="bst-gqa", teacher=MCAN_TEACHER_GQA, sandwich=_published(11, 2, (8, 10), "kl-teacher"))

# UNITER-base fine-tuned on VQA-v2 (public code ChenRocks/UNITER, configuration train-vqa-base). A step there sees
# 4 GPUs x 5 x 5,120 tokens; at about 50 tokens a question (ten words, forty boxes) that is 2,000 questions.
_UNITER = StageRecipe(
    loss=Loss(kind="bce"),
    optimizer=Optimizer(
        kind="adamw",
        learning_rate=8e-5,
        schedule=Schedule(kind="linear", warmup=0.1),
        eps=1e-6,
        weight_decay=0.01,
        no_decay=("bias", "LayerNorm.bias", "LayerNorm.weight"),
        head=("vqa_output",),
        head_factor=10.0,
    ),
    steps=6000,
    batch_size=2000,
    accumulate=5,
    clip_norm=2.0,
)
# CLIP-ViL_p fine-tuned on VQA-v2 (public code clip-vil/CLIP-ViL): the tower by SGD of its own. Its loss is 500 times
# the mean over questions and answers.
_CLIP_VIL = StageRecipe(
    loss=Loss(kind="bce", reduction="element-mean", factor=500.0),
    optimizer=Optimizer(
        kind="adamw",
        learning_rate=5e-5,
        schedule=Schedule(kind="linear", warmup=0.05),
        betas=(0.9, 0.999),
        eps=1e-6,
        weight_decay=0.01,
        no_decay=("bias", "LayerNorm.weight"),
    ),
    tower=Optimizer(
        kind="sgd",
        learning_rate=1e-3,
        schedule=Schedule(kind="steps", at=(2,), factor=0.1),
        weight_decay=4e-4,
        only=("visual_model.",),
    ),
    epochs=5,
    batch_size=256,
    accumulate=8,
    clip_norm=1.0,
)


def _taught(stage: StageRecipe) -> StageRecipe:
    """Our reading of BST on a fine-tuned model: the same settings, the teacher's logits in place of the answers."""
    return dataclasses.replace(stage, loss=dataclasses.replace(stage.loss, kind=f"{stage.loss.kind}-teacher"))


UNITER = Recipe(name="uniter", teacher=_UNITER, sandwich=_taught(_UNITER))
CLIP_VIL = Recipe(name="clip-vil", teacher=_CLIP_VIL, sandwich=_taught(_CLIP_VIL))

RECIPES = {recipe.name: recipe for recipe in (DEMO, CURRICULUM, SHAPES, BST, BST_GQA, UNITER, CLIP_VIL, TASK, DISTIL)}
