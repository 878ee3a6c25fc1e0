from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bstsearch import doors
from bstsearch.errors import InputError, UsageError
from bstsearch.measuring.driver import Driver
from bstsearch.measuring.reach import check_meant, check_stray_options, get_driver, make_driver
from bstsearch.profiles.profile import DeviceProfile

MakeProfile = Callable[..., DeviceProfile]

WAYS = ["local", "ssh", "browser", "adb"]
KNOWN = ["raspberrypi4", "raspberrypi5", "pixel7", "laptop"]
HOW = "to measure it, add --via local if it is this machine, else --via adb, browser or ssh"


def check(device: str, before: DeviceProfile | None, known: list[str], *, is_shipped: bool = False) -> None:
    check_meant(device, before, known, is_shipped=is_shipped)


# Which device is meant


def test_only_local_is_this_machine_where_nothing_says_so() -> None:
    check("local", None, KNOWN)
    check("local", None, ["locale"])


@pytest.mark.parametrize("name", ["iphone15", "my-laptop", "my-board", "my-phone", "that-board"])
def test_a_new_name_needs_a_way_to_reach_it(name: str) -> None:
    shipped = [path.stem for path in (Path(__file__).parents[2] / "profiles").glob("*.json")]
    with pytest.raises(InputError) as caught:
        check(name, None, shipped)
    assert str(caught.value) == f"no profile of device {name!r}; {HOW}"


@pytest.mark.parametrize(
    ("name", "near"),
    [("raspberrypi", "raspberrypi5, raspberrypi4"), ("Pixel7", "pixel7"), ("pixel-7", "pixel7"), ("lapto", "laptop")],
)
def test_a_name_like_a_stored_one_is_most_likely_a_slip(name: str, near: str) -> None:
    with pytest.raises(InputError) as caught:
        check(name, None, KNOWN)
    assert str(caught.value) == f"no profile of device {name!r}; did you mean {near}? {HOW}"


@pytest.mark.parametrize("before", [{"via": "ssh"}, {"via": "browser"}, {"via": "my-box"}, {"via": None}])
def test_what_was_not_measured_here_needs_a_way_to_reach_it(
    before: dict[str, Any], tiny_folder: Path, make_profile: MakeProfile
) -> None:
    stored = make_profile(tiny_folder, "phone", **before)
    with pytest.raises(
        UsageError, match=r"'phone' \(measured, Test CPU\) is not known to be this machine; .* --via adb"
    ):
        check("phone", stored, ["phone"])


def test_an_estimated_device_is_not_this_machine(tiny_folder: Path, make_estimated: MakeProfile) -> None:
    with pytest.raises(UsageError, match=r"'phone' \(estimated, Test CPU\) is not known to be this machine"):
        check("phone", make_estimated(tiny_folder), ["phone"])


def test_what_was_measured_here_is_measured_here(tiny_folder: Path, make_profile: MakeProfile) -> None:
    stored = make_profile(tiny_folder, "laptop")
    check("laptop", stored, KNOWN)
    with pytest.raises(UsageError, match="is not known to be this machine"):
        check("laptop", stored, KNOWN, is_shipped=True)


# Which driver


def test_the_drivers_of_the_package_come_in_by_the_door() -> None:
    assert set(WAYS) <= set(doors.names("driver"))
    for name in WAYS:
        assert get_driver(name).name == name
        assert get_driver(name).__doc__


def test_an_unknown_driver_is_wrong_usage_that_names_the_others() -> None:
    with pytest.raises(UsageError, match="unknown driver 'mail'; give one of adb, browser, local, ssh"):
        get_driver("mail")


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("name = 'box'\nBox = type('Box', (), {'name': 'box-of-no-kind'})", "is no driver; make it a subclass"),
        ("from bstsearch import Driver\nclass Box(Driver):\n    name = 'a/b'", "'a/b' is no driver name"),
        ("from bstsearch import Driver\nclass Box(Driver):\n    name = 'box'", "the driver box lacks open; write what"),
        ("from bstsearch import Driver\nclass Box(Driver):\n    name = 'ssh'", "there is a driver named 'ssh' already"),
    ],
)
def test_a_driver_that_cannot_be_one_is_refused(code: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "box.py").write_text(code)
    with pytest.raises(UsageError, match=problem):
        get_driver(f"{tmp_path / 'box.py'}:Box")


# Its options


def make(name: str, **options: Any) -> Driver:
    return make_driver(get_driver(name), options)


def test_each_driver_opens_its_device_with_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {}

    def stand_in(name: str) -> Callable[..., contextlib.AbstractContextManager[None]]:
        @contextlib.contextmanager
        def open_device(*arguments: Any, **options: Any) -> Iterator[None]:
            opened[name] = (arguments, options)
            yield

        return open_device

    for name in WAYS:
        monkeypatch.setattr(
            f"bstsearch.measuring.drivers.{name}{'.driver' if name in ('ssh', 'browser') else ''}.open_device",
            stand_in(name),
        )
    page = {"threads": 3, "ort_web": Path("web"), "webgpu": True}
    for driver in (
        make("local", threads=3, cores="0,2"),
        make("ssh", threads="3", host="pi@board", board_python="python3.12"),
        make("browser", lan=True, **page),
        make("adb", serial="X1", **page),
    ):
        with driver.open("phone", note):
            pass
    every = {"threads": 3, "ort_web": Path("web"), "provider": "webgpu", "note": note}
    assert opened == {
        "local": ((), {"threads": 3, "cores": (0, 2)}),
        "ssh": (("pi@board",), {"threads": 3, "cores": (), "python": "python3.12", "note": note}),
        "browser": ((), every | {"is_lan": True}),
        "adb": ((), every | {"serial": "X1"}),
    }


