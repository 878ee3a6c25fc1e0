"""What cannot be slimmed is refused in one line; what the time does not reach is named; wrong parts are caught."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from classes import CLASSES, DECODER, TEXT, inspected

from bstsearch.errors import InputError, UsageError
from bstsearch.model.axes import Axis
from bstsearch.model.supernet import Supernet
from bstsearch.model.zero_padding import WRONG, padding_error
from bstsearch.space import Submodel
from bstsearch.space_names import trainable
from bstsearch.stock.configuration import read_settings
from bstsearch.stock.family import FAMILY
from bstsearch.stock.groups import GroupSearch
from bstsearch.stock.importing import inspect_folder
from bstsearch.stock.inspecting import inspect
from bstsearch.stock.trial import Bench

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
        ({"auto_map": {"AutoModel": "modeling.Mine"}}, "asks for code of its own (auto_map), which is never run; name"),
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


def test_a_class_of_which_no_layers_can_be_left_out_has_no_space() -> None:
    found = inspect("AlbertForSequenceClassification", TEXT | {"embedding_size": 24})
    assert found.config.found.stacks == ()
    with pytest.raises(InputError, match="no list of layers was found that can lose some"):
        Supernet(FAMILY, found.config)


def test_what_the_time_does_not_reach_is_named() -> None:
    """Each look at the clock takes a second."""
    seconds = iter(range(1000))
    search = GroupSearch(bench=Bench(inspected(BERT).config), deadline=2, clock=lambda: next(seconds))
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
