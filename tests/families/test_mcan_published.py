"""MCAN against the published formulas, written down a second time and plainly: no module, no mask but filling in.

golden/mcan.npz holds the VQA-v2 model only; this covers GQA's (boxes, no norm after the image projection), openvqa's
(no adapters), full sizes, and inputs of any scale.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from fractions import Fraction

import pytest
import torch
from test_mcan_golden import CONFIG as VQA
from torch import Tensor

from bstsearch.families.mcan import FAMILY, PRESETS, McanConfig
from bstsearch.model.family import seeded
from bstsearch.model.supernet import Supernet
from bstsearch.space import Submodel

GQA = dataclasses.replace(VQA, question_length=9, box_features=24, has_image_norm=False)
OPENVQA = dataclasses.replace(VQA, has_language_adapter=False, has_image_norm=False)
SMALL = {"vqa": VQA, "gqa": GQA, "openvqa": OPENVQA}
KEPT = {Fraction(1, 6): ([0], [5]), Fraction(1, 3): ([0, 5],) * 2, Fraction(2, 3): ([0, 1, 4, 5],) * 2}
Inputs = dict[str, Tensor]


class Published:
    """The published forward pass of a submodel, with leading slices of the full model's weights."""

    def __init__(self, config: McanConfig, weights: Mapping[str, Tensor], submodel: Submodel) -> None:
        self.config, self.weights, self.width = config, weights, submodel.width
        everything = (list(range(6)),) * 2
        self.encoder, self.decoder = KEPT.get(submodel.depth, everything)

    def cut(self, full: Tensor, *axes: bool) -> Tensor:
        """The leading part of each axis that is to be cut."""
        for axis, is_cut in enumerate(axes):
            full = full.narrow(axis, 0, int(full.shape[axis] * self.width)) if is_cut else full
        return full

    def linear(self, name: str, x: Tensor, rows: bool = True, columns: bool = True) -> Tensor:
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return x @ self.cut(weight, rows, columns).T + self.cut(bias, rows)

    def norm(self, name: str, x: Tensor) -> Tensor:
        weight, bias = (self.cut(self.weights[f"{name}.{end}"], True) for end in ("weight", "bias"))
        return weight * (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-6) + bias

    def attention(self, name: str, query: Tensor, memory: Tensor, is_padding: Tensor) -> Tensor:
        q, k, v = (
            self.linear(f"{name}.linear_{one}", x).unflatten(-1, (-1, self.config.head_dim)).transpose(1, 2)
            for one, x in (("q", query), ("k", memory), ("v", memory))
        )
        scores = q @ k.transpose(-1, -2) / self.config.head_dim**0.5
        shares = scores.masked_fill(is_padding[:, None, None], -1e9).softmax(-1)
        return self.linear(f"{name}.linear_merge", (shares @ v).transpose(1, 2).flatten(2))

    def ffn(self, name: str, x: Tensor) -> Tensor:
        return self.linear(f"{name}.ffn.mlp.linear", self.linear(f"{name}.ffn.mlp.fc.linear", x).relu())

    def flat(self, name: str, x: Tensor, is_padding: Tensor) -> Tensor:
        score = self.linear(f"{name}.linear", self.linear(f"{name}.fc.linear", x).relu(), rows=False)
        shares = score.masked_fill(is_padding.unsqueeze(-1), -1e9).softmax(1)
        return self.linear(f"{name}.linear_merge", (shares * x).sum(1))

    def lstm(self, x: Tensor) -> Tensor:
        hidden = cell = torch.zeros(len(x), self.config.lstm_hidden, dtype=x.dtype)
        states = []
        for token in x.unbind(1):
            gates = token @ self.weights["lstm.weight_ih_l0"].T + self.weights["lstm.bias_ih_l0"]
            gates = gates + hidden @ self.weights["lstm.weight_hh_l0"].T + self.weights["lstm.bias_hh_l0"]
            enter, keep, new, leave = gates.chunk(4, -1)
            cell = keep.sigmoid() * cell + enter.sigmoid() * new.tanh()
            hidden = leave.sigmoid() * cell.tanh()
            states.append(hidden)
        return torch.stack(states, 1)

    def image(self, regions: Tensor, boxes: Tensor | None) -> Tensor:
        if boxes is not None:
            area = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
            box = torch.cat([boxes, area.unsqueeze(-1)], -1)
            box = box @ self.weights["img_adapter.bbox_linear.weight"].T + self.weights["img_adapter.bbox_linear.bias"]
            regions = torch.cat([regions, box], -1)
        y = self.linear("img_adapter.frcn_linear", regions, columns=False)
        return self.norm("img_adapter.frcn_ln", y) if self.config.has_image_norm else y

    def logits(self, question: Tensor, regions: Tensor, boxes: Tensor | None = None) -> Tensor:
        no_word, no_region = question == 0, regions.abs().sum(-1) == 0
        x = self.lstm(self.weights["embedding.weight"][question])
        if self.config.has_language_adapter:
            x = self.norm("lang_adapter.lang_ln", self.linear("lang_adapter.lang_linear", x, columns=False))
        else:
            x = self.cut(x, False, False, True)
        y = self.image(regions, boxes)
        for name in (f"backbone.enc_list.{layer}" for layer in self.encoder):
            x = self.norm(f"{name}.norm1", x + self.attention(f"{name}.mhatt", x, x, no_word))
            x = self.norm(f"{name}.norm2", x + self.ffn(name, x))
        for name in (f"backbone.dec_list.{layer}" for layer in self.decoder):
            y = self.norm(f"{name}.norm1", y + self.attention(f"{name}.mhatt1", y, y, no_region))
            y = self.norm(f"{name}.norm2", y + self.attention(f"{name}.mhatt2", y, x, no_word))
            y = self.norm(f"{name}.norm3", y + self.ffn(name, y))
        fused = self.flat("attflat_lang", x, no_word) + self.flat("attflat_img", y, no_region)
        return self.linear("proj", self.norm("proj_norm", fused), rows=False)


