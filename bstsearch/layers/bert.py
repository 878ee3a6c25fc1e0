"""BERT's encoder, as UNITER and CLIP-ViL use it (Devlin et al., 2019): post-norm layers, erf-GELU.

Parameter names are those of the public BERT code, so checkpoints fit. Letters: B batch, T tokens, D hidden
size, N heads, H head size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bstsearch.layers.attention import attention
from bstsearch.layers.dropout import Dropout

EPS = 1e-12  # of every LayerNorm in BERT
MASKED = -10000.0  # added to the score of a masked key
STD = 0.02  # of initial weights


class TextEmbeddings(nn.Module):
    """Word pieces (B, T) as vectors (B, T, size): word, position and kind of token, normalised.

    `frozen_rows` are the tables whose row 0 is never trained, out of "word", "position" and "type".
    """

    def __init__(
        self, *, vocab: int, positions: int, size: int, dropout: float, frozen_rows: Sequence[str] = ("word",)
    ) -> None:
        super().__init__()
        padding = {name: 0 if name in frozen_rows else None for name in ("word", "position", "type")}
        self.word_embeddings = nn.Embedding(vocab, size, padding_idx=padding["word"])
        self.position_embeddings = nn.Embedding(positions, size, padding_idx=padding["position"])
        self.token_type_embeddings = nn.Embedding(2, size, padding_idx=padding["type"])
        self.LayerNorm = nn.LayerNorm(size, eps=EPS)
        self.dropout = Dropout(dropout)

    def forward(self, question_BT: Tensor) -> Tensor:
        device = question_BT.device
        positions_T = torch.arange(int(question_BT.shape[1]), device=device)
        x_BTD = self.word_embeddings(question_BT) + self.position_embeddings(positions_T)
        x_BTD = x_BTD + self.token_type_embeddings(torch.zeros(1, dtype=torch.int64, device=device))  # text: kind 0
        y_BTD: Tensor = self.dropout(self.LayerNorm(x_BTD))
        return y_BTD


class Adapter(nn.Module):
    """From text tables of a fixed size to the elastic hidden size: what BST's MCAN has after its LSTM."""

    def __init__(self, size_in: int, hidden: int) -> None:
        super().__init__()
        self.dense = nn.Linear(size_in, hidden)
        self.LayerNorm = nn.LayerNorm(hidden, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.LayerNorm(self.dense(x))
        return y


class SelfAttention(nn.Module):
    """Query, key and value projections and the attention between them; heads side by side in the output."""

    def __init__(self, hidden: int, heads: int, head_dim: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.head_dim, self.dropout = heads, head_dim, dropout
        self.query = nn.Linear(hidden, heads * head_dim)
        self.key = nn.Linear(hidden, heads * head_dim)
        self.value = nn.Linear(hidden, heads * head_dim)

    def forward(self, x_BTD: Tensor, bias_B11T: Tensor | None) -> Tensor:
        query, key, value = (self._heads(linear(x_BTD)) for linear in (self.query, self.key, self.value))
        dropout = self.dropout if self.training else 0.0
        y_BNTH = attention(query, key, value, bias_B11T, dropout, self.head_dim**-0.5)
        # Numbers, not traced sizes (hence int), for all axes but the batch: ONNX then holds no shape arithmetic.
        return y_BNTH.transpose(1, 2).reshape(-1, int(x_BTD.shape[1]), self.heads * self.head_dim)

    def _heads(self, x_BTD: Tensor) -> Tensor:
        return x_BTD.view(-1, int(x_BTD.shape[1]), self.heads, self.head_dim).transpose(1, 2)


class ResidualNorm(nn.Module):
    """LayerNorm(residual + dropout(linear(x)))."""

    def __init__(self, size_in: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(size_in, hidden)
        self.LayerNorm = nn.LayerNorm(hidden, eps=EPS)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        y: Tensor = self.LayerNorm(self.dropout.added(residual, self.dense(x)))
        return y


class Attention(nn.Module):
    """Self-attention with its residual and norm."""

    def __init__(self, hidden: int, heads: int, head_dim: int, dropout: float) -> None:
        super().__init__()
        self.self = SelfAttention(hidden, heads, head_dim, dropout)
        self.output = ResidualNorm(heads * head_dim, hidden, dropout)

    def forward(self, x_BTD: Tensor, bias_B11T: Tensor | None) -> Tensor:
        y_BTD: Tensor = self.output(self.self(x_BTD, bias_B11T), x_BTD)
        return y_BTD


class Intermediate(nn.Module):
    """The first half of the FFN: linear, GELU."""

    def __init__(self, hidden: int, ffn: int) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden, ffn)

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(self.dense(x))


class Layer(nn.Module):
    """One encoder layer: self-attention, then FFN, each with residual and post-norm."""

    def __init__(self, *, hidden: int, heads: int, head_dim: int, ffn: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(hidden, heads, head_dim, dropout)
        self.intermediate = Intermediate(hidden, ffn)
        self.output = ResidualNorm(ffn, hidden, dropout)

    def forward(self, x_BTD: Tensor, bias_B11T: Tensor | None) -> Tensor:
        x_BTD = self.attention(x_BTD, bias_B11T)
        y_BTD: Tensor = self.output(self.intermediate(x_BTD), x_BTD)
        return y_BTD


class Encoder(nn.Module):
    """A stack of layers, one for each entry of `heads` and `ffn`."""

    def __init__(self, *, hidden: int, heads: Sequence[int], head_dim: int, ffn: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.layer = nn.ModuleList(
            Layer(hidden=hidden, heads=layer_heads, head_dim=head_dim, ffn=layer_ffn, dropout=dropout)
            for layer_heads, layer_ffn in zip(heads, ffn, strict=True)
        )

    def forward(self, x_BTD: Tensor, bias_B11T: Tensor | None) -> Tensor:
        for layer in self.layer:
            x_BTD = layer(x_BTD, bias_B11T)
        return x_BTD


class Classifier(nn.Sequential):
    """The answer head of both models: linear, GELU, LayerNorm, linear; names 0, 2 and 3 hold parameters."""

    def __init__(self, hidden: int, head_hidden: int, answers: int) -> None:
        super().__init__(
            nn.Linear(hidden, head_hidden),
            nn.GELU(),
            nn.LayerNorm(head_hidden, eps=EPS),
            nn.Linear(head_hidden, answers),
        )


def mask_bias(is_padding_BT: Tensor, dtype: torch.dtype) -> Tensor:
    """What attention adds to its scores (B, 1, 1, T): `MASKED` at padding, zero elsewhere."""
    return (is_padding_BT.to(dtype) * MASKED)[:, None, None, :]


def initialise(model: nn.Module, std: float = STD) -> None:
    """BERT's initial values: normal with `std` for matrices and tables, zero biases; LayerNorms stay 1 and 0.

    An adapter starts as the identity, so that a pre-trained encoder behind it sees what it was trained on.
    """
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=std)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
    for module in model.modules():
        if isinstance(module, Adapter):
            nn.init.eye_(module.dense.weight)
