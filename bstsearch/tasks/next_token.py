"""Texts for a model that writes: how likely it finds each token after those before it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bstsearch.errors import InputError, UsageError
from bstsearch.inputs.reader import Reader
from bstsearch.score import Metric, Value
from bstsearch.tasks import NEXT_TOKEN
from bstsearch.tasks.kept_texts import TOKENIZER, load_texts, save_texts, texts_of
from bstsearch.tasks.task import Batch, Split, Task
from bstsearch.tasks.text_lines import Parts
from bstsearch.tasks.text_split import IDS, KINDS, MASK, inputs_of, token_ids, tokenizer_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenSplit(Split):
    """All texts one after the other, cut into rows of equal length: `ids` are (N, T + 1).

    Each row's last token begins the next one. A model reads the first T tokens of a row, and is asked after each for
    the one that follows. So every token but the first is asked for once, and the mean over rows is that over tokens.
    """

    ids: Tensor
    reads: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def batches(self, size: int, order: Tensor | None = None) -> Iterator[Batch]:
        """As `Split.batches`; targets are the tokens that follow (B, T)."""
        rows = torch.arange(len(self)) if order is None else order
        for part in torch.split(rows, size):
            ids_BT = self.ids[part]
            given_BT = ids_BT[:, :-1]
            made = {IDS: given_BT, MASK: torch.ones_like(given_BT), KINDS: torch.zeros_like(given_BT)}
            yield Batch(inputs={name: made[name] for name in self.reads}, targets=ids_BT[:, 1:])

    def kept(self, outputs: Tensor, targets: Tensor | None = None) -> Tensor:
        """The loss per token of each row (B,), in nats; InputError where the model gives no logits after each token."""
        assert targets is not None
        return losses(outputs, targets)

    def values(self, kept: Tensor) -> Tensor:
        """The same."""
        return kept

    def score(self, kept: Tensor) -> Value:
        """Their mean; the interval takes rows as independent."""
        return Value.mean(kept.double().tolist())

    def details(self, kept: Tensor) -> dict[str, float]:
        """The perplexity: among how many tokens it is in doubt, so to say."""
        return {"perplexity": math.exp(float(kept.double().mean()))}

    def right(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss per token of each row (B,)."""
        return losses(outputs.detach(), targets)


class NextToken(Task):
    """Texts, one a line, in the words of the model's own tokenizer; `path` is their file or folder.

    Outputs are logits of the next token after each one (B, T, V). The score is the loss per token, whose exponential is
    the perplexity; a model is taught by the distributions of the one in `folder`, or else by the texts themselves.
    """

    name = NEXT_TOKEN
    metric = Metric(name="loss per token", unit="nats", is_higher_better=False, best=0.0)
    recipes = ("distil",)

    def __init__(self, folder: Path, tokenizer: str, parts: Parts) -> None:
        self._folder, self._tokenizer, self._parts = folder, tokenizer, parts

    @classmethod
    def build(cls, data_dir: Path | None) -> Self:  # noqa: ARG003
        """UsageError: it is a model that brings the tokenizer."""
        raise UsageError(f"{NEXT_TOKEN} needs a model's tokenizer; give the folder of a pretrained one with --teacher")

    @classmethod
    def load(cls, saved: Path, data_dir: Path | None) -> Self:
        """With `data_dir`, its texts; else those that `saved` keeps."""
        return cls(saved, *load_texts(saved, data_dir))

    def save(self, folder: Path) -> None:
        """Writes the tokenizer, and the texts that are kept out of training."""
        save_texts(folder, self._tokenizer, self._parts)

    def split(self, name: str, reader: Reader) -> TokenSplit:
        """As `Task.split`."""
        texts = texts_of(name, self._parts, self._folder)
        return _cut(texts, tokenizer_of(self._tokenizer, self._folder / TOKENIZER), reader, name)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss per token of each row (B,)."""
        return losses(outputs, targets)

    def distance(self, outputs: Tensor, teacher: Tensor) -> Tensor:
        """The KL divergence from the teacher's distribution of the next token, the mean over a row's tokens (B,)."""
        wanted, found = teacher.log_softmax(-1), outputs.log_softmax(-1)
        return F.kl_div(found, wanted, reduction="none", log_target=True).sum(-1).mean(1)


def losses(outputs: Tensor, targets_BT: Tensor) -> Tensor:
    """The mean negative log-likelihood of a row's tokens (B,), in nats; InputError for anything but their logits."""
    if outputs.shape[:-1] != targets_BT.shape:
        raise InputError(
            f"the model gives {tuple(outputs.shape)} for texts of {targets_BT.shape[1]} tokens, no logits after "
            "each; choose a class that writes text, as GPT2LMHeadModel"
        )
    return F.cross_entropy(outputs.float().transpose(1, 2), targets_BT, reduction="none").mean(1)


def _cut(texts: Sequence[str], tokenizer: Tokenizer, reader: Reader, part: str) -> TokenSplit:
    """The texts, a line each, as rows of the length that the model reads."""
    reads = inputs_of(reader)
    length = int(reader.like[IDS].shape[1])
    tokenizer.no_padding()
    tokenizer.no_truncation()
    ids = torch.from_numpy(np.concatenate(token_ids([f"{text}\n" for text in texts], tokenizer)).astype(np.int64))
    if len(ids) <= length:
        raise InputError(f"the texts of {part} have {len(ids)} tokens, and one row has {length + 1}; give more text")
    return TokenSplit(ids=ids.unfold(0, length + 1, length), reads=reads)
