"""Several processes that train one supernet together, as torchrun starts them.

A supernet's step is one forward and one backward of the fixed part around several of the elastic part, each
with its own submodel, so torch's DistributedDataParallel (one forward, one backward, every parameter once)
does not fit. What it does is done here by hand: every process adds up the gradients of all its submodels'
passes over its share of the batch, and then all gradients are added over the processes once.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

import torch
import torch.distributed as dist
from torch import Tensor, nn

from bstsearch.environment import gpu_number, process_count, process_number
from bstsearch.errors import DeviceError
from bstsearch.reading import said


@dataclasses.dataclass(frozen=True, kw_only=True)
class Processes:
    """This process's number among `count`. The first one writes files; one alone exchanges nothing."""

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def share(self, rows: Tensor) -> Tensor:
        """This process's part of `rows`, which may be empty where there are few."""
        return rows.tensor_split(self.count)[self.rank]

    def wait(self) -> None:
        """Returns when every process has come this far."""
        if self.count > 1:
            dist.barrier()

    def add(self, values: Tensor) -> Tensor:
        """The sum of `values` over the processes."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def copy_first(self, model: nn.Module) -> None:
        """Makes every process's parameters and buffers those of the first."""
        if self.count > 1:
            for tensor in model.state_dict().values():
                dist.broadcast(tensor, src=0)

    def add_gradients(self, model: nn.Module) -> None:
        """Adds up the gradients over the processes; one that no process has stays none."""
        if self.count == 1:
            return
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        has_gradient = [parameter.grad is not None for parameter in parameters]
        flags = torch.tensor(has_gradient, dtype=torch.float32, device=parameters[0].device)
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = self.add(torch.cat([flags, *(part.reshape(-1) for part in parts)]))
        sums = torch.split(flat[len(flags) :], [parameter.numel() for parameter in parameters])
        for parameter, total, flag in zip(parameters, sums, flat[: len(flags)].tolist(), strict=True):
            if flag:
                parameter.grad = total.view_as(parameter).clone()

    def average_buffers(self, model: nn.Module) -> None:
        """Makes every process's floating-point state (BatchNorm's running statistics) the mean over them."""
        if self.count > 1:
            parameters = dict(model.named_parameters(remove_duplicate=False))
            for name, tensor in model.state_dict().items():
                if name not in parameters and tensor.is_floating_point():
                    tensor.copy_(self.add(tensor.clone()) / self.count)


ALONE = Processes()


def local_device(device: torch.device) -> torch.device:
    """`device`, but where torchrun has started this process on a machine with GPUs: its own GPU."""
    if device.type == "cuda" and (number := gpu_number()) is not None:
        return torch.device("cuda", number)
    return device


@contextlib.contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """The processes that torchrun started with this one, connected while the block runs; else this one alone.

    DeviceError where they cannot meet.
    """
    if process_count() == 1:
        yield ALONE
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    except Exception as error:  # no address in the environment, no answer from there
        reason = f"this process cannot meet the others of {process_count()}: {said(error)}"
        raise DeviceError(f"{reason}; start them with torchrun") from error
    try:
        yield Processes(rank=dist.get_rank(), count=dist.get_world_size())
    finally:
        dist.destroy_process_group()


def is_first_process() -> bool:
    """Whether this process is the only one, or the first that torchrun started."""
    return process_number() == 0
