from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import Weights, as_openvqa, as_tensorflow, full_size, golden, weights

from bstsearch.errors import InputError, UsageError
from bstsearch.families.mcan import FAMILY, McanConfig
from bstsearch.model.supernet import Supernet
from bstsearch.published.checkpoint import Imported, read_checkpoint
from bstsearch.published.configurations import Configuration, choose_heads
from bstsearch.space import Space

FAMILIES = ["mcan", "uniter", "clip_vil"]
# What the shapes of the golden weights do not tell: their heads are small, their questions and images too.
GIVEN: dict[str, dict[str, Any]] = {
    "mcan": {"heads": 4},
    "uniter": {"heads": 4},
    "clip_vil": {"heads": 4, "image_size": (96, 160)},
}
Read = Callable[..., Imported]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Imports these weights, saved as a state dict, with what the family's golden weights need to be told."""

    def read(named: Weights, family: str, **given: Any) -> Imported:
        torch.save(named, tmp_path / "model.pt")
        return read_checkpoint(tmp_path / "model.pt", family, **(GIVEN[family] | given))

    return read


def assert_golden(found: Imported, family: str) -> None:
    """Every submodel that has golden logits computes them."""
    values = golden(family)
    inputs = {name.removeprefix("inputs/"): torch.from_numpy(values[name]) for name in values if "inputs/" in name}
    inputs.pop("targets", None)
    for submodel in found.supernet.space.grid():
        with torch.no_grad(), found.supernet.bind(submodel) as model:
            expected = torch.from_numpy(values[f"logits/{submodel.id}"])
            torch.testing.assert_close(model(**inputs), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_imported_checkpoint_computes_the_published_logits(family: str, read: Read) -> None:
    found = read(weights(family), family)
    assert_golden(found, family)
    assert not found.supernet.training


@pytest.mark.parametrize("family", FAMILIES)
def test_the_space_is_bsts_ten(family: str, read: Read) -> None:
    found = read(weights(family), family)
    assert found.supernet.space == Space.bst(stacks=found.supernet.space.stacks)
    assert len(found.supernet.space) == 10


@pytest.mark.parametrize("family", FAMILIES)
def test_a_wrapped_models_names_lose_their_prefix(family: str, read: Read) -> None:
    assert_golden(read({f"module.{name}": value for name, value in weights(family).items()}, family), family)


def test_a_wrapper_inside_the_model_is_none_of_its_name(read: Read) -> None:
    inner, wrapped = "lxrt_encoder.model.", "lxrt_encoder.model.module."
    named = {name.replace(inner, wrapped): value for name, value in weights("clip_vil").items()}
    assert_golden(read(named, "clip_vil"), "clip_vil")


@pytest.mark.parametrize("family", ["uniter", "clip_vil"])
def test_gamma_and_beta_are_weight_and_bias(family: str, read: Read) -> None:
    assert_golden(read(as_tensorflow(weights(family)), family), family)


def test_openvqas_names_are_bsts(read: Read) -> None:
    assert_golden(read(as_openvqa(weights("mcan")), "mcan"), "mcan")


def without_adapters() -> Weights:
    return {name: value for name, value in weights("mcan").items() if "lang_adapter" not in name and "_ln" not in name}


def test_openvqas_own_model_has_no_adapters(read: Read) -> None:
    config = read(as_openvqa(without_adapters()), "mcan").supernet.config
    assert (config.has_language_adapter, config.has_image_norm) == (False, False)


def test_mcan_vqas_projection_is_that_of_regions(read: Read) -> None:
    named = as_openvqa(without_adapters())
    named = {name.replace("adapter.frcn_linear", "img_feat_linear"): value for name, value in named.items()}
    assert torch.equal(
        read(named, "mcan").supernet.model.img_adapter.frcn_linear.weight, named["img_feat_linear.weight"]
    )


def test_boxes_tell_gqas_model(read: Read) -> None:
    named = without_adapters()
    named["img_adapter.bbox_linear.weight"], named["img_adapter.bbox_linear.bias"] = torch.zeros(8, 5), torch.zeros(8)
    named["img_adapter.frcn_linear.weight"] = torch.zeros(64, 32 + 8)
    found = read(named, "mcan")
    config = found.supernet.config
    assert (found.data, config.box_features, config.region_features, config.question_length) == ("gqa", 8, 32, 29)


@pytest.mark.parametrize(
    ("family", "data", "length"),
    [("mcan", None, 14), ("mcan", "gqa", 29), ("mcan", "none", 14), ("uniter", None, 16), ("clip_vil", "gqa", 20)],
)
def test_questions_are_as_long_as_published(family: str, data: str | None, length: int, read: Read) -> None:
    found = read(weights(family), family, data=data)
    assert found.supernet.config.question_length == length
    assert found.data == (data or "vqa-v2")
    assert read(weights(family), family, question_length=9).supernet.config.question_length == 9


def test_half_precision_becomes_float32(read: Read) -> None:
    named = weights("uniter")
    found = read({name: value.half() for name, value in named.items()}, "uniter")
    stored = found.supernet.model.vqa_output[3].weight
    assert torch.equal(stored, named["vqa_output.3.weight"].half().float())


def test_what_the_model_never_uses_is_listed_by_rule(read: Read) -> None:
    found = read(weights("uniter") | {"cls.predictions.bias": torch.zeros(60)}, "uniter")
    assert found.dead == {
        "masked regions of pre-training": ("uniter.img_embeddings.mask_embedding.weight",),
        "heads of pre-training": ("cls.predictions.bias",),
    }
    assert found.dead_parameters == {"masked regions of pre-training": 48, "heads of pre-training": 60}
    clip = read(weights("clip_vil"), "clip_vil")
    counts = {rule: len(names) for rule, names in clip.dead.items()}
    counters = counts.pop("counters of BatchNorm", 0)
    assert counts == {"CLIP's text side": 3, "CLIP's attention pooling": 1, "boxes of a detector": 2}
    assert counters == sum(name.endswith("num_batches_tracked") for name in weights("clip_vil"))


def test_buffers_that_libraries_add_are_of_no_use(read: Read) -> None:
    extra = {"uniter.embeddings.position_ids": torch.arange(40).view(1, -1), "n_averaged": torch.tensor(7)}
    found = read(weights("uniter") | extra, "uniter")
    assert found.dead["numbers of positions"] == ("uniter.embeddings.position_ids",)
    assert found.dead["counter of an average"] == ("n_averaged",)
    assert_golden(found, "uniter")


@pytest.mark.parametrize("wrapper", ["_orig_mod.", "model.", "model._orig_mod.module."])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_compiled_or_held_models_names_lose_their_prefix(family: str, wrapper: str, read: Read) -> None:
    assert_golden(read({f"{wrapper}{name}": value for name, value in weights(family).items()}, family), family)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_any_precision_becomes_float32(dtype: torch.dtype, read: Read) -> None:
    named = weights("mcan")
    found = read({name: value.to(dtype) for name, value in named.items()}, "mcan")
    stored = found.supernet.model.proj.weight
    assert stored.dtype == torch.float32
    assert torch.equal(stored, named["proj.weight"].to(dtype).float())


# What shapes cannot tell


def mcan(hidden: int, heads: int, layers: int = 4) -> Supernet:
    """An MCAN of that width; the sizes that do not matter are small."""
    config = McanConfig(
        vocab=50,
        answers=10,
        question_length=14,
        word_dim=4,
        lstm_hidden=8,
        hidden=hidden,
        head_dim=hidden // heads,
        encoder_heads=(heads,) * layers,
        encoder_ffn=(16,) * layers,
        decoder_heads=(heads,) * layers,
        decoder_ffn=(16,) * layers,
        flat_mlp=8,
        flat_out=16,
        region_features=8,
    )
    torch.manual_seed(0)
    return Supernet(FAMILY, config).eval()


@pytest.mark.parametrize(("hidden", "size", "model"), [(512, 64, "small"), (1024, 128, "large")])
def test_mcan_has_eight_heads_at_both_published_widths(hidden: int, size: int, model: str, read: Read) -> None:
    published = mcan(hidden, 8)
    found = read(published.model.state_dict(), "mcan", heads=None)
    assert (set(found.supernet.config.encoder_heads), found.supernet.config.head_dim) == ({8}, size)
    assert re.fullmatch(
        rf"8 heads of {size}, as in .*openvqa's and mcan-vqa's {model} model; --heads says otherwise",
        found.assumed["heads"],
    )
    inputs = FAMILY.example_inputs(published.config, 2)
    assert torch.equal(found.supernet.model(**inputs), published.model(**inputs))
    quarter = found.supernet.materialise(found.supernet.space.smallest)
    assert quarter.backbone.enc_list[0].mhatt.heads == 2


def test_fewer_layers_than_published_are_said(read: Read) -> None:
    found = read(mcan(512, 8, layers=4).model.state_dict(), "mcan", heads=None)
    stacks = [stack.prefix for stack in FAMILY.stacks(found.supernet.config)]
    said = [found.assumed[stack] for stack in stacks]
    message = r"backbone\.enc_list has 4 layers, but 6 in BST's, .* small model; check that the file is whole"
    assert re.fullmatch(message, said[0])
    found = read(weights("mcan"), "mcan")
    assert not found.assumed.keys() & set(stacks)


def test_two_published_counts_at_one_width_ask_for_the_heads() -> None:
    known = tuple(Configuration(name=name, hidden=64, heads=heads, layers=6) for name, heads in (("a", 4), ("b", 8)))
    with pytest.raises(
        InputError, match="public configurations have 4 in a and 8 in b; give their number with --heads"
    ):
        choose_heads(known, 64, None)
    assert choose_heads(known, 64, 8) == (8, None)


def test_given_heads_are_taken_and_not_said(read: Read) -> None:
    found = read(mcan(512, 8).model.state_dict(), "mcan", heads=16)
    assert (set(found.supernet.config.encoder_heads), found.supernet.config.head_dim) == ({16}, 32)
    assert "heads" not in found.assumed


def test_what_was_assumed_is_said_and_what_was_given_is_not(read: Read) -> None:
    assert read(weights("mcan"), "mcan").assumed == {
        "data": "vqa-v2, since it reads no boxes; --data says otherwise",
        "question_length": "questions of 14 tokens, as for vqa-v2; --question-length says otherwise",
        "regions": "at most 100 regions, as published",
    }
    assert set(read(weights("mcan"), "mcan", data="gqa", question_length=9).assumed) == {"regions"}
    assert set(read(weights("clip_vil"), "clip_vil").assumed) == {"data", "question_length"}


# What is refused


LAYERS = {
    "mcan": ("backbone.dec_list.", 6, "decoder layer"),
    "uniter": ("uniter.encoder.layer.", 12, "layer"),
    "clip_vil": ("lxrt_encoder.model.bert.encoder.layer.", 12, "layer"),
}


@pytest.mark.parametrize("lost", [0, 2])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_missing_layer_is_named_as_such(family: str, lost: int, read: Read) -> None:
    prefix, count, what = LAYERS[family]
    named = {name: value for name, value in weights(family).items() if not name.startswith(f"{prefix}{lost}.")}
    with pytest.raises(InputError, match=rf"^/.*: lacks {what} {lost + 1} of {count} \(.*layer\.|list\.{lost}\);"):
        read(named, family)


def test_a_missing_block_or_stage_of_the_tower_is_named_as_such(read: Read) -> None:
    tower = "lxrt_encoder.model.bert.encoder.visual_model.visual.layer"
    for lost, message in (("2.0.", "block of the tower's stage 2: 1 of 2"), ("3.", "stage of the tower 3 of 4")):
        named = {name: value for name, value in weights("clip_vil").items() if not name.startswith(tower + lost)}
        with pytest.raises(InputError, match=f"lacks {message}"):
            read(named, "clip_vil")


def test_a_layer_too_many_lacks_those_before_it(read: Read) -> None:
    extra = {"backbone.enc_list.9.norm1.bias": torch.zeros(64)}
    with pytest.raises(InputError, match=r"lacks encoder layer 7 of 10 \(backbone.enc_list.6\)"):
        read(weights("mcan") | extra, "mcan")


def test_a_layers_missing_matrix_is_named(read: Read) -> None:
    named = weights("mcan")
    del named["backbone.enc_list.3.ffn.mlp.fc.linear.weight"]
    with pytest.raises(InputError, match=r"lacks backbone.enc_list.3.ffn.mlp.fc.linear.weight, by which"):
        read(named, "mcan")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("family", FAMILIES)
def test_numbers_that_are_not_finite_are_counted(family: str, value: float, read: Read) -> None:
    named = weights(family)
    name = {"mcan": "proj.weight", "uniter": "vqa_output.3.weight", "clip_vil": "logit_fc.3.weight"}[family]
    named[name] = named[name].clone()
    named[name][0, :2] = value
    with pytest.raises(InputError, match=rf"^/.*model.pt: '{name}' has 2 of [\d,]+ numbers that are NaN or infinite;"):
        read(named, family)


def test_what_float32_cannot_hold_is_refused(read: Read) -> None:
    with pytest.raises(InputError, match=r"'proj.bias' has 30 of 30 numbers that are NaN or infinite"):
        read(weights("mcan") | {"proj.bias": torch.full((30,), 1e300, dtype=torch.float64)}, "mcan")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("proj.weight", torch.zeros(30), r"proj.weight is \(30,\); expected 2 sizes of at least 1"),
        ("embedding.weight", torch.zeros(0, 10**12), r"embedding.weight is \(0, 1000000000000\); expected 2 sizes"),
        ("embedding.weight", torch.zeros(()), r"embedding.weight is \(\); expected 2 sizes"),
        ("proj.bias", torch.zeros(30, dtype=torch.int8), r"proj.bias holds torch.int8; expected float32"),
        ("x" * 300, torch.zeros(1), r"has the unknown x{60}; a mcan of these sizes has 281 tensors$"),
        ("proj.bias", torch.zeros((1,) * 60), r"proj.bias is \(1, 1, .{,40}\.\.\., but by the other tensors \(30,\)$"),
    ],
)
def test_a_tensor_of_another_kind_is_told(name: str, value: torch.Tensor, message: str, read: Read) -> None:
    with pytest.raises(InputError, match=rf"^/.*model.pt: {message}") as caught:
        read(weights("mcan") | {name: value}, "mcan")
    assert len(str(caught.value)) < 300


