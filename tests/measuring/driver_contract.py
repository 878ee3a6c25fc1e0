"""What every driver must do, whoever wrote it: inherit, and give it the device as the fixture `device`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bstsearch.measuring.driver import Device, Hardware, Runtime, Session, Visit, Workload
from bstsearch.measuring.workload import make_workload, write_complete
from bstsearch.model.supernet_folder import read_folder
from bstsearch.space import Submodel

SMALLEST, LARGEST = "w1of4-d1of4", "w1-d1"


class DriverContract:
    """The two steps of a driver, its answers to every request, and what a profile keeps of it."""

    tells_memory = False

    @pytest.fixture
    def device(self) -> Iterator[Device]:
        """The device, reached."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def workload(cls, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Workload:
        submodels = [Submodel.from_id(name) for name in (SMALLEST, LARGEST)]
        return make_workload(read_folder(tiny_folder), submodels, tmp_path_factory.mktemp("workload"))

    @pytest.fixture
    def session(self, device: Device, workload: Workload) -> Iterator[Session]:
        device.prepare(1, 2)
        device.prepare(2, 2)
        with device.take(workload) as session:
            yield session

    def test_visits_are_timed_in_their_order_as_often_as_asked_for(self, session: Session) -> None:
        session.report("timing in rounds", 1, 20)
        session.open([SMALLEST, LARGEST])
        asked = [(LARGEST, 2), (SMALLEST, 3), (LARGEST, 1)]
        found = session.time([Visit(name=name, count=count) for name, count in asked])
        assert [len(runs) for runs in found] == [count for _, count in asked]
        assert all(isinstance(runs, tuple) and run.wall_ms > 0 for runs in found for run in runs)

    def test_what_is_opened_takes_the_place_of_what_was_open(self, session: Session) -> None:
        for name in (SMALLEST, LARGEST, SMALLEST):
            session.open([name])
            ((run,),) = session.time([Visit(name=name, count=1)])
            assert run.wall_ms > 0

    def test_a_profile_can_hold_what_it_says_of_itself(self, session: Session) -> None:
        for found, kind in ((session.hardware, Hardware), (session.runtime, Runtime)):
            assert isinstance(found, kind)
            assert kind.model_validate_json(found.model_dump_json()) == found

    def test_memory_is_told_in_bytes_or_not_at_all(self, session: Session, workload: Workload, tmp_path: Path) -> None:
        session.open([SMALLEST])
        write_complete_with_pool(workload, tmp_path / "model.onnx")
        peak = session.peak_memory(tmp_path / "model.onnx")
        assert (peak is not None and peak > 0) if self.tells_memory else peak is None


def write_complete_with_pool(workload: Workload, path: Path) -> None:
    """The smallest graph with weights; the device itself may have made none on this computer."""
    from bstsearch.measuring.runner import write_pool

    write_pool(workload.inputs.parent, max(graph.weight_bytes for graph in workload.graphs.values()))
    write_complete(workload.graphs[SMALLEST], path)
