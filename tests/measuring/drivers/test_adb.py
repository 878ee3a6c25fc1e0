"""Phones over adb: the real program where it has no phone to show, and a false one that says what the real one says."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from bstsearch.errors import DeviceError
from bstsearch.measuring.driver import Device, Graph, Session, Workload
from bstsearch.measuring.drivers import adb
from bstsearch.testing.drivers import DriverContract

ADB = shutil.which("adb")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
ORT_WEB = Path(os.environ.get("BSTSEARCH_ORT_WEB", "node_modules/onnxruntime-web"))

HEAD = "List of devices attached\n"
PIXEL = "0A1B2C3D4E5F           device usb:1-2 product:panther model:Pixel_7 device:panther transport_id:4\n"
EMULATOR = "emulator-5554          offline transport_id:1\n"
STARTING = "* daemon not running; starting now at tcp:5037\n* daemon started successfully\n"
PROPERTIES = {
    "ro.product.manufacturer": "Google",
    "ro.product.model": "Pixel 7",
    "ro.soc.manufacturer": "Google",
    "ro.soc.model": "Tensor G2",
    "ro.board.platform": "gs201",
}

# What each command line does; %s is a case for `devices`, and what `am start` runs.
SCRIPT = """#!/bin/sh
echo "$*" >> {log}
case "$*" in
  "devices -l") cat {listing} ;;
  "-s 0A1B2C3D4E5F reverse tcp:"*) ;;
  "-s 0A1B2C3D4E5F reverse --remove tcp:"*) ;;
  "-s 0A1B2C3D4E5F shell getprop "*) grep "^$5=" {properties} | cut -d= -f2 ;;
  "-s 0A1B2C3D4E5F shell am start -a android.intent.action.VIEW -d http://localhost:"*) {start} ;;
  *) echo "adb: unexpected $*" >&2; exit 1 ;;
