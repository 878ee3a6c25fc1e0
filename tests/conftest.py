"""What many tests share: tiny supernets with random weights, and the command line in an empty folder."""

from __future__ import annotations

import dataclasses
import functools
import gc
import itertools
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded, and for the processes that tests start

import easy_vqa
import pytest
import shapes
import torch
from hypothesis import settings
from typer.testing import CliRunner

import bstsearch.tasks.easy_vqa
from bstsearch import doors
from bstsearch.families.mcan import FAMILY, McanConfig
from bstsearch.measuring.machine import available_cores
from bstsearch.model.supernet import Supernet
from bstsearch.model.supernet_folder import SupernetFolder, read_folder
from bstsearch.profiles.latency import Latency, Memory
from bstsearch.profiles.profile import DeviceProfile
from bstsearch.reading import checked
from bstsearch.score import Accuracy
from bstsearch.searching.budget import Budget
from bstsearch.searching.front_file import FrontFile, write_front
from bstsearch.searching.pareto import Candidate
from bstsearch.searching.provenance import Provenance
from bstsearch.space import Submodel
from bstsearch.tasks import load_split
from bstsearch.tasks.easy_vqa import EasyVqa
from bstsearch.tasks.evaluation import evaluate
from bstsearch.tasks.split import ImageSplit

pytest.register_assert_rewrite("phone")

# Wall-clock limits would make tests fail on a busy machine; a fixed seed makes a failure one to repeat.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")

COLOURS = ["black", "blue", "brown", "gray", "green", "red", "teal", "yellow"]
SHAPES = ["circle", "rectangle", "triangle"]
WORDS = ["a", "color", "contain", "does", "image", "in", "is", "no", "not", "of", "present", "shape", "the", "there"]
WORDS += ["what", *COLOURS, *SHAPES]
ANSWERS = [*COLOURS, *SHAPES, "no", "yes"]

MOST_WORKERS = 8  # beyond them, what each loads outweighs what it saves

# Models are made and left by the thousand; the default would look for circles among their parts all the time.
gc.set_threshold(50_000, 20, 20)

Invoke = Callable[..., Any]
MakeCandidate = Callable[..., Candidate]
MakeProfile = Callable[..., DeviceProfile]


@pytest.fixture(autouse=True)
def _nothing_stays_admitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test names by file is forgotten afterwards, as at the end of a command."""
    for name, empty in (("_admitted", {}), ("_typed", {}), ("_modules", [])):
        monkeypatch.setattr(doors, name, empty)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """The models here are so small that threads only cost, most of all beside other test processes."""
    torch.set_num_threads(1)


def pytest_xdist_auto_num_workers() -> int:
    """As many test processes as there are cores to use; each takes about 1 GB."""
    return min(available_cores(), MOST_WORKERS)


@pytest.fixture(scope="session", autouse=True)
def _easy_vqa_is_read_once() -> Iterator[None]:
    """The thousands of images and questions are read once for a process, not by every command in it."""
    gather, parts = bstsearch.tasks.easy_vqa._gather, dict[Any, ImageSplit]()

    def once(rows: list[int], *others: Any) -> ImageSplit:
        *_, paths, vocabulary, reader = others
        key = (tuple(rows), tuple(paths.values()), vocabulary, repr((reader.picture, reader.processor)))
        if key not in parts:
            parts[key] = gather(rows, *others)
        return parts[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bstsearch.tasks.easy_vqa, "_gather", once)
        for name in ("get_train_questions", "get_train_image_paths", "get_test_questions", "get_test_image_paths"):
            patch.setattr(easy_vqa, name, functools.cache(getattr(easy_vqa, name)))
        yield


@pytest.fixture(scope="session", autouse=True)
def _shapes_are_checked() -> None:
    """Arguments called like `x_BTD` have the shapes that their names give, in every call that a test makes."""
    shapes.check_package()


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests count is kept in a folder of their own, never in the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def _config(**visual: Any) -> McanConfig:
    return McanConfig(
        vocab=len(WORDS) + 2,
        answers=len(ANSWERS),
        question_length=10,
        word_dim=8,
        lstm_hidden=8,
        hidden=16,
        head_dim=4,
        encoder_heads=(4,) * 4,
        encoder_ffn=(32,) * 4,
        decoder_heads=(4,) * 4,
        decoder_ffn=(32,) * 4,
        flat_mlp=16,
        flat_out=32,
        dropout=0.0,
        **visual,
    )


def _supernet(config: McanConfig) -> Supernet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Supernet(FAMILY, config).eval()


def _folder(config: McanConfig, folder: Path) -> Path:
    supernet = _supernet(config)
    supernet.save(folder)
    vocabulary = {"format": 1, "data": "easy-vqa", "words": WORDS, "answers": ANSWERS, "question_length": 10}
    (folder / "vocabulary.json").write_text(json.dumps(vocabulary))
    (folder / "README.md").write_text("# A supernet with random weights\n")
    (folder / "metrics.json").write_text("{}\n")
    return folder


@pytest.fixture(scope="session")
def tiny_config() -> McanConfig:
    """An MCAN of four and four layers over 16x16 images; every kind of part, few numbers."""
    return _config(image_side=16, stem_channels=(4, 8))


@pytest.fixture(scope="session")
def tiny_easy_config() -> McanConfig:
    """The same over 64x64 images, the size of easy-VQA's."""
    return _config(image_side=64, stem_channels=(4, 4, 8))


