from __future__ import annotations

import ast
import io
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import psutil
import pytest
from processes import running

from bstsearch.measuring import runner
from bstsearch.measuring.driver import Workload
from bstsearch.measuring.runner import INPUTS, POOL, Runner, RunnerError
from bstsearch.measuring.workload import make_workload, write_complete
from bstsearch.model.supernet_folder import read_folder
from bstsearch.space import Submodel

SMALLEST, LARGEST = "w1of4-d1of4", "w1-d1"


class Ticks:
    """A timer that advances a millisecond and a bit at each look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.0010000004
        return self.now


@pytest.fixture(scope="module")
def workload(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Workload:
    where = tmp_path_factory.mktemp("workload")
    submodels = [Submodel.from_id(name) for name in (SMALLEST, LARGEST)]
    made = make_workload(read_folder(tiny_folder), submodels, where)
    runner.write_pool(where, max(graph.weight_bytes for graph in made.graphs.values()))
    return made


@pytest.fixture(scope="module")
def models(workload: Workload, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same graphs with their weights inside."""
    where = tmp_path_factory.mktemp("models")
    for name, graph in workload.graphs.items():
        write_complete(graph, where / f"{name}.onnx")
    return {name: where / f"{name}.onnx" for name in workload.graphs}


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.onnx"
    path.write_bytes(onnx.ModelProto().SerializeToString())
    return path


# What a board has


def test_the_script_needs_python_3_8_and_what_a_board_has() -> None:
    tree = ast.parse(Path(runner.__file__).read_text(), feature_version=(3, 8))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module).partition(".")[0])
    assert imported <= sys.stdlib_module_names | {"numpy", "onnxruntime", "psutil"}  # the last where it is there


def test_without_psutil_linux_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    before = runner.hardware_facts()
    monkeypatch.setitem(sys.modules, "psutil", None)
    assert runner.hardware_facts() == before


# Running


def test_every_visit_runs_untimed_first(workload: Workload) -> None:
    calls = []
    here = Runner(1, workload.inputs, Ticks(), usage=lambda: (0.25 * len(calls) ** 2, len(calls)))
    here._sessions["graph"] = SimpleNamespace(run=lambda *arguments: calls.append(arguments))
    runs = here.time("graph", 3)
    assert [run.wall_ms for run in runs] == [1.0, 1.0, 1.0]  # milliseconds, to the nanosecond
    assert [run.cpu_ms for run in runs] == [1750.0, 2250.0, 2750.0]  # 0.25 x (4^2 - 3^2) s, and so on
    assert [run.switches for run in runs] == [1, 1, 1]
    assert len(calls) == 6


@pytest.mark.parametrize(("threads", "is_told"), [(1, True), (2, False)])
def test_what_a_run_used_is_told_where_its_thread_is_the_only_one(
    threads: int, is_told: bool, workload: Workload
) -> None:
    here = Runner(threads, workload.inputs)
    here._sessions["graph"] = SimpleNamespace(run=lambda *_: None)
    (run,) = here.time("graph", 1)
    assert (run.cpu_ms is not None) == is_told
    assert (run.switches is not None) == (is_told and hasattr(resource, "RUSAGE_THREAD"))


def test_graphs_run_with_weights_from_the_pool(workload: Workload) -> None:
    here = Runner(1, workload.inputs)
    here.open({name: graph.path for name, graph in workload.graphs.items()})
    for name in (SMALLEST, LARGEST):
        runs = here.time(name, 2)
        assert len(runs) == 2
        assert all(0 < run.wall_ms == round(run.wall_ms, 6) for run in runs)
    (logits,) = here._sessions[LARGEST].run(None, here._feed)
    assert np.isfinite(logits).all()


def test_graphs_replace_those_opened_before(workload: Workload) -> None:
    here = Runner(1, workload.inputs)
    here.open({SMALLEST: workload.graphs[SMALLEST].path})
    here.open({LARGEST: workload.graphs[LARGEST].path})
    assert list(here._sessions) == [LARGEST]


