"""The questions of `shapes`: which there are, what is true of a scene, and which are asked about it (no torch).

Letters in array names: N scenes, P phrases, G cells of the grid, Q questions of a kind.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from bstsearch.tasks.shapes_scenes import (
    COLOURS,
    PHRASES,
    SHAPES,
    SIDE,
    Ints,
    Scenes,
    Truths,
    are_meant,
    below,
)

Answers = NDArray[np.int8]

COUNTED = 6  # where more are meant, nobody asks how many

ANSWERS = ("no", "yes", *COLOURS, *SHAPES, *map(str, range(COUNTED + 1)))
NO, YES, COLOUR, SHAPE, ZERO = (ANSWERS.index(name) for name in ("no", "yes", next(iter(COLOURS)), SHAPES[0], "0"))
UNKNOWN = -1  # the answer to a question that has none in a scene
HALVES = ("on the left", "at the top")
WEIGHT = 1_000_000  # of an answer that is right in one scene only
SIMPLEST = "what of few"  # in a scene of few objects
FEW = 3

# Places in PHRASES by what is said: a colour, a shape, or both.
BY_COLOUR = tuple(place for place, (colour, shape) in enumerate(PHRASES) if colour is not None and shape is None)
BY_SHAPE = tuple(place for place, (colour, shape) in enumerate(PHRASES) if colour is None and shape is not None)
BY_BOTH = tuple(place for place, (colour, shape) in enumerate(PHRASES) if colour is not None and shape is not None)
RIVALS = (*itertools.permutations(BY_COLOUR, 2), *itertools.permutations(BY_SHAPE, 2))


class Facts:
    """Of scenes: the cells that a phrase means (N, P, G), how many they are, whether one, and which (N, P each)."""

    def __init__(self, scenes: Scenes) -> None:
        self.scenes = scenes
        self.meant: Truths = are_meant(scenes)
        self.counts: Ints = self.meant.sum(-1)
        self.is_one: Truths = self.counts == 1
        self.cells: Ints = self.meant.argmax(-1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
    """Questions of a kind (Q), and what is true of each in a scene (N, Q; places in ANSWERS, or UNKNOWN).

    `asked` of them are drawn for a scene, each so that any of `likely` is the answer as often as another, where the
    scene allows it.
    """

    name: str
    questions: tuple[str, ...]
    answers: Callable[[Facts], Ints]
    likely: Sequence[int]
    asked: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """Questions (N; places in QUESTIONS), each about a scene (N), with its answer (N; places in ANSWERS) and kind."""

    scenes: Ints
    questions: Ints
    answers: Ints
    kinds: tuple[str, ...]


def draw_questions(scenes: Scenes, random: np.random.Generator) -> Asked:
    """The questions about these scenes, scene by scene; none is asked twice about one."""
    facts = Facts(scenes)
    first, found = 0, []
    for kind in KINDS:
        answers = kind.answers(facts).astype(np.int8)
        rarity = _rarity(answers, kind.likely)
        for _ in range(kind.asked):
            wanted = np.array(kind.likely)[below(len(kind.likely), random.random(len(scenes)))]
            weights = np.where(answers == wanted[:, None], rarity[wanted], 0).cumsum(1)
            chosen = (weights > below(weights[:, -1], random.random(len(scenes)))[:, None]).argmax(1)
            rows = weights[:, -1].nonzero()[0]
            found.append(np.stack([rows, first + chosen[rows], wanted[rows]], 1))
        first += len(kind.questions)
    by_scene, questions, named = np.unique(np.concatenate(found), axis=0).T
    is_few = facts.counts[by_scene, 0] <= FEW
    named_kinds = np.array(KIND_OF)[questions]
    kinds = np.where(is_few & (named_kinds == "what"), SIMPLEST, named_kinds)
    return Asked(scenes=by_scene, questions=questions, answers=named, kinds=tuple(kinds.tolist()))


def _rarity(answers: Answers, likely: Sequence[int]) -> Ints:
    """How often to choose each question where each of `likely` is wanted (A, Q): the more, the rarer it is the answer.

    So the question alone does not tell its answer.
    """
    weights = np.zeros((len(ANSWERS), answers.shape[1]), dtype=np.int64)
    for answer in likely:
        weights[answer] = WEIGHT // np.maximum(1, (answers == answer).sum(0))
    return weights


def _said(place: int, *, many: bool = False) -> str:
    """One of PHRASES in words."""
    colour, shape = PHRASES[place]
    adjective = "" if colour is None else f"{list(COLOURS)[colour]} "
    return adjective + ("object" if shape is None else SHAPES[shape]) + "s" * many


def _exist(facts: Facts) -> Ints:
    return np.where(facts.counts > 0, YES, NO)[:, 1:]


def _color(facts: Facts) -> Ints:
    return _only(facts, BY_SHAPE, COLOUR + _of_cells(facts.scenes.colours, facts.cells[:, BY_SHAPE]))


def _shape(facts: Facts) -> Ints:
    return _only(facts, BY_COLOUR, SHAPE + _of_cells(facts.scenes.shapes, facts.cells[:, BY_COLOUR]))


def _number(facts: Facts) -> Ints:
    return ZERO + facts.counts


def _more(facts: Facts) -> Ints:
    first, second = np.array(RIVALS).T
    return np.where(facts.counts[:, first] > facts.counts[:, second], YES, NO)


def _in_half(facts: Facts) -> Ints:
    """For each of BY_BOTH, each of HALVES in turn."""
    row, column = np.divmod(facts.cells[:, BY_BOTH], SIDE)
    lies = np.stack([column < SIDE // 2, row < SIDE // 2], -1)
    is_known = facts.is_one[:, BY_BOTH, None]
    return np.where(is_known, np.where(lies, YES, NO), UNKNOWN).reshape(len(lies), -1)


def _only(facts: Facts, places: tuple[int, ...], answers: Ints) -> Ints:
    """`answers`, where these phrases mean one object."""
    return np.where(facts.is_one[:, places], answers, UNKNOWN)


def _of_cells(values: Ints, cells: Ints) -> Ints:
    return np.take_along_axis(values, cells, 1)


_EITHER = (NO, YES)


# From simple to hard.
KINDS = (
    Kind(
        name="what",
        questions=tuple(f"what color is the {_said(place)}?" for place in BY_SHAPE),
        answers=_color,
        likely=range(COLOUR, COLOUR + len(COLOURS)),
        asked=3,
    ),
    Kind(
        name="what",
        questions=tuple(f"what shape is the {_said(place)}?" for place in BY_COLOUR),
        answers=_shape,
        likely=range(SHAPE, SHAPE + len(SHAPES)),
        asked=3,
    ),
    Kind(
        name="exist",
        questions=tuple(f"is there a {_said(place)}?" for place in range(1, len(PHRASES))),
        answers=_exist,
        likely=_EITHER,
        asked=2,
    ),
    Kind(
        name="count",
        questions=tuple(f"how many {_said(place, many=True)} are there?" for place in range(len(PHRASES))),
        answers=_number,
        likely=range(ZERO, ZERO + COUNTED + 1),
        asked=3,
    ),
    Kind(
        name="compare",
        questions=tuple(f"are there more {_said(a, many=True)} than {_said(b, many=True)}?" for a, b in RIVALS),
        answers=_more,
        likely=_EITHER,
        asked=2,
    ),
    Kind(
        name="half",
        questions=tuple(f"is the {_said(place)} {half}?" for place in BY_BOTH for half in HALVES),
        answers=_in_half,
        likely=_EITHER,
    ),
)
QUESTIONS = tuple(question for kind in KINDS for question in kind.questions)
KIND_OF = tuple(kind.name for kind in KINDS for _ in kind.questions)