@pytest.fixture(scope="session")
def tiny_supernet(tiny_config: McanConfig) -> Supernet:
    """A supernet of `tiny_config` with seeded random weights, in eval mode; leave its weights as they are."""
    return _supernet(tiny_config)


@pytest.fixture(scope="session")
def tiny_folder(tiny_config: McanConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete supernet folder of `tiny_config`; copy it before you damage it."""
    return _folder(tiny_config, tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny_easy_folder(tiny_easy_config: McanConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete supernet folder of `tiny_easy_config`, for tests that read easy-VQA's own images."""
    return _folder(tiny_easy_config, tmp_path_factory.mktemp("tiny-easy"))


@pytest.fixture(scope="session")
def make_candidate() -> MakeCandidate:
    """Makes a candidate from an id, the costs that matter, and how many of 1,000 answers are right."""

    def make(
        name: str = "w1-d1",
        *,
        ms: float = 1.0,
        macs: int = 1000,
        correct: int | None = None,
        high_ms: float | None = None,
        memory: int = 1_000_000,
    ) -> Candidate:
        source: Any = "measured" if high_ms is None else "estimated"
        return Candidate(
            submodel=Submodel.from_id(name),
            parameters=macs // 10,
            macs=macs,
            latency=Latency(ms=ms, source=source, low_ms=ms, high_ms=high_ms or ms),
            memory=Memory(bytes=memory, source=source, low_bytes=memory, high_bytes=memory),
            size_bytes=4 * (macs // 10),
            accuracy=None if correct is None else Accuracy(correct=correct, total=1000),
        )

    return make


@pytest.fixture(scope="session")
def make_profile() -> MakeProfile:
    """Makes a measured profile of a supernet folder: a row per submodel of its grid, and all blocks.

    `changes` replace keys of the profile, `model` keys of its one model.
    """

    def make(supernet: Path, device: str = "local", model: dict[str, Any] | None = None, **changes: Any) -> Any:
        measured = _measured(read_folder(supernet)) | (model or {})
        data = {
            "format": 2,
            "device": device,
            "hardware": {
                "title": "Test CPU",
                "soc": "Test SoC",
                "cores": 2,
                "clusters": [],
                "memory_bytes": 8_000_000_000,
                "memory_gb_per_s": None,
                "memory_evidence": None,
                "system": "Linux",
            },
            "runtime": {
                "name": "onnxruntime",
                "version": "1.20.0",
                "provider": "CPUExecutionProvider",
                "threads": 2,
                "precision": "float32",
                "cores_used": None,
            },
            "obtained": "measured",
            "via": "local",
            "date": "2025-01-31T12:00:00+00:00",
            "bstsearch": "0.1.0",
            "units": {"latency": "ms", "memory": "bytes"},
            "sources": [],
            "notes": [],
            "error": None,
            "rates": None,
            "models": [measured],
        }
        return checked(data | changes, DeviceProfile, "made up")

    return make


@pytest.fixture(scope="session")
def make_estimated(make_profile: MakeProfile) -> MakeProfile:
    """Makes an estimated profile of a device, good for any model: 10 GFLOP/s, 1 GB/s, +-40 %."""

    def make(supernet: Path, device: str = "phone", **changes: Any) -> DeviceProfile:
        error = {"median": 0.3, "p90": 0.4, "worst": 0.5, "interval": 0.4, "rank_correlation": None, "rows": 27}
        rates = {"gflops_per_s": 10.0, "exponent": 1.0, "gb_per_s": 1.0}
        data = make_profile(supernet, device).to_json() | {
            "obtained": "estimated",
            "via": None,
            "sources": [{"what": "made up", "where": "nowhere"}],
            "error": error | {"computed_on": "rows of other devices"},
            "rates": rates | {"smallest_gflops": 0.6, "largest_gflops": 6.0, "arithmetic": "made up"},
            "models": [],
        }
        return checked(data | changes, DeviceProfile, "made up")

    return make


def _measured(folder: SupernetFolder) -> dict[str, Any]:
    """Wider and deeper costs more: the sum of the blocks gives 0.2125 to 1 ms, as the rows do; 10.6 to 20 MB."""
    shares = folder.space.widths
    blocks = [_block("base", width, None, None, 0.4 * float(width)) for width in shares]
    blocks += [
        _block(stack, width, heads, ffn, (0.4 + 0.2 * float(width) + 0.05 * float(heads + ffn - 2 * width)) / 8)
        for stack in ("backbone.enc_list", "backbone.dec_list")
        for width, heads, ffn in itertools.product(shares, repeat=3)
    ]
    return {
        "family": folder.family,
        "architecture": folder.architecture,
        "date": "2025-01-31T12:00:00+00:00",
        "batch": 1,
        "inputs": {"question": [1, 10], "image": [1, 16, 16, 3]},
        "stacks": {"backbone.enc_list": 4, "backbone.dec_list": 4},
        "schedule": {"rounds": 2, "seed": 0},
        "noise": 0.01,
        "error": {
            "median": 0.02,
            "p90": 0.05,
            "worst": 0.1,
            "interval": 0.25,
            "rank_correlation": 0.99,
            "rows": 16,
            "computed_on": "made up",
        },
        "memory": {"runtime_bytes": 10_000_000, "weight_copies": 2.0, "median": 0.01, "worst": 0.1, "rows": 10},
        "warnings": [],
        "blocks": blocks,
        "activations": [
            {"width": str(width), "share": str(share), "activation_bytes": int(1_000_000 * max(width, share))}
            for width, share in itertools.product(shares, repeat=2)
        ],
        "submodels": [_row(submodel) for submodel in folder.space.grid()],
    }


def _block(name: str, width: Fraction, heads: Fraction | None, ffn: Fraction | None, ms: float) -> dict[str, Any]:
    return {
        "block": name,
        "width": str(width),
        "heads": None if heads is None else str(heads),
        "ffn": None if ffn is None else str(ffn),
        "latency_ms": ms,
        "weight_bytes": int(100_000 * width),
    }


def _row(submodel: Submodel) -> dict[str, Any]:
    ms = float(submodel.width + submodel.depth) * 0.4 + float(submodel.width * submodel.depth) * 0.2
    return {
        "id": submodel.id,
        "role": "fit",
        "latency_ms": ms,
        "low_ms": 0.99 * ms,
        "high_ms": 1.01 * ms,
        "seen_ms": 1.02 * ms,
        "p90_ms": 1.1 * ms,
        "spread": 0.01,
        "outliers": 0,
        "visits": 1,
        "times_ms": [0.99 * ms, 1.01 * ms],
        "cpu_ms": [0.98 * ms, 1.0 * ms],
        "switches": [0, 1],
        "weight_bytes": int(2_000_000 * submodel.width * submodel.depth),
        "activation_bytes": int(1_000_000 * submodel.width),
        "peak_memory_bytes": 10_000_000 + int(10_000_000 * submodel.width * submodel.depth),
    }


QUESTIONS = 480  # of the validation part, where all 4,800 would only cost time


@pytest.fixture(scope="session")
def small_split(tiny_easy_folder: Path) -> ImageSplit:
    """The first `QUESTIONS` validation questions."""
    split = load_split(tiny_easy_folder, "validation")
    assert isinstance(split, ImageSplit)
    return split.head(QUESTIONS)


@pytest.fixture
def few_questions(small_split: ImageSplit, monkeypatch: pytest.MonkeyPatch) -> None:
    """easy-VQA has `small_split` only."""
    monkeypatch.setattr(EasyVqa, "split", lambda *_: small_split)


@pytest.fixture(scope="session")
def yes_folder(tiny_easy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tiny_easy_folder` with the answer "yes" made so likely that every submodel, whatever its weights, gives it."""
    folder = shutil.copytree(tiny_easy_folder, tmp_path_factory.mktemp("yes") / "supernet")
    supernet = Supernet.load(folder)
    with torch.no_grad():
        supernet.model.get_parameter("proj.bias")[ANSWERS.index("yes")] += 10
    supernet.save(folder)
    return folder


@pytest.fixture(scope="session")
def easy_front(
    yes_folder: Path, small_split: ImageSplit, make_candidate: MakeCandidate, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A front file of `yes_folder`: w1of4-d1of4 (0.1 ms), w1of2-d1of2 (0.5 ms); w1-d1 is scored, but dominated."""
    supernet, folder = Supernet.load(yes_folder), read_folder(yes_folder)
    costs = {"w1of4-d1of4": (0.1, 2000), "w1of2-d1of2": (0.5, 1000), "w1-d1": (1.0, 9000)}
    candidates = []
    for submodel in supernet.space:
        ms, macs = costs.get(submodel.id, (0.7, 5000))
        accuracy = evaluate(supernet, submodel, small_split) if submodel.id in costs else None
        candidates.append(dataclasses.replace(make_candidate(submodel.id, ms=ms, macs=macs), accuracy=accuracy))
    identity = {"path": folder.path, "digest": folder.digest(), "architecture": folder.architecture}
    origin = Provenance(
        supernet={**{key: str(value) for key, value in identity.items()}, "family": folder.family},
        space=folder.space,
        split="validation",
        device={"name": "local", "obtained": "measured", "digest": "c" * 16, "runtime": {"threads": 1}},
    )
    search = {"sampler": "exact", "is_exact": True, "trials": len(candidates), "searched": Budget()}
    path = tmp_path_factory.mktemp("front") / "front.json"
    write_front(FrontFile.solve(candidates, Budget(), origin=origin, **search), path)
    return path


@pytest.fixture(scope="session")
def exported_folder(easy_front: Path, small_split: ImageSplit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Row 2 of `easy_front`, w1of2-d1of2, exported with its int8 file; copy it before you damage it."""
    from bstsearch.exporting.write import write_export
    from bstsearch.searching.pick import read_pick

    folder = tmp_path_factory.mktemp("export") / "w1of2-d1of2"
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(EasyVqa, "split", lambda *_: small_split)
        write_export(read_pick(easy_front, "2"), folder, precisions=["int8"])
    return folder


@pytest.fixture(scope="session")
def bundle_folder(easy_front: Path, small_split: ImageSplit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both rows of `easy_front`, w1of4-d1of4 and w1of2-d1of2, as a bundle; copy it before you damage it."""
    from bstsearch.exporting.elastic import export_elastic

    folder = tmp_path_factory.mktemp("bundle") / "elastic"
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(EasyVqa, "split", lambda *_: small_split)
        monkeypatch.chdir(folder.parent)
        export_elastic(front=easy_front, out=folder)
    return folder


@pytest.fixture(scope="session")
def runtime_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that only have the names of onnxruntime-web's, for tests that copy them."""
    folder = tmp_path_factory.mktemp("ort")
    for name in ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"):
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def without_published(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where 'bstsearch[published]' is not installed."""
    for name in ("h5py", "lmdb", "lz4", "tokenizers"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Runs `bstsearch ARGS...` in an empty folder (`tmp_path`); the result has exit_code, stdout and stderr."""
    from bstsearch.cli.app import app  # here, so that other tests run without the command line

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BSTSEARCH_PROFILES", raising=False)
    return lambda *args: CliRunner().invoke(app, [str(arg) for arg in args])
