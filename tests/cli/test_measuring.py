from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bstsearch.cli.measuring import Means, Via, parse_cores
from bstsearch.cli.output import Output
from bstsearch.errors import InputError, UsageError
from bstsearch.profiles.profile import DeviceProfile

MakeProfile = Callable[..., DeviceProfile]

NONE = Means(
    via=None,
    threads=None,
    cores=None,
    host=None,
    python="python3",
    is_lan=False,
    ort_web=None,
    provider="wasm",
    serial=None,
)
KNOWN = ["raspberrypi4", "raspberrypi5", "pixel7", "laptop"]


def via(name: str, **options: Any) -> Means:
    return dataclasses.replace(NONE, via=Via(name), **options)


# Which device is meant


def test_only_local_is_this_machine_where_nothing_says_so() -> None:
    assert Means() == NONE
    assert NONE.checked("local", None, KNOWN).via is Via.local
    assert NONE.checked("local", None, ["locale"]).via is Via.local


@pytest.mark.parametrize("name", ["iphone15", "my-laptop", "my-board", "my-phone", "that-board"])
def test_a_new_name_needs_a_way_to_reach_it(name: str) -> None:
    shipped = [path.stem for path in (Path(__file__).parents[2] / "profiles").glob("*.json")]
    with pytest.raises(InputError) as caught:
        NONE.checked(name, None, shipped)
    assert str(caught.value) == (
        f"no profile of device {name!r}; "
        "to measure it, add --via local if it is this machine, else --via browser, ssh or adb"
    )
    assert via("local").checked(name, None, shipped).via is Via.local


@pytest.mark.parametrize(
    ("name", "near"),
    [("raspberrypi", "raspberrypi5, raspberrypi4"), ("Pixel7", "pixel7"), ("pixel-7", "pixel7"), ("lapto", "laptop")],
)
def test_a_name_like_a_stored_one_is_most_likely_a_slip(name: str, near: str) -> None:
    with pytest.raises(InputError) as caught:
        NONE.checked(name, None, KNOWN)
    assert str(caught.value) == (
        f"no profile of device {name!r}; did you mean {near}? "
        "to measure it, add --via local if it is this machine, else --via browser, ssh or adb"
    )
    assert via("local").checked(name, None, KNOWN).via is Via.local


@pytest.mark.parametrize("before", [{"via": "ssh"}, {"via": "browser"}, {"via": "adb"}, {"via": None}])
def test_what_was_not_measured_here_needs_a_way_to_reach_it(
    before: dict[str, Any], tiny_folder: Path, make_profile: MakeProfile
) -> None:
    stored = make_profile(tiny_folder, "phone", **before)
    with pytest.raises(
        UsageError, match=r"'phone' \(measured, Test CPU\) is not known to be this machine; .* --via ssh"
    ):
        NONE.checked("phone", stored, ["phone"])
    assert via("adb").checked("phone", stored, ["phone"]).via is Via.adb
    assert via("local").checked("phone", stored, ["phone"]).via is Via.local


def test_an_estimated_device_is_not_this_machine(
    tiny_folder: Path, make_profile: MakeProfile, make_estimated: MakeProfile
) -> None:
    with pytest.raises(UsageError, match=r"'phone' \(estimated, Test CPU\) is not known to be this machine"):
        NONE.checked("phone", make_estimated(tiny_folder), ["phone"])


def test_what_was_measured_here_is_measured_here(tiny_folder: Path, make_profile: MakeProfile) -> None:
    stored = make_profile(tiny_folder, "laptop")
    assert NONE.checked("laptop", stored, KNOWN).via is Via.local
    with pytest.raises(UsageError, match="is not known to be this machine"):
        NONE.checked("laptop", stored, KNOWN, is_shipped=True)


def test_ssh_needs_a_host() -> None:
    with pytest.raises(UsageError, match="--via ssh needs --host USER@BOARD"):
        via("ssh").checked("board", None, [])
    assert via("ssh", host="pi@board").checked("board", None, []).host == "pi@board"


# How it is reached


def test_each_way_opens_its_driver_with_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def stand_in(name: str) -> Callable[..., contextlib.AbstractContextManager[None]]:
        @contextlib.contextmanager
        def open_device(*arguments: Any, **options: Any) -> Iterator[None]:
            opened.append((name, arguments, options))
            yield

        return open_device

    for name in Via:
        monkeypatch.setattr(
            f"bstsearch.measuring.drivers.{name}{'.driver' if name in ('ssh', 'browser') else ''}.open_device",
            stand_in(name),
        )
    output = Output()
    every = {"threads": 3, "ort_web": Path("web"), "provider": "webgpu"}
    for means in (
        via("local", threads=3, cores="0,2"),
        via("ssh", threads=3, host="pi@board", python="python3.12"),
        via("browser", is_lan=True, **every),
        via("adb", serial="X1", **every),
    ):
        with means.open(output):
            pass
    assert [(name, arguments) for name, arguments, _ in opened] == [
        (name, ("pi@board",) if name is Via.ssh else ()) for name in Via
    ]
    local, ssh, browser, adb = (options for _, _, options in opened)
    assert local == {"threads": 3, "cores": (0, 2)}
    assert (ssh["threads"], ssh["python"], ssh["note"]) == (3, "python3.12", output.note)
    assert browser == every | {"is_lan": True, "note": output.note}
    assert adb == every | {"serial": "X1", "note": output.note}


@pytest.mark.parametrize(("text", "cores"), [(None, ()), ("0", (0,)), ("0,2", (0, 2)), ("3, 1", (3, 1))])
def test_cores_are_a_list_of_numbers(text: str | None, cores: tuple[int, ...]) -> None:
    assert parse_cores(text) == cores


@pytest.mark.parametrize("text", ["", ",", "0,", "a", "-1", "0-3", "1.5", "0 1"])
def test_other_cores_are_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError, match=rf"--cores '{text}' is no list of core numbers; write it like 0,1"):
        parse_cores(text)


@pytest.mark.parametrize(
    ("means", "problem"),
    [
        (dataclasses.replace(NONE, host="pi@board"), "--host goes with --via ssh, not with this machine"),
        (dataclasses.replace(NONE, is_lan=True), "--lan goes with --via browser, not with this machine"),
        (via("ssh", serial="0123"), "--serial goes with --via adb, not with ssh"),
        (via("local", provider="webgpu"), "--webgpu goes with --via browser or --via adb, not with local"),
        (via("adb", cores="0"), "--cores goes with --via local or --via ssh, not with adb"),
        (via("browser", python="python3.12"), "--board-python goes with --via ssh, not with browser"),
        (via("ssh", ort_web=Path()), "--ort-web goes with --via browser or --via adb, not with ssh"),
    ],
)
def test_an_option_of_another_way_is_refused(means: Means, problem: str) -> None:
    with pytest.raises(UsageError) as caught:
        means.refuse_strays()
    assert str(caught.value) == problem


def test_options_of_their_own_way_pass() -> None:
    dataclasses.replace(NONE, cores="0").refuse_strays()
    via("ssh", host="pi@board", python="bst/bin/python", cores="0,1").refuse_strays()
    via("browser", is_lan=True, ort_web=Path(), provider="webgpu").refuse_strays()
    via("adb", serial="0123", ort_web=Path(), provider="webgpu").refuse_strays()
