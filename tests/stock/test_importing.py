"""A stock folder becomes a supernet, and a submodel of it a stock folder that loads where bstsearch is not."""

from __future__ import annotations

import dataclasses
import importlib
import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
import transformers
from classes import TEXT

from bstsearch.errors import InputError
from bstsearch.listener import Listener
from bstsearch.model.lookup import get_preset
from bstsearch.model.supernet import Supernet
from bstsearch.space import Submodel
from bstsearch.stock.exporting import export_stock
from bstsearch.stock.family import FAMILY
from bstsearch.stock.importing import carry_beside, import_folder, inspect_model, kept_inspection


class Heard(Listener):
    """Keeps what was noted."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, line: str) -> None:
        self.notes.append(line)


NO_TOKENIZER = (
    "no tokenizer was found to copy (tokenizer.json, vocab.*, *.model, tokenizer_config.json), which BertModel needs"
)


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a tokenizer's file, and the folder in which sentence-transformers keeps how it pools."""
    folder = tmp_path_factory.mktemp("stock")
    torch.manual_seed(0)
    transformers.BertModel(transformers.BertConfig(**TEXT)).save_pretrained(folder)
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32, "mean": True}))
    return folder


@pytest.fixture(scope="module")
def supernet(stock: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("supernet") / "net"
    import_folder(stock, out)
    return out


def test_the_supernet_computes_what_the_stock_model_does(stock: Path, supernet: Path) -> None:
    loaded = Supernet.load(supernet)
    inputs = FAMILY.example_inputs(loaded.config, 2)
    with torch.no_grad():
        words = transformers.BertModel.from_pretrained(stock).eval()(**inputs).last_hidden_state
        assert torch.equal(loaded.model(**inputs), words)


def test_a_text_is_one_vector_where_the_folder_says_how(stock: Path, tmp_path: Path) -> None:
    shutil.copytree(stock, tmp_path / "stock")
    (tmp_path / "stock" / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    (tmp_path / "stock" / "tokenizer.json").write_text("{}")
    import_folder(tmp_path / "stock", tmp_path / "net")
    loaded = Supernet.load(tmp_path / "net")
    inputs = FAMILY.example_inputs(loaded.config, 2)
    inputs["attention_mask"][1, 7:] = 0
    with torch.no_grad():
        words = transformers.BertModel.from_pretrained(stock).eval()(**inputs).last_hidden_state
        vectors = loaded.model(**inputs)
    means = torch.stack([words[0].mean(0), words[1, :7].mean(0)])
    torch.testing.assert_close(vectors, torch.nn.functional.normalize(means, dim=-1))
    assert (tmp_path / "net" / "tokenizer.json").exists()
    assert get_preset(str(tmp_path / "net")) == (FAMILY, loaded.config)


def test_what_came_with_the_model_goes_on_to_what_is_trained(supernet: Path, tmp_path: Path) -> None:
    carry_beside(supernet, tmp_path)
    assert (tmp_path / "stock" / "vocab.txt").exists()
    assert (tmp_path / "inspection.json").read_text() == (supernet / "inspection.json").read_text()
    carry_beside(tmp_path / "nowhere", tmp_path)


def test_the_keep_order_may_be_another(supernet: Path) -> None:
    loaded = Supernet.load(supernet)
    assert loaded.config.orders == {"0": (0, 3, 1, 2)}
    other = dataclasses.replace(loaded.config, orders={"0": (2, 0, 1, 3)})
    assert FAMILY.kept_layers(other, Submodel.from_id("w1-d1of2")) == {"model.encoder.layer": (0, 2)}
    assert FAMILY.shrink(other, Submodel.from_id("w1-d3of4")).orders == {"0": (2, 0, 1)}
    FAMILY.check(other, loaded.space)


def test_what_was_found_is_kept_for_the_same_version(supernet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = kept_inspection(supernet)
    assert found is not None
    assert found["class"] == "BertModel"
    monkeypatch.setattr("bstsearch.stock.importing.transformers_version", lambda: "5.0.0")
    assert kept_inspection(supernet) is None
    assert inspect_model(supernet)["groups"] == found["groups"]


def test_what_is_not_found_to_copy_is_said(stock: Path, tmp_path: Path) -> None:
    shutil.copytree(stock, tmp_path / "stock")
    (tmp_path / "stock" / "vocab.txt").unlink()
    heard = Heard()
    import_folder(tmp_path / "stock", tmp_path / "net", listener=heard)
    assert [note for note in heard.notes if "to copy" in note] == [NO_TOKENIZER]
    heard.notes.clear()
    export_stock(tmp_path / "net", "w1of2-d1of2", tmp_path / "small", listener=heard)
    assert heard.notes == [NO_TOKENIZER]


def test_a_submodel_loads_where_bstsearch_is_not(
    supernet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "small"
    told = export_stock(supernet, "w1of2-d1of2", out)
    assert told["difference"] == 0
    assert (out / "vocab.txt").read_text() == "[PAD]\n[UNK]\n"
    assert json.loads((out / "1_Pooling" / "config.json").read_text()) == {"word_embedding_dimension": 16, "mean": True}
    loaded = Supernet.load(supernet)
    inputs = FAMILY.example_inputs(loaded.config, 2)
    with torch.no_grad():
        expected = loaded.materialise(Submodel.from_id("w1of2-d1of2"))(**inputs)
    for name in [name for name in sys.modules if name.partition(".")[0] == "bstsearch"]:
        monkeypatch.setitem(sys.modules, name, None)  # whoever imports it fails
    with pytest.raises(ImportError):
        importlib.import_module("bstsearch")
    with torch.no_grad():
        found = transformers.BertModel.from_pretrained(out).eval()(**inputs).last_hidden_state
    assert torch.equal(found, expected)
    assert found.shape == (2, 24, 16)


@pytest.mark.parametrize("kind", ["half", "split"])
def test_weights_may_be_in_half_precision_or_in_several_files(kind: str, stock: Path, tmp_path: Path) -> None:
    model = transformers.BertModel.from_pretrained(stock)
    model = model.half() if kind == "half" else model
    model.save_pretrained(tmp_path / "stock", max_shard_size="10KB" if kind == "split" else "5GB")
    assert len(list((tmp_path / "stock").glob("*.safetensors"))) > (kind == "split")
    import_folder(tmp_path / "stock", tmp_path / "net")
    loaded = Supernet.load(tmp_path / "net")
    assert {weight.dtype for weight in loaded.parameters()} == {torch.float32}


def test_weights_that_are_missing_or_not_finite_are_refused(stock: Path, tmp_path: Path) -> None:
    model = transformers.BertModel.from_pretrained(stock)
    model.encoder.layer[0].output.dense.weight.data[0, 0] = torch.nan
    model.save_pretrained(tmp_path / "nan")
    with pytest.raises(InputError, match="1 of 2,560 numbers that is NaN or infinite"):
        import_folder(tmp_path / "nan", tmp_path / "net")
    weights = {name: weight for name, weight in model.state_dict().items() if "layer.1.output" not in name}
    model.save_pretrained(tmp_path / "less", state_dict=weights)
    with pytest.raises(InputError, match=r"its weights do not fill a BertModel: missing keys '.*layer\.1\.output"):
        import_folder(tmp_path / "less", tmp_path / "net")
    assert not (tmp_path / "net").exists()


def test_only_supernets_of_stock_models_are_written_so(tmp_path: Path, yes_folder: Path) -> None:
    with pytest.raises(InputError, match=r"is a mcan, no stock model; use 'bstsearch export' without --stock"):
        export_stock(yes_folder, "w1-d1", tmp_path / "out")
