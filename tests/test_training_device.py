from __future__ import annotations

import os

import pytest
import torch

from bstsearch import training_device
from bstsearch.errors import DeviceError, UsageError
from bstsearch.training_device import choose_device, choose_threads


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
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert choose_device("auto") == torch.device("cuda", 1)
    assert choose_device("cpu") == torch.device("cpu")


def test_a_process_more_than_there_are_gpus_is_refused(gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(DeviceError, match="process 2 of this machine has no GPU: there are 2; start 2 at most"):
        choose_device("cuda")


def test_no_more_threads_than_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 2, 5}, raising=False)
    assert choose_threads(3) == 3
    with pytest.raises(UsageError, match="--threads 4: this process may use 3 processors; give at most 3"):
        choose_threads(4)


@pytest.mark.parametrize(("of_torch", "of_quota", "taken"), [(8, 2, 2), (1, 4, 1)])
def test_by_default_the_lesser_of_torch_and_the_quota(
    monkeypatch: pytest.MonkeyPatch, of_torch: int, of_quota: int, taken: int
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: of_torch)
    monkeypatch.setattr(training_device, "available_cores", lambda: of_quota)
    assert choose_threads(None) == taken
