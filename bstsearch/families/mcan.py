"""MCAN as BST slims it: question encoder, image decoder, one classifier.

Modular co-attention network (Yu et al., CVPR 2019), with the adapters, slicing and keep orders of the
bilaterally slimmable Transformer (Yu et al., arXiv 2203.12814; public code MILVLG/bst). Parameter names
are those of that code, so its checkpoints fit.

Letters in tensor names: B batch, T question tokens, V visual tokens, L LSTM size, F visual features,
D hidden size, E fused (flat) size, A answers, N heads, H head size.

Fixed, never slimmed: word embedding, LSTM, box projection, convolutional stem. Elastic: the rest.
"""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import torch
from torch import Tensor, nn

from bstsearch.errors import InputError
from bstsearch.layers.attention import attention
from bstsearch.layers.dropout import Dropout
from bstsearch.layers.fewer_tokens import check_seen, pooled, seen_by, token_shares
from bstsearch.layers.grid_stem import GridStem, check_side, grid_tokens
from bstsearch.layers.keep_order import ends_first
from bstsearch.layers.mcan_norm import FusedMcanLayerNorm, McanLayerNorm
from bstsearch.model.config import later
from bstsearch.model.family import Family, Stack, seeded, whole
from bstsearch.space import Submodel

ADAPTER_STD = 0.1  # typical of what enters the adapters' norms: a linear map of LSTM states or features
# Added to the score of a masked key. Next to it every score is lost to rounding, as if it were overwritten (which the
# published code does, with -1e9): where all keys are masked, all count the same. It is finite, so nothing is undefined.
MASKED = -1e30


@dataclasses.dataclass(frozen=True, kw_only=True)
class McanConfig:
    """Sizes of one MCAN. The visual input is region features, or an image where `stem_channels` is given.

    `hidden`, `encoder_heads`, `encoder_ffn`, `decoder_heads`, `decoder_ffn` (one entry per layer),
    `flat_mlp`, `flat_out` and `seen_tokens` are elastic; all others are fixed.
    """

    vocab: int
    answers: int
    question_length: int
    word_dim: int = 300
    lstm_hidden: int = 512
    hidden: int = 512
    head_dim: int = 64
    encoder_heads: tuple[int, ...] = (8,) * 6
    encoder_ffn: tuple[int, ...] = (2048,) * 6
    decoder_heads: tuple[int, ...] = (8,) * 6
    decoder_ffn: tuple[int, ...] = (2048,) * 6
    flat_mlp: int = 512
    flat_out: int = 1024
    dropout: float = 0.1
    word_std: float = 1.0  # of the initial word vectors; a narrow LSTM tells words apart sooner with a large one
    regions: int = 100
    region_features: int = 2048
    box_features: int = 0  # size of the box embedding beside each region's features; 0: no boxes
    has_language_adapter: bool = True  # BST's has one; openvqa's own MCAN takes the LSTM's states as they are
    # The order in which layers are kept; (): BST's, which is published for six layers only, see `ends_first`.
    encoder_keep_order: tuple[int, ...] = ()
    decoder_keep_order: tuple[int, ...] = ()
    has_image_norm: bool = True  # LayerNorm after the image projection: BST's VQA-v2 model has it, its GQA model not
    image_side: int = 0
    stem_channels: tuple[int, ...] = ()
    # How many visual tokens the decoder sees; 0: all. Regions are the leading ones, for detectors give the most
    # confident first; cells of a grid are averaged over blocks of neighbours.
    seen_tokens: int = later(0)
    has_placed_tokens: bool = later(False)  # whether the grid's tokens say where they lie before any training

    def __post_init__(self) -> None:
        if (len(self.encoder_heads), len(self.decoder_heads)) != (len(self.encoder_ffn), len(self.decoder_ffn)):
            raise InputError("McanConfig: heads and ffn must name the same number of layers")
        for stack in ("encoder", "decoder"):
            order, layers = getattr(self, f"{stack}_keep_order"), len(getattr(self, f"{stack}_ffn"))
            if order and sorted(order) != list(range(layers)):
                raise InputError(f"McanConfig: {stack}_keep_order must name each of {layers} layers once")
        check_side("McanConfig", self.stem_channels, self.image_side)
        check_seen("McanConfig", self.seen_tokens, self.visual_tokens, is_grid=bool(self.stem_channels))

    @property
    def visual_tokens(self) -> int:
        """How many visual tokens there are."""
        return grid_tokens(self.stem_channels, self.image_side) if self.stem_channels else self.regions

    @property
    def visual_features(self) -> int:
        """Features per visual token before the elastic projection."""
        return self.stem_channels[-1] if self.stem_channels else self.region_features + self.box_features


