from __future__ import annotations

import csv
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from torch import nn

from bstsearch.errors import DeviceError
from bstsearch.training.distributed import ALONE, Processes, joined

SCRIPT = textwrap.dedent("""
    import dataclasses, os, sys, torch
    from pathlib import Path
    from bstsearch.tasks.task import Batch
    from bstsearch.tasks.classes import ClassSplit
    from bstsearch.training.distributed import joined
    from bstsearch.families.mcan import FAMILY, McanConfig
    from bstsearch.training.recipes import BST
    from bstsearch.model.supernet import Supernet, save_weights
    from bstsearch.training.loop import sandwich_stage, teacher_stage

    folder, stop_at = Path(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(1)
    config = McanConfig(
        vocab=20, answers=7, question_length=5, word_dim=8, lstm_hidden=16, hidden=16, head_dim=4,
        encoder_heads=(4,) * 4, encoder_ffn=(32,) * 4, decoder_heads=(4,) * 4, decoder_ffn=(32,) * 4,
        flat_mlp=16, flat_out=32, dropout=0.0, regions=6, region_features=12,
    )
    inputs = FAMILY.example_inputs(config, 35)
    inputs["regions"] = inputs["regions"].double()
    answers = inputs["question"][:, 0] % 7

    class Regions(ClassSplit):
        def __len__(self):
            return 35
        def batches(self, size, order):
            for rows in order.split(size):
                yield Batch(inputs={name: tensor[rows] for name, tensor in inputs.items()}, targets=answers[rows])
        def score(self, kept):
            raise NotImplementedError

    def little(stage):
        optimizer = dataclasses.replace(stage.optimizer, learning_rate=1e-3)
        return dataclasses.replace(stage, epochs=2, batch_size=8, accumulate=2, drops_last=False, optimizer=optimizer)

    recipe = dataclasses.replace(
        BST, teacher=little(BST.teacher), sandwich=little(BST.sandwich), checkpoint_every=3
    )
    with joined(torch.device("cpu")) as processes:
        torch.manual_seed(processes.rank)  # weights that differ, until the first process's are sent
        # In float64: Adam makes whole steps of gradients that are mere rounding, and so curves drift apart.
        teacher, supernet = Supernet(FAMILY, config).double(), Supernet(FAMILY, config).double()
        for _ in teacher_stage(teacher, recipe, folder, processes=processes).run(Regions()):
            pass
        for progress in sandwich_stage(supernet, teacher, recipe, folder, processes=processes).run(Regions()):
            if progress.step == stop_at:
                processes.wait()
                os._exit(0)
        save_weights(supernet.model, folder / f"end-{processes.rank}.safetensors")
""")


def run(folder: Path, processes: int, stop_at: int = -1) -> None:
    folder.mkdir(exist_ok=True)
    script = folder.parent / "train.py"
    script.write_text(SCRIPT)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--local-addr=127.0.0.1", "--nproc-per-node=2"]
    command = [sys.executable, *(launcher if processes == 2 else []), str(script), str(folder), str(stop_at)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr


def curve(folder: Path, stage: str) -> list[float]:
    with (folder / f"{stage}-log.csv").open(newline="") as file:
        return [float(row["mean_loss"]) for row in csv.DictReader(file)]


def weights(path: Path) -> torch.Tensor:
    from safetensors.torch import load_file

    return torch.cat([tensor.flatten() for _, tensor in sorted(load_file(path).items())])


@pytest.mark.slow
def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    one, two, parts = tmp_path / "one", tmp_path / "two", tmp_path / "parts"
    run(one, 1)
    run(two, 2)
    run(parts, 2, stop_at=5)
    run(parts, 2)
    ends = [weights(folder / f"end-{rank}.safetensors") for folder in (two, parts) for rank in (0, 1)]
    assert all(torch.equal(ends[0], end) for end in ends[1:])
    torch.testing.assert_close(ends[0], weights(one / "end-0.safetensors"), rtol=0, atol=1e-6)
    for stage in ("teacher", "sandwich"):
        assert len(curve(one, stage)) == 10
        assert curve(two, stage) == curve(parts, stage)
        assert curve(two, stage) == pytest.approx(curve(one, stage), rel=1e-5)


def test_one_process_alone_exchanges_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined(torch.device("cpu")) as processes:
        assert processes is ALONE
    model = nn.BatchNorm1d(2)
    before = [tensor.clone() for tensor in model.state_dict().values()]
    ALONE.wait()
    ALONE.copy_first(model)
    ALONE.add_gradients(model)
    ALONE.average_buffers(model)
    assert all(torch.equal(a, b) for a, b in zip(before, model.state_dict().values(), strict=True))
    assert ALONE.add(torch.ones(2)).tolist() == [1, 1]
    assert ALONE.is_first


def test_shares_are_disjoint_and_together_everything() -> None:
    rows = torch.arange(7)
    shares = [Processes(rank=rank, count=3).share(rows) for rank in range(3)]
    assert torch.cat(shares).tolist() == rows.tolist()
    assert [len(share) for share in shares] == [3, 2, 2]
    assert len(Processes(rank=2, count=3).share(rows[:2])) == 0


def test_gradients_and_buffers_are_those_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    # The other process is played here: it has the same gradients and buffers as this one.
    monkeypatch.setattr("torch.distributed.all_reduce", lambda tensor: tensor.mul_(2))
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    model[0].weight.grad = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    both = Processes(rank=0, count=2)
    both.add_gradients(model)
    both.average_buffers(model)
    assert model[0].weight.grad.tolist() == [[2, 4], [6, 8]]
    assert model[0].bias.grad is None
    assert model[1].running_var.tolist() == [1, 1]


@pytest.mark.parametrize("address", [{}, {"MASTER_ADDR": "localhost", "MASTER_PORT": "x"}])
def test_processes_that_cannot_meet_are_told_how_to_start(
    address: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, text in {"WORLD_SIZE": "2", "RANK": "1", **address}.items():
        monkeypatch.setenv(name, text)
    with (
        pytest.raises(DeviceError, match=r"this process cannot meet the others of 2: .*; start them with torchrun"),
        joined(torch.device("cpu")),
    ):
        pass
