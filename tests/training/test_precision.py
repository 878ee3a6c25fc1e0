from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import bstsearch
from bstsearch.errors import DeviceError, UsageError
from bstsearch.training import precision
from bstsearch.training.precision import bf16_slowdown, check_precision, has_bf16, has_bf16_lstm, in_precision

CPU = torch.device("cpu")
AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}


@pytest.fixture(autouse=True)
def fresh_answers() -> Iterator[None]:
    has_bf16.cache_clear()
    has_bf16_lstm.cache_clear()
    yield
    has_bf16.cache_clear()
    has_bf16_lstm.cache_clear()


def without_lstm(monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch answers for a processor without AVX-512."""

    def missing(*args: Any) -> Any:
        raise RuntimeError("could not create a primitive descriptor for the LSTM forward propagation primitive")

    with monkeypatch.context() as patch:
        patch.setattr(nn.LSTM, "forward", missing)
        assert not has_bf16_lstm(CPU)


def test_a_processor_without_the_lstm_computes_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    without_lstm(monkeypatch)
    assert has_bf16(CPU)
    check_precision("bf16", CPU)


def test_where_nothing_is_there_the_precision_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*args: Any) -> Any:
        raise RuntimeError("Current CUDA Device does not support bfloat16")

    monkeypatch.setattr(nn.Linear, "forward", missing)
    with pytest.raises(DeviceError, match="cpu cannot compute in bf16 on this machine; give --precision float32"):
        check_precision("bf16", CPU)
    check_precision("float32", CPU)


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown precision 'int4'; there are float32, bf16"):
        check_precision("int4", CPU)


def test_asking_takes_no_random_number() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    has_bf16(CPU)
    has_bf16_lstm(CPU)
    assert torch.equal(torch.get_rng_state(), before)


def test_asking_works_where_no_gradients_are_kept() -> None:
    with torch.no_grad():
        assert has_bf16(CPU)


@pytest.mark.parametrize("name", ["float32", "bf16"])
def test_only_bf16_asks_anything(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(precision, "has_bf16_lstm", lambda device: asked.append(device) or True)
    with in_precision(name, CPU):
        pass
    assert asked == ([CPU] if name == "bf16" else [])


def test_bf16_is_timed_against_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0, 9, 10, 15, 20, 24, 30, 36, 40, 49, 50, 52, 60, 63, 70, 74])  # bf16 first: 4 s at best, against 2
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    assert bf16_slowdown(CPU) == 2
    assert bf16_slowdown(torch.device("cuda")) == 1


def states_and_gradients(lstm: nn.LSTM, first: nn.Module, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    lstm.zero_grad()
    words = first(x)
    states, _ = lstm(words)
    states.float().square().sum().backward()
    assert lstm.weight_ih_l0.grad is not None
    return words, states, lstm.weight_ih_l0.grad


@pytest.mark.parametrize("layers", [1, 2])
def test_the_lstm_alone_runs_in_float32(monkeypatch: pytest.MonkeyPatch, layers: int) -> None:
    without_lstm(monkeypatch)
    torch.manual_seed(0)
    linear = nn.Linear(4, 4)
    lstm = nn.LSTM(4, 4, num_layers=layers, batch_first=True)
    x = torch.randn(3, 5, 4)
    with in_precision("bf16", CPU):
        words, states, gradient = states_and_gradients(lstm, linear, x)
        again = linear(states)
    assert (words.dtype, states.dtype, again.dtype) == (torch.bfloat16, torch.float32, torch.bfloat16)
    _, expected, expected_gradient = states_and_gradients(lstm, nn.Identity(), words.detach().float())
    assert torch.equal(states, expected)
    assert torch.equal(gradient, expected_gradient)


def test_packed_sequences_and_states_that_are_given_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    without_lstm(monkeypatch)
    lstm, state = nn.LSTM(4, 4), torch.zeros(1, 2, 4, dtype=torch.bfloat16)
    packed = nn.utils.rnn.pack_sequence([torch.ones(3, 4).bfloat16(), torch.ones(2, 4).bfloat16()])
    with in_precision("bf16", CPU):
        states, (last, _) = lstm(packed, (state, state))
    assert (states.data.dtype, last.dtype) == (torch.float32, torch.float32)


STEP = """
import random
import torch
from bstsearch.families.mcan import FAMILY
from bstsearch.training.losses import Loss
from bstsearch.training.precision import has_bf16_lstm
from bstsearch.training.sandwich import draw_sandwich, sandwich_step
from bstsearch.model.supernet import Supernet

torch.manual_seed(0)
supernet = Supernet(FAMILY, FAMILY.presets["mcan-easy-vqa"])
inputs = FAMILY.example_inputs(supernet.config, 4)
submodels = draw_sandwich(supernet.space, random.Random(0))
target = torch.randn(4, supernet.config.answers)
results = sandwich_step(supernet, submodels, inputs, target, Loss(kind="kl-teacher"), precision="bf16")
assert all(loss.isfinite() for loss, _ in results.values())
assert all(parameter.grad.isfinite().all() for parameter in supernet.parameters())
print(torch.backends.cpu.get_cpu_capability(), has_bf16_lstm(torch.device("cpu")))
"""


@pytest.mark.slow
def test_a_step_in_bf16_is_taken_without_avx512() -> None:
    root = Path(bstsearch.__file__).parent.parent
    environment = {**os.environ, **AVX2, "PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", STEP], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    capability, has_lstm = done.stdout.split()
    if platform.machine() in ("x86_64", "AMD64"):
        assert capability in ("AVX2", "DEFAULT")
        assert has_lstm == "False"  # else the test has tried nothing
