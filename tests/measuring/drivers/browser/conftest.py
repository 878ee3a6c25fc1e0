"""Drivers that wait for a page, for the tests of the browser's driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from phone import Meeting, Phone, Start

from bstsearch.measuring.driver import Graph, Workload


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    """Two files that only look like graphs: what is in them is the browser's business."""
    tmp_path, graphs = tmp_path_factory.mktemp("workload"), {}
    for number, name in enumerate(("small", "large")):
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(name.encode() * 10)
        graphs[name] = Graph(path=path, weight_bytes=64 * (number + 1))
    np.savez(tmp_path / "inputs.npz", question=np.arange(3, dtype=np.int64), image=np.ones((1, 2), np.uint8))
    return Workload(graphs=graphs, inputs=tmp_path / "inputs.npz")


@pytest.fixture
def start(workload: Workload) -> Iterator[Start]:
    sessions: list[Meeting] = []

    def starting(
        work: Callable[[Any], object] = lambda driver: None,
        build: Callable[[Any], object] = lambda device: None,
        **options: Any,
    ) -> Meeting:
        sessions.append(Meeting(workload, work, build, **{"arrival_s": 20, **options}))
        return sessions[-1]

    yield starting
    for session in sessions:
        if session.thread.is_alive():
            session.phone.hello()
            session.phone.post("failed", message="the test has ended")
            session.thread.join(20)


@pytest.fixture(scope="module")
def knock(workload: Workload) -> Iterator[Phone]:
    """The address of a server that waits for its page, for those who only knock."""
    session = Meeting(workload, lambda driver: None, arrival_s=600)
    yield session.phone
    session.phone.hello()
    session.phone.post("failed", message="the tests have ended")
    session.thread.join(20)
