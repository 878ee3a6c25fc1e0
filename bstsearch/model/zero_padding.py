"""The zero-padding oracle: a narrow model is the full one with zeros around it, where its slices are right.

The masked oracle of the contract proves fewer heads, FFN units and layers. This one proves the width of the residual
stream, and every other axis with it: it takes the plan that binding and exporting take. In float64 a right plan is off
by rounding (1e-13), a wrong one by 1e-4 at the least. That accuracy survives is another question.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from bstsearch.errors import InputError
from bstsearch.model.family import Config, Family, seeded
from bstsearch.model.slicing import Cut, Plan, make_plan
from bstsearch.space import Submodel

RIGHT, WRONG = 1e-10, 1e-4  # a right plan is off by no more, a wrong one by no less

Inputs = Mapping[str, Tensor]
Run = Callable[[nn.Module, Inputs], Sequence[Tensor]]


def padding_error(family: Family, config: Config, submodel: Submodel, inputs: Inputs) -> float:
    """How far the padded full model is from `submodel`, which has all layers, as a share of its largest output.

    `inputs` are in float64 where they are not of integers, and should reach the end of every table: of what no input
    reaches nothing is proved. InputError where the plan cannot be made.
    """
    if submodel.depth != 1 or submodel.depths:
        raise InputError(f"{submodel.id}: zeros around a model stand for no layer; choose a submodel of all layers")
    with torch.random.fork_rng(devices=[]):
        small, full = (family.build(sizes).double().eval() for sizes in (family.shrink(config, submodel), config))
    return plan_error(small, full, make_plan(family, config, submodel, small, full), inputs)


def plan_error(small: nn.Module, full: nn.Module, plan: Plan, inputs: Inputs, run: Run | None = None) -> float:
    """The same of two models that are built, whose weights it changes; infinite where nothing can be compared.

    `run` gives the outputs to compare, by default the one that a model returns.
    """
    run = run or _outputs
    randomise(small)
    _scatter(small, full, plan)
    with torch.no_grad():
        with _watching(small) as seen:
            expected = run(small, inputs)
        with _lent_norms(full, small, plan, seen):
            found = run(full, inputs)
    if len(found) != len(expected):
        return math.inf
    return max(map(difference, found, expected), default=math.inf)


def randomise(model: nn.Module, seed: int = 1) -> None:
    """Gives every number of `model` a value that can hide no error: no zero, no one, no two alike."""
    source = seeded(seed)
    state = model.state_dict().keys()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3, generator=source)
        for name, buffer in model.named_buffers():
            if name in state and buffer.is_floating_point():
                buffer.uniform_(0.5, 1.5, generator=source)


def _outputs(model: nn.Module, inputs: Inputs) -> Sequence[Tensor]:
    return (model(**inputs),)


def _scatter(small: nn.Module, full: nn.Module, plan: Plan) -> None:
    """Puts the numbers of `small` where the plan says that its slices lie, and zeros everywhere else."""
    weights = dict(full.named_parameters(remove_duplicate=False))
    with torch.no_grad():
        for weight in weights.values():
            weight.zero_()
        for name, parameter in small.named_parameters():
            plan.cuts[name].add_into(weights[plan.cuts[name].source], parameter)
        for name, source in plan.buffers.items():
            full.get_buffer(source).copy_(small.get_buffer(name))


def _norms(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The modules that normalise, by the name of their class, as every library's say it."""
    for name, module in model.named_modules():
        if "Norm" in type(module).__name__ and not any(True for _ in module.children()):
            yield name, module


@contextlib.contextmanager
def _watching(model: nn.Module) -> Iterator[dict[str, list[torch.Size]]]:
    """The shapes that each norm is given one after the other, filled in while `model` runs in the block."""
    seen: dict[str, list[torch.Size]] = {}

    def note(name: str, _module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.setdefault(name, []).append(inputs[0].shape)

    hooks = [module.register_forward_pre_hook(functools.partial(note, name)) for name, module in _norms(model)]
    yield seen
    for hook in hooks:
        hook.remove()


@contextlib.contextmanager
def _lent_norms(full: nn.Module, small: nn.Module, plan: Plan, seen: Mapping[str, list[torch.Size]]) -> Iterator[None]:
    """Has each norm of `full` use the small one in the block, with its mean and deviation, where its numbers lie."""
    lenders = {module: (name, small.get_submodule(name)) for name, module in _norms(full) if name in seen}
    for module, (name, lent) in lenders.items():
        where = next((plan.cuts[at] for at in _own(name, lent) if at in plan.cuts), None)
        module.forward = functools.partial(_padded, lent, where, iter(seen[name]))
    try:
        yield
    finally:
        for module in lenders:
            del module.forward


def _own(name: str, module: nn.Module) -> list[str]:
    """The names of the vectors among a norm's own parameters."""
    return [f"{name}.{leaf}" for leaf, weight in module.named_parameters(recurse=False) if weight.ndim == 1]


def _padded(norm: nn.Module, cut: Cut | None, shapes: Iterator[torch.Size], x: Tensor) -> Tensor:
    """What `norm` makes of the slice of `x` that has the next of `shapes`, with zeros around it."""
    shape = next(shapes, torch.Size())
    axes = [axis for axis, (small, full) in enumerate(zip(shape, x.shape, strict=False)) if small != full]
    if len(shape) != x.ndim or len(axes) > 1:
        raise InputError(f"a norm gets {tuple(shape)} in the small model, {tuple(x.shape)} in the full one")
    if not axes:
        y: Tensor = norm(x)
        return y
    (axis,) = axes
    everywhere = torch.arange(x.shape[axis])
    is_told = cut is not None and cut.shape == shape[axis : axis + 1]
    places = cut.apply(everywhere) if cut is not None and is_told else everywhere[: shape[axis]]
    return torch.zeros_like(x).index_copy(axis, places, norm(x.index_select(axis, places)))


def difference(found: Tensor, expected: Tensor) -> float:
    """The largest difference on the part of `found` that `expected` has, as a share of the largest number there."""
    if found.ndim != expected.ndim or any(a < b for a, b in zip(found.shape, expected.shape, strict=True)):
        return math.inf
    largest = _largest(expected)
    if not 0 < largest < math.inf:
        return math.inf
    leading = found[tuple(slice(size) for size in expected.shape)]
    difference = _largest(leading - expected)
    return difference / largest if math.isfinite(difference) else math.inf


def _largest(numbers: Tensor) -> float:
    return float(numbers.abs().max()) if numbers.numel() else math.inf
