"""A split of texts, as ids of word pieces in batches of texts that are about as long."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bstsearch.errors import InputError
from bstsearch.inputs.reader import Reader
from bstsearch.reading import needing, said
from bstsearch.score import Value
from bstsearch.tasks.similarity import neighbours_kept, rank_correlation
from bstsearch.tasks.task import Batch, Split

if TYPE_CHECKING:
    from tokenizers import Tokenizer

IDS, MASK, KINDS = "input_ids", "attention_mask", "token_type_ids"  # as Hugging Face's models call them
AT_ONCE = 10_000  # texts that are cut into pieces
NEAR = 32  # batches among which texts are sorted by length


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextSplit(Split):
    """The ids of all texts, one after the other; those of text i begin at `starts[i]`, and end where the next begin.

    A batch is padded with `padding` to `length` ids, or where that is None to its longest text. `reads` are the inputs
    of the model. `reference`, where there is one, gives the vectors that the model's are held against.
    """

    ids: NDArray[np.int32]
    starts: NDArray[np.int64]
    padding: int
    length: int | None
    reads: tuple[str, ...]
    reference: Callable[[], Tensor] | None = None

    @property
    def has_targets(self) -> bool:
        """Whether there is a reference: outputs can be scored, and nothing else can be learnt from."""
        return self.reference is not None

    def __len__(self) -> int:
        return len(self.starts) - 1

    def batches(self, size: int, order: Tensor | None = None) -> Iterator[Batch]:
        """As `Split.batches`."""
        rows = torch.arange(len(self)) if order is None else order
        for part in torch.split(rows, size):
            texts = [self.ids[self.starts[row] : self.starts[row + 1]] for row in part.tolist()]
            longest = self.length or max(len(text) for text in texts)
            ids_BT = np.full((len(texts), longest), self.padding, dtype=np.int64)
            mask_BT = np.zeros((len(texts), longest), dtype=np.int64)
            for row, text in enumerate(texts):
                ids_BT[row, : len(text)] = text
                mask_BT[row, : len(text)] = 1
            made = {IDS: ids_BT, MASK: mask_BT, KINDS: np.zeros_like(ids_BT)}
            yield Batch(inputs={name: torch.from_numpy(made[name]) for name in self.reads})

    def grouped(self, order: Tensor, size: int) -> Tensor:
        """`order`, sorted by length within a few batches, whose order is then drawn."""
        return near_in_length(order, size, torch.from_numpy(np.diff(self.starts)))

    def kept(self, outputs: Tensor, targets: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """The vectors; InputError where the model gives something else."""
        if outputs.ndim != 2:
            raise InputError(
                f"texts are compared by one vector each, but the model gives {tuple(outputs.shape)}; "
                "let the family's model end in a pooling"
            )
        return outputs.float()

    def score(self, kept: Tensor) -> Value:
        """The rank correlation with the reference's similarities; it is no mean over texts, so they have no values."""
        self.check_scorable()
        assert self.reference is not None
        return rank_correlation(kept, self.reference())

    def details(self, kept: Tensor) -> dict[str, float]:
        """The share of texts whose nearest neighbour is the reference's."""
        assert self.reference is not None
        return {"nearest neighbour kept": 100 * neighbours_kept(kept, self.reference())}


def near_in_length(order: Tensor, size: int, lengths: Tensor) -> Tensor:
    """`order`, sorted by the `lengths` of rows within a few batches of `size`, whose order is then drawn."""
    source = torch.Generator().manual_seed(int(order[0]))
    found = []
    for part in torch.split(order, NEAR * size):
        batches = torch.split(part[lengths[part].argsort(stable=True)], size)
        whole = [batch for batch in batches if len(batch) == size]
        drawn = torch.randperm(len(whole), generator=source).tolist()
        found += [*(whole[place] for place in drawn), *batches[len(whole) :]]
    return torch.cat(found)


def encoded(
    texts: Sequence[str], tokenizer: Tokenizer, reader: Reader, reference: Callable[[], Tensor] | None
) -> TextSplit:
    """The split of these texts, as a model reads them; InputError where it reads something else."""
    reads = inputs_of(reader)
    longest = int(reader.like[IDS].shape[1])
    padding = tokenizer.padding or {}
    tokenizer.no_padding()
    tokenizer.enable_truncation(longest)
    found = token_ids(texts, tokenizer)
    return TextSplit(
        ids=np.concatenate(found),
        starts=np.cumsum([0, *map(len, found)], dtype=np.int64),
        padding=int(padding.get("pad_id", 0)),
        length=None if 1 in reader.free.get(IDS, ()) else longest,
        reads=reads,
        reference=reference,
    )


def inputs_of(reader: Reader) -> tuple[str, ...]:
    """The inputs of a model that reads text and nothing else; InputError for any other."""
    reads = tuple(reader.like)
    if IDS not in reads or not set(reads) <= {IDS, MASK, KINDS}:
        raise InputError(f"text comes as {IDS}, {MASK} and {KINDS}, but the model reads {', '.join(reads)}")
    return reads


def token_ids(texts: Sequence[str], tokenizer: Tokenizer) -> list[NDArray[np.int32]]:
    """The ids of each text."""
    found: list[Any] = []
    for start in range(0, len(texts), AT_ONCE):
        found += [np.array(one.ids, np.int32) for one in tokenizer.encode_batch(list(texts[start : start + AT_ONCE]))]
    return found


def tokenizer_of(data: str, where: Path) -> Tokenizer:
    """The tokenizer in a tokenizer.json of Hugging Face; InputError, which names `where`, for anything else."""
    with needing("cutting text into word pieces"):
        import tokenizers
    try:
        return tokenizers.Tokenizer.from_str(data)
    except Exception as error:  # this library's errors share no class of their own
        raise InputError(f"{where} cannot be read: {said(error)}; copy the model's own tokenizer.json") from error
