"""BERT as a family: texts in, one vector of length one for each out, as models for sentence similarity have it."""

import dataclasses

import torch
from transformers import BertConfig, BertModel

from bstsearch.errors import InputError
from bstsearch.layers.keep_order import ends_first
from bstsearch.model.family import Family, Stack, seeded, whole


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    """`hidden` with `heads`, `ffn` and `layers` are elastic; `keep_order` says which layers are kept longest."""

    vocab: int = 30522
    positions: int = 512
    length: int = 128
    hidden: int = 384
    heads: int = 12
    ffn: int = 1536
    layers: int = 6
    keep_order: tuple[int, ...] = ()


class Sentences(torch.nn.Module):
    def __init__(self, sizes):
        super().__init__()
        config = BertConfig(
            vocab_size=sizes.vocab,
            max_position_embeddings=sizes.positions,
            hidden_size=sizes.hidden,
            num_attention_heads=sizes.heads,
            intermediate_size=sizes.ffn,
            num_hidden_layers=sizes.layers,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        self.bert = BertModel(config, add_pooling_layer=False)

    def fixed(self, input_ids, attention_mask):
        return input_ids, attention_mask

    def elastic(self, input_ids, attention_mask):
        words = self.bert(input_ids, attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(words.dtype)
        return torch.nn.functional.normalize((words * mask).sum(1) / mask.sum(1), dim=-1)

    def forward(self, input_ids, attention_mask):
        return self.elastic(*self.fixed(input_ids, attention_mask))


def shrink(sizes, submodel):
    if submodel.heads or len(set(submodel.ffn)) > 1:
        raise InputError("a stock BERT has the same heads and FFN units in all layers; choose a width")
    shares = {"hidden": submodel.width, "heads": submodel.width, "ffn": (*submodel.ffn, submodel.width)[0]}
    smaller = {name: whole(getattr(sizes, name), share, name) for name, share in shares.items()}
    (stack,) = stacks(sizes)
    kept = stack.kept_by(submodel, 0)
    order = tuple(kept.index(layer) for layer in sizes.keep_order if layer in kept)
    return dataclasses.replace(sizes, **smaller, layers=len(kept), keep_order=order)


def stacks(sizes):
    order = sizes.keep_order or ends_first(sizes.layers)
    return (Stack(prefix="bert.encoder.layer", keep_order=order, count="layers", order="keep_order"),)


def example_inputs(sizes, batch):
    ids = torch.randint(1, sizes.vocab, (batch, sizes.length), generator=seeded())
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


FAMILY = Family(
    name="bert",
    config=Sizes,
    presets={"minilm-l6": Sizes()},
    build=Sentences,
    shrink=shrink,
    stacks=stacks,
    example_inputs=example_inputs,
    elastic_units=lambda sizes: {"hidden": 1, "heads": sizes.hidden // sizes.heads, "ffn": 1},
    groups=lambda sizes: ({"hidden": sizes.hidden // sizes.heads, "heads": 1},),
    free_axes=lambda sizes: {"input_ids": {1: "tokens"}, "attention_mask": {1: "tokens"}},
)
