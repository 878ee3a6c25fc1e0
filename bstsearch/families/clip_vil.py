"""CLIP-ViL_p: CLIP's convolutional tower and one BERT over question and grid, as a bilaterally slimmable model.

"How Much Can CLIP Benefit Vision-and-Language Tasks?" (Shen et al., 2022; public code clip-vil/CLIP-ViL, folder
CLIP-ViL-Pretrain). BST (Yu et al., arXiv 2203.12814) slims it beside MCAN and UNITER, but its code for it is not
public. Which of CLIP-ViL's models it takes, and everything about slimming here, is our reading; it follows what the
public code does to MCAN.

Parameter names are those of the public code, without its prefix `lxrt_encoder.model.bert.`; `logit_fc.` has none.

Letters in tensor names: B batch, T question tokens, H and W height and width of the grid, V visual tokens (H x W),
S all tokens, F visual features, D hidden size, A answers.

Fixed, never slimmed: the tower, the positions of the grid and, where `table_hidden` is given, the text tables.
Elastic: the rest.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from bstsearch.errors import InputError
from bstsearch.inputs.pictures import LETTERBOX, PictureReader
from bstsearch.layers import bert
from bstsearch.layers.bert_sizes import BertSizes, elastic_units, make_stack, shrink
from bstsearch.layers.clip_resnet import ClipResNet, tower_features, tower_stride
from bstsearch.layers.dropout import Dropout
from bstsearch.model.family import Family, FreeAxes, Stack, seeded

# Of the RGB values between 0 and 1 in CLIP's training data (Radford et al., 2021; public code openai/CLIP).
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
STAGES = 4  # of the tower that saved features come from: CLIP's have as many


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipVilConfig(BertSizes):
    """Sizes of one CLIP-ViL_p. Without `tower_layers` the visual input is a saved grid of features."""

    vocab: int = 30522  # bert-base-uncased
    question_length: int = 20
    tower_layers: tuple[int, ...] = (4, 6, 10, 6)
    tower_width: int = 80
    image_height: int = 384
    image_width: int = 640
    visual_positions: int = 25  # the longest side of a grid

    def __post_init__(self) -> None:
        super().__post_init__()
        for side in (self.image_height, self.image_width):
            if side % self.stride or not 0 < side // self.stride <= self.visual_positions:
                raise InputError(
                    f"ClipVilConfig: a side of the image is a multiple of {self.stride} pixels, at most "
                    f"visual_positions={self.visual_positions} times; it is {side}"
                )

    @property
    def stride(self) -> int:
        """Pixels of the image, in each direction, for one visual token."""
        return tower_stride(len(self.tower_layers) or STAGES)

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width of the grid of visual tokens."""
        return self.image_height // self.stride, self.image_width // self.stride

    @property
    def visual_features(self) -> int:
        """Features per visual token before the elastic projection."""
        return tower_features(len(self.tower_layers) or STAGES, self.tower_width)


class GridPosition(nn.Module):
    """A learned vector for each row and one for each column, in the space of the tower's features.

    As published, the table called x is indexed by the row, and the one called y by the column.
    """

    def __init__(self, positions: int, features: int) -> None:
        super().__init__()
        self.x_position_embedding = nn.Embedding(positions, features)
        self.y_position_embedding = nn.Embedding(positions, features)

    def forward(self, height: int, width: int) -> Tensor:
        rows_HF = self.x_position_embedding.weight[:height]
        columns_WF = self.y_position_embedding.weight[:width]
        position_VF: Tensor = (rows_HF[:, None] + columns_WF[None]).flatten(0, 1)
        return position_VF


class VisualProjection(nn.Module):
    """From visual features to the elastic hidden size."""

    def __init__(self, config: ClipVilConfig) -> None:
        super().__init__()
        self.visn_fc = nn.Linear(config.visual_features, config.hidden)
        self.visn_layer_norm = nn.LayerNorm(config.hidden, eps=bert.EPS)
        self.dropout = Dropout(config.dropout)

    def forward(self, x_BVF: Tensor) -> Tensor:
        x_BVD: Tensor = self.dropout(self.visn_layer_norm(self.visn_fc(x_BVF)))
        return x_BVD