def test_sessions_have_the_threads_asked_for_and_let_go_of_the_cores(workload: Workload) -> None:
    options = runner.open_session(workload.graphs[SMALLEST].path, 1).get_session_options()
    assert options.intra_op_num_threads == 1
    assert options.get_session_config_entry("session.force_spinning_stop") == "1"


def test_a_graph_that_does_not_open_is_named_in_one_line(workload: Workload, broken: Path) -> None:
    with pytest.raises(RunnerError, match=r"^ONNX Runtime cannot open 'w1-d1': \S") as caught:
        Runner(1, workload.inputs).open({"w1-d1": broken})
    assert "\n" not in str(caught.value)


def test_a_graph_that_does_not_run_is_named_in_one_line(workload: Workload, tmp_path: Path) -> None:
    np.savez(tmp_path / INPUTS, other=np.zeros(1))
    here = Runner(1, tmp_path / INPUTS)
    here.open({"w1-d1": workload.graphs[LARGEST].path})
    with pytest.raises(RunnerError, match=r"^ONNX Runtime cannot run 'w1-d1': \S") as caught:
        here.time("w1-d1", 1)
    assert "\n" not in str(caught.value)


def test_peak_memory_grows_with_the_model_and_leaves_out_the_runtime(
    workload: Workload, models: dict[str, Path]
) -> None:
    here = Runner(1, workload.inputs)
    smallest, largest = (here.peak_memory(models[name]) for name in (SMALLEST, LARGEST))
    # The process itself, numpy and the runtime take 50 MB, which must not be counted.
    assert smallest is not None
    assert largest is not None
    assert 1_000_000 < smallest < largest < 40_000_000


def test_a_model_without_memory_to_tell_of_is_named(workload: Workload, broken: Path) -> None:
    with pytest.raises(RunnerError, match=r"^ONNX Runtime cannot run broken\.onnx: \S") as caught:
        Runner(1, workload.inputs).peak_memory(broken)
    assert "\n" not in str(caught.value)


def test_a_killed_process_tells_of_memory(workload: Workload, monkeypatch: pytest.MonkeyPatch, broken: Path) -> None:
    result = subprocess.CompletedProcess((), -9, stdout="", stderr="")
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **options: result)
    with pytest.raises(RunnerError, match=r"killed, most likely for want of memory$"):
        Runner(1, workload.inputs).peak_memory(broken)


def test_a_system_that_does_not_tell_memory_gives_none(
    workload: Workload, models: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "_resident_bytes", lambda linux, elsewhere: None)
    runner.main(["peak-memory", str(models[SMALLEST]), str(workload.inputs), "1"])
    assert capsys.readouterr().out == "null\n"


def test_resident_bytes_are_linux_own_count_or_psutils(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "STATUS", tmp_path / "status")
    assert runner._resident_bytes("VmRSS", "rss") > 1_000_000
    (tmp_path / "status").write_text("Name:\tpython\nVmRSS:\t    2000 kB\n")
    assert runner._resident_bytes("VmRSS", "rss") == 2_048_000
    assert runner._resident_bytes("VmHWM", "peak_wset") is None


@pytest.mark.parametrize("size", [64, runner.CHUNK, runner.CHUNK + 1])
def test_the_pool_holds_small_numbers_and_enough_of_them(size: int, tmp_path: Path) -> None:
    runner.write_pool(tmp_path, size)
    weights = np.fromfile(tmp_path / POOL, dtype=np.float32)
    assert size <= weights.nbytes < size + runner.CHUNK
    assert np.isfinite(weights).all()
    assert 0.04 < np.abs(weights).max() <= 0.05
    assert len(np.unique(weights[:1000])) > 900
    assert [path.name for path in tmp_path.iterdir()] == [POOL]


def test_the_pool_is_named_as_the_graphs_name_it(workload: Workload) -> None:
    model = onnx.load(workload.graphs[LARGEST].path, load_external_data=False)
    named = {
        entry.value for tensor in model.graph.initializer for entry in tensor.external_data if entry.key == "location"
    }
    assert (*named, workload.inputs.name) == (runner.POOL, runner.INPUTS)


def test_a_missing_runtime_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(runner.MissingRuntimeError) as caught:
        runner.runtime_version()
    assert str(caught.value).startswith(f"Python {sys.executable} cannot load onnxruntime: ")
    assert str(caught.value).endswith(f"; '{sys.executable} -m pip install onnxruntime numpy' installs it")


