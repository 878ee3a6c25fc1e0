from __future__ import annotations

import threading

import pytest

from bstsearch.formats.read_ahead import read_ahead


def test_rows_come_in_order_whatever_finishes_first() -> None:
    second_is_read = threading.Event()

    def read(row: int) -> int:
        if row == 0:
            assert second_is_read.wait(10)
        if row == 1:
            second_is_read.set()
        return row * row

    assert list(read_ahead(read, [[0, 1, 2], [5], [3, 4]])) == [[0, 1, 4], [25], [9, 16]]
    assert list(read_ahead(read, [])) == []


def test_an_error_is_raised_where_its_batch_is_due() -> None:
    def read(row: int) -> int:
        if row == 3:
            raise ValueError("row 3")
        return row

    batches = read_ahead(read, [[1], [2], [3], [4]])
    assert [next(batches), next(batches)] == [[1], [2]]
    with pytest.raises(ValueError, match="row 3"):
        next(batches)


def test_no_thread_stays_when_reading_stops_early() -> None:
    batches = read_ahead(lambda row: row, [[row] for row in range(100)])
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert not any(thread.name.startswith("read-ahead") for thread in threading.enumerate())
