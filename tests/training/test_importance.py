from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import sentences
import torch

from bstsearch import doors
from bstsearch.errors import BstsearchError
from bstsearch.model.bundles import Bundle, find_bundles
from bstsearch.model.supernet import Supernet
from bstsearch.space import Submodel
from bstsearch.tasks.evaluation import outputs_of
from bstsearch.tasks.text import Text
from bstsearch.tasks.text_split import TextSplit
from bstsearch.training.importance import ordered


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Text, Supernet, TextSplit]:
    monkeypatch.setitem(doors._admitted, ("family", "sentences"), sentences.FAMILY)
    teacher = sentences.write_teacher(tmp_path / "teacher")
    task, supernet = Text.load(teacher, sentences.write_lines(tmp_path / "lines.txt")), Supernet.load(teacher)
    return task, supernet, task.split("train", supernet.family.reader(supernet.config))


def test_the_full_model_gives_the_same_and_the_space_stays(text: tuple[Text, Supernet, TextSplit]) -> None:
    task, supernet, split = text
    before = outputs_of(supernet, Submodel(), split)
    found = ordered(supernet, split, task.distance)
    after = outputs_of(found, Submodel(), split)
    torch.testing.assert_close(after.sort(-1).values, before.sort(-1).values, rtol=1e-4, atol=1e-4)
    assert found.space == supernet.space
    assert sorted(found.config.keep_order) == [0, 1, 2, 3]


def test_units_that_do_nothing_come_last(
    text: tuple[Text, Supernet, TextSplit],
) -> None:
    task, supernet, split = text
    before = outputs_of(supernet, Submodel(), split)
    with torch.no_grad():
        for layer in supernet.model.layer:
            layer.up.bias += 30  # so that all units are active
            layer.down.weight[:, :8] = 0  # the leading half of the FFN units
            layer.merge.weight[:, :8] = 0  # and of the heads
    silent = outputs_of(supernet, Submodel(), split)
    assert not torch.allclose(silent, before)
    found = ordered(supernet, split, task.distance)
    for layer in found.model.layer:
        assert not layer.down.weight[:, 8:].any()
        assert not layer.merge.weight[:, 8:].any()


def test_a_layer_that_changes_nothing_is_left_out_first_and_not_missed(
    text: tuple[Text, Supernet, TextSplit],
) -> None:
    task, supernet, split = text
    layers = supernet.model.layer
    with torch.no_grad():
        for norm in (layers[0].norm2, layers[1].norm1, layers[1].norm2):
            norm.weight.fill_(1)
            norm.bias.zero_()
        for linear in (layers[1].merge, layers[1].down):
            linear.weight.zero_()
            linear.bias.zero_()
    before = outputs_of(supernet, Submodel(), split)
    found = ordered(supernet, split, task.distance)
    assert found.config.keep_order[-1] == 1
    three = outputs_of(found, Submodel(depth=Fraction(3, 4)), split)
    torch.testing.assert_close(three.sort(-1).values, before.sort(-1).values, rtol=1e-3, atol=1e-3)


def test_the_same_weights_get_the_same_order(text: tuple[Text, Supernet, TextSplit]) -> None:
    task, supernet, split = text
    state = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    one = ordered(supernet, split, task.distance)
    supernet.load_state_dict(state)
    other = ordered(supernet, split, task.distance)
    assert one.config == other.config
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert all(parameter.requires_grad for parameter in one.parameters())


def test_an_order_that_changes_outputs_is_a_bug_that_is_told(
    text: tuple[Text, Supernet, TextSplit], monkeypatch: pytest.MonkeyPatch
) -> None:
    task, supernet, split = text
    plain, chosen = Bundle.reorder, _one(supernet)

    def half(self: Bundle, model: torch.nn.Module, order: list[int]) -> None:
        turned = list(reversed(range(len(order))))
        plain(Bundle(layer=self.layer, held=self.held[:1], leaves_by=self.leaves_by), model, turned)

    monkeypatch.setattr("bstsearch.training.importance.Bundle.reorder", half)
    monkeypatch.setattr("bstsearch.training.importance.find_bundles", lambda *_: [chosen])
    with pytest.raises(BstsearchError, match="putting units in order of importance changed what the model gives"):
        ordered(supernet, split, task.distance)


def _one(supernet: Supernet) -> Bundle:
    return next(bundle for bundle in find_bundles(supernet.family, supernet.config, Submodel()) if bundle.layer)
