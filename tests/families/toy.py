"""A small text encoder with what MCAN lacks: a fused qkv axis, tied weights, a buffer that depends on a size."""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bstsearch.model.axes import Axis
from bstsearch.model.family import Family, Stack, seeded, whole
from bstsearch.space import Submodel


@dataclasses.dataclass(frozen=True, kw_only=True)
class ToyConfig:
    """`hidden`, `heads` and `ffn` (one entry per layer) are elastic."""

    vocab: int = 11
    length: int = 5
    hidden: int = 8
    head_dim: int = 2
    heads: tuple[int, ...] = (4,) * 4
    ffn: tuple[int, ...] = (16,) * 4


class ToyLayer(nn.Module):
    def __init__(self, config: ToyConfig, heads: int, ffn: int) -> None:
        super().__init__()
        inner = heads * config.head_dim
        self.heads = heads
        self.qkv = nn.Linear(config.hidden, 3 * inner)
        self.merge = nn.Linear(inner, config.hidden)
        self.up = nn.Linear(config.hidden, ffn)
        self.down = nn.Linear(ffn, config.hidden)
        self.norm1, self.norm2 = nn.LayerNorm(config.hidden), nn.LayerNorm(config.hidden)

    def forward(self, x_BTD: Tensor) -> Tensor:
        q_BNTH, k_BNTH, v_BNTH = self.qkv(x_BTD).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        attended_BTD = F.scaled_dot_product_attention(q_BNTH, k_BNTH, v_BNTH).transpose(1, 2).flatten(2)
        x_BTD = self.norm1(x_BTD + self.merge(attended_BTD))
        return self.norm2(x_BTD + self.down(F.relu(self.up(x_BTD))))


class Toy(nn.Module):
    def __init__(self, config: ToyConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.vocab, config.hidden)
        # Not a slice of a larger one: the divisor makes every entry depend on the hidden size.
        positions_TD = torch.arange(config.length * config.hidden).view(config.length, -1) / config.hidden
        self.register_buffer("positions", positions_TD.sin(), persistent=False)
        self.layers = nn.ModuleList(
            ToyLayer(config, heads, ffn) for heads, ffn in zip(config.heads, config.ffn, strict=True)
        )
        self.output = nn.Linear(config.hidden, config.vocab, bias=False)
        self.output.weight = self.embedding.weight

    def fixed(self, words: Tensor) -> tuple[Tensor, ...]:
        return (words,)

    def elastic(self, words_BT: Tensor) -> Tensor:
        x_BTD = self.embedding(words_BT) + self.positions
        for layer in self.layers:
            x_BTD = layer(x_BTD)
        return self.output(x_BTD.mean(1))

    def forward(self, words: Tensor) -> Tensor:
        return self.elastic(*self.fixed(words))


def stacks(config: ToyConfig) -> tuple[Stack, ...]:
    layers = range(len(config.heads))  # fewer than four in an exported model
    return (Stack(prefix="layers", keep_order=tuple(layer for layer in (0, 3, 1, 2) if layer in layers)),)


def shrink(config: ToyConfig, submodel: Submodel) -> ToyConfig:
    (stack,) = stacks(config)
    kept = stack.kept(int(submodel.depth * len(stack.keep_order)))
    heads = submodel.heads or (submodel.width,) * len(kept)
    ffn = submodel.ffn or (submodel.width,) * len(kept)
    return dataclasses.replace(
        config,
        hidden=whole(config.hidden, submodel.width, "hidden"),
        heads=tuple(whole(config.heads[i], share, "heads") for i, share in zip(kept, heads, strict=True)),
        ffn=tuple(whole(config.ffn[i], share, "ffn") for i, share in zip(kept, ffn, strict=True)),
    )


FAMILY = Family(
    name="toy",
    config=ToyConfig,
    presets={},
    build=Toy,
    shrink=shrink,
    stacks=stacks,
    example_inputs=lambda config, batch: {
        "words": torch.randint(config.vocab, (batch, config.length), generator=seeded())
    },
    elastic_units=lambda config: {"hidden": 1, "heads": config.head_dim, "ffn": 1},
    axes=(Axis(parameter="layers.*.qkv.*", axis=0, parts=(1, 1, 1)),),
)