class Clip(nn.Module):
    """CLIP as far as it is used: its image tower."""

    def __init__(self, config: ClipVilConfig) -> None:
        super().__init__()
        self.visual = ClipResNet(config.tower_layers, config.tower_width)

    def forward(self, image_B3HW: Tensor) -> Tensor:
        grid_BFHW: Tensor = self.visual(image_B3HW)
        return grid_BFHW


class VisualEncoder(bert.Encoder):
    """BERT's layers and, under the names of the public code, all that makes tokens of an image."""

    def __init__(self, config: ClipVilConfig) -> None:
        super().__init__(
            hidden=config.hidden,
            heads=config.heads,
            head_dim=config.head_dim,
            ffn=config.ffn,
            dropout=config.dropout,
        )
        if config.tower_layers:
            self.visual_model = Clip(config)
        self.visual_pos = GridPosition(config.visual_positions, config.visual_features)
        self.visn_fc = VisualProjection(config)
        self.grid = config.grid

    def see(self, image_B3HW: Tensor) -> Tensor:
        """Positioned features (B, V, F) of images of any size, row by row from the top left."""
        grid_BFHW = self.visual_model(image_B3HW)
        # Sizes are not made plain numbers, so that an exported model follows those of its input.
        position_VF = self.visual_pos(grid_BFHW.shape[2], grid_BFHW.shape[3])
        grid_BVF: Tensor = grid_BFHW.flatten(2).transpose(1, 2) + position_VF
        return grid_BVF

    def place(self, grid_BVF: Tensor) -> Tensor:
        """Positioned features (B, V, F) of saved ones, of a grid of the config's size."""
        positioned_BVF: Tensor = grid_BVF + self.visual_pos(*self.grid)
        return positioned_BVF


