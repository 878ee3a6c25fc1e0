"""Images as CLIP's networks read them: channels first, normalised by CLIP's own means and deviations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bstsearch.inputs.images import open_rgb

# Of the RGB values between 0 and 1 in CLIP's training data (Radford et al., 2021; public code openai/CLIP).
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


def clip_normalised(image_BHW3: Tensor) -> Tensor:
    """Images (B, H, W, 3; uint8) as (B, 3, H, W; float32), normalised."""
    mean, std = torch.tensor(MEAN), torch.tensor(STD)
    return ((image_BHW3.float() / 255 - mean) / std).permute(0, 3, 1, 2)


def read_clip_image(path: Path, height: int, width: int) -> Tensor:
    """The image in `path` (3, height, width), or (3, width, height) where that way it is larger; normalised.

    As CLIP-ViL reads images (public code clip-vil/CLIP-ViL, files vision_helpers.py and gqa_data.py): resized
    to the shorter of the two sides given, or less, where the longer would be exceeded; in the middle of a black
    canvas that lies for images wider than high and else stands; then normalised, the black border too.
    InputError where the file is missing, no image, truncated, or of a size that is no honest picture's.
    """
    image = open_rgb(path)
    short, long = sorted((height, width))
    canvas = Image.new("RGB", (long, short) if image.width > image.height else (short, long))
    image = image.resize(_fitting(image.size, short, long), Image.Resampling.BILINEAR)
    left, top = -((image.width - canvas.width) // 2), -((image.height - canvas.height) // 2)
    canvas.paste(image, (left, top))
    return clip_normalised(torch.from_numpy(np.array(canvas))[None])[0]


def _fitting(size: tuple[int, int], short: int, long: int) -> tuple[int, int]:
    """The size of an image once its shorter side is `short`, or less, where the longer would exceed `long`.

    >>> _fitting((640, 480), 384, 640), _fitting((500, 1000), 384, 640)
    ((512, 384), (320, 640))
    """
    shorter, longer = sorted(size)
    new_shorter = max(1, min(short, round(long * shorter / longer)))
    new_longer = min(long, int(new_shorter * longer / shorter))
    return (new_longer, new_shorter) if size[0] > size[1] else (new_shorter, new_longer)
