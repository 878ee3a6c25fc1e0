"""Exported ONNX, batch 1, against eager PyTorch and against ONNX Runtime's transformer optimiser's output (1.0x)."""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnxruntime
import torch
from onnxruntime.transformers.optimizer import optimize_model

from bstsearch import Supernet
from bstsearch.graphs.onnx_file import write_onnx
from bstsearch.model.supernet_folder import SUPERNETS
from timing import in_turns, medians_ms, ratio, report

ROUNDS, RUNS, THREADS = 30, 20, 1


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def main() -> None:
    torch.set_num_threads(THREADS)
    supernet = Supernet.load(SUPERNETS / "easy-vqa")
    inputs = supernet.family.example_inputs(supernet.config, 1)
    arrays = {name: tensor.numpy() for name, tensor in inputs.items()}
    rows = {}
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        for submodel in supernet.space:
            path, optimised = Path(folder) / f"{submodel.id}.onnx", Path(folder) / f"{submodel.id}.ort.onnx"
            eager = supernet.materialise(submodel)
            write_onnx(eager, inputs, path)
            heads, hidden = supernet.config.encoder_heads[0], supernet.config.hidden
            shares = int(heads * submodel.width), int(hidden * submodel.width)
            optimize_model(str(path), "bert", *shares).save_model_to_file(str(optimised))
            ours, theirs = session(path), session(optimised)
            sides = {
                "exported": lambda run=ours.run: [run(None, arrays) for _ in range(RUNS)],
                "ort_optimiser": lambda run=theirs.run: [run(None, arrays) for _ in range(RUNS)],
                "eager": lambda eager=eager: [eager(**inputs) for _ in range(RUNS)],
            }
            turns = in_turns(sides, ROUNDS, is_warmed=True)
            seconds = {name: [t / RUNS for t in times] for name, times in turns.items()}
            rows[submodel.id] = {
                "over_eager": round(ratio(seconds, "exported", "eager"), 3),
                "over_ort_optimiser": round(ratio(seconds, "exported", "ort_optimiser"), 3),
                **medians_ms(seconds),
            }
    report("onnx_latency", {"batch": 1, "threads": THREADS, "submodels_ms": rows})


if __name__ == "__main__":
    main()
