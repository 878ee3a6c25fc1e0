"""Grouped attention with everything fused: 4 queries to a key and a value, gate beside up, a pooled vector of two."""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bstsearch.layers.keep_order import ends_first
from bstsearch.model.axes import Axis
from bstsearch.model.family import Family, Stack, seeded, whole
from bstsearch.space import Submodel


@dataclasses.dataclass(frozen=True, kw_only=True)
class GroupedConfig:
    """`hidden`, `heads` with `kv_heads`, and `ffn` (one entry per layer) are elastic."""

    vocab: int = 11
    length: int = 5
    answers: int = 3
    hidden: int = 8
    head_dim: int = 2
    heads: tuple[int, ...] = (16,) * 4
    kv_heads: tuple[int, ...] = (4,) * 4
    ffn: tuple[int, ...] = (16,) * 4


class GroupedLayer(nn.Module):
    def __init__(self, hidden: int, head_dim: int, heads: int, kv_heads: int, ffn: int) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = heads, kv_heads, head_dim
        self.qkv = nn.Linear(hidden, (heads + 2 * kv_heads) * head_dim)
        self.merge = nn.Linear(heads * head_dim, hidden)
        self.gate_up = nn.Linear(hidden, 2 * ffn)
        self.down = nn.Linear(ffn, hidden)
        self.norm1, self.norm2 = nn.LayerNorm(hidden), nn.LayerNorm(hidden)

    def forward(self, x_BTD: Tensor) -> Tensor:
        x_BTD = self.norm1(x_BTD + self.merge(self._attend(x_BTD)))
        gate_BTF, up_BTF = self.gate_up(x_BTD).chunk(2, -1)
        return self.norm2(x_BTD + self.down(F.silu(gate_BTF) * up_BTF))

    def _attend(self, x_BTD: Tensor) -> Tensor:
        heads_BNTH = self.qkv(x_BTD).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
        q_BNTH, k_BKTH, v_BKTH = heads_BNTH.split([self.heads, self.kv_heads, self.kv_heads], 1)
        shared = self.heads // self.kv_heads
        k_BNTH, v_BNTH = (kv_BKTH.repeat_interleave(shared, 1) for kv_BKTH in (k_BKTH, v_BKTH))
        return F.scaled_dot_product_attention(q_BNTH, k_BNTH, v_BNTH).transpose(1, 2).flatten(2)


class Grouped(nn.Module):
    def __init__(self, config: GroupedConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.vocab, config.hidden)
        self.layers = nn.ModuleList(
            GroupedLayer(config.hidden, config.head_dim, *sizes)
            for sizes in zip(config.heads, config.kv_heads, config.ffn, strict=True)
        )
        self.classifier = nn.Linear(2 * config.hidden, config.answers)

    def fixed(self, words: Tensor) -> tuple[Tensor, ...]:
        return (words,)

    def elastic(self, words_BT: Tensor) -> Tensor:
        x_BTD = self.embedding(words_BT)
        for layer in self.layers:
            x_BTD = layer(x_BTD)
        return self.classifier(torch.cat([x_BTD.mean(1), x_BTD.amax(1)], -1))

    def forward(self, words: Tensor) -> Tensor:
        return self.elastic(*self.fixed(words))


def stacks(config: GroupedConfig) -> tuple[Stack, ...]:
    return (Stack(prefix="layers", keep_order=ends_first(len(config.ffn))),)


def shrink(config: GroupedConfig, submodel: Submodel) -> GroupedConfig:
    (stack,) = stacks(config)
    kept = stack.kept(int(submodel.depth * len(stack.keep_order)))
    shares = {"heads": submodel.heads, "kv_heads": submodel.heads, "ffn": submodel.ffn}
    rows = {
        name: tuple(
            whole(getattr(config, name)[i], share, name)
            for i, share in zip(kept, of_layers or (submodel.width,) * len(kept), strict=True)
        )
        for name, of_layers in shares.items()
    }
    return dataclasses.replace(config, hidden=whole(config.hidden, submodel.width, "hidden"), **rows)


FAMILY = Family(
    name="grouped",
    config=GroupedConfig,
    presets={},
    build=Grouped,
    shrink=shrink,
    stacks=stacks,
    example_inputs=lambda config, batch: {
        "words": torch.randint(config.vocab, (batch, config.length), generator=seeded())
    },
    elastic_units=lambda config: {"hidden": 1, "heads": config.head_dim, "kv_heads": config.head_dim, "ffn": 1},
    groups=lambda config: ({"heads": 4, "kv_heads": 1},),
    axes=(
        Axis(parameter="layers.*.qkv.*", axis=0, parts=(4, 1, 1)),
        Axis(parameter="layers.*.gate_up.*", axis=0, parts=(1, 1)),
        Axis(parameter="classifier.weight", axis=1, parts=(1, 1)),
    ),
)
