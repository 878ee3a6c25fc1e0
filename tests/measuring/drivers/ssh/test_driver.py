"""Against a real ssh server of our own on this machine, which plays the board."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from typer.testing import Result

from bstsearch.errors import DeviceError, UsageError
from bstsearch.measuring.assemble import Measurement
from bstsearch.measuring.driver import Device, OpenDevice, Session, Visit, Workload
from bstsearch.measuring.drivers.ssh.driver import open_device
from bstsearch.measuring.machine import this_hardware
from bstsearch.measuring.runner import MARK, runtime_version, write_pool
from bstsearch.measuring.workload import make_workload, write_complete
from bstsearch.model.supernet_folder import SupernetFolder, read_folder
from bstsearch.profiles.profile import DeviceProfile
from bstsearch.space import Submodel
from bstsearch.testing.drivers import DriverContract

SMALLEST, LARGEST = "w1of4-d1of4", "w1-d1"
PATIENCE_S = 60.0  # for what has to happen, at some time

SSHD = shutil.which("sshd", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))

needs_sshd = pytest.mark.skipif(
    not SSHD or not shutil.which("ssh") or sys.platform != "linux",
    reason="there is no Linux with OpenSSH's server here",
)

NOISY_LOGIN = "echo Welcome to the board; printf 'no end of line'; exec sh -c \"$SSH_ORIGINAL_COMMAND\""


@dataclass(frozen=True, kw_only=True)
class Board:
    """The ssh server. Its client configuration names ways to reach it; temporary files of logins go to `scratch`."""

    server: subprocess.Popen[bytes]
    config: Path
    scratch: Path
    notes: list[str] = field(default_factory=list)

    def measure(
        self,
        workload: Workload,
        work: Callable[[Session], object],
        host: str = "board",
        *,
        threads: int | None = 1,
        cores: tuple[int, ...] = (),
        python: str = sys.executable,
    ) -> None:
        """Has a driver of this board do `work`."""
        command, note = ("ssh", "-F", str(self.config)), self.notes.append
        with (
            open_device(host, threads=threads, cores=cores, note=note, python=python, command=command) as device,
            device.take(workload) as driver,
        ):
            work(driver)

    def folders(self) -> list[Path]:
        """Those that we made, and not the shell's own files."""
        return list(self.scratch.glob("bstsearch-*"))

    def is_tidy(self) -> bool:
        """Whether nothing is left on it, now or soon."""
        return wait_for(lambda: not self.folders())

    def cut(self) -> None:
        """Ends its side of all connections, as a loss of power would; what runs behind them stays."""
        for process in self._processes():
            if process.name().startswith("sshd"):
                process.kill()

    def kill_runner(self) -> None:
        """Ends Python on the board, not the shell around it."""
        for process in self._processes():
            if "python" in process.name():
                process.kill()

    def _processes(self) -> list[psutil.Process]:
        return psutil.Process(self.server.pid).children(recursive=True)