def build(config: McanConfig) -> Supernet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Supernet(FAMILY, config).eval()


def padded_inputs(config: McanConfig) -> Inputs:
    """Three questions of all, four and one word, about images of all, six and one region."""
    inputs = FAMILY.example_inputs(config, 3)
    for row, (words, regions) in enumerate(((4, 6), (1, 1)), start=1):
        inputs["question"][row, words:] = 0
        inputs["regions"][row, regions:] = 0
        if "boxes" in inputs:
            inputs["boxes"][row, regions:] = 0
    return inputs


def double(inputs: Inputs) -> Inputs:
    return {name: value.double() if value.is_floating_point() else value for name, value in inputs.items()}


def difference(supernet: Supernet, inputs: Inputs, submodel: Submodel) -> float:
    """The largest, of the float32 logits from the published ones in float64."""
    weights = {name: value.double() for name, value in supernet.model.state_dict().items()}
    with torch.no_grad(), supernet.bind(submodel) as model:
        expected = Published(supernet.config, weights, submodel).logits(**double(inputs))
        return float((model(**inputs) - expected).abs().max())


@pytest.mark.parametrize("name", SMALL)
def test_every_submodel_computes_the_published_logits(name: str) -> None:
    supernet = build(SMALL[name])
    for submodel in supernet.space.grid():
        assert difference(supernet, padded_inputs(supernet.config), submodel) < 3e-6, submodel.id


@pytest.mark.parametrize("name", SMALL)
def test_a_question_without_words_and_an_image_without_regions_count_all_their_padding_alike(name: str) -> None:
    supernet = build(SMALL[name]).double()
    with torch.no_grad():
        for parameter in supernet.parameters():
            parameter.mul_(3)  # so that scores are large
    inputs = {input_name: value * 0 for input_name, value in padded_inputs(supernet.config).items()}
    for submodel in (supernet.space.smallest, supernet.space.largest):
        assert difference(supernet, double(inputs), submodel) < 1e-9, submodel.id


def _regions_of(scale: float) -> Callable[[Supernet, Inputs], None]:
    def change(_: Supernet, inputs: Inputs) -> None:
        inputs["regions"].mul_(scale)

    return change


def _weights_of(name: str, scale: float) -> Callable[[Supernet, Inputs], None]:
    def change(supernet: Supernet, _: Inputs) -> None:
        for full_name, parameter in supernet.model.named_parameters():
            if name in full_name:
                parameter.data.mul_(scale)

    return change


BADLY_SCALED = {
    "regions of detectors": _regions_of(20),
    "tiny regions": _regions_of(1e-3),
    "tiny image projection": _weights_of("frcn_linear", 1e-4),
    "padded regions are rows of zeros": _weights_of("frcn_linear.bias", 0),
    "tiny question projection": _weights_of("lang_linear", 1e-4),
    "tiny words": _weights_of("embedding", 1e-4),
    "tiny norms": _weights_of("norm", 1e-3),
    "large norms": _weights_of("norm", 3),
}


@pytest.mark.parametrize("change", BADLY_SCALED.values(), ids=BADLY_SCALED)
@pytest.mark.parametrize("name", SMALL)
def test_the_logits_are_the_published_ones_whatever_the_scale(
    name: str, change: Callable[[Supernet, Inputs], None]
) -> None:
    supernet = build(SMALL[name])
    inputs = padded_inputs(supernet.config)
    change(supernet, inputs)
    for submodel in (supernet.space.smallest, supernet.space.largest):
        assert difference(supernet, inputs, submodel) < 1e-5, submodel.id


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mcan-vqa-v2", "mcan-gqa", "mcan-openvqa-vqa-v2"])
def test_the_full_size_models_compute_the_published_logits(name: str) -> None:
    supernet = build(PRESETS[name])
    for scale in (1.0, 20.0):
        inputs = padded_inputs(supernet.config)
        inputs["regions"] = scale * torch.randn(inputs["regions"].shape, generator=seeded(3)).relu()
        inputs["regions"][1, 6:] = 0
        for submodel in (supernet.space.smallest, supernet.space.middle, supernet.space.largest):
            assert difference(supernet, inputs, submodel) < 1e-4, (scale, submodel.id)
