"""Attention between heads, in training on a processor without what torch spends there beside the products."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from bstsearch.layers.dropout import drawn_scales


def attention(
    q_BNTH: Tensor, k_BNVH: Tensor, v_BNVH: Tensor, bias_B11V: Tensor | None, dropout: float, scale: float
) -> Tensor:
    """Torch's scaled dot-product attention; with dropout on a processor written out.

    There torch writes it out, too, with a draw that costs more than the products, and looks for rows of which all is
    masked by minus infinity.
    """
    if not dropout or q_BNTH.device.type != "cpu":
        return F.scaled_dot_product_attention(q_BNTH, k_BNVH, v_BNVH, bias_B11V, dropout, scale=scale)
    scores_BNTV = (q_BNTH * scale) @ k_BNVH.transpose(-2, -1)
    if bias_B11V is not None:
        scores_BNTV += bias_B11V
    shares_BNTV = scores_BNTV.softmax(-1)
    return (shares_BNTV * drawn_scales(shares_BNTV, dropout)) @ v_BNVH
