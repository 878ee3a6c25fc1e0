"""The supernet: one set of full-size parameters, and every submodel computing with slices of it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bstsearch import slicing
from bstsearch.errors import InputError
from bstsearch.family import Config, Family, config_from_json, config_to_json, get_family
from bstsearch.files import writing
from bstsearch.folder import SupernetFolder, read_folder
from bstsearch.space import Space, Submodel


@dataclasses.dataclass(frozen=True)
class _Small:
    """A small model whose parameters are placeholders, and where their numbers lie in the full model."""

    model: nn.Module
    plan: slicing.Plan
    buffers: tuple[tuple[str, str], ...]


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
        self.model = family.build(config)
        self._small: dict[Submodel, _Small] = {}  # a plain dict: small models are no submodules of this one

    @contextlib.contextmanager
    def bind(self, submodel: Submodel) -> Iterator[nn.Module]:
        """An ordinary module that computes with slices of the full weights, until the block ends.

        Run backward inside the block; at its end the gradients are added to the matching slices of the full
        parameters' `.grad` (no full-size intermediate for each slice). In-place updates of the full weights
        are seen at once; training mode and `requires_grad` mirror the supernet's. The largest submodel
        is the full model itself.
        """
        if submodel == self.space.largest:
            yield self.model
            return
        small = self._small.get(submodel) or self._build_small(submodel)
        self._small[submodel] = small
        full = dict(self.model.named_parameters(remove_duplicate=False))
        placeholders = dict(small.model.named_parameters())
        for name, cut in small.plan.items():
            placeholders[name].data = cut.apply(full[cut.source].data)
            placeholders[name].requires_grad_(full[cut.source].requires_grad)
            placeholders[name].grad = None
        self._share_buffers(small)
        small.model.train(self.training)
        yield small.model
        for name, cut in small.plan.items():
            gradient = placeholders[name].grad
            if gradient is not None:
                source = full[cut.source]
                if source.grad is None:
                    source.grad = torch.zeros_like(source)
                cut.add_into(source.grad, gradient)

    def materialise(self, submodel: Submodel) -> nn.Module:
        """An ordinary module that owns a copy of the submodel's numbers and needs nothing of bstsearch."""
        config = self.family.shrink(self.config, submodel)
        model = self.family.build(config)
        plan = slicing.make_plan(self.family, self.config, submodel, model, self.model)
        full = dict(self.model.named_parameters(remove_duplicate=False))
        for name, parameter in model.named_parameters():
            parameter.data = plan[name].apply(full[plan[name].source].data).clone(memory_format=torch.contiguous_format)
        buffers = dict(self.model.named_buffers())
        own = dict(model.named_buffers())
        for name, source in slicing.shared_buffers(self.family, self.config, submodel, model):
            own[name].data = buffers[source].detach().clone()
        return model.train(self.training)

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
        family = get_family(on_disk.family)
        supernet = cls(family, config_from_json(family.config, on_disk.config), on_disk.space)
        load_weights(supernet.model, on_disk.weights)
        return supernet.eval()

    def _build_small(self, submodel: Submodel) -> _Small:
        # Built for real, not on the meta device: buffers depend on the config and must hold true values.
        model = self.family.build(self.family.shrink(self.config, submodel))
        plan = slicing.make_plan(self.family, self.config, submodel, model, self.model)
        buffers = tuple(slicing.shared_buffers(self.family, self.config, submodel, model))
        return _Small(model, plan, buffers)

    def _share_buffers(self, small: _Small) -> None:
        for name, source in small.buffers:
            owner, _, leaf = name.rpartition(".")
            buffer = self.model.get_buffer(source)
            small.model.get_submodule(owner)._buffers[leaf] = buffer


def save_weights(model: nn.Module, path: Path) -> None:
    """Writes the parameters (tied ones once) and persistent buffers of `model`, atomically."""
    with writing(path) as temporary:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in _state(model).items()}, temporary)


def load_weights(model: nn.Module, path: Path) -> None:
    """Fills `model` from a file of `save_weights`; every name and shape must match, else InputError."""
    try:
        saved = load_file(path)
    except FileNotFoundError:
        raise InputError(f"weights {path} do not exist") from None
    except (SafetensorError, OSError) as error:
        raise InputError(f"weights {path} are no safetensors file, or truncated: {error}") from error
    state = _state(model)
    for name, tensor in state.items():
        if name not in saved:
            raise InputError(f"weights {path} lack {name!r}; are they of another model?")
        if saved[name].shape != tensor.shape:
            found, expected = tuple(saved[name].shape), tuple(tensor.shape)
            raise InputError(f"weights {path}: {name!r} has shape {found}, expected {expected}; another model?")
    if foreign := sorted(saved.keys() - state.keys()):
        raise InputError(f"weights {path} hold {foreign[0]!r}, which the model does not know; another model?")
    with torch.no_grad():
        for name, tensor in state.items():
            tensor.copy_(saved[name])


def _state(model: nn.Module) -> dict[str, Tensor]:
    buffers = {name: buffer for name, buffer in model.named_buffers() if name in model.state_dict(keep_vars=True)}
    return {**dict(model.named_parameters()), **buffers}