def test_shapes_are_held_against_each_other_before_any_memory_is_asked_for(read: Read) -> None:
    huge = {"embedding.weight": torch.zeros(1).expand(10**7, 20), "proj.weight": torch.zeros(1).expand(10**6, 64)}
    with pytest.raises(InputError, match=r"proj.bias is \(30,\), but by the other tensors \(1000000,\)"):
        read(weights("mcan") | huge, "mcan")


@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("mcan", "backbone.dec_list.3.norm2.bias"),
        ("mcan", "lang_adapter.lang_ln.weight"),
        ("mcan", "proj.weight"),
        ("uniter", "uniter.pooler.dense.bias"),
        ("clip_vil", "lxrt_encoder.model.bert.encoder.visual_model.visual.layer2.1.bn2.running_var"),
    ],
)
def test_a_missing_tensor_is_named(family: str, name: str, read: Read) -> None:
    named = weights(family)
    del named[name]
    with pytest.raises(InputError, match=rf"lacks .*{name.removeprefix('lxrt_encoder.model.bert.')}"):
        read(named, family)


def test_unknown_tensors_are_named_and_counted(read: Read) -> None:
    extra = {f"extra.{index}": torch.zeros(1) for index in range(5)}
    with pytest.raises(InputError, match=r"has the unknown extra.0, extra.1, extra.2 and 2 more; a mcan of these"):
        read(weights("mcan") | extra, "mcan")


