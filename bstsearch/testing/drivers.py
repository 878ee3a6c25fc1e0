"""What every driver must pass: subclass DriverContract once per driver, and give it a device that is reached."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bstsearch.measuring.driver import Device, Hardware, Runtime, Session, Visit, Workload
from bstsearch.measuring.runner import write_pool
from bstsearch.measuring.workload import make_workload, write_complete
from bstsearch.model.supernet_folder import DEMO, read_folder
from bstsearch.reading import checked
from bstsearch.space import Submodel

SMALLEST, LARGEST = "w1of4-d1of4", "w1-d1"


class DriverContract:
    """A subclass gives the fixture `device`, and sets `tells_memory` where the device tells how much it needed.

    The graphs are two submodels of `supernet`.
    """

    tells_memory: bool = False
    supernet: Path = DEMO

    @pytest.fixture
    def device(self) -> Iterator[Device]:
        """The device, reached."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def workload(cls, tmp_path_factory: pytest.TempPathFactory) -> Workload:
        """What the device is asked to run."""
        submodels = [Submodel.from_id(name) for name in (SMALLEST, LARGEST)]
        return make_workload(read_folder(cls.supernet), submodels, tmp_path_factory.mktemp("workload"))

    @pytest.fixture
    def session(self, device: Device, workload: Workload) -> Iterator[Session]:
        """The device at work."""
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
        assert {type(runs) for runs in found} == {tuple}
        assert all(run.wall_ms > 0 for runs in found for run in runs)

    def test_what_is_opened_takes_the_place_of_what_was_open(self, session: Session) -> None:
        for name in (SMALLEST, LARGEST, SMALLEST):
            session.open([name])
            ((run,),) = session.time([Visit(name=name, count=1)])
            assert run.wall_ms > 0

    def test_a_profile_can_hold_what_it_says_of_itself(self, session: Session) -> None:
        for found, kind in ((session.hardware, Hardware), (session.runtime, Runtime)):
            assert isinstance(found, kind)
            assert checked(found.to_json(), kind, "the device") == found

    def test_memory_is_told_in_bytes_or_not_at_all(self, session: Session, workload: Workload, tmp_path: Path) -> None:
        session.open([SMALLEST])
        _write_complete(workload, tmp_path / "model.onnx")
        peak = session.peak_memory(tmp_path / "model.onnx")
        assert (peak is not None and peak > 0) if self.tells_memory else peak is None


def _write_complete(workload: Workload, path: Path) -> None:
    """The smallest graph with weights; the device itself may have made none on this computer."""
    write_pool(workload.inputs.parent, max(graph.weight_bytes for graph in workload.graphs.values()))
    write_complete(workload.graphs[SMALLEST], path)
