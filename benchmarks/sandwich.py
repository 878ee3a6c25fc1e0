"""One sandwich step (teacher and five submodels), against six plain float32 passes on separate models.

For the demo supernet, and for the published MCAN on VQA-v2 in full size, there in float32 and in bf16. Targets: at most
1.0 times the plain passes, and 0.5 in bf16 where the processor multiplies bf16 faster than float32: see "gemm_gflops".
"""

from __future__ import annotations

import random
from collections.abc import Callable

import torch

from bstsearch import DEMO, Supernet
from bstsearch.model.lookup import get_preset
from bstsearch.training.losses import Loss
from bstsearch.training.precision import in_precision
from bstsearch.training.recipes import get_recipe
from bstsearch.training.sandwich import draw_sandwich, sandwich_step
from timing import gemm_flops, in_turns, medians_ms, ratio, report

DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}


def main() -> None:
    demo = figures(Supernet.load(DEMO), get_recipe("demo").sandwich.loss, ("float32",), batch=64, draws=2, rounds=3)
    torch.manual_seed(0)
    full = Supernet(*get_preset("mcan-vqa-v2"))
    published = figures(full, get_recipe("bst").sandwich.loss, ("float32", "bf16"), batch=8, draws=3, rounds=3)
    rates = {name: round(gemm_flops(dtype=dtype) / 1e9) for name, dtype in DTYPES.items()}
    report("sandwich", {"demo": demo, "mcan-vqa-v2": published, "gemm_gflops": rates})


def figures(
    supernet: Supernet, loss: Loss, precisions: tuple[str, ...], *, batch: int, draws: int, rounds: int
) -> dict[str, object]:
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
                loss(model(**inputs), target, questions=batch).backward()

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