def test_a_runtime_without_processors_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = SimpleNamespace(get_available_providers=lambda: ["OtherExecutionProvider"], __version__="1.0")
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    with pytest.raises(RunnerError, match="has no CPUExecutionProvider, only OtherExecutionProvider; install it anew"):
        runner.runtime_version()


# The computer


@pytest.fixture
def sixteen_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of eight cores with two hardware threads each: 0 and 8 are one core, 1 and 9 the next."""
    for index in range(16):
        folder = tmp_path / f"cpu{index}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{index % 8},{index % 8 + 8}\n")
    monkeypatch.setattr(runner, "TOPOLOGY", tmp_path)
    monkeypatch.setattr(runner, "GROUPS", tmp_path / "no-groups")
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 16 if logical else 8)
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)), raising=False)


@pytest.mark.usefixtures("sixteen_threads")
class TestAvailableCores:
    def test_hardware_threads_of_one_core_count_once(self) -> None:
        assert runner.available_cores() == 8

    @pytest.mark.parametrize(("allowed", "cores"), [({0, 8}, 1), ({0, 1, 8}, 2), ({3}, 1)])
    def test_only_cores_this_process_may_use_count(
        self, allowed: set[int], cores: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "sched_getaffinity", lambda process: allowed, raising=False)
        assert runner.available_cores() == cores

    @pytest.mark.parametrize(("quota", "cores"), [(0.5, 1), (1.5, 2), (2.0, 2), (64.0, 8), (None, 8)])
    def test_a_quota_counts(self, quota: float | None, cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(runner, "cpu_quota", lambda: quota)
        assert runner.available_cores() == cores

    def test_the_smaller_of_affinity_and_quota_holds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(runner, "cpu_quota", lambda: 4.0)
        monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0}, raising=False)
        assert runner.available_cores() == 1

    def test_without_topology_the_smaller_count_holds(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(runner, "TOPOLOGY", tmp_path / "none")
        assert runner.available_cores() == 8
        monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1}, raising=False)
        assert runner.available_cores() == 2

    def test_systems_without_affinity_use_all_physical_cores(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delattr(os, "sched_getaffinity")
        assert runner.available_cores() == 8
        monkeypatch.setitem(sys.modules, "psutil", None)
        assert runner.available_cores() == 16


# As the kernel writes them, with TOP in place of /sys/fs/cgroup.
FIRST = (
    """\
5:memory:/docker/ab
4:cpu,cpuacct:/docker/ab
1:name=systemd:/docker/ab
""",
    """\
