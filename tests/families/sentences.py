"""A model that gives a vector for a text, with the inputs that Hugging Face's models have; and a folder of one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import tokenizers
import torch
from stock import StockLayer
from torch import Tensor, nn

from bstsearch.layers.keep_order import ends_first
from bstsearch.model.family import Family, Stack, seeded, whole
from bstsearch.model.supernet import Supernet
from bstsearch.space import Submodel

WORDS = tuple("a the cat dog sees hears likes big small red blue house tree and or not".split())  # noqa: SIM905


@dataclasses.dataclass(frozen=True, kw_only=True)
class SentencesConfig:
    vocab: int = len(WORDS) + 2
    length: int = 8
    hidden_size: int = 16
    num_attention_heads: int = 4
    intermediate_size: int = 16
    num_hidden_layers: int = 4
    keep_order: tuple[int, ...] = ()


class Sentences(nn.Module):
    def __init__(self, config: SentencesConfig) -> None:
        super().__init__()
        self.words = nn.Embedding(config.vocab, config.hidden_size)
        self.layer = nn.ModuleList(StockLayer(config) for _ in range(config.num_hidden_layers))

    def fixed(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        return input_ids, attention_mask

    def elastic(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        x_BTD = self.words(input_ids)
        for layer in self.layer:
            x_BTD = layer(x_BTD)
        mask_BT1 = attention_mask.unsqueeze(-1).to(x_BTD.dtype)
        return (x_BTD * mask_BT1).sum(1) / mask_BT1.sum(1)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.elastic(*self.fixed(input_ids, attention_mask))


def stacks(config: SentencesConfig) -> tuple[Stack, ...]:
    order = config.keep_order or ends_first(config.num_hidden_layers)
    return (Stack(prefix="layer", keep_order=order, count="num_hidden_layers", order="keep_order"),)


def shrink(config: SentencesConfig, submodel: Submodel) -> SentencesConfig:
    sizes = ("hidden_size", "num_attention_heads", "intermediate_size")
    kept = stacks(config)[0].kept_by(submodel, 0)
    return dataclasses.replace(
        config,
        **{name: whole(getattr(config, name), submodel.width, name) for name in sizes},
        num_hidden_layers=len(kept),
        keep_order=tuple(kept.index(layer) for layer in config.keep_order if layer in kept),
    )


def example_inputs(config: SentencesConfig, batch: int) -> dict[str, Tensor]:
    ids = torch.randint(1, config.vocab, (batch, config.length), generator=seeded())
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


FAMILY = Family(
    name="sentences",
    config=SentencesConfig,
    presets={"sentences-small": SentencesConfig()},
    build=Sentences,
    shrink=shrink,
    stacks=stacks,
    example_inputs=example_inputs,
    elastic_units=lambda config: {
        "hidden_size": 1,
        "num_attention_heads": config.hidden_size // config.num_attention_heads,
        "intermediate_size": 1,
    },
    groups=lambda config: (
        {"hidden_size": config.hidden_size // config.num_attention_heads, "num_attention_heads": 1},
    ),
    free_axes=lambda config: {"input_ids": {1: "tokens"}, "attention_mask": {1: "tokens"}},
)


def write_teacher(folder: Path) -> Path:
    """A supernet folder of random weights, with a tokenizer of words; padded to eight, as its file says."""
    torch.manual_seed(0)
    supernet = Supernet(FAMILY, SentencesConfig())
    with torch.no_grad():
        for parameter in supernet.parameters():
            parameter.normal_(0, 0.5)
    folder.mkdir(parents=True, exist_ok=True)
    supernet.save(folder)
    ids = {word: number for number, word in enumerate(["[PAD]", "[UNK]", *WORDS])}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(ids, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.enable_padding(length=8, pad_id=0, pad_token="[PAD]")
    made.save(str(folder / "tokenizer.json"))
    return folder


def write_lines(file: Path, count: int = 120) -> Path:
    """A file of so many different texts of one to ten words, one a line, and some lines that are none."""
    source = seeded(1)
    texts = dict[str, None]()
    while len(texts) < count:
        length = int(torch.randint(1, 11, (1,), generator=source))
        texts[" ".join(WORDS[place] for place in torch.randint(len(WORDS), (length,), generator=source))] = None
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(["", *texts, "  ", *list(texts)[:5]]) + "\n", encoding="utf-8")
    return file
