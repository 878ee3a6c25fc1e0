"""What a page tells of its device."""

from __future__ import annotations

import pytest
from phone import ENVIRONMENT, PIXEL

from bstsearch.measuring.drivers.browser.protocol import Hello, browser_of, hardware_of


@pytest.mark.parametrize(
    ("agent", "model", "title", "name"),
    [
        (PIXEL, None, "Pixel 7", "Chrome 120"),
        (PIXEL.replace("Pixel 7", "K"), "SM-G991B", "SM-G991B", "Chrome 120"),
        (PIXEL.replace("Pixel 7", "K"), None, "Android (Chrome 120)", "Chrome 120"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Version/17.0 Safari/604.1", None, "iPhone (Safari 17)",
         "Safari 17"),
        ("Mozilla/5.0 (Android 14; Mobile; rv:130.0) Gecko/130.0 Firefox/130.0", None, "Android (Firefox 130)",
         "Firefox 130"),
        ("curious", None, "a browser", "a browser"),
    ],
)  # fmt: skip
def test_a_phone_is_named_as_well_as_it_tells(agent: str, model: str | None, title: str, name: str) -> None:
    told = {**ENVIRONMENT, "user_agent": agent, "model": model, "memory_gb": None, "cores": None}
    phone = Hello(page="a" * 8, **told)
    assert (hardware_of(phone).title, browser_of(phone)) == (title, name)
    assert (hardware_of(phone).cores, hardware_of(phone).memory_bytes) == (1, None)
    assert hardware_of(phone, title="My phone", soc="Chip 1").soc == "Chip 1"


def test_what_a_phone_calls_itself_moves_no_cursor() -> None:
    told = {**ENVIRONMENT, "model": "a\x1b[2Jb", "system": "c\nd"}
    found = hardware_of(Hello(page="a" * 8, **told))
    assert found.title == "a [2Jb"
    assert (found.system or "").startswith("c d; ")