22 1 0:20 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
31 23 0:28 / TOP rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / TOP/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
33 31 0:30 / TOP/cpuset rw,relatime - cgroup cgroup rw,cpuset
34 31 0:31 / TOP/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
""",
)
SECOND = "0::/user.slice/run.scope\n", "26 22 0:24 / TOP rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
# A container of version 1 without a namespace of its own, and one of version 2 with it.
BOUND = FIRST[0], "32 31 0:29 /docker/ab TOP/cpu ro,relatime master:9 - cgroup cgroup rw,cpu,cpuacct\n"
SPACED = "0::/\n", "26 22 0:24 / TOP ro,nosuid - cgroup2 cgroup rw\n"
OUTSIDE = "0::/elsewhere\n", "26 22 0:24 /docker/ab TOP ro - cgroup2 cgroup rw\n"
HYBRID = FIRST[0] + "0::/\n", FIRST[1] + "41 31 0:38 / TOP/unified rw - cgroup2 cgroup2 rw\n"


class TestQuota:
    @pytest.fixture
    def told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., float | None]:
        """The quota under these lines of groups and mounts, with limits by folder: a number is quota of 100,000."""
        monkeypatch.setattr(runner, "GROUPS", tmp_path / "groups")
        monkeypatch.setattr(runner, "MOUNTS", tmp_path / "mounts")

        def tell(system: tuple[str, str], limits: dict[str, str]) -> float | None:
            (tmp_path / "groups").write_text(system[0])
            (tmp_path / "mounts").write_text(system[1].replace("TOP", str(tmp_path / "top")))
            for place, text in limits.items():
                path = tmp_path / "top" / place
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return runner.cpu_quota()

        return tell

    @staticmethod
    def first(folder: str, quota: str) -> dict[str, str]:
        return {f"{folder}/cpu.cfs_quota_us": f"{quota}\n", f"{folder}/cpu.cfs_period_us": "100000\n"}

    def test_version_1(self, told: Callable[..., float | None]) -> None:
        assert told(FIRST, self.first("cpu,cpuacct/docker/ab", "-1")) is None
        assert told(FIRST, self.first("cpu,cpuacct/docker/ab", "50000")) == 0.5
        assert told(FIRST, self.first("cpu,cpuacct/docker", "150000")) == 0.5  # the tightest of both
        assert told(FIRST, self.first("cpu,cpuacct", "25000")) == 0.25

    def test_version_2(self, told: Callable[..., float | None]) -> None:
        assert told(SECOND, {"user.slice/run.scope/cpu.max": "max 100000\n"}) is None
        assert told(SECOND, {"user.slice/cpu.max": "400000 200000\n"}) == 2
        assert told(SECOND, {"user.slice/run.scope/cpu.max": "50000 100000\n"}) == 0.5

    def test_another_hierarchy_has_no_say(self, told: Callable[..., float | None]) -> None:
        assert told(FIRST, self.first("cpuset/docker/ab", "50000") | self.first("systemd/docker/ab", "50000")) is None

    @pytest.mark.parametrize("system", [BOUND, SPACED, OUTSIDE])
    def test_inside_a_container(self, told: Callable[..., float | None], system: tuple[str, str]) -> None:
        assert told(system, {"cpu.max": "70000 100000\n"} | self.first("cpu", "70000")) == 0.7

    def test_both_versions_side_by_side(self, told: Callable[..., float | None]) -> None:
        assert told(HYBRID, self.first("cpu,cpuacct/docker/ab", "30000")) == 0.3
        assert told(HYBRID, {"unified/cpu.max": "20000 100000\n"}) == 0.2

    def test_a_system_without_groups_has_none(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(runner, "MOUNTS", tmp_path / "none")
        assert runner.cpu_quota() is None


def test_a_phone_has_the_name_that_its_system_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "DEVICE_TREE", tmp_path)  # which Android lets no app read
    told = SimpleNamespace(manufacturer="Google", model="Pixel 7")
    monkeypatch.setattr(platform, "android_ver", lambda: told, raising=False)
    assert runner.hardware_facts()["title"] == "Google Pixel 7"
    told.manufacturer = told.model = ""  # as elsewhere
    assert runner.hardware_facts()["title"] == runner.cpu_name()


def test_the_processor_has_the_name_its_maker_gave_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "CPU_INFO", tmp_path / "cpuinfo")
    assert runner.cpu_name()  # no such file: the architecture
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel\t\t: 17\nmodel name\t: Example 9000 @ 3 GHz\n\n")
    assert runner.cpu_name() == "Example 9000 @ 3 GHz"
    (tmp_path / "cpuinfo").write_text("processor\t: 0\n")
    assert runner.cpu_name() not in ("", "0")


def test_a_board_is_called_what_its_device_tree_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "DEVICE_TREE", tmp_path)
    facts = runner.hardware_facts()
    assert facts["title"] == facts["soc"] == runner.cpu_name()
    (tmp_path / "model").write_bytes(b"Example Board 4\0")
    (tmp_path / "compatible").write_bytes(b"example,board-4\0maker,chip2711\0")
    facts = runner.hardware_facts()
    assert (facts["title"], facts["soc"]) == ("Example Board 4", "maker,chip2711")
    assert facts["memory_bytes"] > 1_000_000


def test_memory_is_psutils_where_the_system_has_no_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sysconf_names", {}, raising=False)
    assert runner.memory_bytes() == psutil.virtual_memory().total
    monkeypatch.setitem(sys.modules, "psutil", None)
    assert runner.memory_bytes() is None


class TestPinning:
    @pytest.fixture
    def pinned(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
        calls: list[tuple[int, ...]] = []
        monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 4}, raising=False)
        monkeypatch.setattr(os, "sched_setaffinity", lambda process, cores: calls.append(cores), raising=False)
        return calls

    def test_cores_that_are_there_are_taken(self, pinned: list[tuple[int, ...]]) -> None:
        assert runner.pin((0, 4)) == {0, 1, 4}
        assert pinned == [(0, 4)]

    def test_other_cores_are_refused(self, pinned: list[tuple[int, ...]]) -> None:
        with pytest.raises(RunnerError, match=r"^no core 2; there are \[0, 1, 4\]$"):
            runner.pin((1, 3, 2))
        assert pinned == []

    def test_a_system_that_cannot_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delattr(os, "sched_setaffinity")
        with pytest.raises(RunnerError, match="cannot keep a process to chosen cores"):
            runner.pin((0,))


# Over pipes


class Host:
    """The other end of a runner that runs as a script of its own."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        assert process.stdin
        assert process.stdout
        self.process, self.folder, self.requests, self.replies = process, folder, process.stdin, process.stdout

    def ask(self, request: str, data: bytes = b"", **arguments: Any) -> Any:
        self.requests.write(json.dumps({"do": request, **arguments}).encode() + b"\n" + data)
        self.requests.flush()
        return json.loads(self.replies.readline())

    def send(self, path: Path, name: str) -> Any:
        return self.ask("file", path.read_bytes(), name=name, size=path.stat().st_size)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A runner that runs as it would on a board: a copy, in a folder of its own."""
    folder = tmp_path_factory.mktemp("board")
    script = shutil.copy(runner.__file__, folder)
    words = [sys.executable, script]
    with running(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        found = Host(process, folder)
        assert found.replies.readline() == b"\n"  # so that what a login printed cannot be on the same line
        assert found.replies.readline().decode().strip() == runner.MARK
        yield found
        found.requests.close()
        assert process.wait() == 0
        assert process.stderr
        assert process.stderr.read() == b""


def test_a_script_answers_requests_until_they_end(host: Host, workload: Workload, models: dict[str, Path]) -> None:
    """All that a measurement does, in order."""
    assert host.ask("open", graphs={}) == {"error": "'start' comes before other requests", "kind": "RunnerError"}
    started = host.ask("start", threads=1, cores=[])
    assert host.ask("alive") == {"ok": None}
    assert host.ask("pool", size=max(graph.weight_bytes for graph in workload.graphs.values())) == {"ok": None}
    facts = runner.hardware_facts()
    assert started == {"ok": {"hardware": facts, "version": runner.runtime_version(), "threads": 1}}
    assert host.send(workload.inputs, INPUTS) == {"ok": None}
    for number, graph in enumerate(workload.graphs.values()):
        assert host.send(graph.path, f"{number}.onnx") == {"ok": None}
    assert host.ask("open", graphs={SMALLEST: "0.onnx", LARGEST: "1.onnx"}) == {"ok": None}
    found = host.ask("time", visits=[[LARGEST, 2], [SMALLEST, 3], [LARGEST, 1]])["ok"]
    assert [len(runs) for runs in found] == [2, 3, 1]
    assert all(len(run) == 3 and run[0] > 0 for runs in found for run in runs)
    host.send(models[SMALLEST], "model.onnx")
    assert host.ask("peak_memory", model="model.onnx")["ok"] > 1_000_000


def test_an_error_is_answered_and_the_runner_goes_on(host: Host) -> None:
    told = "a request is a JSON object that says what to do"
    assert host.ask("surprise") == {"error": told, "kind": "RunnerError"}
    assert host.ask("file", b"12345", name="no/folder", size=5)["kind"] == "FileNotFoundError"  # and the bytes are gone
    assert host.ask("file", b"12345", name="file", size=5) == {"ok": None}
    assert (host.folder / "file").read_bytes() == b"12345"


def test_what_libraries_print_does_not_get_among_the_replies(tmp_path: Path) -> None:
    shutil.copy(runner.__file__, tmp_path)
    (tmp_path / "onnxruntime.py").write_text("import os\nos.write(1, b'hello\\n')\nraise ImportError('broken')\n")
    request = json.dumps({"do": "start", "threads": 1, "cores": []}) + "\n"
    words = [sys.executable, tmp_path / "runner.py"]
    done = subprocess.run(words, input=request, capture_output=True, text=True, check=True)
    assert done.stderr == "hello\n"
    (reply,) = (json.loads(line) for line in done.stdout.splitlines()[2:])
    assert (reply["kind"], "cannot load onnxruntime: broken" in reply["error"]) == ("MissingRuntimeError", True)


class Pipe:
    """Requests that a runner in this process reads, and its replies."""

    def __init__(self, folder: Path) -> None:
        read, write = os.pipe()
        self.requests, self.host = os.fdopen(read, "rb"), os.fdopen(write, "wb", buffering=0)
        self.folder, self.replies = folder, io.BytesIO()

    def serve(self, idle_s: float = runner.IDLE_S) -> list[str]:
        runner.serve(self.requests, self.replies, self.folder, idle_s)
        return self.replies.getvalue().decode().split("\n")


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Pipe]:
    made = Pipe(tmp_path)
    yield made
    made.requests.close()
    made.host.close()


def test_a_runner_leaves_a_host_that_asks_nothing(pipe: Pipe) -> None:
    assert pipe.serve(idle_s=0) == ["", runner.MARK, ""]


def test_a_runner_stops_between_visits_when_the_host_leaves(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    visited: list[str] = []
    leave: dict[str, Callable[[], None]] = {"second": pipe.host.close}

    def time(self: Runner, name: str, count: int) -> list[float]:
        visited.append(name)
        leave.get(name, lambda: None)()
        return [1.0]

    monkeypatch.setattr(Runner, "time", time)
    monkeypatch.setattr(runner._Service, "_started", lambda self: Runner(1, Path()))
    visits = [["first", 1], ["second", 1], ["third", 1]]
    pipe.host.write(json.dumps({"do": "time", "visits": visits}).encode() + b"\n")
    assert pipe.serve() == ["", runner.MARK, ""]
    assert visited == ["first", "second"]


def test_a_host_that_leaves_within_a_file_ends_the_runner(pipe: Pipe) -> None:
    pipe.host.write(json.dumps({"do": "file", "name": "file", "size": 10}).encode() + b"\n12345")
    pipe.host.close()
    assert pipe.serve() == ["", runner.MARK, ""]


def test_a_request_that_is_none_is_answered(pipe: Pipe) -> None:
    requests = [b"5", b"[]", b"{}", b"null", b"nonsense", b"\xff", b'{"do": "files"}', b'{"do": []}']
    pipe.host.write(b"".join(request + b"\n" for request in requests))
    pipe.host.close()
    _, mark, *replies, _ = pipe.serve()
    assert mark == runner.MARK
    assert [list(json.loads(reply)) for reply in replies] == [["error", "kind"]] * len(requests)


def test_a_request_without_an_end_ends_the_runner(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "LONGEST_LINE", 10)
    pipe.host.write(b"a" * 100)
    assert pipe.serve() == ["", runner.MARK, ""]


@pytest.mark.parametrize("told", ["", "\n", "-1", "0", "1.5", "NaN", "[]", '"1"', "9" * 30, "a" * 100_000])
def test_a_process_that_tells_no_memory_is_an_error(told: str) -> None:
    with pytest.raises(RunnerError, match=r"^the process that ran a\.onnx told .{2,42}, not how much memory"):
        runner._peak_of(told, Path("a.onnx"))


def test_the_last_line_tells_the_memory() -> None:
    assert runner._peak_of("a warning\n1024\n", Path("a.onnx")) == 1024
    assert runner._peak_of("null\n", Path("a.onnx")) is None


def test_a_host_that_does_not_read_ends_the_runner() -> None:
    words = [sys.executable, runner.__file__]
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    with running(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdin
        assert process.stdout
        process.stdout.read(len(runner.MARK) + 2)
        process.stdout.close()
        process.stdin.write(b'{"do": "surprise"}\n')  # whose answer does not arrive; the pipe stays open
        process.stdin.flush()
        assert process.wait() == 0