def test_a_tensor_of_another_shape_is_named(read: Read) -> None:
    with pytest.raises(
        InputError, match=r"backbone.enc_list.2.norm1.bias is \(63,\), but by the other tensors \(64,\)"
    ):
        read(weights("mcan") | {"backbone.enc_list.2.norm1.bias": torch.zeros(63)}, "mcan")


@pytest.mark.parametrize("given", FAMILIES)
@pytest.mark.parametrize("asked", FAMILIES)
def test_a_checkpoint_of_another_family_is_told(given: str, asked: str, read: Read) -> None:
    if given == asked:
        return
    with pytest.raises(InputError, match=rf"is no {asked.replace('_', '-')}: it looks like {given.replace('_', '-')}"):
        read(weights(given), asked)


def test_a_checkpoint_of_no_known_family_is_told(read: Read) -> None:
    with pytest.raises(InputError, match=r"model.pt: is no mcan: it looks like no family that is known"):
        read({"fc.weight": torch.zeros(2, 2)}, "mcan")


def test_one_tensor_under_two_names_is_refused(read: Read) -> None:
    with pytest.raises(InputError, match=r"holds img_adapter.frcn_linear.bias twice"):
        read(weights("mcan") | {"adapter.frcn_linear.bias": torch.zeros(64)}, "mcan")


