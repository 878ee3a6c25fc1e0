"""The two parts of the work of a stock model that writes text: a text is read, and one more token is computed.

Keys and values of the text are kept in between. In the graph of a step they are constants, as long as the text that the
model is measured with: what a step computes, and reads from memory, is that of a text which came from elsewhere.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from bstsearch.errors import InputError
from bstsearch.model.family import Work
from bstsearch.model.phase import Phase
from bstsearch.reading import said
from bstsearch.stock.configuration import StockConfig
from bstsearch.stock.inputs import TEXT, example_inputs, free_axes
from bstsearch.stock.module import StockModel, as_taken, build, get_class, inputs_of, taking

IDS, MASK = "input_ids", "attention_mask"
LAST_ONLY = "logits_to_keep"  # an input of the classes that can leave out the logits of all tokens but the last
CACHES = ("cache", "past_key_values")  # what keys and values are called, newer versions first


def writes_text(config: StockConfig) -> bool:
    """Whether the class computes text token by token, and reads it with the same weights."""
    names = config.found.reads.names
    return IDS in names and "decoder_input_ids" not in names and bool(get_class(config.architecture).can_generate())


def phases(config: StockConfig) -> Mapping[Phase, Work]:
    """Both parts, for a class that writes text."""
    if not writes_text(config):
        return {}
    return {
        "prefill": Work(
            build=taking(Prefill, config.found.reads.names), example_inputs=example_inputs, free_axes=free_axes
        ),
        "decode": Work(build=Step, example_inputs=next_token),
    }


def next_token(config: StockConfig, batch: int) -> dict[str, Tensor]:
    """One token, and the mask of the text that ends with it."""
    before = _text_before(config, batch)[IDS].shape[1]
    token = example_inputs(config, batch)[IDS][:, -1:]
    return {IDS: token, MASK: torch.ones(batch, before + 1, dtype=torch.int64)}


def _text_before(config: StockConfig, batch: int) -> dict[str, Tensor]:
    """The inputs, of which the last token is taken off: a table of positions has no room for one more.

    A class that puts pictures into its text keeps them, and has no such table.
    """
    inputs = example_inputs(config, batch)
    is_cut = not config.found.reads.patches_per_token
    return {name: value[:, :-1] if is_cut and name in TEXT else value for name, value in inputs.items()}


class Prefill(nn.Module):
    """Reads a text: gives the logits of the token that follows (B, 1, V), and each layer's keys and values."""

    def __init__(self, config: StockConfig) -> None:
        super().__init__()
        self.stock, self.names = build(config).eval(), config.found.reads.names
        self.options: dict[str, Any] = {LAST_ONLY: 1} if LAST_ONLY in inputs_of(config.architecture) else {}

    def forward(self, *features: Tensor, **inputs: Tensor) -> tuple[Tensor, ...]:
        """The logits, then the keys and values of one layer after the other."""
        found = read(self.stock, inputs or dict(zip(self.names, features, strict=True)), self.options)
        return found.logits, *(tensor for layer in cached(found) for tensor in (layer.keys, layer.values))


class Step(nn.Module):
    """Computes one more token (B, 1) of a text whose keys and values it holds; gives its logits (B, 1, V)."""

    def __init__(self, config: StockConfig) -> None:
        super().__init__()
        self.stock = build(config).eval()
        with torch.no_grad():
            found = read(self.stock, _text_before(config, 1), {})
        self.cache = next(name for name in CACHES if name in inputs_of(config.architecture))
        self.layers = [copy.copy(layer) for layer in cached(found)]
        self.held = copy.copy(cache_of(found))
        for index, layer in enumerate(self.layers):
            self.register_buffer(f"keys_{index}", layer.keys.clone())
            self.register_buffer(f"values_{index}", layer.values.clone())
            layer.keys = layer.values = None
        try:
            with torch.no_grad():
                self(**next_token(config, 1))
        except Exception as error:  # the class says in its own way what it lacks
            raise InputError(
                f"{config.architecture} computes no token by itself: {said(error)}; leave out --phase"
            ) from error

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """The logits of the token after this one."""
        held = copy.copy(self.held)
        held.layers = [self._filled(index) for index in range(len(self.layers))]
        inputs = {IDS: input_ids, MASK: attention_mask}
        logits: Tensor = read(self.stock, inputs, {self.cache: held}).logits
        return logits

    def _filled(self, index: int) -> Any:
        """The cache of that layer, with what it keeps of the text."""
        layer = copy.copy(self.layers[index])
        layer.keys, layer.values = self.get_buffer(f"keys_{index}"), self.get_buffer(f"values_{index}")
        return layer


def read(stock: StockModel, inputs: Mapping[str, Tensor], options: Mapping[str, Any]) -> Any:
    """What the class gives for these inputs, its cache among it."""
    return stock.model(**as_taken(inputs), use_cache=True, return_dict=True, **options)


def cache_of(found: Any) -> Any:
    """The cache among what the class gave; None where there is none."""
    return next((found[name] for name in CACHES if name in found), None)


def cached(found: Any) -> list[Any]:
    """The cache of each layer; InputError where one keeps something else than keys and values of tokens."""
    layers = list(getattr(cache_of(found), "layers", []))
    if not layers or not all(isinstance(getattr(layer, "keys", None), Tensor) for layer in layers):
        raise InputError("this class keeps something else of a text than keys and values; leave out --phase")
    return layers
