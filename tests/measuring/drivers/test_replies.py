from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from bstsearch.measuring.drivers.replies import ATOMIC, Replies, TooLateError, TooLongError, write_all


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """The end to read from, and the end to write to."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


@pytest.fixture
def ended() -> Iterator[tuple[int, list[int]]]:
    """The end to read from, and the end to write to, which a test may close by taking it out of the list."""
    read, write = os.pipe()
    writers = [write]
    yield read, writers
    for end in (read, *writers):
        os.close(end)


def test_lines_come_one_by_one_however_they_were_sent(ended: tuple[int, list[int]]) -> None:
    read, writers = ended
    replies = Replies(read, 100)
    os.write(writers[0], b"one\ntw")
    assert replies.line(1) == b"one\n"
    os.write(writers[0], b"o\n\nla")
    assert (replies.line(1), replies.line(1)) == (b"two\n", b"\n")
    os.close(writers.pop())
    assert (replies.line(1), replies.line(1)) == (b"la", b"")


def test_a_line_that_does_not_come_is_waited_for_no_longer(pipe: tuple[int, int]) -> None:
    os.write(pipe[1], b"a begin")
    with pytest.raises(TooLateError):
        Replies(pipe[0], 100).line(0.01)


def test_a_line_without_an_end_is_not_kept(pipe: tuple[int, int]) -> None:
    os.write(pipe[1], b"a" * 101)
    with pytest.raises(TooLongError):
        Replies(pipe[0], 100).line(1)


def test_everything_is_what_is_said_until_the_end(ended: tuple[int, list[int]]) -> None:
    read, writers = ended
    os.write(writers[0], b"one\ntwo")
    with pytest.raises(TooLateError):
        Replies(read, 100).everything(0.01)
    os.write(writers[0], b"three\nfour")
    os.close(writers.pop())
    assert Replies(read, 100).everything(1) == b"three\nfour"


def test_a_program_that_takes_nothing_is_waited_for_no_longer(pipe: tuple[int, int]) -> None:
    with pytest.raises(TooLateError):
        write_all(pipe[1], bytes(1 << 22), 0.01)


def test_what_is_written_comes_out_whole(pipe: tuple[int, int]) -> None:
    data = bytes(range(256)) * (2 * ATOMIC // 256) + b"\n"
    write_all(pipe[1], data, 1)
    assert os.read(pipe[0], 2 * len(data)) == data
