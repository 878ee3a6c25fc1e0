from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

import bstsearch
from bstsearch import environment
from bstsearch.errors import DeviceError, UsageError

HUGE = "9" * 5000
ROOT = Path(bstsearch.__file__).parent
# Beside environment.py only what also runs alone, on a board that has nothing else of this package.
READERS = {"environment.py", "measuring/runner.py"}


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test sets, or the code does, is gone afterwards."""
    before = dict(os.environ)
    for name in ("COLUMNS", "RANK", "LOCAL_RANK", "WORLD_SIZE", "PYTHONWARNINGS", environment.PROFILES):
        monkeypatch.delenv(name, raising=False)
    with warnings.catch_warnings():
        yield
    os.environ.clear()
    os.environ.update(before)


def test_nothing_else_reads_the_environment() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb", "putenv", "expanduser")
    }
    assert found == READERS


@pytest.mark.parametrize(
    ("text", "width"),
    [
        *((text, None) for text in ("", "0", "000", "-5", "wide", "1e3", "8 0", "٣٣", "²", "80\n", "\udcff", HUGE)),
        *(("80", 80), ("0080", 80), ("1", environment.NARROWEST), ("1000000000", environment.WIDEST)),
    ],
)
def test_a_width_is_a_number_within_bounds(text: str, width: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", text)
    assert environment.columns() == width
    environment.prepare()
    assert os.environ.get("COLUMNS") == (None if width is None else str(width))


def test_without_a_width_there_is_none() -> None:
    assert environment.columns() is None


def test_profiles_may_have_a_folder_of_the_user_s(monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment.profiles_folder() is None
    monkeypatch.setenv("BSTSEARCH_PROFILES", "")
    assert environment.profiles_folder() is None
    monkeypatch.setenv("BSTSEARCH_PROFILES", "my profiles")
    assert environment.profiles_folder() == Path("my profiles")


@pytest.mark.parametrize("caches", [None, "", "relative", "../up", "~/x"])
def test_what_can_be_made_again_lies_in_the_home(caches: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME") if caches is None else monkeypatch.setenv("XDG_CACHE_HOME", caches)
    monkeypatch.setenv("HOME", "/home/her")
    assert environment.cache_folder() == Path("/home/her/.cache")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert environment.cache_folder() == Path("/caches")


@pytest.mark.parametrize("home", ["", "relative", "."])
def test_a_home_that_is_none_is_told(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", home)
    with pytest.raises(DeviceError, match=r"\$HOME names no folder"):
        environment.cache_folder()


def test_a_user_that_nobody_knows_has_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setattr(Path, "home", nobody)
    with pytest.raises(DeviceError, match=r"\$HOME names no folder"):
        environment.cache_folder()


@pytest.mark.parametrize(("name", "text"), [("RANK", "3"), ("RANK", "x"), ("LOCAL_RANK", "1"), ("LOCAL_RANK", HUGE)])
def test_a_number_that_another_program_left_means_nothing_to_a_process_alone(
    name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for count in (None, "1"):
        if count:
            monkeypatch.setenv("WORLD_SIZE", count)
        monkeypatch.setenv(name, text)
        assert (environment.process_count(), environment.process_number(), environment.gpu_number()) == (1, 0, None)


def test_torchrun_numbers_its_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("WORLD_SIZE", "4"), ("RANK", "3"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, text)
    assert (environment.process_count(), environment.process_number(), environment.gpu_number()) == (4, 3, 1)


@pytest.mark.parametrize("text", ["", "0", "-1", "x", "2.0", "1e3", " 2", HUGE, "\x1b[2J", None])
def test_what_is_no_number_of_a_process_is_refused_by_the_variable_s_name(
    text: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if text is not None:
        monkeypatch.setenv("WORLD_SIZE", text)
        with pytest.raises(
            UsageError, match=r"^\$WORLD_SIZE is '.*; expected a whole number from 1 to 100000"
        ) as found:
            environment.process_number()
        assert len(str(found.value)) < 200
        assert str(found.value).isprintable()
    monkeypatch.setenv("WORLD_SIZE", "4")
    for name, read in (("RANK", environment.process_number), ("LOCAL_RANK", environment.gpu_number)):
        for number in {text, "4"} - {"0"}:
            monkeypatch.delenv(name, raising=False) if number is None else monkeypatch.setenv(name, number)
            with pytest.raises(UsageError, match=rf"^\${name} is .*; expected a whole number from 0 to 3, as torchrun"):
                read()


@pytest.mark.parametrize("text", ["rubbish", "", "0", "-1", "1e9", "100000", "4,", HUGE])
def test_numbers_of_threads_that_are_none_are_taken_away(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    environment.prepare()
    environment.limit_threads(3)
    assert os.environ["OMP_NUM_THREADS"] == "3"


@pytest.mark.parametrize("text", ["1", "16", "4,2"])
def test_numbers_of_threads_stay(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    environment.prepare()
    environment.limit_threads(3)
    assert os.environ["OMP_NUM_THREADS"] == text


def test_torch_is_told_nothing_that_stops_it_or_makes_it_careless(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TORCH_LOGS", "TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"):
        monkeypatch.setenv(name, "1")
    environment.prepare()
    assert not [name for name in os.environ if name.startswith(("TORCH_LOGS", "TORCH_FORCE"))]


def test_warnings_of_libraries_are_no_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    warnings.simplefilter("error")
    environment.prepare()
    warnings.warn("old", DeprecationWarning, stacklevel=1)
    assert "PYTHONWARNINGS" not in os.environ  # of the processes that are started, too


def test_a_filter_that_is_no_variable_s_stays() -> None:
    warnings.simplefilter("error")
    environment.prepare()
    with pytest.raises(DeprecationWarning):
        warnings.warn("old", DeprecationWarning, stacklevel=1)


def test_a_block_without_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONE", "1")
    monkeypatch.delenv("OTHER", raising=False)
    with environment.without("ONE", "OTHER"):
        assert not {"ONE", "OTHER"} & os.environ.keys()
    assert os.environ["ONE"] == "1"
    assert "OTHER" not in os.environ


@pytest.mark.parametrize(("colour", "term"), [("", "xterm"), ("1", "dumb")])
def test_colours_and_cursors(colour: str, term: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", colour)
    monkeypatch.setenv("TERM", term)
    assert environment.wants_colours() == (not colour)
    assert environment.has_cursor() == (term != "dumb")
