"""A job for one page: which page may do it, and what becomes of one that leaves, dies or never comes."""

from __future__ import annotations

import contextlib
import http.client
import threading

import pytest
from phone import ENVIRONMENT, STARTED, Phone, Start, kinds, time_once

from bstsearch.errors import DeviceError
from bstsearch.measuring.drivers.browser.job import MOST_LOADS, Job
from bstsearch.measuring.drivers.browser.protocol import Done, Hello, Task


def test_a_second_phone_is_turned_away(start: Start) -> None:
    session = start(time_once)
    first, second = session.phone, Phone(session.phone.address, page="b" * 32)
    first.hello()
    assert second.hello() == 409
    for name in ("ask", "alive", "leave"):
        assert second.post(name) == (409, None)
    assert second.post("done", task=1, runtime=STARTED)[0] == 409
    assert second.post("failed", message="me") == (409, None)
    assert kinds(first, 4) == ["start", "open", "time", "finish"]
    session.end()


def test_a_page_loaded_anew_goes_on_with_the_task_in_hand(start: Start) -> None:
    session = start(time_once)
    phone = session.phone
    phone.hello()
    kinds(phone, 2)
    before = phone.ask()
    phone.post("leave")
    assert phone.hello() == 200
    assert phone.ask() == before
    assert before["opening"]["graphs"]  # so that it can open them again
    assert kinds(phone, 2) == ["time", "finish"]
    assert session.end() == [(1.0, 1.0), (1.0,)]
    assert "the page was loaded anew; going on" in session.notes


def test_the_same_phone_may_go_on_in_another_tab_but_no_other_phone(start: Start) -> None:
    session = start(time_once)
    phone, tab = session.phone, Phone(session.phone.address, page="b" * 32)
    phone.hello()
    kinds(phone, 2)
    phone.post("leave")
    assert tab.hello(user_agent="Mozilla/5.0 (iPhone)") == 409
    assert tab.hello(cores=4) == 409
    assert tab.hello() == 200
    assert phone.post("ask")[0] == 409
    assert kinds(tab, 2) == ["time", "finish"]
    session.end()


def test_a_result_posted_twice_counts_once(start: Start) -> None:
    session = start(lambda driver: [time_once(driver), time_once(driver)])
    phone = session.phone
    phone.hello()
    kinds(phone, 2)
    task = phone.ask()
    for ms in (1.0, 2.0):  # the answer to the first did not arrive
        assert phone.post("done", **phone.result(task, ms))[0] == 204
    assert [phone.work(ms=3.0)["kind"] for _ in range(3)] == ["open", "time", "finish"]
    assert session.end() == [[(1.0, 1.0), (1.0,)], [(3.0, 3.0), (3.0,)]]


def test_a_phone_that_leaves_is_an_error_that_says_how_to_go_on(start: Start) -> None:
    session = start(time_once, patience_s=0.4)
    session.phone.hello()
    with pytest.raises(DeviceError, match="the phone left while it was loading onnxruntime-web; what was measured is "):
        session.end()


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_phone_that_pulses_has_not_left() -> None:
    clock = Clock()
    job = Job(patience_s=0.4, clock=clock)
    hello = Hello(page="a" * 8, **ENVIRONMENT)
    job.hello(hello)
    found: list[Done] = []
    thread = threading.Thread(target=lambda: found.append(job.run(Task(kind="open", text=""))), daemon=True)
    thread.start()
    while job.ask(hello) is None:
        assert thread.is_alive()
    for _ in range(5):
        clock.now += 0.3
        job.hear(hello)
    job.finish(Done(page=hello.page, task=1))
    thread.join(20)
    assert found
    clock.now += 0.5
    with pytest.raises(DeviceError, match="the phone left while it was timing 0 submodels"):
        job.run(Task(kind="time", text=""))


def test_what_the_phone_cannot_do_is_an_error_with_its_words(start: Start) -> None:
    session = start()
    session.phone.hello()
    session.phone.ask()
    assert session.phone.post("failed", message="this browser has no WASM SIMD;\nupdate it") == (204, None)
    with pytest.raises(DeviceError, match=r"^the phone cannot go on: this browser has no WASM SIMD; update it$"):
        session.end()


def test_a_page_that_dies_again_and_again_is_out_of_memory(start: Start) -> None:
    session = start(time_once)
    phone = session.phone
    phone.hello()
    phone.work()
    assert phone.ask()["kind"] == "open"
    for _ in range(MOST_LOADS):
        assert phone.hello() == 200
    with contextlib.suppress(OSError, http.client.HTTPException):  # the server may be gone before it answers
        phone.hello()
    with pytest.raises(DeviceError, match="loaded the page anew 6 times while it was loading 2 submodels"):
        session.end()


def test_nobody_comes(start: Start) -> None:
    session = start(arrival_s=0.02)
    with pytest.raises(DeviceError, match=r"no browser opened http://localhost:\d+/\w+/ within 0.02 s"):
        session.end()


def test_what_a_page_says_went_wrong_is_shown_plain_and_short() -> None:
    job = Job(60.0)
    hello = Hello(page="a" * 32, **ENVIRONMENT)
    job.hello(hello)
    job.fail(hello, "no \x1b[2J\n" + "a" * 2000)
    with pytest.raises(DeviceError, match=r"^the phone cannot go on: no \[2J a+$") as caught:
        job.prepare(None)
    assert len(str(caught.value)) < 300
