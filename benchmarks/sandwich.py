"""One sandwich step (teacher and five submodels) against the published loop's, and against six plain passes.

`--published DIR`: a copy of the public code MILVLG/bst. A whole step of its training loop and one of ours take turns
(the full-size MCAN, the same weights, batch, draws and recipe; dropout and optimiser included), beside the floor: the
FLOPs of the step's matrix products over the rate of one such product, measured between the steps. Target 0.85.

Without: against six plain float32 passes on separate models, for easy-vqa's supernet and for the full size, there in
bf16 as well. Targets: 1.0, and 0.5 in bf16 where the processor multiplies bf16 faster than float32: see "gemm_gflops".
"""

from __future__ import annotations

import argparse
import dataclasses
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from bstsearch import Supernet
from bstsearch.model.lookup import get_preset
from bstsearch.model.supernet_folder import SUPERNETS
from bstsearch.tasks.task import Batch
from bstsearch.training.loop import sandwich_stage
from bstsearch.training.losses import Loss
from bstsearch.training.precision import in_precision
from bstsearch.training.recipes import BST
from bstsearch.training.recipes import DEMO as DEMO_RECIPE
from bstsearch.training.sandwich import draw_sandwich, sandwich_step
from published_loop import run_published
from timing import busy, gemm_flops, in_turns, medians_ms, ratio, report, tell