@pytest.mark.parametrize("heads", [3, 128])
def test_heads_that_do_not_divide_are_refused(heads: int, read: Read) -> None:
    with pytest.raises(InputError, match=rf"{heads} heads do not divide hidden=64; .* --heads"):
        read(weights("mcan"), "mcan", heads=heads)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_width_that_nobody_published_asks_for_the_heads(family: str, read: Read) -> None:
    message = r"is \d+ wide, and shapes do not tell its heads: no public configuration is that wide; .* --heads$"
    with pytest.raises(InputError, match=message):
        read(weights(family), family, heads=None)


def test_several_glimpses_and_grid_features_are_refused(read: Read) -> None:
    glimpses = {"attflat_img.linear.weight": torch.zeros(2, 64), "attflat_img.linear.bias": torch.zeros(2)}
    with pytest.raises(InputError, match="pools by 2 glimpses"):
        read(weights("mcan") | glimpses, "mcan")
    with pytest.raises(InputError, match="reads grid features"):
        read(weights("mcan") | {"adapter.grid_linear.weight": torch.zeros(64, 32)}, "mcan")


def test_an_unknown_data_set_is_refused(read: Read) -> None:
    with pytest.raises(UsageError, match="unknown data set 'clevr'; there are vqa-v2, gqa and none"):
        read(weights("mcan"), "mcan", data="clevr")


