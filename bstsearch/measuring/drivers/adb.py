"""An Android phone on a USB cable: the browser's page over `adb reverse`, where it has threads (no torch).

The phone asks its own localhost, which adb leads here; so nothing is open to a network, and none is needed but for
onnxruntime-web itself.
"""

from __future__ import annotations

import contextlib
import functools
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Unpack

from msgspec import Meta

from bstsearch.errors import DeviceError, UsageError
from bstsearch.measuring.driver import Device, Note
from bstsearch.measuring.drivers.browser.driver import InPage, PageOptions, Site, serving
from bstsearch.measuring.drivers.replies import Replies, TooLateError, TooLongError
from bstsearch.reading import REASON, plain, shown

ARRIVAL_S = 120.0
COMMAND_S = 30.0  # the slowest answer, that of an adb which has to start its server first, takes a few seconds
LONGEST_ANSWER = 1 << 20  # bytes; a list of a thousand phones takes a tenth of it
LONGEST_NAME = 100  # characters of what a phone calls itself
VIEW = "android.intent.action.VIEW"

_REMEDIES = {
    "unauthorized": "unlock it, and allow USB debugging in the question that it shows",
    "offline": "unplug it and plug it in again",
    "no permissions": "give this user a udev rule for it, or install your distribution's android udev rules",
    "authorizing": "try again in a moment",
    "connecting": "try again in a moment",
    "recovery": "start Android on it",
    "bootloader": "start Android on it",
    "sideload": "start Android on it",
}


@dataclass(frozen=True, kw_only=True)
class AdbDevice:
    """One line of `adb devices -l`: `state` is "device" where it can be used; not each tells its `model`."""

    serial: str
    state: str
    model: str | None

    def __str__(self) -> str:
        words = [self.serial, f"({self.model})" if self.model else "", "" if self.state == "device" else self.state]
        return " ".join(word for word in words if word)


class Adb(InPage, frozen=True, kw_only=True):
    """An Android phone on a cable."""

    name = "adb"

    serial: Annotated[str | None, Meta(description="Which of several phones.")] = None

    def __post_init__(self) -> None:
        """UsageError where no phone can have such a number."""
        if self.serial is not None and not re.fullmatch(r"[!-,.-~][!-~]{,199}", self.serial):
            raise UsageError(f"{shown(self.serial)} is no serial number; look at 'adb devices' for those there are")

    def open(self, device: str, note: Note) -> contextlib.AbstractContextManager[Device]:  # noqa: ARG002 - every driver's
        """The phone's browser."""
        return open_device(note=note, serial=self.serial, **self.page)


@contextlib.contextmanager
def open_device(
    *,
    note: Note,
    serial: str | None = None,
    arrival_s: float = ARRIVAL_S,
    **options: Unpack[PageOptions],
) -> Iterator[Site]:
    """The browser of the phone with this serial number, or of the only one; opened by us, and left open.

    The other arguments are those of the driver `browser`. DeviceError where there is no such phone, or it is not ready.
    """
    device = choose_device(list_devices(), serial)
    told = functools.partial(describe, device.serial)
    with (
        serving(["localhost"], note=note, arrival_s=arrival_s, facts=told, **options) as site,
        _reversed(device.serial, site.port),
    ):
        _open_page(device, site.addresses[0])
        note(f"opened {site.addresses[0]} on {device}; keep it unlocked")
        yield site


def list_devices() -> list[AdbDevice]:
    """What `adb devices -l` lists; DeviceError where there is no adb."""
    lines = _adb("devices", "-l").splitlines()
    head = next((number for number, line in enumerate(lines) if line.startswith("List of devices")), -1)
    return [_parse(line) for line in lines[head + 1 :] if line.strip() and not line.startswith("*")]