def wait_for(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture(scope="module")
def workload(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Workload:
    submodels = [Submodel.from_id(name) for name in (SMALLEST, LARGEST)]
    return make_workload(read_folder(tiny_folder), submodels, tmp_path_factory.mktemp("workload"))


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    where = tmp_path_factory.mktemp("sshd")
    scratch = where / "scratch"
    scratch.mkdir()
    for name in ("host", "other-host", "user", "noisy-user", "stranger"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", where / name]
        subprocess.run(words, check=True)
    port = _free_port()
    (where / "sshd_config").write_text(_server_config(where, port))
    (where / "authorized_keys").write_text(
        (where / "user.pub").read_text() + f"command={_quoted(NOISY_LOGIN)} {(where / 'noisy-user.pub').read_text()}"
    )
    (where / "known_hosts").write_text(f"[127.0.0.1]:{port} {(where / 'host.pub').read_text()}")
    (where / "known_others").write_text(f"[127.0.0.1]:{port} {(where / 'other-host.pub').read_text()}")
    (where / "empty").write_text("")
    (where / "config").write_text(_client_config(where, port))
    if os.geteuid() == 0:  # the folder that sshd locks itself into before a login; its package makes it at each boot
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with (where / "log").open("wb") as log:
        server = subprocess.Popen([str(SSHD), "-D", "-e", "-f", where / "sshd_config"], stderr=log)
    try:
        if not wait_for(lambda: _listens(port) or server.poll() is not None) or server.poll() is not None:
            pytest.skip(f"sshd does not start here: {(where / 'log').read_text().strip()}")
        yield Board(server=server, config=where / "config", scratch=scratch)
    finally:
        server.terminate()
        server.wait()


def _server_config(where: Path, port: int) -> str:
    return f"""
Port {port}
ListenAddress 127.0.0.1
HostKey {where / "host"}
PidFile none
AuthorizedKeysFile {where / "authorized_keys"}
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
SetEnv TMPDIR={where / "scratch"}
"""


def _client_config(where: Path, port: int) -> str:
    closed = _free_port()
    return f"""
Host wrong-key
  UserKnownHostsFile {where / "known_others"}
Host unknown-key
  UserKnownHostsFile {where / "empty"}
Host stranger
  IdentityFile {where / "stranger"}
Host noisy
  IdentityFile {where / "noisy-user"}
Host off
  Port {closed}
Host * !stranger !noisy
  IdentityFile {where / "user"}
Host *
  HostName 127.0.0.1
  Port {port}
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile {where / "known_hosts"}
  GlobalKnownHostsFile {where / "empty"}
  StrictHostKeyChecking yes
"""


def _quoted(command: str) -> str:
    return '"' + command.replace('"', '\\"') + '"'


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def must_not_open(driver: Session) -> None:
    pytest.fail("must not open")


@needs_sshd
def test_a_board_is_measured_and_left_as_it_was(board: Board, workload: Workload, tmp_path: Path) -> None:
    write_pool(workload.inputs.parent, workload.graphs[LARGEST].weight_bytes)
    write_complete(workload.graphs[LARGEST], tmp_path / "model.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"")

    def work(driver: Session) -> None:
        assert len(board.folders()) == 1
        assert driver.hardware == this_hardware()
        assert (driver.runtime.version, driver.runtime.threads) == (runtime_version(), 1)
        driver.open([SMALLEST, LARGEST])
        visits = [Visit(name=LARGEST, count=2), Visit(name=SMALLEST, count=3), Visit(name=LARGEST, count=1)]
        found = driver.time(visits)
        assert [len(runs) for runs in found] == [2, 3, 1]
        assert all(run.wall_ms > 0 for runs in found for run in runs)
        peak = driver.peak_memory(tmp_path / "model.onnx")
        assert peak is not None
        assert 1_000_000 < peak < 40_000_000
        with pytest.raises(DeviceError, match=r"^board: ONNX Runtime cannot run model\.onnx: \S.*$") as caught:
            driver.peak_memory(tmp_path / "broken.onnx")
        assert "\n" not in str(caught.value)
        driver.time(visits[:1])  # it goes on

    board.measure(workload, work)
    assert not board.folders()  # at once: the block ends after the board has tidied up
    assert board.notes[0] == "connecting to board"
    assert board.notes[1].startswith("sending 2 graphs to board, 0.")


@needs_sshd
def test_what_a_login_prints_is_passed_over(board: Board, workload: Workload) -> None:
    def work(driver: Session) -> None:
        driver.open([SMALLEST])
        assert driver.runtime.threads == this_hardware().cores

    board.measure(workload, work, "noisy", threads=None)


@needs_sshd
def test_python_is_found_from_the_home_folder_and_kept_to_cores(board: Board, workload: Workload) -> None:
    core = max(os.sched_getaffinity(0))

    def work(driver: Session) -> None:
        assert (driver.runtime.threads, driver.runtime.cores_used) == (1, f"cores {core}")

    python = "~/" + os.path.relpath(sys.executable, Path.home())
    board.measure(workload, work, python=python, threads=None, cores=(core,))


@needs_sshd
@pytest.mark.parametrize(
    ("host", "problem"),
    [
        ("wrong-key", r"^the host key of wrong-key is not the one .*'ssh-keygen -R wrong-key'"),
        ("unknown-key", r"^this computer does not know the host key of unknown-key yet; connect once by hand"),
        ("stranger", r"^stranger accepts no key of yours; 'ssh-copy-id stranger' puts one there"),
        ("off", r"^off is there, but runs no ssh server; .*; in Termux: 'sshd', and its port is 8022, as in ssh://off"),
    ],
)
def test_who_cannot_be_reached_is_told_why(host: str, problem: str, board: Board, workload: Workload) -> None:
    with pytest.raises(DeviceError, match=problem) as caught:
        board.measure(workload, must_not_open, host)
    assert "\n" not in str(caught.value)
    assert board.is_tidy()


@needs_sshd
class TestPython:
    def refused(self, board: Board, workload: Workload, python: str) -> str:
        with pytest.raises(DeviceError) as caught:
            board.measure(workload, must_not_open, python=python)
        assert board.is_tidy()
        return str(caught.value)

    def script(self, path: Path, *words: str) -> str:
        path.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        path.chmod(0o755)
        return str(path)

    def test_none_there(self, board: Board, workload: Workload) -> None:
        line = self.refused(board, workload, "no-such-python")
        assert line.startswith("board has no 'no-such-python'; install Python 3.8 or newer there, or name one")

    def test_without_a_runtime(self, board: Board, workload: Workload, tmp_path: Path) -> None:
        python = self.script(tmp_path / "python3", sys.executable, "-S")  # without site-packages
        line = self.refused(board, workload, python)
        assert line.startswith(f"board: Python {sys.executable} cannot load onnxruntime: No module named ")
        assert f"'{sys.executable} -m pip install onnxruntime numpy' installs it" in line
        assert line.endswith("--board-python)")

    def test_one_that_fails(self, board: Board, workload: Workload, tmp_path: Path) -> None:
        python = self.script(tmp_path / "python3", sys.executable, "-c", "import sys; sys.exit('it is too old')")
        assert "does not start on board: it is too old; --board-python names" in self.refused(board, workload, python)


@needs_sshd
def test_a_board_that_leaves_is_told_and_tidies_up(board: Board, workload: Workload) -> None:
    def work(driver: Session) -> None:
        driver.open([SMALLEST])
        board.cut()
        driver.time([Visit(name=SMALLEST, count=1)])

    with pytest.raises(DeviceError, match=r"^board left in the middle of the measurement \(.+\); check its power"):
        board.measure(workload, work)
    assert board.is_tidy()


@needs_sshd
def test_a_killed_runner_tidies_up(board: Board, workload: Workload) -> None:
    """As when memory runs out on the board."""

    def work(driver: Session) -> None:
        board.kill_runner()
        driver.open([SMALLEST])

    with pytest.raises(DeviceError, match=r"^board ended the measurement, most likely for want of memory"):
        board.measure(workload, work)
    assert board.is_tidy()


@needs_sshd
def test_an_interrupt_ends_the_boards_work_and_tidies_up(board: Board, workload: Workload) -> None:
    """Ctrl-C while the board is at work on what would take minutes."""

    def work(driver: Session) -> None:
        driver.open([SMALLEST])
        main = threading.main_thread().ident
        threading.Timer(0.5, signal.pthread_kill, [main, signal.SIGINT]).start()
        driver.time([Visit(name=SMALLEST, count=1000)] * 1000)

    # A shell starts jobs in its background with SIGINT ignored, and Python leaves it so.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            board.measure(workload, work)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not board.folders()


# As docs/devices.md says it of an Android phone

DOCUMENT = (Path(__file__).parents[4] / "docs" / "devices.md").read_text(encoding="utf-8")
(TERMUX,) = re.findall(r"^## An Android phone over ssh.*?(?=^## )", DOCUMENT, re.MULTILINE | re.DOTALL)
LINES = [line.strip() for block in re.findall(r"```sh\n(.*?)```", TERMUX, re.DOTALL) for line in block.splitlines()]
PHONE = r"[a-z0-9_]+@(192\.168\.1\.20|localhost)"


@pytest.fixture
def phone(board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """The commands of the document, with this server's address in place of the phone's; `ssh` has the user's key."""
    (config_of_host,) = re.findall(r"```text\n(Host my-phone\n.*?)```", TERMUX, re.DOTALL)
    told, where = ssh_options(board.config, "board"), tmp_path / "config"
    keys = [f"{name} {told[name.lower()]}" for name in ("IdentityFile", "UserKnownHostsFile", "IdentitiesOnly")]

    def here(text: str) -> str:
        text = re.sub(PHONE + r":\d+", f"{told['user']}@127.0.0.1:{told['port']}", text)
        text = re.sub(r"-p \d+ " + PHONE, f"-p {told['port']} {told['user']}@127.0.0.1", text)
        text = re.sub(r"HostName \S+", "HostName 127.0.0.1", text)
        text = re.sub(r"Port \d+", f"Port {told['port']}", text)
        return re.sub(r"User \S+", f"User {told['user']}", text)

    where.write_text("\n".join([here(config_of_host), "Host *", *keys, "IdentityAgent none", "BatchMode yes"]))
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {shlex.quote(str(where))} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return here


def ssh_options(config: Path, host: str) -> dict[str, str]:
    words = ["ssh", "-F", str(config), "-G", host]
    lines = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    return {name: value for name, _, value in (line.partition(" ") for line in lines)}


@needs_sshd
@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("bstsearch profile") and "ssh" in line])
def test_the_profile_commands_for_an_android_phone_reach_it(
    line: str,
    phone: Callable[[str], str],
    workload: Workload,
    tiny_folder: Path,
    make_profile: Callable[..., DeviceProfile],
    invoke: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured: list[tuple[str, list[tuple[float, ...]]]] = []

    def measure(folder: SupernetFolder, open_device: OpenDevice, **_: object) -> Measurement:
        with open_device() as device:
            device.prepare(1, 2)
            with device.take(workload) as driver:
                driver.open([SMALLEST])
                measured.append((driver.hardware.title, driver.time([Visit(name=SMALLEST, count=2)])))
        made = make_profile(folder.path)
        return Measurement(hardware=made.hardware, runtime=made.runtime, model=made.models[0])

    monkeypatch.setattr("bstsearch.measuring.measure.measure", measure)
    words = shlex.split(phone(line).partition(" #")[0])[1:]
    if "--board-python" in words:  # Python lies elsewhere here
        words[words.index("--board-python") + 1] = sys.executable
    else:
        words += ["--board-python", sys.executable]
    result = invoke(*words, "--supernet", tiny_folder)
    assert result.exit_code == 0, result.stderr
    ((title, (times_ms,)),) = measured
    assert title == this_hardware().title
    assert len(times_ms) == 2


@needs_sshd
@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("ssh ")])
def test_the_check_of_an_android_phone_finds_its_runtime(line: str, phone: Callable[[str], str]) -> None:
    command = phone(line).partition(" #")[0].replace("python3", sys.executable)
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, runtime_version()), done.stderr


def test_the_document_has_commands_for_an_android_phone() -> None:
    assert len([line for line in LINES if "--via ssh" in line]) == 4
    assert len([line for line in LINES if line.startswith("ssh ")]) == 1


# Without a server


def open_with(host: str, *command: str) -> None:
    with open_device(host, threads=1, note=lambda line: None, command=command):
        pytest.fail("must not open")


@pytest.mark.parametrize("host", ["", "-oProxyCommand=touch x", "a b", "a\nb", "\x1b[2J"])
def test_what_is_no_host_is_wrong_usage(host: str) -> None:
    with pytest.raises(UsageError, match=r"is no host; give one as for ssh, like pi@raspberrypi\.local"):
        open_with(host, "no-such-ssh")


def test_a_computer_without_ssh_says_so() -> None:
    with pytest.raises(DeviceError, match=r"^there is no program 'no-such-ssh'; install the OpenSSH client$"):
        open_with("pi@board", "no-such-ssh")


def fake_ssh(errors: str, status: int, output: str = "") -> Sequence[str]:
    """An ssh that says what it has to say, where that is an answer once there is something to answer, and ends."""
    wait = "sys.stdin.buffer.read(1);" if output else ""
    code = "import sys; {} sys.stdout.write({!r}); sys.stdout.flush(); sys.stderr.write({!r}); sys.exit({!r})"
    return (sys.executable, "-c", code.format(wait, output, errors, status))


@pytest.mark.parametrize(
    ("errors", "status", "problem"),
    [
        (
            "ssh: Could not resolve hostname board: Name or service not known\r\n",
            255,
            "there is no host board; check the name, or give the address",
        ),
        (
            "ssh: connect to host board port 22: No route to host\r\n",
            255,
            "pi@board does not answer; check that it is on, and in the same network",
        ),
        (
            "ssh: connect to host board port 22: Connection timed out\r\n",
            255,
            "pi@board does not answer; check that it is on, and in the same network",
        ),
        (
            "Bad configuration\n\x1b[2Jkex_exchange_identification: Connection closed by remote host\r\n\n",
            255,
            "cannot connect to pi@board: [2Jkex_exchange_identification: Connection closed by remote host; "
            "'ssh pi@board true' must work without a question",
        ),
        ("", 255, "cannot connect to pi@board: exit status 255; 'ssh pi@board true' must work without a question"),
        (
            "mktemp: failed to create directory: No space left on device\n",
            1,
            "'python3' does not start on pi@board: mktemp: failed to create directory: No space left on device; "
            "--board-python names another one there",
        ),
    ],
)
def test_what_ssh_says_becomes_one_line(errors: str, status: int, problem: str) -> None:
    with pytest.raises(DeviceError) as caught:
        open_with("pi@board", *fake_ssh(errors, status, "Welcome\n"))
    assert str(caught.value) == problem


CHANGED = "@@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @@\nHost key verification failed.\n"
DENIED = "u0_a1@phone: Permission denied (publickey).\n"


@pytest.mark.parametrize(
    ("errors", "host", "remedy"),
    [
        (CHANGED, "pi@board", "then 'ssh-keygen -R board', and connect once by hand with 'ssh pi@board'"),
        (CHANGED, "ssh://u0_a1@phone:8022", """then "ssh-keygen -R '[phone]:8022'", and connect once by hand with """),
        (CHANGED, "ssh://phone:22", "then 'ssh-keygen -R phone', and connect once by hand with 'ssh ssh://phone:22'"),
        (CHANGED, "ssh://u0_a1@[fe80::1]/", "then 'ssh-keygen -R [fe80::1]', and connect"),
        (DENIED, "ssh://u0_a1@phone:8022", "; 'ssh-copy-id -p 8022 u0_a1@phone' puts one there"),
        (DENIED, "ssh://phone", "; 'ssh-copy-id phone' puts one there"),
        (DENIED, "board", "; 'ssh-copy-id board' puts one there"),
    ],
)
def test_what_to_do_holds_for_an_address_with_a_port(errors: str, host: str, remedy: str) -> None:
    with pytest.raises(DeviceError) as caught:
        open_with(host, *fake_ssh(errors, 255, "Welcome\n"))
    assert remedy in str(caught.value)


@pytest.mark.parametrize("answer", ["", "not a whole li"])
def test_an_answer_that_does_not_come_is_a_lost_connection(answer: str) -> None:
    with pytest.raises(DeviceError, match=r"^pi@board left in the middle of the measurement \(exit status 0\)"):
        open_with("pi@board", *fake_ssh("", 0, f"{MARK}\n{answer}"))


@needs_sshd
class TestSsh(DriverContract):
    tells_memory = True

    @pytest.fixture
    def device(self, board: Board) -> Iterator[Device]:
        command = ("ssh", "-F", str(board.config))
        with open_device("board", threads=1, note=print, python=sys.executable, command=command) as device:
            yield device
