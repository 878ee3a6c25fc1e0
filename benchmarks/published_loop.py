"""The published training loop (public code MILVLG/bst, utils/train_engine.py) as it stands, a step at a time, on a CPU.

It is run, not copied: what it takes from elsewhere (CUDA, data from disk, scoring after an epoch) is replaced around
it, and its data loader hands out one and the same batch.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import tempfile
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from unittest import mock

import torch
from torch import Tensor, nn

# configs/vqa/mcan_bst.yml, and what openvqa/core/base_cfgs.py makes of it.
SETTINGS = {
    "MODEL_USE": "mcan",
    "LAYER": 6,
    "HIDDEN_SIZE": 512,
    "FF_SIZE": 2048,
    "MULTI_HEAD": 8,
    "DROPOUT_R": 0.1,
    "FLAT_MLP_SIZE": 512,
    "FLAT_GLIMPSES": 1,
    "FLAT_OUT_SIZE": 1024,
    "USE_BBOX_FEAT": False,
    "WIDTH_SET": ["1/4", "1/2", "3/4", "1"],
    "DEPTH_SET": ["1/6", "1/3", "2/3", "1"],
    "DATASET": "vqa",
    "USE_GLOVE": False,
    "WORD_EMBED_SIZE": 300,
    "FEAT_SIZE": {"vqa": {"FRCN_FEAT_SIZE": (100, 2048)}},
    "LR_BASE": 1e-4,
    "LR_DECAY_R": 0.2,
    "LR_DECAY_LIST": [10, 12, 14],
    "WARMUP_EPOCH": 3,
    "MAX_EPOCH": 1,
    "GRAD_NORM_CLIP": -1,
    "GRAD_ACCU_STEPS": 1,
    "LOSS_FUNC": "bce",
    "LOSS_REDUCTION": "sum",
    "LOSS_FUNC_NAME_DICT": {"bce": "BCEWithLogitsLoss"},
    "LOSS_FUNC_NONLINEAR": {"bce": [None, None]},
    "TEACHER_AC_FN": {"vqa": "nn.Sigmoid()"},
    "OPT": "Adam",
    "OPT_PARAMS": {"betas": "(0.9, 0.98)", "eps": "1e-9"},
    "SAMPLED_K": 5,
    "N_GPU": 1,
    "NUM_WORKERS": 0,
    "PIN_MEM": False,
    "RESUME": False,
    "VERBOSE": False,
    "VERSION": "timed",
}


def run_published(code: Path, model: nn.Module, batches: Iterable[dict[str, Tensor]], size: int) -> None:
    """Trains a copy of `model` (MCAN as on VQA-v2) by the loop in the folder `code`, one step for each batch."""
    with tempfile.TemporaryDirectory() as folder, _on_cpu(code):
        teacher = Path(folder) / "teacher.pkl"
        torch.save({"state_dict": model.state_dict()}, teacher)
        places = {"TEA_WEIGHT": str(teacher), "CKPTS_PATH": folder, "LOG_PATH": folder}
        settings = types.SimpleNamespace(**SETTINGS, **places, BATCH_SIZE=size, SUB_BATCH_SIZE=size)
        words, answers = model.get_parameter("embedding.weight"), model.get_parameter("proj.weight")
        sizes = {"data_size": 64 * size, "token_size": len(words), "ans_size": len(answers), "pretrained_emb": None}
        importlib.import_module("utils.train_engine").train_engine(settings, _Data(batches, **sizes))


class _Data(types.SimpleNamespace):
    """What the loop asks of a data set and of its loader; there are no answers, which it does not read."""

    def __init__(self, batches: Iterable[dict[str, Tensor]], **sizes: int | None) -> None:
        super().__init__(**sizes)
        self.batches = batches

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        nothing = torch.zeros(1)
        for batch in self.batches:
            yield batch["regions"], nothing, nothing, batch["question"], nothing


@contextlib.contextmanager
def _on_cpu(code: Path) -> Iterator[None]:
    scoring = types.ModuleType("utils.test_engine")  # after an epoch; it reads VQA-v2
    scoring.test_engine = scoring.ckpt_proc = None
    sys.modules["utils.test_engine"] = scoring
    with (
        mock.patch.object(sys, "path", [str(code), *sys.path]),
        mock.patch.object(nn.Module, "cuda", lambda module: module),
        mock.patch.object(Tensor, "cuda", lambda tensor: tensor),
        mock.patch.object(torch.utils.data, "DataLoader", lambda data, **_: data),
    ):
        yield