def choose_device(devices: list[AdbDevice], serial: str | None) -> AdbDevice:
    """The device of that serial number, or the only one; DeviceError where there is none, or it is not ready."""
    names = ", ".join(map(str, devices))[:REASON]
    if not devices:
        raise DeviceError(
            "adb sees no phone; plug one in and switch on USB debugging (Settings, Developer options), "
            "then look at 'adb devices'"
        )
    if serial is None and len(devices) > 1:
        raise DeviceError(f"adb sees {len(devices)} devices: {names}; choose one with --serial")
    found = next((device for device in devices if serial in (None, device.serial)), None)
    if found is None:
        raise DeviceError(f"adb sees no device {serial!r}, only: {names}")
    if found.state != "device":
        remedy = _REMEDIES.get(found.state, "look at 'adb devices'")
        raise DeviceError(f"device {found.serial} is not ready (adb says: {found.state[:LONGEST_NAME]}); {remedy}")
    return found


def describe(serial: str) -> dict[str, str]:
    """The title and the soc of the phone's hardware, as far as it tells them."""
    maker, model = _property(serial, "ro.product.manufacturer"), _property(serial, "ro.product.model")
    soc_maker, soc = _property(serial, "ro.soc.manufacturer"), _property(serial, "ro.soc.model")
    soc = " ".join(filter(None, (soc_maker, soc))) if soc else _property(serial, "ro.board.platform")
    title = model if model.lower().startswith(maker.lower()) else f"{maker} {model}"
    return {name: text for name, text in (("title", title.strip()), ("soc", soc)) if text}


def _parse(line: str) -> AdbDevice:
    """A line such as "0a1b2c  device usb:1-1 product:panther model:Pixel_7 device:panther transport_id:1"."""
    serial, *words = plain(line).split()
    model = next((word.removeprefix("model:").replace("_", " ") for word in words if word.startswith("model:")), None)
    state = "no permissions" if words[:2] == ["no", "permissions"] else (words or ["unknown"])[0]
    return AdbDevice(serial=serial, state=state.rstrip(";"), model=model)


@contextlib.contextmanager
def _reversed(serial: str, port: int) -> Iterator[None]:
    """Leads the phone's port to ours while the block runs."""
    name = f"tcp:{port}"
    _adb("-s", serial, "reverse", name, name)
    try:
        yield
    finally:
        with contextlib.suppress(DeviceError):  # the phone may have gone, and its ports with it
            _adb("-s", serial, "reverse", "--remove", name)


def _open_page(device: AdbDevice, address: str) -> None:
    told = _adb("-s", device.serial, "shell", "am", "start", "-a", VIEW, "-d", address)
    if "Error" in told:  # `am` reports it and exits with 0
        last = plain(told.strip().splitlines()[-1])[:REASON]
        raise DeviceError(f"{device} cannot open a web page ({last}); install a browser on it, such as Chrome")


def _property(serial: str, name: str) -> str:
    return plain(_adb("-s", serial, "shell", "getprop", name)).strip()[:LONGEST_NAME]


def _adb(*arguments: str) -> str:
    """What adb prints; DeviceError where it is missing, fails, does not end, or says too much."""
    program = shutil.which("adb")
    if program is None:
        raise DeviceError(
            "there is no adb on this computer; install Android's platform-tools (Debian and Ubuntu: 'apt install adb')"
        )
    words = " ".join(arguments[:3])
    try:
        status, told = _run([program, *arguments])
    except TooLateError:
        raise DeviceError(f"'adb {words}' did not answer within {COMMAND_S:g} s; try 'adb kill-server'") from None
    except TooLongError:
        raise DeviceError(f"'adb {words}' said more than {LONGEST_ANSWER:,} bytes; try 'adb kill-server'") from None
    except OSError as error:
        raise DeviceError(f"cannot run {program}: {error.strerror}") from error
    if status != 0:
        reason = plain((told.strip() or f"exit status {status}").splitlines()[-1])[:REASON]
        raise DeviceError(f"adb failed: {reason.removeprefix('adb: ').removeprefix('error: ')}")
    return told


def _run(words: Sequence[str]) -> tuple[int, str]:
    """The exit status of a program, and what it says; TooLateError and TooLongError, and it is ended."""
    end = time.monotonic() + COMMAND_S
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        try:
            told = Replies(process.stdout.fileno(), LONGEST_ANSWER).everything(COMMAND_S)
            status = process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise TooLateError from None
        finally:
            process.kill()  # does nothing where it has ended
    return status, told.decode(errors="replace")