def make_norm(config: McanConfig, size: int, expected_std: float = 1.0) -> nn.Module:
    """A norm of rows of `size`: the published one on regions, on images (our own models) the faster one."""
    return FusedMcanLayerNorm(size, expected_std=expected_std) if config.stem_channels else McanLayerNorm(size)


class Attention(nn.Module):
    """Multi-head attention from `hidden` to `hidden` through heads of `head_dim`."""

    def __init__(self, hidden: int, heads: int, head_dim: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.head_dim, self.dropout = heads, head_dim, dropout
        self.linear_v = nn.Linear(hidden, heads * head_dim)
        self.linear_k = nn.Linear(hidden, heads * head_dim)
        self.linear_q = nn.Linear(hidden, heads * head_dim)
        self.linear_merge = nn.Linear(heads * head_dim, hidden)

    def forward(self, query_BTD: Tensor, memory_BVD: Tensor, bias_B11V: Tensor | None) -> Tensor:
        q_BNTH = self._heads(self.linear_q(query_BTD))
        k_BNVH = self._heads(self.linear_k(memory_BVD))
        v_BNVH = self._heads(self.linear_v(memory_BVD))
        dropout = self.dropout if self.training else 0.0
        scale = self.head_dim**-0.5
        x_BNTH = attention(q_BNTH, k_BNVH, v_BNVH, bias_B11V, dropout, scale)
        # Numbers, not traced sizes (hence int), for all axes but the batch: ONNX then holds no shape arithmetic.
        tokens = int(query_BTD.shape[1])
        merged: Tensor = self.linear_merge(x_BNTH.transpose(1, 2).reshape(-1, tokens, self.heads * self.head_dim))
        return merged

    def _heads(self, x_BTD: Tensor) -> Tensor:
        return x_BTD.view(-1, int(x_BTD.shape[1]), self.heads, self.head_dim).transpose(1, 2)


class HiddenLinear(nn.Module):
    """Linear, ReLU, dropout: the first half of an MLP, under the published code's parameter names."""

    def __init__(self, size_in: int, size_out: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(size_in, size_out)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout.relu(self.linear(x))


class Mlp(nn.Module):
    """Two linear maps with a ReLU between."""

    def __init__(self, size_in: int, size_mid: int, size_out: int, dropout: float) -> None:
        super().__init__()
        self.fc = HiddenLinear(size_in, size_mid, dropout)
        self.linear = nn.Linear(size_mid, size_out)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear(self.fc(x))
        return out


class FeedForward(nn.Module):
    """The FFN of a layer (one more level of names, as published)."""

    def __init__(self, hidden: int, ffn: int, dropout: float) -> None:
        super().__init__()
        self.mlp = Mlp(hidden, ffn, hidden, dropout)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.mlp(x)
        return out


class EncoderLayer(nn.Module):
    """SA: self-attention and FFN over the question, each with residual and post-norm."""

    def __init__(self, config: McanConfig, heads: int, ffn: int) -> None:
        super().__init__()
        self.mhatt = Attention(config.hidden, heads, config.head_dim, config.dropout)
        self.ffn = FeedForward(config.hidden, ffn, config.dropout)
        self.norm1, self.norm2 = make_norm(config, config.hidden), make_norm(config, config.hidden)
        self.dropout = Dropout(config.dropout)

    def forward(self, x_BTD: Tensor, bias_B11T: Tensor | None) -> Tensor:
        x_BTD = self.norm1(self.dropout.added(x_BTD, self.mhatt(x_BTD, x_BTD, bias_B11T)))
        y_BTD: Tensor = self.norm2(self.dropout.added(x_BTD, self.ffn(x_BTD)))
        return y_BTD


class DecoderLayer(nn.Module):
    """SGA: self-attention over the image, attention to the encoded question, FFN."""

    def __init__(self, config: McanConfig, heads: int, ffn: int) -> None:
        super().__init__()
        self.mhatt1 = Attention(config.hidden, heads, config.head_dim, config.dropout)
        self.mhatt2 = Attention(config.hidden, heads, config.head_dim, config.dropout)
        self.ffn = FeedForward(config.hidden, ffn, config.dropout)
        self.norm1, self.norm2 = make_norm(config, config.hidden), make_norm(config, config.hidden)
        self.norm3 = make_norm(config, config.hidden)
        self.dropout = Dropout(config.dropout)

    def forward(
        self, x_BVD: Tensor, question_BTD: Tensor, bias_B11V: Tensor | None, bias_B11T: Tensor | None
    ) -> Tensor:
        x_BVD = self.norm1(self.dropout.added(x_BVD, self.mhatt1(x_BVD, x_BVD, bias_B11V)))
        x_BVD = self.norm2(self.dropout.added(x_BVD, self.mhatt2(x_BVD, question_BTD, bias_B11T)))
        y_BVD: Tensor = self.norm3(self.dropout.added(x_BVD, self.ffn(x_BVD)))
        return y_BVD


class Backbone(nn.Module):
    """Encoder, then decoder; every decoder layer attends to the encoder's last output."""

    def __init__(self, config: McanConfig) -> None:
        super().__init__()
        encoder = zip(config.encoder_heads, config.encoder_ffn, strict=True)
        decoder = zip(config.decoder_heads, config.decoder_ffn, strict=True)
        self.enc_list = nn.ModuleList(EncoderLayer(config, heads, ffn) for heads, ffn in encoder)
        self.dec_list = nn.ModuleList(DecoderLayer(config, heads, ffn) for heads, ffn in decoder)

    def forward(
        self, question_BTD: Tensor, image_BVD: Tensor, bias_B11T: Tensor | None, bias_B11V: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        for layer in self.enc_list:
            question_BTD = layer(question_BTD, bias_B11T)
        for layer in self.dec_list:
            image_BVD = layer(image_BVD, question_BTD, bias_B11V, bias_B11T)
        return question_BTD, image_BVD


class AttFlat(nn.Module):
    """Attention pooling: one weight per token, one vector per sequence."""

    def __init__(self, config: McanConfig) -> None:
        super().__init__()
        self.fc = HiddenLinear(config.hidden, config.flat_mlp, config.dropout)
        self.linear = nn.Linear(config.flat_mlp, 1)
        self.linear_merge = nn.Linear(config.hidden, config.flat_out)

    def forward(self, x_BTD: Tensor, bias_B11T: Tensor | None) -> Tensor:
        score_BT = self.linear(self.fc(x_BTD)).squeeze(-1)
        if bias_B11T is not None:
            score_BT = score_BT + bias_B11T.flatten(1)
        pooled_BD = (score_BT.softmax(-1).unsqueeze(-1) * x_BTD).sum(1)
        flat_BE: Tensor = self.linear_merge(pooled_BD)
        return flat_BE


class LanguageAdapter(nn.Module):
    """From the LSTM's fixed size to the elastic hidden size."""

    def __init__(self, config: McanConfig) -> None:
        super().__init__()
        self.lang_linear = nn.Linear(config.lstm_hidden, config.hidden)
        self.lang_ln = make_norm(config, config.hidden, ADAPTER_STD)

    def forward(self, x_BTL: Tensor) -> Tensor:
        x_BTD: Tensor = self.lang_ln(self.lang_linear(x_BTL))
        return x_BTD


class ImageAdapter(nn.Module):
    """From visual features to the elastic hidden size; the box branch, where there is one, is fixed."""

    def __init__(self, config: McanConfig) -> None:
        super().__init__()
        if config.box_features:
            self.bbox_linear = nn.Linear(5, config.box_features)
        self.frcn_linear = nn.Linear(config.visual_features, config.hidden)
        norm = make_norm(config, config.hidden, ADAPTER_STD)
        self.frcn_ln = norm if config.has_image_norm else nn.Identity()

    def with_boxes(self, regions_BVF: Tensor, boxes_BV4: Tensor) -> Tensor:
        """The regions with their box embedding behind; boxes are x1, y1, x2, y2 as shares of the image."""
        x1, y1, x2, y2 = boxes_BV4.unbind(-1)
        box_BV5 = torch.cat([boxes_BV4, ((x2 - x1) * (y2 - y1)).unsqueeze(-1)], -1)
        return torch.cat([regions_BVF, self.bbox_linear(box_BV5)], -1)

    def forward(self, x_BVF: Tensor) -> Tensor:
        x_BVD: Tensor = self.frcn_ln(self.frcn_linear(x_BVF))
        return x_BVD


class Mcan(nn.Module):
    """Logits (B, A) from `question` (B, T; token ids, 0 is padding) and a visual input.

    That is `image` (B, S, S, 3; uint8), or `regions` (B, V, F; rows of zeros are padding) with, where
    the config says so, `boxes` (B, V, 4).
    """

    def __init__(self, config: McanConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.vocab, config.word_dim)
        nn.init.normal_(self.embedding.weight, std=config.word_std)
        self.lstm = nn.LSTM(config.word_dim, config.lstm_hidden, batch_first=True)
        if config.stem_channels:
            self.stem = GridStem(config.stem_channels, config.image_side, is_placed=config.has_placed_tokens)
        if config.has_language_adapter:
            self.lang_adapter = LanguageAdapter(config)
        self.hidden, self.has_language_adapter = config.hidden, config.has_language_adapter
        self.seen_tokens = config.seen_tokens
        self.img_adapter = ImageAdapter(config)
        self.backbone = Backbone(config)
        self.attflat_img = AttFlat(config)
        self.attflat_lang = AttFlat(config)
        self.proj_norm = make_norm(config, config.flat_out)
        self.proj = nn.Linear(config.flat_out, config.answers)

    def fixed(
        self,
        question: Tensor,
        image: Tensor | None = None,
        regions: Tensor | None = None,
        boxes: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """Question (B, T, L), its mask, visual features (B, V, F) and, for regions, their mask."""
        dtype = self.embedding.weight.dtype
        bias_B11T = _mask(question == 0, dtype)
        states_BTL, _ = self.lstm(self.embedding(question))
        if image is not None:
            return states_BTL, bias_B11T, self.stem(image)
        assert regions is not None
        bias_B11V = _mask(regions.abs().sum(-1) == 0, dtype)
        if boxes is not None:
            regions = self.img_adapter.with_boxes(regions, boxes)
        return states_BTL, bias_B11T, regions, bias_B11V

    def elastic(
        self, states_BTL: Tensor, bias_B11T: Tensor, visual_BVF: Tensor, bias_B11V: Tensor | None = None
    ) -> Tensor:
        """Logits (B, A) from what `fixed` returned."""
        if self.seen_tokens and bias_B11V is None:
            visual_BVF = pooled(visual_BVF, self.seen_tokens)
        elif self.seen_tokens and bias_B11V is not None:
            visual_BVF, bias_B11V = visual_BVF[:, : self.seen_tokens], bias_B11V[..., : self.seen_tokens]
        # Without adapter a narrower model reads the leading part of the states: our reading, BST has the adapter.
        words_BTD = self.lang_adapter(states_BTL) if self.has_language_adapter else states_BTL[..., : self.hidden]
        question_BTD, image_BVD = self.backbone(words_BTD, self.img_adapter(visual_BVF), bias_B11T, bias_B11V)
        fused_BE = self.attflat_lang(question_BTD, bias_B11T) + self.attflat_img(image_BVD, bias_B11V)
        logits_BA: Tensor = self.proj(self.proj_norm(fused_BE))
        return logits_BA

    def forward(
        self,
        question: Tensor,
        image: Tensor | None = None,
        regions: Tensor | None = None,
        boxes: Tensor | None = None,
    ) -> Tensor:
        return self.elastic(*self.fixed(question, image, regions, boxes))


def _mask(is_padding_BT: Tensor, dtype: torch.dtype) -> Tensor:
    return (is_padding_BT.to(dtype) * MASKED)[:, None, None, :]


def stacks(config: McanConfig) -> tuple[Stack, ...]:
    """Encoder and decoder, each with its keep order."""
    encoder = config.encoder_keep_order or ends_first(len(config.encoder_ffn))
    decoder = config.decoder_keep_order or ends_first(len(config.decoder_ffn), starts_at_top=True)
    return (
        Stack(prefix="backbone.enc_list", keep_order=encoder, order="encoder_keep_order"),
        Stack(prefix="backbone.dec_list", keep_order=decoder, order="decoder_keep_order"),
    )


def shrink(config: McanConfig, submodel: Submodel) -> McanConfig:
    """The sizes of `submodel`; InputError where it does not fit the config.

    Hidden, heads, FFN and pooling scale; head size stays (BST section III-B).
    """
    # Not asked of every config: `hidden` is enlarged by one to see which axes follow it.
    if not config.has_language_adapter and config.hidden > config.lstm_hidden:
        raise InputError(
            f"McanConfig: without language adapter hidden={config.hidden} is a part of lstm_hidden={config.lstm_hidden}"
        )
    encoder, decoder = (stack.kept_by(submodel, index) for index, stack in enumerate(stacks(config)))
    layers = len(encoder) + len(decoder)
    head_shares = submodel.heads or (submodel.width,) * layers
    ffn_shares = submodel.ffn or (submodel.width,) * layers
    if not len(head_shares) == len(ffn_shares) == layers:
        raise InputError(f"{submodel.id} names a share for {len(head_shares)} layers; it keeps {layers}")

    def scaled(name: str, kept: tuple[int, ...], shares: tuple[Fraction, ...]) -> tuple[int, ...]:
        sizes = getattr(config, name)
        return tuple(whole(sizes[layer], share, name) for layer, share in zip(kept, shares, strict=True))

    split = len(encoder)
    return dataclasses.replace(
        config,
        hidden=whole(config.hidden, submodel.width, "hidden"),
        encoder_keep_order=tuple(encoder.index(layer) for layer in config.encoder_keep_order if layer in encoder),
        decoder_keep_order=tuple(decoder.index(layer) for layer in config.decoder_keep_order if layer in decoder),
        encoder_heads=scaled("encoder_heads", encoder, head_shares[:split]),
        decoder_heads=scaled("decoder_heads", decoder, head_shares[split:]),
        encoder_ffn=scaled("encoder_ffn", encoder, ffn_shares[:split]),
        decoder_ffn=scaled("decoder_ffn", decoder, ffn_shares[split:]),
        flat_mlp=whole(config.flat_mlp, submodel.width, "flat_mlp"),
        flat_out=whole(config.flat_out, submodel.width, "flat_out"),
        seen_tokens=seen_by(config.seen_tokens, config.visual_tokens, submodel.tokens),
    )


def example_inputs(config: McanConfig, batch: int) -> dict[str, Tensor]:
    """Random inputs of full length; the same ones at every call."""
    random = seeded()
    inputs = {"question": torch.randint(1, config.vocab, (batch, config.question_length), generator=random)}
    if config.stem_channels:
        side = config.image_side
        image = torch.randint(0, 256, (batch, side, side, 3), generator=random)
        return inputs | {"image": image.to(torch.uint8)}
    inputs["regions"] = torch.randn(batch, config.regions, config.region_features, generator=random)
    if config.box_features:
        inputs["boxes"] = torch.rand(batch, config.regions, 4, generator=random).sort(-1).values
    return inputs


def elastic_units(config: McanConfig) -> dict[str, int]:
    """Every elastic field moves an axis by one, but a head, which is `head_dim` wide."""
    return {
        "hidden": 1,
        "encoder_heads": config.head_dim,
        "decoder_heads": config.head_dim,
        "encoder_ffn": 1,
        "decoder_ffn": 1,
        "flat_mlp": 1,
        "flat_out": 1,
    }


# The demo: docs/demo-supernet.md says how each size was chosen.
_DEMO = McanConfig(
    vocab=28,
    answers=13,
    question_length=10,
    word_dim=32,
    word_std=4.0,
    lstm_hidden=64,
    hidden=64,
    head_dim=16,
    encoder_heads=(4,) * 4,
    encoder_ffn=(256,) * 4,
    decoder_heads=(4,) * 4,
    decoder_ffn=(256,) * 4,
    flat_mlp=64,
    flat_out=128,
    dropout=0.0,
    image_side=64,
    stem_channels=(8, 16, 32),
)
# With one more stem layer: 25 tokens, one for each 16 x 16 pixels.
_SORT_OF_CLEVR = dataclasses.replace(
    _DEMO, vocab=26, answers=10, question_length=12, image_side=80, stem_channels=(16, 24, 24, 24)
)
# docs/demo-supernet.md says how each size was chosen.
_SHAPES = McanConfig(
    vocab=30,
    answers=16,
    question_length=8,
    word_dim=64,
    word_std=4.0,
    lstm_hidden=128,
    hidden=128,
    head_dim=16,
    encoder_heads=(8,) * 4,
    encoder_ffn=(512,) * 4,
    decoder_heads=(8,) * 4,
    decoder_ffn=(512,) * 4,
    flat_mlp=256,
    flat_out=256,
    dropout=0.0,
    image_side=48,
    stem_channels=(16, 32, 64),
    has_placed_tokens=True,
)

PRESETS = {
    # Sizes of the published VQA-v2 and GQA models (public code MILVLG/bst, configuration and data files).
    "mcan-vqa-v2": McanConfig(vocab=20572, answers=3129, question_length=14),
    "mcan-gqa": McanConfig(vocab=2933, answers=1843, question_length=29, box_features=2048, has_image_norm=False),
    # MCAN as openvqa has it, before BST put adapters between what is fixed and what is slimmed (public code
    # MILVLG/openvqa, mcan_small).
    "mcan-openvqa-vqa-v2": McanConfig(
        vocab=20572, answers=3129, question_length=14, has_language_adapter=False, has_image_norm=False
    ),
    "mcan-easy-vqa": _DEMO,
    "mcan-shapes": _SHAPES,
    "mcan-sort-of-clevr": _SORT_OF_CLEVR,
    # Reading what a detector would find, as the published models do: six objects and their boxes.
    "mcan-objects-sort-of-clevr": dataclasses.replace(
        _SORT_OF_CLEVR, image_side=0, stem_channels=(), regions=6, region_features=8, box_features=8
    ),
}

FAMILY = Family(
    name="mcan",
    config=McanConfig,
    presets=PRESETS,
    build=Mcan,
    shrink=shrink,
    stacks=stacks,
    example_inputs=example_inputs,
    elastic_units=elastic_units,
    tokens="seen_tokens",
    token_shares=lambda config: token_shares(config.visual_tokens, is_grid=bool(config.stem_channels)),
)
