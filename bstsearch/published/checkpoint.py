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

from bstsearch.errors import InputError
from bstsearch.model.family import Config, Family
from bstsearch.model.lookup import family_names, get_family
from bstsearch.model.probing import build_shapes
from bstsearch.model.supernet import Supernet, check_finite
from bstsearch.published.configurations import choose_heads, choose_question_length, said_of_layers
from bstsearch.published.shapes import Shapes
from bstsearch.published.tensors import read_tensors
from bstsearch.reading import parsing, plain, shown

NAMED = 3  # tensors that an error names before it counts the others
LONGEST = 60  # characters of such a name, its last ones
COUNTER = ".num_batches_tracked"  # of BatchNorm: plays no part in what a trained model computes
# What libraries put beside the weights of any model.
DEAD_ANYWHERE = {
    "numbers of positions": r"(.*\.)?(position_ids|token_type_ids)$",
    "counter of an average": r"n_averaged$",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Imported:
    """A supernet in eval mode, the data set it is for (or "none"), and what became of the checkpoint's tensors.

    `used` and `dead` hold names; `dead` by the rule that says what they are. `dead_parameters` are their numbers.
    `assumed` says of each size that shapes cannot tell, and that was not given, what it is and by whose word.
    """

    supernet: Supernet
    data: str
    used: tuple[str, ...]
    dead: Mapping[str, tuple[str, ...]]
    dead_parameters: Mapping[str, int]
    assumed: Mapping[str, str]

    @property
    def parameters(self) -> int:
        """How many numbers of the supernet are trained; running means of BatchNorm do not count."""
        return sum(parameter.numel() for parameter in self.supernet.model.parameters())

    def to_json(self) -> dict[str, Any]:
        """What was made of which tensors, as plain data."""
        return {
            "family": self.supernet.family.name,
            "data": self.data,
            "assumed": dict(self.assumed),
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

    Sizes come from the weights. What shapes cannot tell comes from the family's public configurations, unless it is
    given: the number of `heads`, `question_length`, and `image_size` (height, width). InputError where the file is of
    another family, lacks a layer or a tensor, has one that is neither used nor known to be dead or that is not finite,
    or where no public configuration tells the heads.
    """
    family, reference = get_family(family_name), _reference(get_family(family_name).name)
    tensors = read_tensors(path)
    with parsing(path):
        _check_family(tensors, family.name)
        live, dead = _sorted_out(tensors, reference)
        shapes = Shapes({name: tuple(tensor.shape) for name, tensor in live.items()})
        told, why = reference.data_of(shapes)
        hidden = reference.hidden_of(shapes)
        heads, heads_by = choose_heads(reference.CONFIGURATIONS, hidden, heads)
        sizes = reference.sizes_of(shapes, heads)
    length, length_by = choose_question_length(reference.QUESTION_LENGTHS, data or told, question_length)
    given = dict(zip(("image_height", "image_width"), image_size or (), strict=False))
    with parsing(path):
        config = family.config(**sizes, **given, question_length=length)
        supernet = _filled(family, config, live, path)
    assumed = {
        "data": None if data else f"{told}, {why}; --data says otherwise",
        "heads": heads_by,
        **{
            stack.prefix: said_of_layers(reference.CONFIGURATIONS, hidden, stack.prefix, len(stack.keep_order))
            for stack in family.stacks(config)
        },
        "question_length": length_by,
        **{name: text.format_map(vars(config)) for name, text in reference.ALSO_ASSUMED.items()},
        **({"image_size": None} if image_size else {}),
    }
    return Imported(
        supernet=supernet,
        data=data or told,
        used=tuple(live),
        dead={rule: tuple(found) for rule, found in dead.items()},
        dead_parameters={rule: sum(tensor.numel() for tensor in found.values()) for rule, found in dead.items()},
        assumed={name: text for name, text in assumed.items() if text},
    )


def _sorted_out(
    tensors: Mapping[str, Tensor], reference: Any
) -> tuple[dict[str, Tensor], dict[str, dict[str, Tensor]]]:
    """What the model may use, under our names, and what it has no use for, by rule."""
    live: dict[str, Tensor] = {}
    dead: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        own = reference.own_name(name)
        rules = {**reference.DEAD, **DEAD_ANYWHERE}
        rule = next((rule for rule, pattern in rules.items() if re.match(pattern, own)), None)
        named = live if rule is None else dead.setdefault(rule, {})
        if own in named and not torch.equal(named[own], tensor):
            raise InputError(f"holds {own} twice, under different names; which is meant?")
        named[own] = tensor
    return live, dead


def _check_family(names: Iterable[str], family: str) -> None:
    found = [
        other
        for other in family_names()
        if _has_reference(other) and any(_reference(other).own_name(name).startswith(_sign(other)) for name in names)
    ]
    if family not in found:
        looks = f"it looks like {found[0].replace('_', '-')}" if found else "it looks like no family that is known"
        raise InputError(f"is no {family.replace('_', '-')}: {looks}; see --family")


def _reference(family: str) -> Any:
    if not _has_reference(family):
        raise InputError(f"no public checkpoints of the family {family!r} are known")
    return importlib.import_module(f"bstsearch.published.{family}")


def _has_reference(family: str) -> bool:
    return (Path(__file__).parent / f"{family}.py").exists()


def _sign(family: str) -> str:
    return str(_reference(family).SIGN)


def _check_tensors(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor], family: str) -> None:
    """Passes where the model's tensors are there, in their shapes, and no others; else InputError names them."""
    for what, names in (
        ("lacks", [name for name in own if name not in tensors and not name.endswith(COUNTER)]),
        ("has the unknown", [name for name in tensors if name not in own]),
    ):
        if names:
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            listed = ", ".join(plain(name)[-LONGEST:] for name in names[:NAMED])
            raise InputError(f"{what} {listed}{more}; a {family} of these sizes has {len(own)} tensors")
    for name, tensor in tensors.items():
        found, expected = tuple(tensor.shape), tuple(own[name].shape)
        if found != expected:
            raise InputError(f"{name} is {shown(found)}, but by the other tensors {shown(expected)}")
        if own[name].is_floating_point() and not tensor.is_floating_point():
            raise InputError(f"{name} holds {tensor.dtype}; expected float32, or what can become it")


def _filled(family: Family, config: Config, tensors: Mapping[str, Tensor], path: Path) -> Supernet:
    """The supernet with these weights, in eval mode; InputError where they do not fit, or one is not finite."""
    _check_tensors(build_shapes(family, config).state_dict(), tensors, family.name)  # before memory is asked for
    supernet = Supernet(family, config).eval()
    own = supernet.model.state_dict()
    with torch.no_grad():
        for name, tensor in tensors.items():
            own[name].copy_(tensor)
    check_finite(own, path)
    return supernet