esac
"""
STARTED = 'echo "Starting: Intent { act=android.intent.action.VIEW dat=http://localhost/... }"'

FakeAdb = Callable[..., Path]


@pytest.fixture
def fake_adb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeAdb:
    """Puts a false `adb` on the path that lists `listing`, and runs `start` to open a page; returns its log."""
    program, log = tmp_path / "bin" / "adb", tmp_path / "log"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")

    def make(listing: str, start: str = STARTED, properties: dict[str, str] = PROPERTIES) -> Path:
        (tmp_path / "listing").write_text(HEAD + listing + "\n")
        (tmp_path / "properties").write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
        places = {name: shlex.quote(str(tmp_path / name)) for name in ("log", "listing", "properties")}
        program.write_text(SCRIPT.format(start=start, **places))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return log

    return make


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    folder = tmp_path_factory.mktemp("workload")
    (folder / "0.onnx").write_bytes(b"graph")
    np.savez(folder / "inputs.npz", question=np.ones(2, np.int64))
    return Workload(graphs={"w1-d1": Graph(path=folder / "0.onnx", weight_bytes=64)}, inputs=folder / "inputs.npz")


@pytest.mark.skipif(ADB is None, reason="there is no adb on this computer")
def test_the_real_adb_without_a_phone(monkeypatch: pytest.MonkeyPatch, workload: Workload) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(port))  # a server of our own, so that it is ours to end
    monkeypatch.setenv("ANDROID_SERIAL", "")
    try:
        if adb.list_devices():
            pytest.skip("there is a phone on this computer")
        with pytest.raises(DeviceError, match=r"^adb sees no phone; plug one in and switch on USB debugging"):
            open_once(workload)
    finally:
        subprocess.run([str(ADB), "kill-server"], check=False, capture_output=True)


def test_no_adb(monkeypatch: pytest.MonkeyPatch, workload: Workload, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError, match=r"^there is no adb on this computer; install Android's platform-tools"):
        open_once(workload)


@pytest.mark.parametrize(
    ("listing", "serial", "message"),
    [
        ("", None, "adb sees no phone; plug one in"),
        (STARTING, None, "adb sees no phone; plug one in"),
        (
            PIXEL + EMULATOR,
            None,
            "adb sees 2 devices: 0A1B2C3D4E5F (Pixel 7), emulator-5554 offline; choose one with --serial",
        ),
        (PIXEL, "ZZZ", "adb sees no device 'ZZZ', only: 0A1B2C3D4E5F (Pixel 7)"),
        (EMULATOR, None, "device emulator-5554 is not ready (adb says: offline); unplug it and plug it in again"),
        (PIXEL + EMULATOR, "emulator-5554", "device emulator-5554 is not ready (adb says: offline); unplug it"),
        (
            "0123456789ABCDEF       unauthorized usb:1-1 transport_id:3\n",
            None,
            "device 0123456789ABCDEF is not ready (adb says: unauthorized); unlock it, and allow USB debugging",
        ),
        (
            "082f59270073e1e3       no permissions (user in plugdev group; are your udev rules wrong?); "
            "see [http://developer.android.com/tools/device.html] usb:1-1 transport_id:2\n",
            None,
            "device 082f59270073e1e3 is not ready (adb says: no permissions); give this user a udev rule",
        ),
        ("0A1B\trecovery\n", None, "device 0A1B is not ready (adb says: recovery); start Android on it"),
        ("0A1B                   strange\n", None, "device 0A1B is not ready (adb says: strange); look at"),
    ],
)
def test_what_is_in_the_way_is_said_in_one_line(
    fake_adb: FakeAdb, workload: Workload, listing: str, serial: str | None, message: str
) -> None:
    fake_adb(listing)
    with pytest.raises(DeviceError) as found:
        open_once(workload, serial=serial)
    assert str(found.value).startswith(message)
    assert "\n" not in str(found.value)
    assert found.value.exit_code == 5


def test_lines_of_adb_are_read(fake_adb: FakeAdb) -> None:
    fake_adb(STARTING + PIXEL + "192.168.1.5:5555\tdevice\n" + EMULATOR)
    devices = adb.list_devices()
    assert [(device.serial, device.state, device.model) for device in devices] == [
        ("0A1B2C3D4E5F", "device", "Pixel 7"),
        ("192.168.1.5:5555", "device", None),
        ("emulator-5554", "offline", None),
    ]
    assert adb.choose_device(devices, "192.168.1.5:5555") is devices[1]


def test_a_phone_without_a_browser(fake_adb: FakeAdb, workload: Workload) -> None:
    log = fake_adb(PIXEL, "echo 'Error: Activity not started, unable to resolve Intent { act=VIEW }'")
    with pytest.raises(DeviceError, match=r"^0A1B2C3D4E5F \(Pixel 7\) cannot open a web page \(Error: Activity not"):
        open_once(workload)
    assert "reverse --remove tcp:" in log.read_text().splitlines()[-1]


def test_a_phone_that_goes_away(fake_adb: FakeAdb, workload: Workload) -> None:
    fake_adb(PIXEL, "echo \"adb: device '0A1B2C3D4E5F' not found\" >&2; exit 1")
    with pytest.raises(DeviceError, match=r"^adb failed: device '0A1B2C3D4E5F' not found$"):
        open_once(workload)


def test_an_adb_that_hangs(fake_adb: FakeAdb, workload: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adb, "COMMAND_S", 0.2)
    fake_adb(PIXEL, "exec sleep 20")
    with pytest.raises(DeviceError, match=r"'adb -s 0A1B2C3D4E5F shell' did not answer within 0\.2 s"):
        open_once(workload)


def test_an_adb_that_talks_without_an_end(
    fake_adb: FakeAdb, workload: Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adb, "LONGEST_ANSWER", 10_000)
    fake_adb(PIXEL, "exec yes")
    with pytest.raises(DeviceError, match=r"'adb -s 0A1B2C3D4E5F shell' said more than 10,000 bytes; try"):
        open_once(workload)


def test_what_adb_says_is_shown_plain_and_short(fake_adb: FakeAdb, workload: Workload) -> None:
    fake_adb(PIXEL, "printf 'no \\033[2J\\377'; head -c 100000 /dev/zero | tr '\\0' a; exit 1")
    with pytest.raises(DeviceError, match=r"^adb failed: no  \[2J.a+$") as caught:
        open_once(workload)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def test_a_page_that_does_not_come(fake_adb: FakeAdb, workload: Workload) -> None:
    log = fake_adb(PIXEL)
    with pytest.raises(DeviceError, match=r"no browser opened http://localhost:\d+/\w+/ within 0\.2 s"):
        open_once(workload, arrival_s=0.2)
    opened, removed = log.read_text().splitlines()[1], log.read_text().splitlines()[-1]
    port = opened.split()[-1]
    assert opened == f"-s 0A1B2C3D4E5F reverse {port} {port}"
    assert removed == f"-s 0A1B2C3D4E5F reverse --remove {port}"


@pytest.fixture
def browser(fake_adb: FakeAdb, tmp_path: Path) -> Iterator[Path]:
    """A browser of this computer, opened by a false adb in place of a phone's; the log of that adb."""
    flags = "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    flags += "--disable-component-update --disable-sync"
    process = shlex.quote(str(tmp_path / "pid"))
    # Not pytest's folder: a late process of Chromium's may still write there when it is removed.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = f"{shlex.quote(CHROMIUM or '')} {flags} --user-data-dir={shlex.quote(folder)}"
        yield fake_adb(PIXEL, f'{STARTED}; {command} "$9" >/dev/null 2>&1 & echo $! > {process}')
        with contextlib.suppress(OSError):
            os.kill(int((tmp_path / "pid").read_text()), signal.SIGTERM)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this computer")
