"""A device of one's own, from a file that only the user names: docs/device.md, and one whose times are made up."""

from __future__ import annotations

import dataclasses
import json
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import bstsearch
from bstsearch import doors
from bstsearch.errors import DeviceError, UsageError
from bstsearch.listener import Listener
from bstsearch.measuring import selection
from bstsearch.measuring.driver import Device, Workload
from bstsearch.measuring.workload import make_workload
from bstsearch.model.supernet_folder import SupernetFolder
from bstsearch.profiles.profile_file import load_profile
from bstsearch.space import Submodel
from bstsearch.testing.drivers import DriverContract

Invoke = Callable[..., Any]

PAGE = Path(__file__).parents[2] / "docs" / "device.md"

BOX = '''
import contextlib
from typing import Annotated
from msgspec import Meta
from bstsearch import Driver
from bstsearch.measuring.driver import Run, Runtime
from bstsearch.measuring.machine import this_hardware


class Box(Driver):
    """A box whose times follow from the bytes of the weights."""

    name = "box"

    port: Annotated[int, Meta(ge=1, le=65535, description="Where it listens.")]
    ms: Annotated[float, Meta(description="What a megabyte takes.")] = 1.0
    fewer: Annotated[int, Meta(description="Runs that it forgets.")] = 0

    @contextlib.contextmanager
    def open(self, device, note):
        note(f"{device} answers on {self.port}")
        yield Reached(self)


class Reached:
    def __init__(self, box):
        self.box = box

    def prepare(self, done, total):
        pass

    @contextlib.contextmanager
    def take(self, workload):
        yield AtWork(self.box, workload.graphs)


class AtWork:
    def __init__(self, box, graphs):
        self.box, self.graphs, self.hardware = box, graphs, this_hardware()
        self.runtime = Runtime(
            name="box", version="1", provider="box", threads=1, precision="float32", cores_used=None
        )

    def report(self, text, done, total):
        pass

    def open(self, names):
        pass

    def time(self, visits):
        return [self.visit(visit) for visit in visits]

    def visit(self, visit):
        ms = 0.1 + self.box.ms * self.graphs[visit.name].weight_bytes / 1e6
        return (Run(ms),) * (visit.count - self.box.fewer)

    def peak_memory(self, model):
        return None
'''


@pytest.fixture(scope="module")
def make_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Workload]:
    """`make_workload`, but graphs that were built before are copied: each takes a third of a second to build."""
    built: dict[tuple[str, ...], Workload] = {}

    def make(
        folder: SupernetFolder,
        submodels: Sequence[Submodel],
        where: Path,
        *,
        on_graph: Callable[[], None],
        **_: object,
    ) -> Workload:
        key = (folder.architecture, *(submodel.id for submodel in submodels))
        if key not in built:
            built[key] = make_workload(folder, submodels, tmp_path_factory.mktemp("graphs"))
        kept = built[key]
        shutil.copytree(kept.inputs.parent, where, dirs_exist_ok=True)
        for _ in submodels:
            on_graph()
        graphs = {name: dataclasses.replace(one, path=where / one.path.name) for name, one in kept.graphs.items()}
        return Workload(graphs=graphs, inputs=where / kept.inputs.name)

    return make


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch, make_once: Callable[..., Workload]) -> None:
    """Few submodels are measured, since how well is tried elsewhere."""
    monkeypatch.setattr(selection, "FITTED", 2)
    monkeypatch.setattr(selection, "CHECKED", 1)
    monkeypatch.setattr("bstsearch.measuring.measure.make_workload", make_once)


@pytest.fixture
def box(tmp_path: Path) -> str:
    (tmp_path / "box.py").write_text(BOX)
    return f"{tmp_path / 'box.py'}:Box"


@pytest.fixture(scope="session")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's own file."""
    (code, _) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    path = tmp_path_factory.mktemp("page") / "provider.py"
    path.write_text(code)
    return path


class TestThePage(DriverContract):
    @pytest.fixture
    def device(self, page_file: Path) -> Iterator[Device]:
        kind = runpy.run_path(str(page_file), run_name="provider")["Provider"]
        with kind().open("my-gpu", print) as device:
            yield device


