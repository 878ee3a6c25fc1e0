from __future__ import annotations

import os

import pytest
import torch

from bstsearch.errors import DeviceError, UsageError
from bstsearch.model.lookup import get_preset
from bstsearch.training import device as device_module
from bstsearch.training.device import choose_device, choose_threads, exceptions


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of them, which nothing is computed on."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.parametrize("name", ["auto", "cpu"])
def test_without_gpu_the_processor_is_taken(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device(name) == torch.device("cpu")


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="no CUDA device is available; --device cpu trains on the processor"):
        choose_device("cuda")


def test_each_process_takes_its_own_gpu(gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_device("auto") == torch.device("cuda")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert choose_device("auto") == torch.device("cuda", 1)
    assert choose_device("cpu") == torch.device("cpu")


def test_a_process_more_than_there_are_gpus_is_refused(gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(DeviceError, match="process 2 of this machine has no GPU: there are 2; start 2 at most"):
        choose_device("cuda")


def test_no_more_threads_than_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 2, 5}, raising=False)
    assert choose_threads(3) == 3
    with pytest.raises(UsageError, match="--threads 4: this process may use at most 3 here; give fewer"):
        choose_threads(4)


@pytest.mark.parametrize(("of_torch", "of_quota", "taken"), [(8, 2, 2), (1, 4, 1)])
def test_by_default_the_lesser_of_torch_and_the_quota(
    monkeypatch: pytest.MonkeyPatch, of_torch: int, of_quota: int, taken: int
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: of_torch)
    monkeypatch.setattr(device_module, "available_cores", lambda: of_quota)
    assert choose_threads(None) == taken


@pytest.mark.parametrize(("preset", "has_lstm"), [("mcan-easy-vqa", True), ("uniter-base", False)])
@pytest.mark.parametrize("slowdown", [0.5, 67.5])
def test_only_what_concerns_the_model_is_said(
    monkeypatch: pytest.MonkeyPatch, preset: str, has_lstm: bool, slowdown: float
) -> None:
    monkeypatch.setattr(device_module, "has_bf16_lstm", lambda device: False)
    monkeypatch.setattr(device_module, "bf16_slowdown", lambda device: slowdown)
    cpu, model = torch.device("cpu"), get_preset(preset)
    said = " ".join(exceptions("bf16", cpu, *model))
    assert ("no LSTM in bf16" in said) == has_lstm
    assert ("products in bf16 take 68 times as long as in float32 here" in said) == (slowdown > 1)
    assert exceptions("float32", cpu, *model) == []


def test_a_processor_that_has_all_of_it_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_module, "has_bf16_lstm", lambda device: True)
    monkeypatch.setattr(device_module, "bf16_slowdown", lambda device: 0.5)
    assert exceptions("bf16", torch.device("cpu"), *get_preset("mcan-easy-vqa")) == []
