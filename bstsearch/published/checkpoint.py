"""A published checkpoint as a supernet: every one of its tensors used, known to be dead, or an error."""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bstsearch.errors import InputError, UsageError
from bstsearch.model.lookup import family_names, get_family
from bstsearch.model.supernet import Supernet
from bstsearch.published.tensors import read_tensors

NO_DATA = "none"
NAMED = 3  # tensors that an error names before it counts the others
COUNTER = ".num_batches_tracked"  # of BatchNorm: plays no part in what a trained model computes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Imported:
    """A supernet in eval mode, the data set it is for (or "none"), and what became of the checkpoint's tensors.

    `used` and `dead` hold names; `dead` by the rule that says what they are. `dead_parameters` are their numbers.
    """

    supernet: Supernet
    data: str
    used: tuple[str, ...]
    dead: Mapping[str, tuple[str, ...]]
    dead_parameters: Mapping[str, int]

    @property
    def parameters(self) -> int:
        """How many numbers of the supernet are trained; running means of BatchNorm do not count."""
        return sum(parameter.numel() for parameter in self.supernet.model.parameters())

    def to_json(self) -> dict[str, Any]:
        """What was made of which tensors, as plain data."""
        return {
            "family": self.supernet.family.name,
            "data": self.data,
            "used": {"tensors": len(self.used), "parameters": self.parameters},
            "not_used": {
                rule: {"tensors": len(names), "numbers": self.dead_parameters[rule]}
                for rule, names in self.dead.items()
            },
            "submodels": [submodel.id for submodel in self.supernet.space.grid()],
        }


def read_checkpoint(
    path: Path,
    family_name: str,
    *,
    data: str | None = None,
    heads: int | None = None,
    question_length: int | None = None,
    image_size: tuple[int, int] | None = None,
) -> Imported:
    """The checkpoint in `path` as a supernet of that family, with BST's space.

    Sizes come from the weights. What shapes cannot tell may be given: the number of `heads` (default: heads of size
    64), `question_length`, and `image_size` (height, width). The defaults of the last two are the published ones.
    InputError where the file is of another family, lacks a tensor, or has one that is neither used nor known to be
    dead.
    """
    family, reference = get_family(family_name), _reference(get_family(family_name).name)
    tensors = read_tensors(path)
    _check_family(tensors, family.name, path)
    live, dead = _sorted_out(tensors, reference, path)
    shapes = {name: tuple(tensor.shape) for name, tensor in live.items()}
    try:
        data = data or reference.data_of(shapes)
        sizes = reference.sizes_of(shapes, heads)
    except (KeyError, ValueError, IndexError) as error:
        raise InputError(f"checkpoint {path} lacks {error}, which tells the model's sizes; is it whole?") from error
    _check_heads(sizes["hidden"], heads, reference.HEAD_DIM)
    sizes["question_length"] = question_length or _question_length(reference.QUESTION_LENGTHS, data)
    if image_size is not None:
        sizes["image_height"], sizes["image_width"] = image_size
    supernet = Supernet(family, family.config(**sizes))
    _fill(supernet, live, path)
    return Imported(
        supernet=supernet.eval(),
        data=data,
        used=tuple(live),
        dead={rule: tuple(found) for rule, found in dead.items()},
        dead_parameters={rule: sum(tensor.numel() for tensor in found.values()) for rule, found in dead.items()},
    )


def _sorted_out(
    tensors: Mapping[str, Tensor], reference: Any, path: Path
) -> tuple[dict[str, Tensor], dict[str, dict[str, Tensor]]]:
    """What the model may use, under our names, and what it has no use for, by rule."""
    live: dict[str, Tensor] = {}
    dead: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        own = reference.own_name(name)
        rule = next((rule for rule, pattern in reference.DEAD.items() if re.match(pattern, own)), None)
        named = live if rule is None else dead.setdefault(rule, {})
        if own in named:
            raise InputError(f"checkpoint {path} holds {own} twice, under different names; which is meant?")
        named[own] = tensor
    return live, dead


def _check_family(names: Iterable[str], family: str, path: Path) -> None:
    found = [
        other
        for other in family_names()
        if _has_reference(other) and any(_reference(other).own_name(name).startswith(_sign(other)) for name in names)
    ]
    if family not in found:
        looks = f"it looks like {found[0].replace('_', '-')}" if found else "it looks like no family that is known"
        raise InputError(f"checkpoint {path} is no {family.replace('_', '-')}: {looks}; see --family")


def _reference(family: str) -> Any:
    if not _has_reference(family):
        raise InputError(f"no public checkpoints of the family {family!r} are known")
    return importlib.import_module(f"bstsearch.published.{family}")


def _has_reference(family: str) -> bool:
    return (Path(__file__).parent / f"{family}.py").exists()


def _sign(family: str) -> str:
    return str(_reference(family).SIGN)


def _question_length(lengths: Mapping[str, int], data: str) -> int:
    if data == NO_DATA:
        return next(iter(lengths.values()))
    if data not in lengths:
        raise UsageError(f"unknown data set {data!r}; there are {', '.join(lengths)} and {NO_DATA}")
    return lengths[data]


def _check_heads(hidden: int, heads: int | None, head_dim: int) -> None:
    """Passes where the heads share `hidden` evenly, and can be cut into BST's quarters; else InputError."""
    count = heads or hidden // head_dim
    if count == 0 or hidden % count or (heads is None and (hidden % head_dim or count % 4)):
        what = f"{heads} heads do not divide" if heads else f"heads of {head_dim} cannot be cut into quarters in"
        raise InputError(f"{what} hidden={hidden}; give the model's number of heads with --heads")


def _fill(supernet: Supernet, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Copies the tensors into the model; InputError names what is missing, unknown or of another shape."""
    own = supernet.model.state_dict()
    for what, names in (
        ("lacks", [name for name in own if name not in tensors and not name.endswith(COUNTER)]),
        ("has the unknown", [name for name in tensors if name not in own]),
    ):
        if names:
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            raise InputError(
                f"checkpoint {path} {what} {', '.join(names[:NAMED])}{more}; a {supernet.family.name} of these sizes "
                f"has {len(own)} tensors"
            )
    with torch.no_grad():
        for name, tensor in tensors.items():
            found, expected = tuple(tensor.shape), tuple(own[name].shape)
            if found != expected:
                raise InputError(f"checkpoint {path}: {name} is {found}, but by the other tensors {expected}")
            own[name].copy_(tensor)