@pytest.mark.skipif(
    not ORT_WEB.is_dir(), reason="there is no onnxruntime-web: 'npm install onnxruntime-web', or $BSTSEARCH_ORT_WEB"
)
class TestAdb(DriverContract):
    @pytest.fixture
    def notes(self) -> list[str]:
        return []

    @pytest.fixture
    def device(self, browser: Path, notes: list[str]) -> Iterator[Device]:
        with adb.open_device(note=notes.append, ort_web=ORT_WEB, threads=2) as device:
            yield device
        assert notes[0].startswith("opened http://localhost:")
        assert "reverse --remove tcp:" in browser.read_text().splitlines()[-1]

    def test_the_phone_is_named_by_adb_and_its_page_has_threads(self, session: Session) -> None:
        assert (session.hardware.title, session.hardware.soc) == ("Google Pixel 7", "Google Tensor G2")
        assert session.runtime.threads == 2  # the phone's own localhost: isolated


@pytest.mark.parametrize(
    ("properties", "title", "soc"),
    [
        (PROPERTIES, "Google Pixel 7", "Google Tensor G2"),
        ({"ro.product.model": "SM-G991B", "ro.board.platform": "exynos2100"}, "SM-G991B", "exynos2100"),
        ({"ro.product.manufacturer": "Fairphone", "ro.product.model": "Fairphone 4"}, "Fairphone 4", None),
        ({}, None, None),
    ],
)
def test_the_phone_is_described_as_far_as_it_tells(
    fake_adb: FakeAdb, properties: dict[str, str], title: str | None, soc: str | None
) -> None:
    fake_adb(PIXEL, properties=properties)
    told = {"title": title, "soc": soc}
    assert adb.describe("0A1B2C3D4E5F") == {name: text for name, text in told.items() if text}


def open_once(workload: Workload, serial: str | None = None, arrival_s: float = 20.0) -> None:
    with (
        adb.open_device(note=lambda _: None, serial=serial, arrival_s=arrival_s) as device,
        device.take(workload),
    ):
        raise AssertionError("no page can have come")