class Pooler(nn.Module):
    """A linear map of the first token; BERT's tanh is left out, as published."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden, hidden)

    def forward(self, x_BSD: Tensor) -> Tensor:
        pooled_BD: Tensor = self.dense(x_BSD[:, 0])
        return pooled_BD


class ClipVil(nn.Module):
    """Logits (B, A) from `question` (B, T; word pieces with [CLS] and [SEP], 0 is padding) and a visual input.

    That is `image` (B, 3, height, width; float, as `picture` says), lying or upright with the same weights; or,
    without tower, `grid` (B, V, F; features that a tower computed, without positions, row by row of a grid of the
    config's height and width).
    """

    def __init__(self, config: ClipVilConfig) -> None:
        super().__init__()
        self.embeddings = bert.TextEmbeddings(
            vocab=config.vocab,
            positions=config.positions,
            size=config.table_hidden or config.hidden,
            dropout=config.dropout,
            frozen_rows=("word", "position", "type"),
        )
        if config.table_hidden:
            self.adapter = bert.Adapter(config.table_hidden, config.hidden)
        self.encoder = VisualEncoder(config)
        self.pooler = Pooler(config.hidden)
        self.logit_fc = bert.Classifier(config.hidden, config.head_hidden, config.answers)
        self.has_fixed_tables = config.table_hidden > 0
        bert.initialise(self, config.weight_std)
        nn.init.normal_(self.embeddings.word_embeddings.weight, std=config.word_std)

    def fixed(self, question: Tensor, image: Tensor | None = None, grid: Tensor | None = None) -> tuple[Tensor, ...]:
        """The question (B, T), or its vectors where tables are fixed, the mask of all tokens, visual features."""
        if image is not None:
            visual_BVF = self.encoder.see(image)
        else:
            assert grid is not None
            visual_BVF = self.encoder.place(grid)
        bias_B11S = _with_visual(bert.mask_bias(question == 0, visual_BVF.dtype), visual_BVF)
        return self.embeddings(question) if self.has_fixed_tables else question, bias_B11S, visual_BVF

    def elastic(self, question: Tensor, bias_B11S: Tensor, visual_BVF: Tensor) -> Tensor:
        """Logits (B, A) from what `fixed` returned."""
        text_BTD = self.adapter(question) if self.has_fixed_tables else self.embeddings(question)
        x_BSD = self.encoder(torch.cat([text_BTD, self.encoder.visn_fc(visual_BVF)], 1), bias_B11S)
        logits_BA: Tensor = self.logit_fc(self.pooler(x_BSD))
        return logits_BA

    def forward(self, question: Tensor, image: Tensor | None = None, grid: Tensor | None = None) -> Tensor:
        return self.elastic(*self.fixed(question, image, grid))


def _with_visual(bias_B11T: Tensor, visual_BVF: Tensor) -> Tensor:
    """The mask of text and visual tokens, each of which may be attended to, also the image's border."""
    free_B11V = torch.zeros_like(visual_BVF[..., 0])[:, None, None]
    return torch.cat([bias_B11T, free_B11V], -1)


def free_axes(config: ClipVilConfig) -> FreeAxes:
    """Height and width of images, which lie or stand; square ones are of one size."""
    has_two_ways = bool(config.tower_layers) and config.image_height != config.image_width
    return {"image": {2: "height", 3: "width"}} if has_two_ways else {}


def stacks(config: ClipVilConfig) -> tuple[Stack, ...]:
    """The one stack of layers."""
    return (make_stack(config, "encoder.layer"),)


def example_inputs(config: ClipVilConfig, batch: int) -> dict[str, Tensor]:
    """Random inputs of full length; the same ones at every call."""
    random = seeded()
    question = torch.randint(1, config.vocab, (batch, config.question_length), generator=random)
    if config.tower_layers:
        shape = (batch, 3, config.image_height, config.image_width)
        return {"question": question, "image": torch.randn(shape, generator=random)}
    height, width = config.grid
    return {"question": question, "grid": torch.randn(batch, height * width, config.visual_features, generator=random)}


def picture(config: ClipVilConfig) -> PictureReader | None:
    """Pictures keep their proportions, on a canvas that lies or stands; None where saved features are read instead.

    As in files vision_helpers.py and gqa_data.py of the public code: enlarged, or made smaller, until the shorter side
    is that of the canvas, or the longer one, where it would be exceeded; then normalised, the black border too.
    """
    if not config.tower_layers:
        return None
    return PictureReader(height=config.image_height, width=config.image_width, fit=LETTERBOX, mean=MEAN, std=STD)


PRESETS = {
    # The published fine-tuned models (public code clip-vil/CLIP-ViL); the one for VQA-v2 with either tower.
    "clip-vil-rn50x4": ClipVilConfig(answers=3129),
    "clip-vil-rn50": ClipVilConfig(answers=3129, tower_layers=(3, 4, 6, 3), tower_width=64),
    "clip-vil-rn50x4-gqa": ClipVilConfig(answers=1842),
    # A small one to try things out on, with images as a grid of 4 x 4.
    "clip-vil-easy-vqa": ClipVilConfig(
        vocab=28,
        answers=13,
        question_length=10,
        positions=10,
        hidden=64,
        head_dim=16,
        heads=(4,) * 4,
        ffn=(256,) * 4,
        head_hidden=128,
        dropout=0.0,
        weight_std=0.125,
        word_std=1.0,
        tower_layers=(1, 1),
        tower_width=8,
        image_height=32,
        image_width=32,
        visual_positions=4,
    ),
}

FAMILY = Family(
    name="clip_vil",
    config=ClipVilConfig,
    presets=PRESETS,
    build=ClipVil,
    shrink=shrink,
    stacks=stacks,
    example_inputs=example_inputs,
    elastic_units=elastic_units,
    free_axes=free_axes,
    picture=picture,
)
