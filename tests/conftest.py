"""What many tests share: tiny supernets with random weights, and the command line in an empty folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings
from typer.testing import CliRunner

from bstsearch.families.mcan import FAMILY, McanConfig
from bstsearch.supernet import Supernet

# Wall-clock limits would make tests fail on a busy machine; a fixed seed makes a failure one to repeat.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")

COLOURS = ["black", "blue", "brown", "gray", "green", "red", "teal", "yellow"]
SHAPES = ["circle", "rectangle", "triangle"]
WORDS = ["a", "color", "contain", "does", "image", "in", "is", "no", "not", "of", "present", "shape", "the", "there"]
WORDS += ["what", *COLOURS, *SHAPES]
ANSWERS = [*COLOURS, *SHAPES, "no", "yes"]

Invoke = Callable[..., Any]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """The models here are so small that threads only cost, most of all beside other test processes."""
    torch.set_num_threads(1)


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


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Runs `bstsearch ARGS...` in an empty folder (`tmp_path`); the result has exit_code, stdout and stderr."""
    from bstsearch.cli.app import app  # here, so that other tests run without the command line

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BSTSEARCH_PROFILES", raising=False)
    return lambda *args: CliRunner().invoke(app, [str(arg) for arg in args])
