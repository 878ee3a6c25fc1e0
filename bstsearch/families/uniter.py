"""UNITER: one BERT over question and image regions, as a bilaterally slimmable model.

"UNITER: UNiversal Image-TExt Representation Learning" (Chen et al., ECCV 2020; public code ChenRocks/UNITER). BST
(Yu et al., arXiv 2203.12814) slims it beside MCAN, but its code for it is not public: everything about slimming
here is our reading, after what the public code does to MCAN.

Parameter names are those of the public code; what only pre-training uses (`mask_embedding`) is not built.

Letters in tensor names: B batch, T question tokens, V regions, S all tokens, F region features, D hidden size,
A answers.

Fixed, never slimmed: the stem and, where `table_hidden` is given, the text tables. Elastic: the rest.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from bstsearch.errors import InputError
from bstsearch.layers import bert, bert_sizes
from bstsearch.layers.bert_sizes import BertSizes, elastic_units, make_stack
from bstsearch.layers.dropout import Dropout
from bstsearch.layers.fewer_tokens import check_seen, pooled, seen_by, token_shares
from bstsearch.layers.grid_stem import GridStem, check_side, grid_tokens
from bstsearch.model.config import later
from bstsearch.model.family import Family, Stack, seeded
from bstsearch.space import Submodel

BOX = 7  # x1, y1, x2, y2, width, height as shares of the image, and width x height


@dataclasses.dataclass(frozen=True, kw_only=True)
class UniterConfig(BertSizes):
    """Sizes of one UNITER. The visual input is region features, or an image where `stem_channels` is given."""

    vocab: int = 28996  # bert-base-cased
    question_length: int = 16  # with [CLS] and [SEP]; MCAN's 14 words and these two: no source states BST's choice
    regions: int = 100  # at most; the public code keeps 10 to 100 by confidence
    region_features: int = 2048
    image_side: int = 0
    stem_channels: tuple[int, ...] = ()
    # How many visual tokens the encoder sees; 0: all. Regions are the leading ones, for detectors give the most
    # confident first; cells of a grid are averaged over blocks of neighbours.
    seen_tokens: int = later(0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0 < self.table_hidden < self.hidden:
            raise InputError(
                f"UniterConfig: hidden={self.hidden} takes its image vector from tables of only {self.table_hidden}"
            )
        check_side("UniterConfig", self.stem_channels, self.image_side)
        check_seen("UniterConfig", self.seen_tokens, self.visual_tokens, is_grid=bool(self.stem_channels))

    @property
    def visual_tokens(self) -> int:
        """How many visual tokens there are at most."""
        return grid_tokens(self.stem_channels, self.image_side) if self.stem_channels else self.regions

    @property
    def visual_features(self) -> int:
        """Features per visual token before the elastic projection."""
        return self.stem_channels[-1] if self.stem_channels else self.region_features


class ImageEmbeddings(nn.Module):
    """Features and boxes of regions as vectors of the elastic hidden size, each normalised, then their sum."""

    def __init__(self, config: UniterConfig) -> None:
        super().__init__()
        self.img_linear = nn.Linear(config.visual_features, config.hidden)
        self.img_layer_norm = nn.LayerNorm(config.hidden, eps=bert.EPS)
        self.pos_layer_norm = nn.LayerNorm(config.hidden, eps=bert.EPS)
        self.pos_linear = nn.Linear(BOX, config.hidden)
        self.LayerNorm = nn.LayerNorm(config.hidden, eps=bert.EPS)
        self.dropout = Dropout(config.dropout)

    def forward(self, x_BVF: Tensor, boxes_BV7: Tensor, kind_D: Tensor) -> Tensor:
        features_BVD = self.img_layer_norm(self.img_linear(x_BVF))
        places_BVD = self.pos_layer_norm(self.pos_linear(boxes_BV7))
        y_BVD: Tensor = self.dropout(self.LayerNorm(features_BVD + places_BVD + kind_D))
        return y_BVD


class Pooler(nn.Module):
    """A linear map of the first token, and tanh."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden, hidden)

    def forward(self, x_BSD: Tensor) -> Tensor:
        pooled_BD: Tensor = self.dense(x_BSD[:, 0]).tanh()
        return pooled_BD


class UniterModel(nn.Module):
    """The model but for its classifier (one more level of names, as published)."""

    def __init__(self, config: UniterConfig) -> None:
        super().__init__()
        self.embeddings = bert.TextEmbeddings(
            vocab=config.vocab,
            positions=config.positions,
            size=config.table_hidden or config.hidden,
            dropout=config.dropout,
        )
        if config.table_hidden:
            self.adapter = bert.Adapter(config.table_hidden, config.hidden)
        if config.stem_channels:
            self.stem = GridStem(config.stem_channels, config.image_side)
        self.img_embeddings = ImageEmbeddings(config)
        self.encoder = bert.Encoder(
            hidden=config.hidden,
            heads=config.heads,
            head_dim=config.head_dim,
            ffn=config.ffn,
            dropout=config.dropout,
        )
        self.pooler = Pooler(config.hidden)
        self.hidden, self.has_fixed_tables = config.hidden, config.table_hidden > 0

    def forward(self, question: Tensor, regions_BVF: Tensor, boxes_BV7: Tensor, bias_B11S: Tensor) -> Tensor:
        """The pooled vector (B, D); `question` holds ids (B, T), or where tables are fixed their vectors."""
        text_BTD = self.adapter(question) if self.has_fixed_tables else self.embeddings(question)
        # Regions are tokens of kind 1; of a fixed table they take the leading part, as slimming would.
        kind_D = self.embeddings.token_type_embeddings.weight[1, : self.hidden]
        image_BVD = self.img_embeddings(regions_BVF, boxes_BV7, kind_D)
        # The public code moves padding to the end. Positions are in the text's vectors alone and attention sees no
        # order, so padding may as well stay where it is, masked.
        pooled_BD: Tensor = self.pooler(self.encoder(torch.cat([text_BTD, image_BVD], 1), bias_B11S))
        return pooled_BD


