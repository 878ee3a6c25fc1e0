"""What cannot be slimmed is refused in one line; what the time does not reach is named; wrong parts are caught."""

from __future__ import annotations

import dataclasses
import functools
import json
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from classes import CLASSES, DECODER, TEXT, inspected

from bstsearch.errors import InputError, UsageError
from bstsearch.model.axes import Axis
from bstsearch.model.supernet import Supernet
from bstsearch.model.zero_padding import RIGHT, WRONG, padding_error
from bstsearch.space import Space, Submodel
from bstsearch.space_names import trainable
from bstsearch.stock.configuration import Found, Layers, StockConfig, read_settings
from bstsearch.stock.deadline import Deadline
from bstsearch.stock.family import FAMILY
from bstsearch.stock.groups import GroupSearch
from bstsearch.stock.importing import inspect_folder
from bstsearch.stock.inspecting import inspect
from bstsearch.stock.report import described
from bstsearch.stock.trial import Bench
from bstsearch.testing.families import assert_same

BERT = "BertForSequenceClassification"


def folder(path: Path, **settings: Any) -> Path:
    (path / "config.json").write_text(json.dumps({"architectures": [BERT], "model_type": "bert", **TEXT, **settings}))
    return path


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"architectures": None}, 'config.json names no class: "architectures" is None; name one, as ["BertModel"]'),
        ({"architectures": ["NoSuchModel"]}, "has no model 'NoSuchModel'; update it, or check the name"),
        ({"architectures": ["BertConfig"]}, "has no model 'BertConfig'; update it"),
        ({"auto_map": {"AutoModel": "modeling.Mine"}}, "asks for code of its own (auto_map), which is not run; name"),
        ({"quantization_config": {"bits": 4}}, "is of a quantised model, whose weights cannot be sliced; use the full"),
        (
            {"hidden_size": 33},
            "BertForSequenceClassification cannot be built of these sizes: The hidden size (33) is not",
        ),
        ({"hidden_size": "wide"}, "BertForSequenceClassification refuses this configuration: "),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_folder_that_cannot_be_used_is_refused(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        inspect_folder(folder(tmp_path, **settings))
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "config.json"))
    assert "\n" not in str(caught.value)


def test_a_folder_without_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"config\.json does not exist; give the folder of a model, as save_pretrained"
    ):
        read_settings(tmp_path)