# The published sizes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "tensors", "used", "total"),
    [
        ("mcan", 281, 58_077_195, 58_077_195),
        ("uniter", 216, 115_888_185, 115_892_281),
        ("clip_vil", 884, 183_191_793, 295_878_130),
    ],
)
def test_every_tensor_of_the_published_models_is_accounted_for(
    family: str, tensors: int, used: int, total: int, tmp_path: Path
) -> None:
    torch.save({"state_dict": full_size(family), "epoch": 15}, tmp_path / "model.pkl")
    found = read_checkpoint(tmp_path / "model.pkl", family)
    assert len(found.used) + sum(map(len, found.dead.values())) == tensors
    counters = found.dead_parameters.get("counters of BatchNorm", 0)
    assert found.parameters == used
    assert found.parameters + sum(found.dead_parameters.values()) - counters == total
    assert all(bool((parameter == 0.01).all()) for parameter in found.supernet.model.parameters())


@pytest.mark.slow
def test_the_published_sizes_are_the_presets(tmp_path: Path) -> None:
    for family, preset in (("mcan", "mcan-vqa-v2"), ("uniter", "uniter-base")):
        torch.save(full_size(family), tmp_path / "model.pt")
        supernet = read_checkpoint(tmp_path / "model.pt", family).supernet
        assert supernet.config == supernet.family.presets[preset]


def test_a_folder_of_an_imported_checkpoint_loads(read: Read, tmp_path: Path) -> None:
    found = read(weights("mcan"), "mcan")
    found.supernet.save(tmp_path)
    loaded = Supernet.load(tmp_path)
    assert loaded.config == found.supernet.config
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), found.supernet.parameters(), strict=True))
