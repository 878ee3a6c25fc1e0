"""One trial: some settings of a class are made smaller together; is that a slice of the full model?"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum

import torch
from torch import Tensor, nn

from bstsearch.errors import InputError
from bstsearch.model.axes import Axis
from bstsearch.model.probing import building_weightless
from bstsearch.model.slicing import make_plan
from bstsearch.model.zero_padding import RIGHT, plan_error, randomise
from bstsearch.reading import said
from bstsearch.space import Submodel
from bstsearch.stock.configuration import StockConfig, number_of
from bstsearch.stock.deadline import Deadline
from bstsearch.stock.family import FAMILY
from bstsearch.stock.inputs import example_inputs
from bstsearch.stock.module import StockModel, build
from bstsearch.stock.parts import AxisKey, Parts, fewest_parts, suggested

Shapes = Mapping[str, tuple[int, ...]]

INERT = "nothing depends on it"
SAME = 1e-9
MOST_UNREACHED = 2  # one weight in so many that are cut may have no output that depends on it
DRAWS = 8  # of weights: two examples leave a unit without gradient once in 65,000 times


class Stage(IntEnum):
    """How far a trial came; the further, the more of the right settings are among those that it changed."""

    BUILD = 0
    OTHER_WEIGHTS = 1
    NO_WEIGHT = 2
    RUN = 3
    ORACLE = 4
    PROVED = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """What came of making `names` smaller together: how far it got, why no further, and what was found."""

    names: tuple[str, ...]
    stage: Stage
    reason: str = ""
    error: float = math.inf
    parts: Parts = dataclasses.field(default_factory=dict)
    cut: frozenset[AxisKey] = frozenset()

    @property
    def is_proved(self) -> bool:
        """Whether it is a slice."""
        return self.stage is Stage.PROVED


class Bench:
    """A configuration on which trials are made, with its model's shapes and inputs."""

    def __init__(self, config: StockConfig, deadline: Deadline | None = None) -> None:
        self.config, self.deadline = config, deadline or Deadline()
        self.full = ready(config)
        self.shapes = _shapes(self.full)
        self.patterns = patterns(self.shapes)
        inputs = example_inputs(config, 2)
        self.inputs = {name: value.double() if value.is_floating_point() else value for name, value in inputs.items()}
        self.unreached, self.open_ends = self._unreached()
        self.refusal = "outputs of other shapes"
        with torch.no_grad():
            self.output = self.full(**self.inputs).shape

    def _unreached(self) -> tuple[frozenset[str], frozenset[AxisKey]]:
        """The weights that no output depends on, and the axes of others whose end none does: nothing of them is proved.

        So a table of positions is known of which texts do not reach the last one. Weights are drawn several times, as
        a ReLU may hide a unit once.
        """
        for draw in range(DRAWS):
            randomise(self.full, draw)
            outputs = all_outputs(self.full, self.inputs)
            torch.autograd.backward([output.square().sum() for output in outputs if output.requires_grad])
        blind, ends = set(), set()
        for name, weight in self.full.named_parameters():
            if weight.grad is None or not weight.grad.any():
                blind.add(self.patterns[name])
                continue
            axes = range(weight.ndim if weight.ndim > 1 else 0)  # keys' biases never have a gradient but by rounding
            shut = [axis for axis in axes if not weight.grad.select(axis, -1).any()]
            ends |= {(self.patterns[name], axis) for axis in shut}
        self.full.zero_grad(set_to_none=True)
        return frozenset(blind), frozenset(ends)

    def smaller(self, names: Sequence[str]) -> StockConfig | None:
        """The configuration with these settings divided by what all of them can be divided by; None where none can."""
        sizes = {name: number_of(self.config.settings, name) for name in names}
        common = math.gcd(*sizes.values())
        divisor = next((prime for prime in (2, 3, 5, 7) if common % prime == 0), None)
        if divisor is None:
            return None
        return self.config.with_settings({name: size // divisor for name, size in sizes.items()})

    def try_together(self, names: tuple[str, ...]) -> Trial:
        """The trial of these settings, axes of several parts included."""
        small = self.smaller(names)
        if small is None:
            return Trial(names=names, stage=Stage.BUILD, reason="no number divides them")
        try:
            model = ready(small)
        except Exception as error:  # a class refuses sizes in ways of its own
            return Trial(names=names, stage=Stage.BUILD, reason=said(error))
        cut = self._cut(_shapes(model))
        if cut is None:
            return Trial(names=names, stage=Stage.OTHER_WEIGHTS, reason="other weights come with it, or larger ones")
        return self._run(names, model, cut)

    def _run(self, names: tuple[str, ...], small: StockModel, cut: frozenset[AxisKey]) -> Trial:
        try:
            with torch.no_grad():
                output = small(**self.inputs)
        except Exception as error:
            return Trial(names=names, stage=Stage.RUN, reason=said(error), cut=cut)
        if not cut:
            reason = INERT if self._computes_the_same(small) else "no weight follows it"
            return Trial(names=names, stage=Stage.NO_WEIGHT, reason=reason)
        blind = {name for name, _ in cut} & self.unreached
        if len(blind) * MOST_UNREACHED > len({name for name, _ in cut}):
            return Trial(names=names, stage=Stage.ORACLE, reason=f"no output depends on {min(blind)}", cut=cut)
        if ends := cut & self.open_ends:
            reason = f"no input reaches the end of {min(ends)[0].removeprefix('model.')}"
            return Trial(names=names, stage=Stage.ORACLE, reason=reason, cut=cut)
        if output.shape != self.output and all(axis == 0 for _, axis in cut):
            return Trial(names=names, stage=Stage.NO_WEIGHT, reason="it is the number of outputs", cut=cut)
        measure = functools.partial(self.error, small)
        off, parts = fewest_parts(measure, self._choices(names, small, cut))
        stage = Stage.PROVED if off <= RIGHT else Stage.ORACLE
        reason = f"off by {off:.1e}" if math.isfinite(off) else self.refusal
        reason = "" if stage is Stage.PROVED else reason
        return Trial(names=names, stage=stage, reason=reason, error=off, parts=parts, cut=cut)

    def _computes_the_same(self, small: StockModel) -> bool:
        """Whether a model with all of the full one's weights computes the same."""
        randomise(self.full)
        with torch.no_grad(), contextlib.suppress(RuntimeError):  # buffers may be of other shapes
            small.load_state_dict(self.full.state_dict(), strict=False)
            pairs = zip(*(all_outputs(one, self.inputs) for one in (small, self.full)), strict=True)
            return all(one.shape == two.shape and torch.allclose(one, two, atol=SAME) for one, two in pairs)
        return False

    def _cut(self, small: Shapes) -> frozenset[AxisKey] | None:
        """The axes that are shorter in `small`; None where it has other weights, or an axis that is longer."""
        if self.shapes.keys() != small.keys():
            return None
        found = set()
        for name, shape in self.shapes.items():
            if len(shape) != len(small[name]) or any(a < b for a, b in zip(shape, small[name], strict=True)):
                return None
            found |= {(self.patterns[name], axis) for axis, size in enumerate(shape) if size != small[name][axis]}
        return frozenset(found)

    def error(self, small: StockModel, parts: Parts) -> float:
        """What the oracle says of these parts; OutOfTimeError where the time is over."""
        self.deadline.check()
        axes = axes_of(parts, self.patterns)
        config = dataclasses.replace(self.config, found=dataclasses.replace(self.config.found, axes=axes, stacks=()))
        models = small, self.full
        try:
            return plan_error(*models, make_plan(FAMILY, config, Submodel(), *models), self.inputs, run=all_outputs)
        except (InputError, RuntimeError, ValueError, IndexError) as error:  # as parts that do not fill an axis
            self.refusal = said(error).removeprefix(f"{FAMILY.name} {Submodel().id}: ")
            return math.inf

    def _choices(
        self, names: Sequence[str], small: StockModel, cut: Iterable[AxisKey]
    ) -> dict[AxisKey, list[tuple[int, ...]]]:
        """The axes that may hold several parts, with those that their lengths suggest."""
        sizes = [number_of(self.config.settings, name) for name in names]
        first = {self.patterns[name]: shape for name, shape in self.shapes.items()}
        shorter = {self.patterns[name]: shape for name, shape in _shapes(small).items()}
        found = {}
        for name, axis in cut:
            parts = suggested(first[name][axis], shorter[name][axis], sizes)
            if parts:
                found[name, axis] = parts
        return found


def ready(config: StockConfig) -> StockModel:
    """The model in float64, as it is used."""
    with torch.random.fork_rng(devices=[]):
        return build(config).double().eval()


def all_outputs(model: nn.Module, inputs: Mapping[str, Tensor]) -> list[Tensor]:
    """Every output, from the same random numbers where the class draws some; huge ones, which mask, as zero."""
    assert isinstance(model, StockModel)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return [output.masked_fill(output.abs() > 1e30, 0) for output in model.outputs(inputs)]


def shapes_of(config: StockConfig) -> dict[str, tuple[int, ...]]:
    """The shapes of its weights; no weight is made."""
    with building_weightless():
        return _shapes(build(config))


def _shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}


def starred(name: str) -> str:
    """The name with * for the numbers of layers.

    >>> starred("model.layer.11.dense.weight")
    'model.layer.*.dense.weight'
    """
    return re.sub(r"(?<=\.)\d+(?=\.)", "*", name)


def axes_of(parts: Parts, names: Mapping[str, str]) -> tuple[Axis, ...]:
    """These parts as a family declares them; `names` holds each parameter's pattern.

    A * of a shell would match what lies deeper, too: so numbers of layers are matched digit by digit.
    """
    found: dict[Axis, None] = {}
    for name, pattern in names.items():
        exact = re.sub(r"(?<=\.)\d+(?=\.)", lambda number: "[0-9]" * len(number[0]), name)
        for (of, axis), several in parts.items():
            if of == pattern:
                found[Axis(parameter=exact if "*" in pattern else name, axis=axis, parts=several)] = None
    return tuple(found)


def patterns(shapes: Shapes) -> dict[str, str]:
    """Each name as a pattern: with * for the numbers of layers, where all of these layers have the same shape."""
    alike: dict[str, set[tuple[int, ...]]] = {}
    for name, shape in shapes.items():
        alike.setdefault(starred(name), set()).add(shape)
    return {name: starred(name) if len(alike[starred(name)]) == 1 else name for name in shapes}