def _with_forward(monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    """Has the class compute something else, under the same signature."""
    usual = transformers.BertForSequenceClassification.forward

    @functools.wraps(usual)
    def forward(self: Any, *args: Any, **others: Any) -> Any:
        return change(self, usual(self, *args, **others))

    monkeypatch.setattr(transformers.BertForSequenceClassification, "forward", forward)


def test_a_forward_that_is_random_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def noisy(_model: Any, found: Any) -> Any:
        return type(found)(logits=found.logits + torch.rand(()))

    _with_forward(monkeypatch, noisy)
    with pytest.raises(InputError, match=r"draws random numbers in its forward, so that no output can be compared$"):
        inspect(BERT, dict(TEXT))


def test_running_means_are_never_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = transformers.BertForSequenceClassification.__init__

    def init(self: Any, config: Any) -> None:
        usual(self, config)
        self.norm = torch.nn.BatchNorm1d(config.hidden_size)

    monkeypatch.setattr(transformers.BertForSequenceClassification, "__init__", init)
    found = inspect(BERT, dict(TEXT))
    assert [group.names for group in found.groups] == [("intermediate_size",)]
    assert found.fixed["hidden_size"].startswith("buffer model.norm.running_mean (16,) is not the full model's ")


def test_a_class_of_which_no_layers_can_be_left_out_has_widths_alone() -> None:
    """ALBERT has one layer for all of its depth."""
    found = inspect("AlbertForSequenceClassification", TEXT | {"embedding_size": 24})
    assert found.config.found.stacks == ()
    supernet = Supernet(FAMILY, found.config).eval()
    assert [one.id for one in supernet.space] == ["w1of4-d1", "w1of2-d1", "w3of4-d1", "w1-d1"]
    inputs = FAMILY.example_inputs(supernet.config, 2)
    with supernet.bind(supernet.space.smallest) as bound, torch.no_grad():
        assert_same(bound(**inputs), supernet.materialise(supernet.space.smallest)(**inputs), supernet.space.smallest)


def test_stacks_and_groups_take_the_nearest_share_that_each_of_them_has() -> None:
    """Of 9, 5 and 5 layers, and of sizes of 4 and of 2 steps."""
    settings = dict(CLASSES["LxmertForQuestionAnswering"][0], l_layers=9, r_layers=5, x_layers=5)
    stacks = tuple(Layers(prefix=one, count=f"settings.{one}_layers") for one in "lrx")
    groups = {"settings.hidden_size": 8}, {"settings.intermediate_size": 40}
    found = Found(
        stacks=stacks, groups=groups, units={"settings.hidden_size": (1,), "settings.intermediate_size": (1,)}
    )
    config = StockConfig(architecture="LxmertForQuestionAnswering", settings=settings, found=found)
    space = FAMILY.space(config)
    assert [str(depth) for depth in space.depths] == ["1/4", "1/2", "3/4", "1"]
    assert space == Space.from_json(space.to_json())
    layers = {str(depth): FAMILY.kept_layers(config, Submodel(depth=depth)).values() for depth in space.depths}
    kept = {depth: [len(one) for one in stacks] for depth, stacks in layers.items()}
    assert kept == {"1/4": [2, 1, 1], "1/2": [5, 3, 3], "3/4": [7, 4, 4], "1": [9, 5, 5]}
    small = FAMILY.shrink(config, Submodel(width=Fraction(1, 4)))
    assert (small.settings["hidden_size"], small.settings["intermediate_size"]) == (8, 40)
    FAMILY.check(config, space)


def test_what_the_time_does_not_reach_is_named() -> None:
    """Each look at the clock takes a second."""
    seconds = iter(range(1000))
    deadline = Deadline(at=3, clock=lambda: next(seconds))
    search = GroupSearch(bench=Bench(inspected(BERT).config), deadline=deadline)
    search.run(["intermediate_size", "hidden_size", "num_attention_heads"])
    assert "hidden_size" in search.left
    assert "intermediate_size" not in search.left


def test_a_part_that_is_declared_wrongly_is_caught() -> None:
    """Keys beside values are as long as the queries, so every shape fits."""
    config = inspected("Phi3ForCausalLM").config
    wrong = Axis(parameter="*.qkv_proj.weight", axis=0, parts=(1, 1))
    planted = dataclasses.replace(config, found=dataclasses.replace(config.found, axes=(wrong, *config.found.axes)))
    inputs = FAMILY.example_inputs(config, 2)
    half = Submodel(width=FAMILY.space(config).widths[1])
    assert padding_error(FAMILY, planted, half, inputs) >= WRONG
    assert padding_error(FAMILY, config, half, inputs) < WRONG


@pytest.mark.slow
def test_a_scale_in_the_code_is_said() -> None:
    """Gemma multiplies its words by the root of the hidden size."""
    settings = DECODER | {"head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 4}
    found = inspect("Gemma3ForCausalLM", settings)
    assert {group.names for group in found.groups} >= {("intermediate_size",)}
    assert "something in the code depends on it" in found.fixed["hidden_size"]


def test_groups_that_are_no_slice_together_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bstsearch.stock.inspecting.padding_error", lambda *_: 0.25)
    message = (
        r"^BertForSequenceClassification: each group is a slice by itself, but not all of them together \(off by 2"
    )
    with pytest.raises(InputError, match=message):
        inspect(BERT, dict(TEXT))


def test_heads_of_full_size_have_other_steps_than_those_of_the_trials() -> None:
    """BERT-base: a head has 64 of 768 numbers, but 4 of 48 where groups are tried together."""
    settings = {**transformers.BertConfig().to_dict(), "num_hidden_layers": 2, "vocab_size": 1000}
    found = inspect("BertModel", settings)
    steps = {"settings.hidden_size": 64, "settings.num_attention_heads": 1}
    assert found.config.found.groups == ({"settings.intermediate_size": 1}, steps)
    assert found.error <= RIGHT


def test_layers_of_a_stock_class_cannot_differ() -> None:
    supernet = Supernet(FAMILY, inspected(BERT).config)
    with pytest.raises(InputError, match="has one size for all its layers; choose the space bst"):
        FAMILY.check(supernet.config, trainable("elastic", supernet.space))


def test_shares_that_are_no_whole_numbers_give_way_to_the_nearest() -> None:
    settings = TEXT | {"num_hidden_layers": 5, "hidden_size": 30, "num_attention_heads": 3, "intermediate_size": 60}
    space = FAMILY.space(inspect(BERT, settings).config)
    assert [str(width) for width in space.widths] == ["1/3", "2/3", "1"]
    assert [str(depth) for depth in space.depths] == ["1/5", "2/5", "4/5", "1"]


def test_a_supernet_of_another_space_is_refused() -> None:
    with pytest.raises(UsageError):
        trainable("elastic-tokens", FAMILY.space(inspected(BERT).config))


def test_every_class_named_is_tried() -> None:
    assert len(CLASSES) == 24


def test_what_lies_behind_the_trials_is_named_where_there_is_no_time_for_it() -> None:
    """The time ends with the search: neither shapes at full size nor costs are reached."""
    deadline = Deadline(at=2, clock=lambda: 1)
    found = inspect(BERT, dict(TEXT), deadline=deadline)
    assert found.left == ()
    over = Deadline(at=0)
    told = described(found, over)
    assert told["not_reached"] == ["costs of w1of4-d1of4", "costs of w1of2-d3of4", "costs of w1-d1"]
    assert told["submodels"] == []
    with pytest.raises(InputError, match=r"the time ended before a trial ran; give it more, with --seconds$"):
        inspect(BERT, dict(TEXT), deadline=over)


def test_a_table_whose_end_no_input_reaches_is_not_cut() -> None:
    """Of 24 positions these texts reach 8, so that half of the table would do as well."""
    config = inspected(BERT).config
    reads = dataclasses.replace(config.found.reads, length=8)
    bench = Bench(dataclasses.replace(config, found=Found(reads=reads)))
    trial = bench.try_together(("max_position_embeddings",))
    assert not trial.is_proved
    assert trial.reason == "no input reaches the end of bert.embeddings.position_embeddings.weight"


def test_a_long_table_is_shortened_so_that_inputs_reach_its_end() -> None:
    """512 positions of a model that is small already."""
    found = inspect(BERT, TEXT | {"max_position_embeddings": 512})
    assert found.fixed["max_position_embeddings"].startswith("the class does not run with less of it: ")
    assert found.config.settings["max_position_embeddings"] == 512


def test_sizes_in_lists_are_named() -> None:
    with pytest.raises(InputError, match=r"and sizes in a list are not tried \(.*hidden_sizes"):
        inspect("SegformerForImageClassification", {"image_size": 32, "num_encoder_blocks": 4})


MODELING = """
import torch
import transformers

class MineConfig(transformers.BertConfig):
    pass

class Mine(transformers.BertForSequenceClassification):
    config_class = MineConfig
"""


def test_code_that_comes_with_a_model_is_run_only_where_it_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("bstsearch.stock.module._KNOWN", {})
    monkeypatch.setattr("sys.path", [*sys.path])
    here = tmp_path / "mine"
    here.mkdir()
    own = {"architectures": ["Mine"], "auto_map": {"AutoModel": "modeling_mine.Mine"}}
    folder(here, **own)
    with pytest.raises(InputError, match="which is not in the folder; copy it there"):
        inspect_folder(here, is_trusted=True)
    (here / "modeling_mine.py").write_text("raise RuntimeError('it ran')")
    with pytest.raises(InputError, match="which is not run; name a stock class, or read the code"):
        inspect_folder(here)
    with pytest.raises(InputError, match="the code of 'Mine' does not run: it ran"):
        inspect_folder(here, is_trusted=True)
    (here / "modeling_mine.py").write_text(MODELING)
    found = inspect_folder(here, is_trusted=True)
    assert found.config.architecture == "Mine"
    assert {frozenset(group.names) for group in found.groups} == CLASSES[BERT][1]
    folder(here, **own | {"auto_map": {"AutoModel": "somebody/else--modeling_mine.Mine"}})
    with pytest.raises(InputError, match=r"asks for 'somebody/else--modeling_mine\.Mine', which is not in the folder"):
        inspect_folder(here, is_trusted=True)


@pytest.mark.slow
def test_experts_are_slimmed_and_their_number_stays() -> None:
    found = inspect("MixtralForCausalLM", DECODER | {"num_local_experts": 4, "num_experts_per_tok": 2})
    assert {"intermediate_size", "hidden_size"} <= {name for group in found.groups for name in group.names}
    assert "num_local_experts" in found.fixed
