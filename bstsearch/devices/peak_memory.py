"""Prints the peak memory in bytes of loading and running one ONNX graph; run as a script, in a process of its own.

    python -I peak_memory.py MODEL.onnx INPUTS.npz THREADS

The figure is the process's peak resident memory minus what it held with numpy and ONNX Runtime imported,
before any model: what the submodel adds to a program that has the runtime. The script imports nothing of
bstsearch, so that nothing else is counted, and a fresh process has no earlier peak to hide behind.
"""

from __future__ import annotations

import sys
from pathlib import Path

RUNS = 3  # the runtime plans its buffers at the first run and may grow them at the second


def main(model: str, inputs: str, threads: str) -> None:
    """Writes the number to stdout."""
    import numpy as np
    import onnxruntime
    import psutil

    with np.load(inputs) as arrays:
        feed = dict(arrays)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(threads)
    before = psutil.Process().memory_info().rss
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    for _ in range(RUNS):
        session.run(None, feed)
    sys.stdout.write(f"{peak_bytes() - before}\n")


def peak_bytes() -> int:
    """The most resident memory that this process has had."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux; not ru_maxrss, which a child inherits from the process that started it
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


if __name__ == "__main__":
    main(*sys.argv[1:])
