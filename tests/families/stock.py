"""A model as stock configurations have it: one number for all layers, heads of the hidden size, a layer count."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from bstsearch.layers.keep_order import ends_first
from bstsearch.model.family import Family, Stack, seeded, whole
from bstsearch.space import Submodel


@dataclasses.dataclass(frozen=True, kw_only=True)
class StockConfig:
    """`hidden_size` with `num_attention_heads`, `intermediate_size` and `num_hidden_layers` are elastic."""

    num_labels: int = 3
    patch: int = 6
    length: int = 5
    hidden_size: int = 16
    num_attention_heads: int = 4
    intermediate_size: int = 16
    num_hidden_layers: int = 4

    def __post_init__(self) -> None:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(f"{self.hidden_size=} is no multiple of {self.num_attention_heads=}")


class StockLayer(nn.Module):
    def __init__(self, config: StockConfig) -> None:
        super().__init__()
        size, self.heads = config.hidden_size, config.num_attention_heads
        self.query, self.key, self.value, self.merge = (nn.Linear(size, size) for _ in range(4))
        self.up, self.down = nn.Linear(size, config.intermediate_size), nn.Linear(config.intermediate_size, size)
        self.norm1, self.norm2 = nn.LayerNorm(size), nn.LayerNorm(size)

    def forward(self, x_BTD: Tensor) -> Tensor:
        queries, keys, values = (
            of(x_BTD).unflatten(-1, (self.heads, -1)).transpose(1, 2) for of in (self.query, self.key, self.value)
        )
        mixed_BNTH = nn.functional.scaled_dot_product_attention(queries, keys, values)
        x_BTD = self.norm1(x_BTD + self.merge(mixed_BNTH.transpose(1, 2).flatten(2)))
        return self.norm2(x_BTD + self.down(self.up(x_BTD).relu()))


class Stock(nn.Module):
    def __init__(self, config: StockConfig) -> None:
        super().__init__()
        self.embedding = nn.Linear(config.patch, config.hidden_size)
        self.layer = nn.ModuleList(StockLayer(config) for _ in range(config.num_hidden_layers))
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)

    def fixed(self, pixels: Tensor) -> tuple[Tensor, ...]:
        return (pixels,)

    def elastic(self, pixels_BTP: Tensor) -> Tensor:
        x_BTD = self.embedding(pixels_BTP)
        for layer in self.layer:
            x_BTD = layer(x_BTD)
        return self.classifier(x_BTD[:, 0])

    def forward(self, pixels: Tensor) -> Tensor:
        return self.elastic(*self.fixed(pixels))


def shrink(config: StockConfig, submodel: Submodel) -> StockConfig:
    sizes = ("hidden_size", "num_attention_heads", "intermediate_size")
    return dataclasses.replace(
        config,
        **{name: whole(getattr(config, name), submodel.width, name) for name in sizes},
        num_hidden_layers=whole(config.num_hidden_layers, submodel.depth, "num_hidden_layers"),
    )


FAMILY = Family(
    name="stock",
    config=StockConfig,
    presets={},
    build=Stock,
    shrink=shrink,
    stacks=lambda config: (
        Stack(prefix="layer", keep_order=ends_first(config.num_hidden_layers), count="num_hidden_layers"),
    ),
    example_inputs=lambda config, batch: {
        "pixels": torch.randn(batch, config.length, config.patch, generator=seeded())
    },
    elastic_units=lambda config: {
        "hidden_size": 1,
        "num_attention_heads": config.hidden_size // config.num_attention_heads,
        "intermediate_size": 1,
    },
    groups=lambda config: (
        {"hidden_size": config.hidden_size // config.num_attention_heads, "num_attention_heads": 1},
    ),
)