class Uniter(nn.Module):
    """Logits (B, A) from `question` (B, T; word pieces with [CLS] and [SEP], 0 is padding) and a visual input.

    That is `regions` (B, V, F; rows of zeros are padding) with `boxes` (B, V, 7), or `image` (B, S, S, 3; uint8).
    """

    def __init__(self, config: UniterConfig) -> None:
        super().__init__()
        self.uniter = UniterModel(config)
        self.vqa_output = bert.Classifier(config.hidden, config.head_hidden, config.answers)
        self.seen_tokens, self.is_grid = config.seen_tokens, bool(config.stem_channels)
        bert.initialise(self, config.weight_std)
        nn.init.normal_(self.uniter.embeddings.word_embeddings.weight, std=config.word_std)

    def fixed(
        self,
        question: Tensor,
        regions: Tensor | None = None,
        boxes: Tensor | None = None,
        image: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """The question (B, T), or its vectors where tables are fixed, regions, boxes and the mask of all tokens."""
        if image is not None:
            regions = self.uniter.stem(image)
            boxes = cell_boxes(int(regions.shape[1])).to(regions) + torch.zeros_like(regions[:, :, :1])
            is_padding_BV = torch.zeros_like(regions[:, :, 0])
        else:
            assert regions is not None
            assert boxes is not None
            is_padding_BV = (regions.abs().sum(-1) == 0).to(regions.dtype)
        is_padding_BS = torch.cat([(question == 0).to(regions.dtype), is_padding_BV], 1)
        text = self.uniter.embeddings(question) if self.uniter.has_fixed_tables else question
        return text, regions, boxes, bert.mask_bias(is_padding_BS, regions.dtype)

    def elastic(self, question: Tensor, regions_BVF: Tensor, boxes_BV7: Tensor, bias_B11S: Tensor) -> Tensor:
        """Logits (B, A) from what `fixed` returned."""
        if seen := self.seen_tokens:
            bias_B11S, boxes_BV7 = bias_B11S[..., : int(question.shape[1]) + seen], boxes_BV7[:, :seen]
            if self.is_grid:
                regions_BVF = pooled(regions_BVF, seen)
                boxes_BV7 = cell_boxes(seen).to(boxes_BV7) + torch.zeros_like(boxes_BV7)
            else:
                regions_BVF = regions_BVF[:, :seen]
        logits_BA: Tensor = self.vqa_output(self.uniter(question, regions_BVF, boxes_BV7, bias_B11S))
        return logits_BA

    def forward(
        self,
        question: Tensor,
        regions: Tensor | None = None,
        boxes: Tensor | None = None,
        image: Tensor | None = None,
    ) -> Tensor:
        return self.elastic(*self.fixed(question, regions, boxes, image))


def cell_boxes(cells: int) -> Tensor:
    """The boxes (cells, 7) of a square grid's cells, row by row from the top left.

    >>> cell_boxes(4)[1].tolist()
    [0.5, 0.0, 1.0, 0.5, 0.5, 0.5, 0.25]
    """
    side = round(cells**0.5)
    low = torch.arange(side) / side
    y_V, x_V = (axis.flatten() for axis in torch.meshgrid(low, low, indexing="ij"))
    size_V = torch.full_like(x_V, 1 / side)
    return torch.stack([x_V, y_V, x_V + size_V, y_V + size_V, size_V, size_V, size_V * size_V], 1)


def shrink(config: UniterConfig, submodel: Submodel) -> UniterConfig:
    """The sizes of `submodel`; InputError where it does not fit the config."""
    seen = seen_by(config.seen_tokens, config.visual_tokens, submodel.tokens)
    return dataclasses.replace(bert_sizes.shrink(config, submodel), seen_tokens=seen)


def stacks(config: UniterConfig) -> tuple[Stack, ...]:
    """The one stack of layers."""
    return (make_stack(config, "uniter.encoder.layer"),)


def example_inputs(config: UniterConfig, batch: int) -> dict[str, Tensor]:
    """Random inputs of full length; the same ones at every call."""
    random = seeded()
    question = torch.randint(1, config.vocab, (batch, config.question_length), generator=random)
    if config.stem_channels:
        side = config.image_side
        image = torch.randint(0, 256, (batch, side, side, 3), generator=random)
        return {"question": question, "image": image.to(torch.uint8)}
    regions = torch.randn(batch, config.regions, config.region_features, generator=random)
    corners = torch.rand(batch, config.regions, 2, 2, generator=random).sort(-2).values  # (.., low and high, x and y)
    size = corners[..., 1, :] - corners[..., 0, :]
    boxes = torch.cat([corners.flatten(-2), size, size.prod(-1, keepdim=True)], -1)
    return {"question": question, "regions": regions, "boxes": boxes}


PRESETS = {
    # The published model fine-tuned on VQA-v2 (public code ChenRocks/UNITER).
    "uniter-base": UniterConfig(answers=3129),
    # A small one to try things out on, with images as a grid of 4 x 4.
    "uniter-easy-vqa": UniterConfig(
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
        image_side=32,
        stem_channels=(24, 32, 48),
    ),
}

FAMILY = Family(
    name="uniter",
    config=UniterConfig,
    presets=PRESETS,
    build=Uniter,
    shrink=shrink,
    stacks=stacks,
    example_inputs=example_inputs,
    elastic_units=elastic_units,
    tokens="seen_tokens",
    token_shares=lambda config: token_shares(config.visual_tokens, is_grid=bool(config.stem_channels)),
)
