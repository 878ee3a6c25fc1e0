"""Reading a text, one more token, and what a smaller model writes: the same as the class itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
import transformers
import writer
from classes import CLASSES, TEXT
from torch import Tensor

from bstsearch.errors import InputError
from bstsearch.graphs.onnx_file import write_onnx
from bstsearch.measuring.workload import make_workload
from bstsearch.model.supernet import Supernet
from bstsearch.model.supernet_folder import read_folder
from bstsearch.space import Submodel
from bstsearch.stock.configuration import Found, Reads, StockConfig
from bstsearch.stock.exporting import export_stock
from bstsearch.stock.family import FAMILY
from bstsearch.stock.generating import Step
from bstsearch.stock.importing import import_folder
from bstsearch.stock.inputs import example_inputs
from bstsearch.stock.module import build, full_settings

WRITERS = ("GPT2LMHeadModel", "LlamaForCausalLM", "Phi3ForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")
SMALL = Submodel.from_id("w1of2-d1of2")


def of_class(name: str, settings: dict[str, Any], *names: str) -> StockConfig:
    """That class, as if it had been inspected."""
    reads = Reads(names=names or ("input_ids", "attention_mask"), length=24)
    return StockConfig(architecture=name, settings=full_settings(name, settings), found=Found(reads=reads))


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return writer.write_model(tmp_path_factory.mktemp("stock"))


@pytest.fixture(scope="module")
def supernet(stock: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("supernet") / "net"
    import_folder(stock, out)
    return out


@pytest.mark.parametrize("name", WRITERS)
def test_a_text_read_and_a_token_more_give_the_logits_of_the_whole(name: str) -> None:
    config = of_class(name, CLASSES[name][0])
    torch.manual_seed(0)
    with torch.no_grad():
        whole = build(config).eval()(**example_inputs(config, 1))
    for phase in ("prefill", "decode"):
        work = FAMILY.get_work(config, phase)
        torch.manual_seed(0)
        model = work.build(config).eval()
        with torch.no_grad():
            found = model(**work.example_inputs(config, 1))
        logits: Tensor = found[0] if isinstance(found, tuple) else found
        assert logits.shape == (1, 1, whole.shape[-1])
        torch.testing.assert_close(logits, whole[:, -1:], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("phase", ["prefill", "decode"])
def test_their_graphs_compute_the_same(phase: str, tmp_path: Path) -> None:
    config = of_class("GPT2LMHeadModel", CLASSES["GPT2LMHeadModel"][0])
    work = FAMILY.get_work(config, phase)  # type: ignore[arg-type]
    model, inputs = work.build(config).eval(), work.example_inputs(config, 1)
    write_onnx(model, inputs, tmp_path / "x.onnx", work.free_axes(config))
    with torch.no_grad():
        expected = model(**inputs)
    logits = expected[0] if isinstance(expected, tuple) else expected
    session = onnxruntime.InferenceSession(tmp_path / "x.onnx", providers=["CPUExecutionProvider"])
    found = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
    np.testing.assert_allclose(found[0], logits.numpy(), rtol=1e-4, atol=1e-6)
    assert len(found) == (9 if phase == "prefill" else 1)  # keys and values of four layers are handed over


def test_a_step_holds_keys_and_values_of_its_own_size(supernet: Path, tmp_path: Path) -> None:
    loaded = Supernet.load(supernet)
    small, full = (Step(FAMILY.shrink(loaded.config, one)) for one in (SMALL, Submodel()))
    assert [tuple(buffer.shape) for buffer in small.buffers() if buffer.ndim == 4][:4] == [(1, 2, 23, 8)] * 4
    assert sum(buffer.numel() for buffer in full.buffers() if buffer.ndim == 4) == 4 * 2 * 4 * 23 * 8
    made = make_workload(read_folder(supernet), [SMALL, Submodel()], tmp_path, phase="decode")
    assert set(np.load(made.inputs)) == {"input_ids", "attention_mask"}
    assert made.graphs[SMALL.id].weight_bytes < made.graphs["w1-d1"].weight_bytes


def test_what_writes_no_text_has_no_such_part() -> None:
    for config in (
        of_class("BertForSequenceClassification", TEXT),
        of_class("T5EncoderModel", CLASSES["T5EncoderModel"][0]),
    ):
        assert not FAMILY.phases(config)
        with pytest.raises(InputError, match="writes no text token by token, so it has no decode; leave out --phase"):
            FAMILY.get_work(config, "decode")


def test_a_class_that_cannot_be_asked_for_one_token_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no such token")

    monkeypatch.setattr(Step, "forward", fail)
    with pytest.raises(InputError, match="computes no token by itself: no such token; leave out --phase"):
        Step(of_class("GPT2LMHeadModel", CLASSES["GPT2LMHeadModel"][0]))


def test_the_exported_folder_writes_what_the_bound_submodel_does(supernet: Path, tmp_path: Path) -> None:
    export_stock(supernet, SMALL.id, tmp_path / "small")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "small")
    exported: Any = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "small")
    assert exported.generation_config.max_new_tokens == 7  # from generation_config.json
    words = tokenizer("the cat sees a small bird", return_tensors="pt")
    expected = exported.generate(**words, do_sample=False)
    with torch.no_grad(), Supernet.load(supernet).bind(SMALL) as bound:
        found = bound.model.generate(**words, do_sample=False, max_new_tokens=7, pad_token_id=2)  # type: ignore[operator, union-attr]
    assert found.shape[1] == words["input_ids"].shape[1] + 7
    assert torch.equal(found, expected)
    assert len(set(found[0, -7:].tolist())) > 1
