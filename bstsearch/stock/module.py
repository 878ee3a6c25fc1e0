"""A stock model as a slimmable module: the class that a configuration names, built at its sizes."""

from __future__ import annotations

import copy
import functools
import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from torch import Tensor, nn

from bstsearch.errors import InputError
from bstsearch.reading import needing, said, shown
from bstsearch.stock.configuration import Settings, StockConfig
from bstsearch.stock.patches import in_order

# Settings that say nothing of what a model computes, and those that a configuration works out from its layers.
LEFT_OUT = (
    "transformers_version",
    "_name_or_path",
    "architectures",
    "dtype",
    "out_features",
    "out_indices",
    "stage_names",
)

Kind = TypeVar("Kind", bound=nn.Module)

_KNOWN: dict[str, Any] = {}


class StockModel(nn.Module):
    """A stock model whose forward has tensors only; its weights have their stock names behind "model.".

    With `is_drawing` it draws random numbers where its class does, though they change nothing.
    """

    def __init__(self, model: nn.Module, names: Sequence[str], pooling: str = "", *, is_drawing: bool = False) -> None:
        super().__init__()
        self.is_drawing = is_drawing
        self.model, self.names, self.pooling = model, tuple(names), pooling

    def fixed(self, **inputs: Tensor) -> tuple[Tensor, ...]:
        """The inputs, by position: every weight of a stock model is elastic."""
        return tuple(inputs[name] for name in self.names)

    def elastic(self, *features: Tensor) -> Tensor:
        """The first output that has one row, or more, for each example; pooled where that was asked for."""
        inputs = dict(zip(self.names, features, strict=True))
        output = next(output for output in self.outputs(inputs) if output.ndim > 1)
        return _pooled(output, inputs["attention_mask"], self.pooling) if self.pooling else output

    def forward(self, *features: Tensor, **inputs: Tensor) -> Tensor:
        """As `SlimmableModule` says; inputs may also come by position, as when the model is traced."""
        return self.elastic(*(features or self.fixed(**inputs)))

    def outputs(self, inputs: Mapping[str, Tensor]) -> list[Tensor]:
        """Every output that is of numbers with a fraction."""
        given = as_taken(inputs) if self.is_drawing else in_order(self.model, as_taken(inputs))
        options = {"return_dict": True, **({"use_cache": False} if "use_cache" in _taken(type(self.model)) else {})}
        found = self.model(**given, **options)
        return [tensor for tensor in _tensors(found.to_tuple()) if tensor.is_floating_point()]


def _pooled(words_BTD: Tensor, mask_BT: Tensor, pooling: str) -> Tensor:
    """One vector of length one for each text: of its first token, or the mean of all that are no padding."""
    if pooling == "cls":
        return nn.functional.normalize(words_BTD[:, 0], dim=-1)
    mask_BT1 = mask_BT.unsqueeze(-1).to(words_BTD.dtype)
    return nn.functional.normalize((words_BTD * mask_BT1).sum(1) / mask_BT1.sum(1), dim=-1)


def as_taken(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inputs as the class takes them: patches of all pictures behind each other, where it takes patches."""
    if "image_grid_thw" not in inputs:
        return dict(inputs)
    return {name: value.flatten(0, 1) if name == "pixel_values" else value for name, value in inputs.items()}


def _tensors(outputs: Any) -> Iterator[Tensor]:
    for output in outputs if isinstance(outputs, list | tuple) else ():
        if isinstance(output, Tensor):
            yield output
        else:
            yield from _tensors(output)


def build(config: StockConfig) -> StockModel:
    """The model of that configuration; what its class raises where sizes do not go together is not caught."""
    kind = get_class(config.architecture)
    names = config.found.reads.names
    model = kind(stock_config(kind, config.settings))
    if hasattr(model, "set_experts_implementation"):
        model.set_experts_implementation("eager")  # the others take no float64
    made: StockModel = taking(StockModel, names)(model, names, config.pooling)
    return made


@functools.cache
def taking(module: type[Kind], names: tuple[str, ...]) -> type[Kind]:
    """That kind of module with these names in the signature of its forward, where exporters to ONNX look for them."""

    def forward(self: Kind, *features: Tensor, **inputs: Tensor) -> Any:
        return module.forward(self, *features, **inputs)

    of_input = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(name, of_input) for name in ("self", *names)]
    forward.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return type(module.__name__, (module,), {"forward": forward, "__doc__": module.__doc__})


def inputs_of(architecture: str) -> tuple[str, ...]:
    """The names that the forward of that class takes."""
    return _taken(get_class(architecture))


def _taken(kind: type[nn.Module]) -> tuple[str, ...]:
    return tuple(inspect.signature(kind.forward).parameters)


def know_class(name: str, kind: Any) -> None:
    """Has `get_class` find a class that is no part of transformers."""
    _KNOWN[name] = kind


def get_class(name: str) -> Any:
    """The class of that name in transformers, or that was made known; InputError where there is none."""
    return _KNOWN.get(name) or get_stock_class(name)


@functools.cache
def library() -> Any:
    """The package transformers, which keeps its remarks to itself; InputError where it is not installed."""
    with needing("a stock model", "transformers"):
        import transformers
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    return transformers


@functools.cache
def get_stock_class(name: str) -> Any:
    """The class of that name in transformers; InputError where the installed version has none."""
    found = getattr(library(), name, None)
    if not (isinstance(found, type) and issubclass(found, library().PreTrainedModel)):
        raise InputError(
            f"transformers {transformers_version()} has no model {shown(name)}; update it, or check the name"
        )
    return found


def transformers_version() -> str:
    """The version that is installed; InputError where none is."""
    return str(library().__version__)


def full_settings(architecture: str, settings: Settings) -> Settings:
    """The settings with those that a file leaves out, as the class would complete them."""
    kind = get_class(architecture)
    try:
        complete = stock_config(kind, settings).to_json_string(use_diff=False)
    except Exception as error:  # a configuration checks itself in ways of its own
        raise InputError(f"{architecture} refuses this configuration: {said(error)}") from error
    found: Settings = _without(json.loads(complete))
    return found


def _without(settings: Any) -> Any:
    """The settings but for those that say nothing of the model, or follow from others."""
    if isinstance(settings, dict):
        return {name: _without(value) for name, value in settings.items() if name not in LEFT_OUT}
    return settings


def stock_config(kind: Any, settings: Settings) -> Any:
    """The configuration object of that class with these settings."""
    return kind.config_class.from_dict(copy.deepcopy(settings))
