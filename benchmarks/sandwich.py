"""One sandwich step (teacher and five submodels), against six plain passes on separate models; target 1.1x."""

from __future__ import annotations

import random

import torch

from bstsearch import DEMO, Supernet
from bstsearch.sandwich import distillation_loss, draw_sandwich, sandwich_step
from timing import in_turns, medians_ms, ratio, report

BATCH, ROUNDS, DRAWS = 64, 5, 4


def main() -> None:
    supernet = Supernet.load(DEMO).train()
    teacher = Supernet.load(DEMO).requires_grad_(False)
    inputs = supernet.family.example_inputs(supernet.config, BATCH)
    seconds: dict[str, list[float]] = {"sandwich": [], "plain": []}
    for draw in range(DRAWS):
        submodels = draw_sandwich(supernet.space, random.Random(draw))
        separate = [supernet.materialise(submodel) for submodel in submodels]

        def plain(separate: list[torch.nn.Module] = separate) -> None:
            with torch.no_grad():
                target = teacher.model(**inputs)
            for model in separate:
                distillation_loss(model(**inputs), target).backward()

        def sandwich(submodels: list = submodels) -> None:
            with torch.no_grad():
                target = teacher.model(**inputs)
            sandwich_step(supernet, submodels, inputs, target)

        for name, times in in_turns({"sandwich": sandwich, "plain": plain}, ROUNDS).items():
            seconds[name] += times
    figures = {
        "batch": BATCH,
        "draws": DRAWS,
        "ratio": round(ratio(seconds, "sandwich", "plain"), 3),
        "medians_ms": medians_ms(seconds),
    }
    report("sandwich", figures)


if __name__ == "__main__":
    main()
