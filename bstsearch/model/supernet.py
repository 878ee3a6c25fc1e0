"""The supernet: one set of full-size parameters, and every submodel computing with slices of it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save
from torch import Tensor, nn

from bstsearch.errors import InputError
from bstsearch.model import slicing
from bstsearch.model.binding import BoundModel, Parts
from bstsearch.model.config import config_to_json
from bstsearch.model.family import Config, Family
from bstsearch.model.lookup import restored
from bstsearch.model.probing import check_axes, check_room
from bstsearch.model.supernet_folder import CONFIG, SupernetFolder, read_folder
from bstsearch.reading import check_file, parsing, shown
from bstsearch.space import FLOAT32, Space, Submodel
from bstsearch.writing import writing

NAME = 90  # characters of a tensor's name that an error shows
SMALL_MODELS = 32  # kept for the next bind; more than any grid, few of a layer-wise space


class Supernet(nn.Module):
    """The full model's parameters, and a way to compute with any submodel's share of them.

    >>> from bstsearch.families.mcan import FAMILY, PRESETS
    >>> supernet = Supernet(FAMILY, PRESETS["mcan-easy-vqa"])
    >>> with supernet.bind(supernet.space.smallest) as model:
    ...     model(**FAMILY.example_inputs(supernet.config, batch=2)).shape
    torch.Size([2, 13])
    """

    def __init__(self, family: Family, config: Config, space: Space | None = None) -> None:
        super().__init__()
        self.family = family
        self.config = config
        self.space = family.space(config) if space is None else space
        family.check(config, self.space)
        check_axes(family, config)
        self.model = family.build(config)
        self._parts = Parts(self.model)
        self._small: dict[Submodel, BoundModel] = {}  # a plain dict: small models are no submodules of this one

    @contextlib.contextmanager
    def bind(self, submodel: Submodel) -> Iterator[nn.Module]:
        """An ordinary module that computes with slices of the full weights, until the block ends.

        Run backward inside the block; when the block ends, the gradients are added to the matching slices
        of the full parameters' `.grad`. In-place updates of the full weights are seen at once; training
        mode and `requires_grad` mirror the supernet's. `Submodel()` is the full model itself. ValueError for another
        precision than float32, in which only ONNX files compute.
        """
        _check_float32(submodel)
        if submodel == Submodel():
            yield self.model
            return
        with torch.inference_mode(False):  # what is made in inference mode could not be trained later
            self._forget_if_changed()
            small = self._small.get(submodel) or self._build_small(submodel)
            small.point(is_training=self.training)
        try:
            yield small.model
            small.add_gradients()
        finally:
            small.clear_gradients()

    def materialise(self, submodel: Submodel) -> nn.Module:
        """An ordinary module that owns a copy of the submodel's numbers and needs nothing of bstsearch.

        ValueError as of `bind`.
        """
        _check_float32(submodel)
        return self._fill(*self._build(submodel))

    def _fill(self, model: nn.Module, plan: slicing.Plan) -> nn.Module:
        """Gives `model` its numbers by `plan`, as copies."""
        full = dict(self.model.named_parameters(remove_duplicate=False))
        for name, parameter in model.named_parameters():
            cut = plan.cuts[name]
            parameter.data = cut.apply(full[cut.source].data).clone(memory_format=torch.contiguous_format)
        for name, source in plan.buffers.items():
            model.get_buffer(name).copy_(self.model.get_buffer(source))
        return model.train(self.training)

    def numbered(self, submodel: Submodel) -> tuple[nn.Module, dict[str, NDArray[np.int64]]]:
        """The submodel as `materialise` makes it, and for each of its parameters where its numbers are.

        The full model's numbers are counted from 0, parameter after parameter. ValueError as of `bind`.
        """
        _check_float32(submodel)
        numbers, count = {}, 0
        for parameter in self.model.parameters():
            numbers[parameter] = torch.arange(count, count + parameter.numel()).reshape(parameter.shape)
            count += parameter.numel()
        full = dict(self.model.named_parameters(remove_duplicate=False))
        model, plan = self._build(submodel)
        places = {
            parameter: plan.cuts[name].apply(numbers[full[plan.cuts[name].source]]).numpy()
            for name, parameter in model.named_parameters()
        }
        tied = model.named_parameters(remove_duplicate=False)
        return self._fill(model, plan), {name: places[parameter] for name, parameter in tied}

    def save(self, folder: Path) -> None:
        """Writes `model.safetensors` and `config.json` into `folder`, which exists."""
        on_disk = SupernetFolder(
            path=folder, family=self.family.name, config=config_to_json(self.config), space=self.space
        )
        save_weights(self.model, on_disk.weights)
        on_disk.write()

    @classmethod
    def load(cls, folder: Path) -> Supernet:
        """The supernet in `folder`, in eval mode; InputError where a file is missing, truncated or foreign."""
        on_disk = read_folder(folder)
        with parsing(folder / CONFIG):
            family, config = restored(on_disk.family, on_disk.config)
            family.check(config, on_disk.space)
            check_room(family, config, on_disk.weights)
            supernet = cls(family, config, on_disk.space)
        load_weights(supernet.model, on_disk.weights)
        return supernet.eval()

    def _build(self, submodel: Submodel) -> tuple[nn.Module, slicing.Plan]:
        # Built for real, not on the meta device: buffers depend on the config and must hold true values.
        # Its random numbers are replaced at once, and must not shift those that training draws.
        with torch.random.fork_rng(devices=[]):
            model = self.family.build(self.family.shrink(self.config, submodel))
        model.to(next(self.model.parameters()))
        return model, slicing.make_plan(self.family, self.config, submodel, model, self.model)

    def _build_small(self, submodel: Submodel) -> BoundModel:
        if len(self._small) == SMALL_MODELS:
            del self._small[next(iter(self._small))]  # the oldest
        small = self._small[submodel] = BoundModel(*self._build(submodel), self._parts)
        return small

    def _forget_if_changed(self) -> None:
        """Drops the small models where somebody gave the full one other modules or parameters."""
        if not self._parts.are_current:
            self._small.clear()
            self._parts = Parts(self.model)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        self._small.clear()  # their own buffers would stay on the old device, and of the old precision
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self


def _check_float32(submodel: Submodel) -> None:
    if submodel.precision != FLOAT32:
        raise ValueError(f"{submodel.id}: torch computes in {FLOAT32}")


def save_weights(model: nn.Module, path: Path) -> None:
    """Writes the parameters (tied ones once) and persistent buffers of `model`, atomically."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in _state(model).items()}
    with writing(path) as temporary:
        temporary.write_bytes(save(tensors))  # save_file has an error of its own for a full disk


