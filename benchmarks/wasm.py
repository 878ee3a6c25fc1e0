"""Submodels of easy-vqa under onnxruntime-web in Chromium, WASM, over ONNX Runtime natively: one thread each.

Needs `chromium`, and onnxruntime-web in the folder $BSTSEARCH_ORT_WEB (default: node_modules/onnxruntime-web).
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bstsearch.measuring.driver import Session, Visit
from bstsearch.measuring.drivers import local
from bstsearch.measuring.drivers.browser import driver as browser
from bstsearch.measuring.workload import make_workload
from bstsearch.model.supernet_folder import SUPERNETS, read_folder
from timing import medians_ms, ratio, report

ROUNDS, RUNS = 15, 5
ORT_WEB = Path(os.environ.get("BSTSEARCH_ORT_WEB", "node_modules/onnxruntime-web"))
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")


def main() -> None:
    folder = read_folder(SUPERNETS / "easy-vqa")
    with tempfile.TemporaryDirectory() as scratch, browsing() as page, local.open_device(threads=1) as here:
        workload = make_workload(folder, list(folder.space.grid()), Path(scratch))
        with page.take(workload) as wasm, here.take(workload) as native:
            rows = compared({"wasm": wasm, "native": native}, list(workload.graphs))
            versions = {"onnxruntime_web": wasm.runtime.version, "onnxruntime": native.runtime.version}
    report("wasm", {"batch": 1, "threads": 1, **versions, "submodels": rows})


@contextlib.contextmanager
def browsing() -> Iterator[browser.Site]:
    """A page in Chromium, which ends with the block."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, contextlib.ExitStack() as stack:

        def note(line: str) -> None:
            if line.startswith("open http://"):
                words = ["chromium", *FLAGS, f"--user-data-dir={profile}", line.split()[1]]
                running = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                stack.callback(running.wait)
                stack.callback(running.terminate)

        with browser.open_device(note=note, ort_web=ORT_WEB, threads=1) as page:
            yield page


def compared(drivers: dict[str, Session], names: list[str]) -> dict[str, dict[str, Any]]:
    """The ratio of each submodel and its medians, of rounds in which the drivers take turns."""
    found: dict[str, dict[str, list[float]]] = {name: {side: [] for side in drivers} for name in names}
    for driver in drivers.values():
        driver.open(names)
    for number in range(ROUNDS):
        for side in sorted(drivers, reverse=bool(number % 2)):
            visits = [Visit(name=name, count=RUNS) for name in names]
            for name, runs in zip(names, drivers[side].time(visits), strict=True):
                found[name][side].append(statistics.median(run.wall_ms for run in runs) / 1000)
    return {
        name: {"ratio": round(ratio(sides, "wasm", "native"), 2), **medians_ms(sides)} for name, sides in found.items()
    }


if __name__ == "__main__":
    main()
