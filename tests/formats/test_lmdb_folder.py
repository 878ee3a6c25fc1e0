from __future__ import annotations

import contextlib
import gc
import os
import re
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic_uniter import write_lmdb

from bstsearch.errors import InputError
from bstsearch.formats import lmdb_folder
from bstsearch.formats.lmdb_folder import open_lmdb

PAGE = 4096
VALUES = {f"key{number:03d}": bytes([number]) * 3 * PAGE for number in range(40)}  # too large for their leaf


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_lmdb(tmp_path / "all", VALUES)
    return tmp_path / "all"


def refusal(ask: Callable[[], object], folder: Path) -> str:
    with pytest.raises(InputError) as error:
        ask()
    assert str(error.value).startswith(str(folder))
    assert len(str(error.value)) < 300
    assert str(error.value).isprintable()
    return str(error.value).removeprefix(str(folder))


def test_values_and_keys_are_those_that_were_written(folder: Path) -> None:
    found = open_lmdb(folder)
    assert all(found.value(key) == value for key, value in VALUES.items())
    assert "key007" in found
    assert "key999" not in found
    said = refusal(lambda: found.value("key999"), folder)
    assert said == ", key 'key999': not there; the folder belongs to other questions or is incomplete"


@pytest.mark.parametrize("key", ["", "k" * 600, "a\0b", "ä\ud800"])
def test_a_key_that_none_can_be_is_one_line(folder: Path, key: str) -> None:
    found = open_lmdb(folder)
    assert refusal(lambda: found.value(key), folder).startswith(", key ")
    assert found.value("key001") == VALUES["key001"]


def test_threads_get_each_their_own_answer(folder: Path) -> None:
    found, wrong = open_lmdb(folder), list[str]()

    def read(keys: list[str]) -> None:
        wrong.extend(key for key in keys * 5 if found.value(key) != VALUES[key])

    threads = [threading.Thread(target=read, args=(list(VALUES)[start::4],), daemon=True) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []


def test_a_signal_is_one_line_and_the_next_question_is_answered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, send = open_lmdb(folder), lmdb_folder.send
    process = found._process

    def send_and_end(*args: Any) -> None:
        send(*args)
        process.send_signal(signal.SIGBUS)
        process.send_signal(signal.SIGCONT)

    process.send_signal(signal.SIGSTOP)  # so that it has the question, and gives no answer, when it ends
    with monkeypatch.context() as patch:
        patch.setattr(lmdb_folder, "send", send_and_end)
        said = refusal(lambda: found.value("key001"), folder)
    assert said == ", key 'key001': reading it ended with signal SIGBUS; is it damaged? Copy the folder again"
    assert found.value("key001") == VALUES["key001"]


def test_a_size_that_lies_ends_no_process_but_the_reader(folder: Path) -> None:
    """LMDB copies as many bytes as a value is said to have; behind the file's end the system answers by a signal."""
    path = folder / "data.mdb"
    whole = bytearray(path.read_bytes())
    size = whole.rindex(b"key020") - 8  # in the leaf: size, flags and length of the key stand before it
    assert int.from_bytes(whole[size : size + 4], "little") == 3 * PAGE
    whole[size : size + 4] = (1 << 23).to_bytes(4, "little")
    path.write_bytes(whole)
    found = open_lmdb(folder)
    assert found.value("key019") == VALUES["key019"]
    said = refusal(lambda: found.value("key020"), folder)
    assert re.match(r", key 'key020': reading it ended with signal SIG(BUS|SEGV); is it damaged", said)
    assert found.value("key021") == VALUES["key021"]


@pytest.mark.parametrize("seed", range(20))
def test_damaged_pages_give_values_or_one_line(folder: Path, seed: int) -> None:
    random, path = np.random.default_rng(seed), folder / "data.mdb"
    whole = np.frombuffer(path.read_bytes(), np.uint8).copy()
    inner = [page for page in range(2, len(whole) // PAGE) if whole[page * PAGE + 10] in (1, 2)]  # a branch, a leaf
    page = PAGE * random.choice(inner)
    whole[page + random.integers(10, PAGE, 400)] = random.integers(0, 256, 400)
    path.write_bytes(whole.tobytes())
    found = open_lmdb(folder)
    for key in ("key000", "key020", "key039"):
        with contextlib.suppress(InputError):
            assert isinstance(found.value(key), bytes)


def test_a_folder_that_was_not_copied_to_its_end_is_refused(folder: Path) -> None:
    path = folder / "data.mdb"
    path.write_bytes(path.read_bytes()[:-PAGE])
    assert "data.mdb is truncated: it has " in refusal(lambda: open_lmdb(folder), folder)
    path.write_bytes(b"not a database" * 1000)
    assert refusal(lambda: open_lmdb(folder), folder).startswith(": LMDB says MDB_INVALID")
    path.unlink()
    assert refusal(lambda: open_lmdb(folder), folder) == "/data.mdb does not exist"
    os.mkfifo(path)
    assert refusal(lambda: open_lmdb(folder), folder) == "/data.mdb: a device, pipe or socket; expected a file"


def test_a_value_of_more_than_there_can_be_is_not_waited_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lmdb_folder, "MOST", 100)
    found = open_lmdb(folder)
    assert "12,288 bytes; expected 100 at most" in refusal(lambda: found.value("key001"), folder)


def test_an_answer_is_not_waited_for_without_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = open_lmdb(folder)
    monkeypatch.setattr(lmdb_folder, "ANSWER_S", 0.05)
    monkeypatch.setattr(lmdb_folder, "WAIT_S", 0.05)
    os.kill(found._process.pid, signal.SIGSTOP)
    assert "LMDB does not answer for 0.05 s; is it damaged?" in refusal(lambda: found.value("key001"), folder)
    monkeypatch.undo()
    assert found.value("key001") == VALUES["key001"]


def test_an_interrupted_question_leaves_no_answer_for_the_next(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = open_lmdb(folder)

    def interrupted(*args: object) -> object:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(lmdb_folder, "receive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            found.value("key001")
    assert found.value("key002") == VALUES["key002"]


def test_its_process_ends_with_the_folder(folder: Path) -> None:
    found = open_lmdb(folder)
    process = found._process
    del found
    gc.collect()
    assert process.returncode == 0


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="only Linux tells when a process ends that is nobody's child")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_its_process_ends_with_whoever_holds_it(folder: Path, number: int) -> None:
    code = (
        f"import pathlib, time; from bstsearch.formats.lmdb_folder import open_lmdb; "
        f"one = open_lmdb(pathlib.Path({str(folder)!r})); print(one._process.pid, flush=True); time.sleep(100)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as holder:
        assert holder.stdout is not None
        reader = int(holder.stdout.readline())
        handle = os.pidfd_open(reader)
        holder.send_signal(number)
        holder.wait()
    try:
        assert is_over(handle)
    finally:
        os.close(handle)


def is_over(handle: int) -> bool:
    """Waits until a process that is nobody's child ends."""
    return bool(select.select([handle], [], [], 30)[0])