@pytest.mark.usefixtures("few_questions")
def test_a_box_is_measured_and_searched_for(invoke: Invoke, yes_folder: Path, box: str, tmp_path: Path) -> None:
    given = ("--supernet", yes_folder, "--device", "mybox")
    result = invoke("profile", *given, "--via", box, "--option", "port=4242", "--option", "ms=2")
    assert result.exit_code == 0, result.stderr
    assert "mybox answers on 4242" in result.stderr
    found = load_profile(tmp_path / "profiles" / "mybox.json")
    assert (found.via, found.runtime.name, found.models[0].load.other_cores) == ("box", "box", None)
    for row in found.models[0].submodels:
        assert row.latency_ms == pytest.approx(0.1 + 2 * row.weight_bytes / 1e6)
    doors._admitted.clear()  # from here on nobody has named the file
    assert "read from profiles/mybox.json" in invoke("profile", *given).stderr
    assert "--via box" in invoke("devices", "show", "mybox").stdout
    result = invoke("pareto", *given, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["front"]


def test_from_python_it_is_one_call(tiny_easy_folder: Path, box: str, tmp_path: Path) -> None:
    lines: list[str] = []

    class Ear(Listener):
        def note(self, line: str) -> None:
            lines.append(line)

    given = {"profiles": tmp_path, "via": box, "port": 1, "listener": Ear()}
    made = bstsearch.profile("mybox", tiny_easy_folder, **given)
    assert lines == ["mybox answers on 1"]
    assert (
        made == load_profile(tmp_path / "mybox.json") == bstsearch.profile("mybox", tiny_easy_folder, profiles=tmp_path)
    )
    frame = made.to_frame()
    assert list(frame["id"]) == [row.id for row in made.models[0].submodels]
    assert {"latency_ms", "low_ms", "high_ms", "weight_bytes"} <= set(frame.columns)
    assert "times_ms" not in frame.columns
    assert "mybox: measured" in made._repr_html_()
    assert "latency_ms" in made._repr_html_()


def test_what_was_not_measured_has_an_empty_frame(
    tiny_easy_folder: Path, make_estimated: Callable[..., Any], tmp_path: Path
) -> None:
    estimated = make_estimated(tiny_easy_folder)
    assert len(estimated.to_frame()) == 0
    assert "estimated" in estimated._repr_html_()
    assert "<table" not in estimated._repr_html_()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, r"--via box needs --option port=VALUE; give it: Where it listens\."),
        ({"port": "here"}, "^--option port=VALUE of --via box: expected int, not 'here'$"),
        ({"port": 0}, "^--option port=VALUE of --via box: expected int >= 1, not 0$"),
        ({"port": "65536"}, "^--option port=VALUE of --via box: expected int <= 65535, not '65536'$"),
        ({"port": 1, "ms": "nan"}, "^--option ms=VALUE of --via box: expected a finite number, not 'nan'$"),
        ({"port": 1, "fewer": 0.5}, "^--option fewer=VALUE of --via box: expected int, not 0.5$"),
        ({"port": 1, "prot": 2}, r"driver 'box' has no option 'prot'; its options: port \(Where it listens\.\), ms "),
        ({"port": 1, "host": "pi"}, "--host goes with --via ssh, not with box"),
    ],
)
def test_options_that_do_not_fit_are_refused_before_anything_is_built(
    options: dict[str, Any],
    problem: str,
    tiny_easy_folder: Path,
    box: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bstsearch.measuring.measure.measure", lambda *_, **__: pytest.fail("must not measure"))
    with pytest.raises(UsageError, match=problem):
        bstsearch.profile("mybox", tiny_easy_folder, profiles=tmp_path, via=box, **options)


def test_a_file_that_is_no_profile_is_found_before_the_measurement(
    tiny_easy_folder: Path, box: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bstsearch.measuring.measure.measure", lambda *_, **__: pytest.fail("must not measure"))
    (tmp_path / "mybox.json").write_text("{}")
    with pytest.raises(bstsearch.BstsearchError, match=r"mybox\.json has format None"):
        bstsearch.profile("mybox", tiny_easy_folder, profiles=tmp_path, via=box, port=1)


def test_a_driver_that_forgets_runs_is_told_so_at_the_first(tiny_easy_folder: Path, box: str, tmp_path: Path) -> None:
    problem = r"^.+ gave \(\) for '\S+; expected 1 runs of more than 0 ms; see docs/device\.md$"
    with pytest.raises(DeviceError, match=problem):
        bstsearch.profile("mybox", tiny_easy_folder, profiles=tmp_path, via=box, port=1, fewer=1)


def test_two_that_measure_one_device_do_not_get_in_each_others_way(
    tiny_easy_folder: Path, box: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bstsearch.measuring.measure.measure", lambda *_, **__: pytest.fail("must not measure"))
    code = "import sys; from bstsearch.holding import holding; from pathlib import Path\n"
    code += "with holding(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    words = [sys.executable, "-c", code, str(tmp_path / "mybox.json")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        problem = r"mybox\.json is being written by another process; wait until it ends, or give another --profiles$"
        with pytest.raises(UsageError, match=problem):
            bstsearch.profile("mybox", tiny_easy_folder, profiles=tmp_path, via=box, port=1)
        other.communicate(b"")


def test_a_session_that_lacks_a_method_is_told_so_before_it_is_timed(
    tiny_easy_folder: Path, box: str, tmp_path: Path
) -> None:
    file = Path(box.rpartition(":")[0])
    file.write_text(file.read_text().replace("def peak_memory", "def peak"))
    with pytest.raises(DeviceError, match="the driver's session lacks peak_memory; write what"):
        bstsearch.profile("mybox", tiny_easy_folder, profiles=tmp_path, via=box, port=1)


def test_a_provider_that_is_not_there_is_refused(page_file: Path, tiny_easy_folder: Path, tmp_path: Path) -> None:
    via = f"{page_file}:Provider"
    with pytest.raises(DeviceError, match="ONNX Runtime has no FarProvider here"):
        bstsearch.profile("my-gpu", tiny_easy_folder, profiles=tmp_path, via=via, provider="FarProvider")
