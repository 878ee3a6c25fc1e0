"""Pretrained weights put in order before they are slimmed: what matters most comes first, and is kept longest.

A slice takes what comes first, and pretrained weights have no order. Heads, FFN units and channels change places, which
leaves the full model's outputs as they are; of layers, the order in which they are kept is chosen.

How much a unit matters is how much outputs change without it, to first order: what leaves it, times its gradient of
outputs weighted at random. Its mean square over examples and weights is the mean squared change. No labels are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from bstsearch.errors import BstsearchError
from bstsearch.listener import SILENT, Listener
from bstsearch.model.bundles import FEWEST, Bundle, find_bundles
from bstsearch.model.family import Config, Family, seeded
from bstsearch.model.sizes import resized, size_of
from bstsearch.model.supernet import Supernet
from bstsearch.space import Submodel
from bstsearch.tasks.task import Split

ROWS = 256  # that are looked at
BATCH = 32
LAYER_BATCHES = 2  # for layers, each of which is left out in turn: a model of six runs twenty times
SEED = 0
CLOSE = 1e-3  # of outputs in float32 after units have changed places: sums have other orders

Distance = Callable[[Tensor, Tensor], Tensor]
Inputs = Mapping[str, Tensor]


def ordered(supernet: Supernet, split: Split, distance: Distance, listener: Listener = SILENT) -> Supernet:
    """The same model with its units and layers in order of importance on some rows of `split`.

    `distance` says how far outputs are from the full model's, per row. BstsearchError where the outputs of the full
    model do not stay, which only a bug can bring about.
    """
    family, model = supernet.family, supernet.model.eval()
    device = next(model.parameters()).device
    rows = split.grouped(torch.randperm(len(split), generator=seeded(SEED))[:ROWS], BATCH)
    batches = [batch.to(device).inputs for batch in split.batches(BATCH, rows)]
    listener.progress("looking for units that can change places")
    bundles = find_bundles(family, supernet.config, _probed(supernet))
    before = _outputs(model, batches[0])
    for bundle, scores in zip(bundles, _scores(model, bundles, batches, listener), strict=True):
        bundle.reorder(model, scores.argsort(descending=True, stable=True).tolist())
    _check_same(model, before, batches[0], distance)
    config = _with_layers_ordered(family, supernet.config, model, batches[:LAYER_BATCHES], distance, listener)
    found = Supernet(family, config, supernet.space).to(device)
    found.load_state_dict(supernet.state_dict())
    return found.eval()


def _probed(supernet: Supernet) -> Submodel:
    """The smallest width at which there are two units of each kind at least: what holds there holds at all."""
    family, config = supernet.family, supernet.config
    for width in supernet.space.widths:
        small = family.shrink(config, Submodel(width=width))
        sizes = [(size_of(small, field), step) for group in family.moves(config) for field, step in group.items()]
        rows = [(size if isinstance(size, tuple) else (size,), step) for size, step in sizes]
        if all(size // step >= FEWEST for row, step in rows for size in row):
            return Submodel(width=width)
    return Submodel()


def _scores(model: nn.Module, bundles: Sequence[Bundle], batches: Sequence[Inputs], listener: Listener) -> list[Tensor]:
    """How much each unit of each bundle matters (n,)."""
    found = [torch.zeros(bundle.count(model), device=next(model.parameters()).device) for bundle in bundles]
    names = dict.fromkeys(held.parameter for bundle in bundles for held in bundle.leaves_by)
    parameters = {name: model.get_parameter(name) for name in names}
    was_trained = [parameter.requires_grad for parameter in parameters.values()]
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    source = seeded(SEED)
    for done, inputs in enumerate(batches):
        listener.progress("looking for what matters most", done, len(batches))
        outputs = model(**inputs)
        weights = torch.randn(outputs.shape, generator=source).to(outputs)
        gradients = torch.autograd.grad((outputs * weights).sum(), list(parameters.values()), materialize_grads=True)
        effects = {
            name: parameter.detach() * gradient
            for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True)
        }
        for scores, bundle in zip(found, bundles, strict=True):
            for held in bundle.leaves_by:
                scores += held.by_unit(effects[held.parameter]).square()
    for parameter, trained in zip(parameters.values(), was_trained, strict=True):
        parameter.requires_grad_(trained)
    return found


def _with_layers_ordered(
    family: Family,
    config: Config,
    model: nn.Module,
    batches: Sequence[Inputs],
    distance: Distance,
    listener: Listener,
) -> Config:
    """The config with a keep order for each stack that lets it be chosen: each time the least missed layer goes."""
    wanted = [_outputs(model, inputs) for inputs in batches]
    for stack in family.stacks(config):
        if stack.order is None:
            continue
        parent, _, name = stack.prefix.rpartition(".")
        owner, layers = model.get_submodule(parent), list(model.get_submodule(stack.prefix).children())
        left, gone = list(range(len(layers))), list[int]()
        while len(left) > 1:
            listener.progress("looking for layers to leave out", len(gone), len(layers))
            losses = {}
            for layer in left:
                setattr(owner, name, nn.ModuleList(layers[one] for one in left if one != layer))
                found = zip(batches, wanted, strict=True)
                losses[layer] = sum(float(distance(_outputs(model, one), like).sum()) for one, like in found)
            gone.append(min(left, key=lambda layer: losses[layer]))
            left.remove(gone[-1])
        setattr(owner, name, nn.ModuleList(layers))
        config = resized(config, {stack.order: (*left, *reversed(gone))})
    return config


def _outputs(model: nn.Module, inputs: Inputs) -> Tensor:
    with torch.no_grad():
        outputs: Tensor = model(**inputs)
    return outputs


def _check_same(model: nn.Module, before: Tensor, inputs: Inputs, distance: Distance) -> None:
    """Passes where the full model gives what it gave, but for the places of its outputs' numbers."""
    after = _outputs(model, inputs)
    if not torch.allclose(after.sort(-1).values, before.sort(-1).values, rtol=CLOSE, atol=CLOSE * float(before.std())):
        worst = float(distance(after, before).max())
        raise BstsearchError(f"putting units in order of importance changed what the model gives, by {worst:.3g}")
