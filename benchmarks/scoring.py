"""Scoring a submodel through the supernet, against a plain loop on the materialised submodel; target 1.05x."""

from __future__ import annotations

import torch

from bstsearch import Supernet
from bstsearch.model.counting import count
from bstsearch.model.supernet_folder import SUPERNETS
from bstsearch.tasks import load_split
from bstsearch.tasks.evaluation import evaluate
from timing import gemm_flops, in_turns, medians_ms, ratio, report

QUESTIONS, BATCH, ROUNDS = 1024, 256, 7


def main() -> None:
    supernet = Supernet.load(SUPERNETS / "easy-vqa")
    split = load_split(SUPERNETS / "easy-vqa", "validation").head(QUESTIONS)
    flops_per_second = gemm_flops()
    rows, total, floor = {}, 0.0, 0.0
    for submodel in supernet.space:
        plain = supernet.materialise(submodel)

        def plain_loop(plain: torch.nn.Module = plain) -> int:
            with torch.inference_mode():
                hits = [
                    (plain(**batch.inputs).argmax(-1) == batch.targets).sum().item() for batch in split.batches(BATCH)
                ]
            return int(sum(hits))

        sides = {
            "bstsearch": lambda submodel=submodel: evaluate(supernet, submodel, split, batch_size=BATCH),
            "plain": plain_loop,
        }
        seconds = in_turns(sides, ROUNDS)
        rows[submodel.id] = {"ratio": round(ratio(seconds, "bstsearch", "plain"), 3), **medians_ms(seconds)}
        total += rows[submodel.id]["bstsearch"] / 1000
        floor += 2 * count(supernet.family, supernet.config, submodel).macs * len(split) / flops_per_second
    figures = {
        "questions": len(split),
        "gemm_gflops": round(flops_per_second / 1e9, 1),
        "scoring_all_s": round(total, 3),
        "gemm_floor_s": round(floor, 3),
        "scoring_over_floor": round(total / floor, 2),
        "submodels_ms": rows,
    }
    report("scoring", figures)


if __name__ == "__main__":
    main()
