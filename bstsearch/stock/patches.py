"""ViLT's patches in the order in which they lie.

Its forward draws an order of them, and where pictures differ in size, some of the padding. Of pictures of one size all
patches are seen, and each brings its own position: then an order changes nothing but the rounding. But a draw cannot be
written as ONNX. So the patches are computed here with the model's own layers, and handed to its forward, which takes
them in place of pictures.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

PIXELS = "pixel_values"


def in_order(model: Any, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same inputs for a stock model whose forward draws no order of patches; else its patches in place of pictures.

    A model that sees a part of its patches only (`max_image_length`) draws as it did.
    """
    vilt = model.base_model
    if vilt.config.model_type != "vilt" or inputs[PIXELS].ndim != 4:
        return inputs
    patches_BPD = vilt.embeddings.patch_embeddings(inputs[PIXELS]).flatten(2).transpose(1, 2)
    most, own = vilt.config.max_image_length, vilt.embeddings.position_embeddings
    if patches_BPD.shape[1] + 1 != own.shape[1] or 0 <= most < patches_BPD.shape[1]:
        return inputs
    first_B1D = vilt.embeddings.cls_token.expand(patches_BPD.shape[0], -1, -1)
    seen_BTD = vilt.embeddings.dropout(torch.cat([first_B1D, patches_BPD], 1) + own)
    others = {name: value for name, value in inputs.items() if name != PIXELS}
    return {**others, "image_embeds": seen_BTD, "pixel_mask": torch.ones_like(seen_BTD[:, :, 0], dtype=torch.int64)}