def note(line: str) -> None:
    """Is told what the user should know."""


@pytest.mark.parametrize(("text", "cores"), [("0", (0,)), ("0,2", (0, 2)), ("3, 1", (3, 1)), ((4, 5), (4, 5))])
def test_cores_are_a_list_of_numbers(text: object, cores: tuple[int, ...]) -> None:
    driver: Any = make("local", cores=text)
    assert driver.cores == cores


@pytest.mark.parametrize("text", ["", ",", "0,", "a", "-1", "0-3", "1.5", "0 1", "0," + "9" * 30, "nan", "\x1b"])
def test_other_cores_are_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--cores of --via local: expected int.*, not .*; write it like 0,1$"):
        make("local", cores=text)


HUGE = "a" * 100_000


@pytest.mark.parametrize(
    ("name", "options", "problem"),
    [
        ("ssh", {"host": "two words"}, "'two words' is no host; give one as for ssh"),
        ("ssh", {"host": ""}, "'' is no host; give one as for ssh"),
        ("ssh", {"host": "-oProxyCommand=x"}, "'-oProxyCommand=x' is no host; give one as for ssh"),
        ("ssh", {"host": "a\x1b[2J"}, "is no host; give one as for ssh"),
        ("ssh", {"host": "a\n"}, "is no host; give one as for ssh"),
        ("ssh", {"host": HUGE}, r"'aaaa+\.\.\. is no host; give one as for ssh"),
        ("ssh", {"host": "pi", "board_python": ""}, "'' names no Python; give --board-python a name"),
        ("ssh", {"host": "pi", "board_python": "-c"}, "'-c' names no Python; give --board-python a name"),
        ("ssh", {"host": "pi", "board_python": HUGE}, "names no Python; give --board-python a name"),
        ("adb", {"serial": ""}, "'' is no serial number; look at 'adb devices'"),
        ("adb", {"serial": "-d"}, "'-d' is no serial number; look at 'adb devices'"),
        ("adb", {"serial": "two words"}, "'two words' is no serial number; look at 'adb devices'"),
        ("adb", {"serial": HUGE}, "is no serial number; look at 'adb devices'"),
        ("browser", {"ort_web": ""}, "^--ort-web of --via browser: expected a path, not ''$"),
        ("browser", {"lan": "perhaps"}, "^--lan of --via browser: expected bool, not 'perhaps'$"),
        ("local", {"threads": 10**9}, "^--threads of --via local: expected int <= 4096, not 1000000000$"),
        ("local", {"threads": "9" * 5000}, r"^--threads of --via local: integer value out of range, not '999+\.\.\.$"),
    ],
)
def test_what_no_device_can_be_reached_by_is_refused_first(name: str, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError, match=problem) as caught:
        make(name, **options)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "host", ["pi@raspberrypi.local", "board", "ssh://pi@10.0.0.2:2222", "pi@fe80::1%eth0", "b\u00e4r"]
)
def test_what_ssh_may_know_a_board_by_is_taken(host: str) -> None:
    driver: Any = make("ssh", host=host)
    assert driver.host == host


@pytest.mark.parametrize(
    "serial", ["0A1B2C3D4E5F", "emulator-5554", "192.168.1.20:5555", "adb-1234._adb-tls-connect._tcp"]
)
def test_what_adb_calls_a_phone_is_taken(serial: str) -> None:
    driver: Any = make("adb", serial=serial)
    assert driver.serial == serial


@pytest.mark.parametrize(
    ("name", "options", "problem"),
    [
        ("ssh", {"host": "pi@board", "serial": "0123"}, "--serial goes with --via adb, not with ssh"),
        ("local", {"webgpu": True}, "--webgpu goes with --via adb or --via browser, not with local"),
        ("adb", {"cores": "0"}, "--cores goes with --via local or --via ssh, not with adb"),
        ("browser", {"board_python": "python3.12"}, "--board-python goes with --via ssh, not with browser"),
        ("ssh", {}, "--via ssh needs --host; give it: USER@BOARD, or what else ssh knows it by."),
        (
            "local",
            {"thread": 1},
            "driver 'local' has no option 'thread'; its options: threads (Threads of the runtime; default: the "
            "physical cores it may use.), cores (Run on these cores only, as in 0,1.)",
        ),
        ("local", {"threads": "two"}, "--threads of --via local: expected int, not 'two'"),
        ("adb", {"threads": 0}, "--threads of --via adb: expected int >= 1, not 0"),
    ],
)
def test_options_that_do_not_fit_are_wrong_usage(name: str, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError) as caught:
        make(name, **options)
    if ".*" in problem:
        caught.match(problem)
    else:
        assert str(caught.value) == problem


def test_without_a_driver_options_are_those_of_this_machine() -> None:
    check_stray_options({"threads": 1, "cores": "0"})
    with pytest.raises(UsageError, match=r"^--host goes with --via ssh, not with this machine$"):
        check_stray_options({"host": "pi@board"})
    with pytest.raises(UsageError, match=r"^--lan goes with --via browser, not with this machine$"):
        check_stray_options({"lan": True})
