from __future__ import annotations

import subprocess
import sys

import pytest

from bstsearch.cli.progress import Lines, beat_until, duration


class Work:
    """Lines of work whose clock the test sets."""

    def __init__(self, text: str = "scoring", total: int | None = None) -> None:
        self.now, self.written = 100.0, list[tuple[float, str]]()
        self.lines = Lines(self.write, text, total, clock=lambda: self.now)

    def write(self, line: str) -> None:
        self.written.append((self.now - 100, line))

    def wait(self, seconds: int) -> None:
        """Lets seconds pass, one after the other, with a beat after each."""
        for _ in range(seconds):
            self.now += 1
            self.lines.beat()

    def steps(self, count: int, seconds: int, start: int = 0, total: int = 100) -> None:
        """Reports that many steps, each of which takes so long."""
        for done in range(start + 1, start + count + 1):
            self.wait(seconds)
            self.lines.report("scoring", done, total)


def test_short_work_writes_nothing() -> None:
    work = Work(total=40)
    work.steps(count=4, seconds=1)
    work.lines.report("writing")
    assert work.written == []


def test_a_first_line_comes_after_five_seconds_and_others_after_growing_gaps() -> None:
    work = Work()
    work.wait(300)
    assert [second for second, _ in work.written] == [5, 15, 35, 75, 135, 195, 255]
    assert work.written[0] == (5, "scoring: 5 s so far")
    assert work.written[-1] == (255, "scoring: 4 min 15 s so far")


def test_a_line_tells_the_share_the_time_left_and_the_best_so_far() -> None:
    work = Work()
    work.lines.report("scoring", 0, 100)
    for done in range(1, 13):
        work.wait(1)
        work.lines.report("scoring", done, 100, "best 98.40 % at 0.41 ms (w1of2-d1of2)")
    assert work.written == [(5, "scoring: 4 of 100 (4 %), 1 min 35 s left, best 98.40 % at 0.41 ms (w1of2-d1of2)")]


def test_there_is_no_time_left_before_a_step_has_ended() -> None:
    work = Work(total=10)
    work.wait(5)
    work.steps(count=1, seconds=20, total=10)
    work.wait(15)
    assert [line for _, line in work.written] == [
        "scoring: 0 of 10 (0 %), 5 s so far",
        "scoring: 0 of 10 (0 %), 15 s so far",
        "scoring: 1 of 10 (10 %), 3 min 35 s left",  # 9 steps of 25 s, of which 10 s are over
    ]


def test_a_step_that_takes_longer_than_the_others_counts_for_those_to_come() -> None:
    work = Work(total=10)
    work.steps(count=2, seconds=1, total=10)
    work.wait(200)
    assert work.written[0] == (5, "scoring: 2 of 10 (20 %), 11 s left")  # 8 steps of 5/3 s, less 3 s
    assert work.written[-1] == (195, "scoring: 2 of 10 (20 %), 5 min 27 s left")


def test_the_time_left_is_that_of_recent_work() -> None:
    work = Work(total=1000)
    work.steps(count=100, seconds=1, total=1000)
    work.steps(count=100, seconds=10, start=100, total=1000)
    assert work.written[-1][1].endswith("left")
    done = 100 + (work.written[-1][0] - 100) // 10
    assert work.written[-1][1].startswith(f"scoring: {done:.0f} of 1,000")
    expected_s = 10 * (1000 - done) - (work.written[-1][0] % 10)
    assert duration(expected_s) in work.written[-1][1]


def test_work_gone_on_with_is_judged_by_what_was_done_now() -> None:
    work = Work("loading")
    work.lines.report("scoring", 900, 1000)
    work.steps(count=5, seconds=1, start=900, total=1000)
    work.wait(1)
    assert work.written == [(5, "scoring: 904 of 1,000 (90 %), 1 min 35 s left")]


@pytest.mark.parametrize(("done", "total"), [(0, 100), (40, 500)])
def test_a_count_that_restarts_or_another_total_begins_a_new_estimate(done: int, total: int) -> None:
    work = Work(total=100)
    work.steps(count=20, seconds=1)
    work.lines.report("scoring", done, total)
    work.wait(15)
    assert work.written[-1] == (35, f"scoring: {done} of {total} ({100 * done // total} %), 15 s so far")


def test_another_part_of_long_work_is_told_when_it_begins() -> None:
    work = Work("teacher")
    work.wait(26)
    work.lines.report("sandwich", 0, 1300)
    work.wait(3)
    work.lines.report("scoring", 0, 10)
    work.wait(3)
    assert work.written[2:] == [
        (26, "sandwich: 0 of 1,300 (0 %)"),
        (31, "scoring: 0 of 10 (0 %), 2 s so far"),  # never more than one in five seconds
    ]


def test_counts_alone_are_told_where_there_is_no_total() -> None:
    work = Work("reading")
    work.lines.advance(2500)
    work.wait(5)
    assert work.written == [(5, "reading: 2,500 done, 5 s so far")]


def test_advancing_counts_from_what_was_done() -> None:
    work = Work("counting", total=16)
    work.wait(2)
    work.lines.advance()
    work.wait(2)
    work.lines.advance(3)
    work.wait(1)
    assert work.written == [(5, "counting: 4 of 16 (25 %), 11 s left")]


def test_an_overdue_end_is_no_negative_time() -> None:
    work = Work(total=2)
    work.steps(count=1, seconds=1, total=2)
    work.lines.report("scoring", 2, 2)
    work.wait(5)
    assert work.written == [(5, "scoring: 2 of 2 (100 %), 0 s left")]


class Clock:
    """Stops after some waits, of which each takes as long as it may."""

    def __init__(self, work: Work, waits: int) -> None:
        self.work, self.left = work, waits

    def wait(self, timeout: float) -> bool:
        self.work.now += timeout
        self.left -= 1
        return self.left < 0


def test_lines_come_without_any_report() -> None:
    work = Work("reading the checkpoint")
    beat_until(Clock(work, waits=4), work.lines)
    assert work.written == [(5, "reading the checkpoint: 5 s so far"), (15, "reading the checkpoint: 15 s so far")]


def test_nobody_reading_is_no_error() -> None:
    work = Work()

    def broken(line: str) -> None:
        raise BrokenPipeError

    beat_until(Clock(work, waits=4), Lines(broken, "scoring", clock=lambda: work.now))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.2, "1 s"),
        (59, "59 s"),
        (59.5, "1 min 0 s"),
        (100, "1 min 40 s"),
        (3600, "1 h 0 min"),
        (90061, "25 h 1 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_an_error_ends_the_lines_with_the_block() -> None:
    code = (
        "import threading\n"
        "from bstsearch.cli.output import Output\n"
        "try:\n"
        "    with Output().progress('scoring'):\n"
        "        raise KeyboardInterrupt\n"
        "except KeyboardInterrupt:\n"
        "    print(threading.active_count())\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (result.stdout, result.stderr) == ("1\n", "")
