from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from toy import FAMILY, ToyConfig

import bstsearch
from bstsearch.errors import InputError, UsageError
from bstsearch.model.supernet import Supernet
from bstsearch.training import any_batches

DOCUMENT = Path(__file__).parents[2] / "docs" / "data.md"
Batches = list[Mapping[str, Any]]


def toy() -> Supernet:
    torch.manual_seed(0)
    return Supernet(FAMILY, ToyConfig())


def rows(count: int = 6) -> Batches:
    """Batches of four, which hold what the model does not read, too."""
    source = torch.Generator().manual_seed(0)
    words = torch.randint(11, (count, 4, 5), generator=source)
    return [{"words": one, "next": one.roll(1, 1), "name": "toy"} for one in words]


def error(outputs: Tensor, batch: Mapping[str, Any]) -> Tensor:
    return torch.nn.functional.cross_entropy(outputs.flatten(0, -2), batch["next"].flatten()[: outputs[..., 0].numel()])


def test_all_sizes_learn(tmp_path: Path) -> None:
    supernet = toy()
    losses = bstsearch.train(supernet, rows(), loss=error, steps=60, learning_rate=1e-2)
    assert len(losses) == 60
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    assert not supernet.training
    assert not list(tmp_path.iterdir())


def test_a_stopped_training_goes_on_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(any_batches, "CHECKPOINT_EVERY", 3)
    whole, parts = toy(), toy()
    expected = bstsearch.train(whole, rows(), loss=error, steps=10, out=tmp_path / "whole")

    def fails(outputs: Tensor, batch: Mapping[str, Any]) -> Tensor:
        calls.append(1)
        if len(calls) > 38:
            raise KeyboardInterrupt
        return error(outputs, batch)

    calls: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        bstsearch.train(parts, rows(), loss=fails, steps=10, out=tmp_path / "parts")
    again = toy()
    found = bstsearch.train(again, rows(), loss=error, steps=10, out=str(tmp_path / "parts"))
    assert found == expected
    assert all(torch.equal(one, other) for one, other in zip(whole.parameters(), again.parameters(), strict=True))
    logs = [(tmp_path / name / "training" / "sandwich-log.csv").read_text() for name in ("whole", "parts")]
    assert logs[0] == logs[1]


def test_another_training_in_the_folder_is_refused_until_forced(tmp_path: Path) -> None:
    bstsearch.train(toy(), rows(), loss=error, steps=2, out=tmp_path)
    with pytest.raises(InputError, match="was trained with another learning_rate; --force starts over"):
        bstsearch.train(toy(), rows(), loss=error, steps=2, learning_rate=1e-3, out=tmp_path)
    assert len(bstsearch.train(toy(), rows(), loss=error, steps=2, seed=1, out=tmp_path, is_forced=True)) == 2


def stream() -> Iterator[Mapping[str, Any]]:
    yield from rows(3)


@pytest.mark.parametrize(
    ("batches", "loss", "steps", "message"),
    [
        (stream(), error, None, "these batches have no length, .*; give steps"),
        (stream(), error, 4, "the batches ended after 3 of 4 steps, and cannot be gone through again; give a list"),
        ([], error, None, "there is nothing to train on in 0 steps"),
        (rows(), lambda outputs, batch: outputs, None, r"the loss is a tensor of shape \(4, .*; make it one number"),
        (rows(), lambda outputs, batch: 1.0, None, r"the loss is 1\.0; make it one number"),
        (rows(), lambda outputs, batch: torch.tensor(1.0), None, "a tensor that depends on the outputs"),
        (rows(), lambda outputs, batch: outputs.sum() * torch.nan, None, "training diverged at step 1 of 6"),
        ([(torch.zeros(1), 1)], error, None, "a batch is a tuple; make it a dict of tensors"),
        ([{"next": torch.zeros(1)}], error, None, "a batch holds next, but the model reads words"),
    ],
)
def test_what_cannot_be_trained_on_is_one_clear_line(batches: Any, loss: Any, steps: int | None, message: str) -> None:
    with pytest.raises((InputError, UsageError), match=message):
        bstsearch.train(toy(), batches, loss=loss, steps=steps)


def test_the_ten_lines_of_the_document_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    (block,) = (block for block in blocks if "bstsearch.train(" in block)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(block, names)
    assert len(names["losses"]) == 4
    assert Supernet.load(tmp_path / "runs" / "mine").space == names["supernet"].space
