from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from classes import TEXT

Invoke = Callable[..., Any]


@pytest.fixture
def stock(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    transformers.BertModel(transformers.BertConfig(**TEXT)).save_pretrained(tmp_path / "stock")
    return tmp_path / "stock"


def test_what_can_shrink_is_told_without_weights(invoke: Invoke, stock: Path) -> None:
    (stock / "model.safetensors").unlink()
    result = invoke("inspect", stock)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"BertModel, transformers {transformers.__version__}: all together off by ")
    assert "hidden_size + num_attention_heads" in result.stdout
    assert "encoder.layer" in result.stdout
    assert "set by the inputs" in result.stdout
    assert f"hint: next: bstsearch import --checkpoint {stock} --out runs/stock" in result.stderr


def test_it_is_told_as_one_object(invoke: Invoke, stock: Path) -> None:
    found = json.loads(invoke("inspect", stock, "--json").stdout)
    assert found["class"] == "BertModel"
    assert [group["sizes"] for group in found["groups"]] == [
        {"intermediate_size": 80},
        {"hidden_size": 32, "num_attention_heads": 4},
    ]
    assert [one["id"] for one in found["submodels"]] == ["w1of4-d1of4", "w1of2-d3of4", "w1-d1"]
    assert found["not_reached"] == []


def test_a_model_goes_through_import_and_export_and_is_of_its_class_again(
    invoke: Invoke, stock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert invoke("import", "--checkpoint", stock, "--out", tmp_path / "net").exit_code == 0
    monkeypatch.setattr("bstsearch.stock.importing.inspect", None)  # it is not looked at again
    assert "BertModel" in invoke("inspect", tmp_path / "net").stdout
    result = invoke("export", "--stock", tmp_path / "net", "--pick", "w1of2-d1of2", "--out", tmp_path / "small")
    assert result.exit_code == 0
    assert "which needs transformers only" in " ".join(result.stdout.split())
    small = transformers.BertModel.from_pretrained(tmp_path / "small")
    assert (small.config.hidden_size, small.config.num_hidden_layers) == (16, 2)


def test_what_cannot_be_is_refused_in_one_line(invoke: Invoke, tmp_path: Path, stock: Path) -> None:
    result = invoke("inspect", tmp_path / "nowhere")
    assert result.exit_code == 4
    assert (
        "nowhere/config.json does not exist; give the folder of a model, as save_pretrained writes it" in result.stderr
    )
    (tmp_path / "file.pt").write_bytes(b"x")
    result = invoke("import", "--checkpoint", tmp_path / "file.pt", "--out", tmp_path / "net")
    assert result.exit_code == 2
    assert "is a file, which does not say its family; give --family mcan, uniter or clip-vil" in result.stderr
    invoke("import", "--checkpoint", stock, "--out", tmp_path / "net")
    result = invoke("export", "--stock", tmp_path / "net", "--pick", "w1of3-d1of2")
    assert result.exit_code == 2
    assert "has no submodel 'w1of3-d1of2'" in result.stderr


def test_a_library_that_is_not_installed_is_named(invoke: Invoke, stock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bstsearch.stock import module

    module.get_stock_class.cache_clear()
    module.library.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    result = invoke("inspect", stock)
    assert result.exit_code == 4
    assert "a stock model needs transformers; install it with pip install 'bstsearch[transformers]'" in result.stderr
    module.get_stock_class.cache_clear()
    module.library.cache_clear()