def load_weights(model: nn.Module, path: Path) -> None:
    """Fills `model` from a file of `save_weights`; every name and shape must match, and every number be finite."""
    check_file(path)
    with parsing(path):
        saved, state = load_file(path), _state(model)
        check_fit(state, saved)
        with torch.no_grad():
            for name, tensor in state.items():
                tensor.copy_(saved[name])
    check_finite(state, path)


def check_fit(own: Mapping[str, Tensor], saved: Mapping[str, Tensor]) -> None:
    """Passes where `saved` has what a model's `own` tensors can take, and no more; else InputError."""
    for name, tensor in own.items():
        if name not in saved:
            raise InputError(f"lacks {shown(name, NAME)}; is it of another model?")
        if saved[name].shape != tensor.shape:
            found, expected = shown(tuple(saved[name].shape)), shown(tuple(tensor.shape))
            raise InputError(f"{shown(name, NAME)} has shape {found}, expected {expected}; another model?")
        if saved[name].is_floating_point() != tensor.is_floating_point():
            raise InputError(f"{shown(name, NAME)} holds {saved[name].dtype}, expected {tensor.dtype}; is it damaged?")
    if foreign := sorted(saved.keys() - own.keys()):
        raise InputError(f"holds {shown(foreign[0], NAME)}, which the model does not know; another model?")


def check_finite(tensors: Mapping[str, Tensor], where: Path | str) -> None:
    """Passes where every number is finite; else InputError, which begins with `where` and names the first such tensor.

    The sum is looked at first, which a NaN or an infinity always spoils: 1 ms for 10 million numbers.
    """
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or math.isfinite(tensor.detach().sum().item()):
            continue
        if bad := tensor.numel() - int(torch.isfinite(tensor).sum()):
            what = f"{bad:,} of {tensor.numel():,} numbers that {'is' if bad == 1 else 'are'} NaN or infinite"
            raise InputError(f"{where}: {shown(name, NAME)} has {what}; save the weights of an earlier step")


def _state(model: nn.Module) -> dict[str, Tensor]:
    persistent = model.state_dict(keep_vars=True)
    buffers = {name: buffer for name, buffer in model.named_buffers() if name in persistent}
    return {**dict(model.named_parameters()), **buffers}
