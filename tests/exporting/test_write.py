from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from bstsearch.answering import run_script
from bstsearch.answering.exported_folder import read_exported
from bstsearch.errors import BstsearchError, DeviceError, InputError, UsageError
from bstsearch.exporting.card import card
from bstsearch.exporting.checks import Answers
from bstsearch.exporting.write import scored, write_export
from bstsearch.listener import Listener
from bstsearch.model.supernet import Supernet
from bstsearch.score import Accuracy
from bstsearch.searching.pick import Pick, read_pick
from bstsearch.space import Submodel
from bstsearch.tasks.vocabulary import Vocabulary

FILES = {
    "README.md",
    "config.json",
    "manifest.json",
    "model.int8.onnx",
    "model.onnx",
    "model.safetensors",
    "pictures.py",
    "preprocessor.json",
    "run.py",
    "sample.json",
    "texts.py",
    "vocabulary.json",
}


@pytest.fixture
def picked(easy_front: Path) -> Pick:
    return read_pick(easy_front, "2")


@pytest.fixture
def manifest(exported_folder: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((exported_folder / "manifest.json").read_text())
    return data


def test_folder_holds_these_files(exported_folder: Path) -> None:
    # Python adds its cache where a test before has run the folder's script.
    assert {path.name for path in exported_folder.iterdir()} - {"__pycache__"} == FILES


def test_other_precisions_are_written_on_request_only(picked: Pick, tmp_path: Path, few_questions: None) -> None:
    manifest = write_export(picked, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES - {"model.int8.onnx"}
    assert list(manifest["checks"]) == ["model.onnx"]
    assert manifest == json.loads((tmp_path / "out" / "manifest.json").read_text())


def test_folder_loads_as_a_supernet_of_one_submodel(exported_folder: Path, yes_folder: Path) -> None:
    alone, supernet = Supernet.load(exported_folder), Supernet.load(yes_folder)
    assert [submodel.id for submodel in alone.space] == ["w1-d1"]
    inputs = supernet.family.example_inputs(supernet.config, 3)
    with torch.no_grad(), supernet.bind(Submodel.from_id("w1of2-d1of2")) as bound:
        assert torch.equal(alone.model(**inputs), bound(**inputs))
    assert Vocabulary.load(exported_folder) == Vocabulary.load(yes_folder)


@pytest.mark.parametrize("batch", [1, 5])
def test_onnx_agrees_with_torch_at_any_batch(exported_folder: Path, batch: int) -> None:
    alone = Supernet.load(exported_folder)
    inputs = alone.family.example_inputs(alone.config, batch)
    session = onnxruntime.InferenceSession(exported_folder / "model.onnx", providers=["CPUExecutionProvider"])
    logits = session.run(["logits"], {name: tensor.numpy() for name, tensor in inputs.items()})[0]
    with torch.no_grad():
        assert np.abs(logits - alone.model(**inputs).numpy()).max() < 1e-5


def test_int8_file_is_standard_onnx_with_int8_weights(exported_folder: Path) -> None:
    model = onnx.load(exported_folder / "model.int8.onnx")
    assert {node.domain for node in model.graph.node} == {""}
    kinds = [node.op_type for node in model.graph.node]
    assert "MatMulInteger" in kinds
    assert "Gemm" not in kinds


def test_a_submodel_picked_in_a_precision_is_exported_in_it(
    easy_front: Path, tmp_path: Path, few_questions: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = read_pick(easy_front, "2")
    half = dataclasses.replace(alone.candidate, submodel=alone.candidate.submodel.at("float16"), accuracy=None)
    picked = scored(dataclasses.replace(alone, candidate=half))
    manifest = write_export(picked, tmp_path / "out")
    assert list(manifest["checks"]) == ["model.onnx", "model.float16.onnx"]
    assert (manifest["submodel"]["id"], manifest["submodel"]["precision"]) == ("w1of2-d1of2-float16", "float16")
    assert manifest["checks"]["model.float16.onnx"]["accuracy"]["correct"] == picked.score.correct
    exported = read_exported(tmp_path / "out")
    assert exported.onnx.name == "model.float16.onnx"
    assert exported.get_onnx("float32").name == "model.onnx"
    with pytest.raises(UsageError, match=r"out holds no model\.int8\.onnx; export it with --precision int8"):
        exported.get_onnx("int8")
    monkeypatch.setattr(run_script, "FOLDER", tmp_path / "out")
    assert run_script.own_precision() == "float16"


def test_sample_holds_a_held_out_question_and_its_logits(exported_folder: Path) -> None:
    alone = Supernet.load(exported_folder)
    arrays = run_script.read_sample(exported_folder / "sample.json")
    sample = {name: torch.from_numpy(array) for name, array in arrays.items()}
    assert {name: tuple(array.shape) for name, array in sample.items()} == {
        "question": (1, 10),
        "image": (1, 64, 64, 3),
        "logits": (1, 13),
    }
    with torch.no_grad():
        assert torch.allclose(alone.model(question=sample["question"], image=sample["image"]), sample["logits"])


def test_manifest_schema(manifest: dict[str, Any]) -> None:
    assert {key: sorted(value) if isinstance(value, dict) else type(value) for key, value in manifest.items()} == {
        "format": int,
        "created": str,
        "submodel": ["depth", "gflops", "id", "macs", "parameters", "width"],
        "accuracy": ["correct", "high", "low", "questions", "split", "value"],
        "data": str,
        "inputs": ["image", "question"],
        "output": ["logits"],
        "supernet": ["architecture", "digest", "family", "path"],
        "front": ["created", "digest", "row"],
        "not_measured": list,
        "device": ["digest", "latency_source", "name", "obtained", "runtime"],
        "files": sorted(FILES - {"README.md", "manifest.json"}),
        "checks": ["model.int8.onnx", "model.onnx"],
        "versions": ["bstsearch", "numpy", "onnx", "onnxruntime", "python", "safetensors", "torch"],
    }
    assert manifest["inputs"]["image"] == {"shape": ["batch", 64, 64, 3], "dtype": "uint8"}
    for check in manifest["checks"].values():
        assert sorted(check) == ["accuracy", "latency", "max_difference", "near_ties"]
        assert sorted(check["accuracy"]) == sorted(manifest["accuracy"])
        names = ["cpu", "high_ms", "low_ms", "ms", "profile_ms", "ratio", "seen_ms", "threads"]
        assert sorted(check["latency"]) == names


def test_manifest_tells_what_was_picked_and_found(manifest: dict[str, Any], picked: Pick) -> None:
    assert manifest["submodel"]["id"] == "w1of2-d1of2"
    assert manifest["not_measured"] == []  # by this profile
    assert manifest["front"]["row"] == 2
    assert manifest["supernet"]["digest"] == picked.front.origin.supernet["digest"]
    check = manifest["checks"]["model.onnx"]
    assert manifest["accuracy"]["correct"] == picked.score.correct > 0
    assert check["accuracy"] == manifest["accuracy"]
    assert check["max_difference"] < 1e-5
    assert check["latency"]["profile_ms"] == picked.candidate.latency.ms
    assert check["latency"]["ratio"] == check["latency"]["ms"] / picked.candidate.latency.ms


def test_card_has_a_header_and_names_the_files(exported_folder: Path) -> None:
    header, _, text = (exported_folder / "README.md").read_text().removeprefix("---\n").partition("\n---\n")
    assert "pipeline_tag: visual-question-answering" in header.splitlines()
    assert text.strip().splitlines()[0] == "# w1of2-d1of2: MCAN submodel for easy-vqa"
    assert "| `model.int8.onnx` |" in text
    assert "row 2 of front" in text
    assert str(exported_folder.parent) not in text


def test_the_card_installs_what_the_script_needs(manifest: dict[str, Any]) -> None:
    assert "$ pip install numpy onnxruntime pillow  #" in card(manifest)
    pieces = {**manifest, "files": {**manifest["files"], "tokenizer.json": {}}}
    assert "$ pip install numpy onnxruntime pillow tokenizers  #" in card(pieces)
    assert "$ pip install numpy onnxruntime  #" in card(
        {**pieces, "inputs": {"question": manifest["inputs"]["question"]}}
    )


def test_an_export_that_is_not_the_search_s_model_leaves_nothing(
    picked: Pick, tmp_path: Path, few_questions: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    materialise = Supernet.materialise

    def other(self: Supernet, submodel: Submodel) -> torch.nn.Module:
        model = materialise(self, submodel)
        with torch.no_grad():
            model.get_parameter("proj.bias").copy_(-100.0 * model.get_parameter("proj.bias"))
        return model

    monkeypatch.setattr(Supernet, "materialise", other)
    with pytest.raises(BstsearchError, match="questions right, the search found"):
        write_export(picked, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("difference", [2e-4, float("nan")])
def test_logits_that_differ_are_refused(difference: float) -> None:
    accuracy = Accuracy(correct=9, total=10)
    answers = Answers(max_difference=difference, accuracy=accuracy, near_ties=0)
    with pytest.raises(BstsearchError, match=r"model\.onnx differs from torch by"):
        answers.check_outputs("model.onnx", "float32")


def test_outputs_may_be_rounded_as_far_as_their_precision_does() -> None:
    accuracy = Accuracy(correct=9, total=10)
    near, far = (Answers(max_difference=size, accuracy=accuracy, near_ties=0, largest=8.0) for size in (0.05, 0.1))
    near.check_outputs("model.float16.onnx", "float16")
    far.check_outputs("model.int8.onnx", "int8")
    with pytest.raises(
        BstsearchError, match=r"model\.float16\.onnx differs from torch by 1\.0e-01 .*at most 8e-02 is rounding"
    ):
        far.check_outputs("model.float16.onnx", "float16")


def test_as_many_answers_may_differ_as_rounding_can_turn() -> None:
    answers = Answers(max_difference=1e-6, accuracy=Accuracy(correct=9, total=10), near_ties=1)
    answers.check_score("model.onnx", "float32", Accuracy(correct=8, total=10))
    with pytest.raises(BstsearchError, match=r"9 questions right, the search found 7 \(1 are close"):
        answers.check_score("model.onnx", "float32", Accuracy(correct=7, total=10))


def test_a_front_whose_tenths_were_summed_in_float32_is_still_exported() -> None:
    total, old = 200_000, float(np.float32(0.9)) * 200_000
    answers = Answers(max_difference=0.0, accuracy=Accuracy(correct=180_000, total=total), near_ties=0)
    assert old != 180_000
    answers.check_score("model.onnx", "float32", Accuracy(correct=old, total=total))
    with pytest.raises(BstsearchError, match="the search found 179999"):
        answers.check_score("model.onnx", "float32", Accuracy(correct=179_999.9, total=total))


def test_a_front_scored_on_other_questions_is_refused() -> None:
    answers = Answers(max_difference=0.0, accuracy=Accuracy(correct=9, total=10), near_ties=0)
    with pytest.raises(InputError, match="scored on 20 questions, this data set has 10"):
        answers.check_score("model.onnx", "float32", Accuracy(correct=18, total=20))


def test_existing_folder_is_replaced_only_by_force(
    picked: Pick, exported_folder: Path, tmp_path: Path, few_questions: None
) -> None:
    out = tmp_path / "out"
    shutil.copytree(exported_folder, out)
    before = (out / "manifest.json").read_text()
    with pytest.raises(UsageError, match="--force"):
        write_export(picked, out)
    assert (out / "manifest.json").read_text() == before
    write_export(picked, out, is_forced=True)
    assert not (out / "model.int8.onnx").exists()


def test_force_does_not_replace_a_folder_that_is_no_export(picked: Pick, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="not ours to replace"):
        write_export(picked, tmp_path, is_forced=True)
    assert (tmp_path / "thesis.tex").exists()


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_whatever_stops_it_leaves_the_old_folder_and_nothing_else(
    picked: Pick,
    exported_folder: Path,
    tmp_path: Path,
    few_questions: None,
    monkeypatch: pytest.MonkeyPatch,
    stop: BaseException | type[BaseException],
) -> None:
    out = tmp_path / "out"
    shutil.copytree(exported_folder, out)

    def interrupt(*_: object, **__: object) -> None:
        raise stop

    monkeypatch.setattr("bstsearch.exporting.write.compare_answers", interrupt)
    with pytest.raises((KeyboardInterrupt, DeviceError)):
        write_export(picked, out, is_forced=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    read_exported(out)


def test_a_place_that_cannot_be_written_is_a_device_error(picked: Pick, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DeviceError, match="cannot write"):
        write_export(picked, tmp_path / "file" / "out")


def test_progress_counts_questions_then_rounds(picked: Pick, tmp_path: Path, few_questions: None) -> None:
    seen: list[tuple[str, int, int | None]] = []

    class Seen(Listener):
        def progress(self, text: str, done: int = 0, total: int | None = None, news: str = "") -> None:
            seen.append((text, done, total))

    write_export(picked, tmp_path / "out", listener=Seen())
    assert [step for step in seen if step[0] == "comparing answers"] == [
        ("comparing answers", 1, 2),
        ("comparing answers", 2, 2),
    ]
    assert seen[-1][0] == "timing"
    assert seen[-1][1] == seen[-1][2]


@pytest.mark.slow
def test_a_full_disk_leaves_nothing(easy_front: Path, tmp_path: Path) -> None:
    """A limit on file size is the nearest to a full disk that needs no privileges."""
    script = (
        "import resource, signal, sys, bstsearch.errors, bstsearch.exporting.write, bstsearch.searching.pick, pathlib\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "pick = bstsearch.searching.pick.read_pick(pathlib.Path(sys.argv[1]), '2')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))\n"
        "try:\n"
        "    bstsearch.exporting.write.write_export(pick, pathlib.Path(sys.argv[2]))\n"
        "except bstsearch.errors.DeviceError as error:\n"
        "    sys.exit(str(error))\n"
    )
    for limit in (100, 5_000, 30_000):  # the config, the weights, the ONNX file are the first not to fit
        command = [sys.executable, "-c", script, str(easy_front), str(tmp_path / "out"), str(limit)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 1
        assert "cannot write" in result.stderr.splitlines()[-1]
        assert list(tmp_path.iterdir()) == []