PRESET = "mcan-vqa-v2"
DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", type=Path, metavar="DIR", help="a copy of github.com/MILVLG/bst")
    parser.add_argument("--batch", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.published is None:
        report("sandwich", plain_figures(options.rounds))
        return
    floor = sum(step_flops(batch, 0) * len(options.threads) for batch in options.batch) / gemm_flops()
    tell(f"about {3.5 * floor * (options.rounds + 1) / 60:.0f} minutes on this processor when it is idle; {busy()}")
    figures = {}
    for threads in options.threads:
        torch.set_num_threads(threads)
        for batch in options.batch:
            figures[f"{threads} threads, batch {batch}"] = published_figures(options.published, batch, options.rounds)
    report("sandwich-published", figures)


def published_figures(code: Path, batch: int, rounds: int) -> dict[str, object]:
    """Medians over rounds of both sides, of the floor, and of the ratios within a round."""
    torch.manual_seed(0)
    supernet, turns = Supernet(*get_preset(PRESET)), []
    with tempfile.TemporaryDirectory() as folder:
        inputs = supernet.family.example_inputs(supernet.config, batch)
        steps = stepwise(supernet, inputs, rounds + 1, Path(folder))
        run_published(code, supernet.model, take_turns(steps, inputs, batch, rounds, turns), batch)
    columns = {name: [getattr(turn, name) for turn in turns] for name in ("ours", "published", "floor")}
    return {
        "ratio": round(ratio(columns, "ours", "published"), 3),
        "processor_time_ratio": round(statistics.median(turn.processor_ratio for turn in turns), 3),
        "over_floor": round(ratio(columns, "ours", "floor"), 3),
        "published_over_floor": round(ratio(columns, "published", "floor"), 3),
        "medians_ms": medians_ms(columns),
        "rounds": rounds,
        "busy": busy(),
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Turn:
    """Seconds of both sides' step with the same draw, and of its matrix products alone."""

    ours: float
    published: float
    floor: float
    processor_ratio: float

    def __str__(self) -> str:
        over = f"{self.ours / self.floor:.2f} and {self.published / self.floor:.2f} of the floor"
        sides = f"ours {1000 * self.ours:.0f} ms / published {1000 * self.published:.0f} ms"
        return f"{self.ours / self.published:.3f} ({sides}; {over}, {1000 * self.floor:.0f} ms)"


def take_turns(
    own_steps: Iterator[object], inputs: dict[str, Tensor], batch: int, rounds: int, turns: list[Turn]
) -> Iterator[dict[str, Tensor]]:
    """Hands the published loop a batch for each step; adds every turn but the first to `turns`."""
    tell(f"batch {batch}, {torch.get_num_threads()} threads; {busy()}")
    for turn in range(rounds + 1):
        clocks: dict[str, tuple[float, float]] = {}
        if turn % 2:
            clocks["ours"] = timed(own_steps)
        random.seed(turn)  # from which the published loop draws
        start, processor = time.perf_counter(), time.process_time()
        yield inputs
        clocks["published"] = time.perf_counter() - start, time.process_time() - processor
        if not turn % 2:
            clocks["ours"] = timed(own_steps)
        (ours, own_processor), (published, their_processor) = clocks["ours"], clocks["published"]
        floor = step_flops(batch, turn) / gemm_flops(rounds=10)
        if turn:
            share = own_processor / their_processor
            turns.append(Turn(ours=ours, published=published, floor=floor, processor_ratio=share))
            tell(f"  {turn}/{rounds}: {turns[-1]}")


def timed(steps: Iterator[object]) -> tuple[float, float]:
    """Seconds by the clock, and of processors, that the next step takes."""
    start, processor = time.perf_counter(), time.process_time()
    next(steps)
    return time.perf_counter() - start, time.process_time() - processor


def stepwise(supernet: Supernet, inputs: dict[str, Tensor], steps: int, folder: Path) -> Iterator[object]:
    """Our training, which stops after every step; a step's number decides what is drawn, as in the published loop."""
    drawn = iter([draw_sandwich(supernet.space, random.Random(step)) for step in range(steps)])
    teacher = Supernet(supernet.family, supernet.config)
    teacher.load_state_dict(supernet.state_dict())
    split = OneBatch(inputs)
    settings = BST.sandwich.changed(batch_size=len(split), epochs=steps + 1)
    recipe = dataclasses.replace(BST, sandwich=settings, checkpoint_every=steps + 2)
    stage = sandwich_stage(supernet, teacher, recipe, folder)
    stage.objective = dataclasses.replace(stage.objective, draw=lambda _: next(drawn))
    return stage.run(split)


@dataclasses.dataclass(frozen=True)
class OneBatch:
    """As a split: one batch, and nothing that outputs are held against."""

    inputs: dict[str, Tensor]

    def __len__(self) -> int:
        return len(self.inputs["question"])

    def batches(self, size: int, order: Tensor) -> Iterator[Batch]:
        """In that order."""
        for rows in order.split(size):
            yield Batch(inputs={name: tensor[rows] for name, tensor in self.inputs.items()}, targets=None)

    def grouped(self, order: Tensor, _: int) -> Tensor:
        """In any order."""
        return order


def step_flops(batch: int, draw: int) -> int:
    """FLOPs of a step's matrix products, counted without computing any."""
    supernet = Supernet(*get_preset(PRESET)).to("meta").train()
    inputs = {
        name: tensor.to("meta") for name, tensor in supernet.family.example_inputs(supernet.config, batch).items()
    }
    submodels = draw_sandwich(supernet.space, random.Random(draw))
    with FlopCounterMode(display=False) as counter:
        with torch.no_grad():
            target = supernet.model(**inputs)
        sandwich_step(supernet, submodels, inputs, target, BST.sandwich.loss)
    return counter.get_total_flops()


def plain_figures(rounds: int) -> dict[str, object]:
    """Both supernets against six plain passes."""
    demo = against_plain(Supernet.load(SUPERNETS / "easy-vqa"), DEMO_RECIPE.sandwich.loss, ("float32",), 64, rounds)
    torch.manual_seed(0)
    published = against_plain(Supernet(*get_preset(PRESET)), BST.sandwich.loss, ("float32", "bf16"), 8, rounds)
    rates = {name: round(gemm_flops(dtype=dtype) / 1e9) for name, dtype in DTYPES.items()}
    return {"demo": demo, PRESET: published, "gemm_gflops": rates}


def against_plain(
    supernet: Supernet, loss: Loss, precisions: tuple[str, ...], batch: int, rounds: int, draws: int = 2
) -> dict[str, object]:
    """Median ratios over rounds and draws, by precision."""
    supernet.train()
    teacher = supernet.materialise(supernet.space.largest).eval().requires_grad_(False)
    inputs = supernet.family.example_inputs(supernet.config, batch)
    seconds: dict[str, list[float]] = {}
    for draw in range(draws):
        submodels = draw_sandwich(supernet.space, random.Random(draw))
        separate = [supernet.materialise(submodel) for submodel in submodels]

        def plain(separate: list[torch.nn.Module] = separate) -> None:
            with torch.no_grad():
                target = teacher(**inputs)
            for model in separate:
                loss(model(**inputs), target, rows=batch).backward()

        def sandwich(precision: str, submodels: list = submodels) -> Callable[[], None]:
            def step() -> None:
                with torch.no_grad(), in_precision(precision, torch.device("cpu")):
                    target = teacher(**inputs)
                sandwich_step(supernet, submodels, inputs, target, loss, precision=precision)

            return step

        sides = {"plain": plain, **{precision: sandwich(precision) for precision in precisions}}
        for name, times in in_turns(sides, rounds).items():
            seconds.setdefault(name, []).extend(times)
    ratios = {precision: round(ratio(seconds, precision, "plain"), 3) for precision in precisions}
    return {"batch": batch, "draws": draws, "ratios": ratios, "medians_ms": medians_ms(seconds)}


if __name__ == "__main__":
    main()
