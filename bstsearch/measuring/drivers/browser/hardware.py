"""What a browser tells of the device that it runs on (no torch)."""

from __future__ import annotations

import re

from bstsearch.measuring.drivers.browser.protocol import Hello
from bstsearch.profiles.profile import Hardware

GIB = 2**30

# "Mozilla/5.0 (Linux; Android 13; Pixel 7) ..."; "K" is what browsers say that tell no model.
_ANDROID = re.compile(r"\(Linux; Android [^;)]+; (?!K\))([^;)]+)")
_BROWSERS = {"Firefox": "Firefox", "EdgA": "Edge", "Edg": "Edge", "SamsungBrowser": "Samsung Internet"}
_BROWSERS |= {"CriOS": "Chrome", "FxiOS": "Firefox", "Chrome": "Chrome", "Version": "Safari"}


def hardware_of(phone: Hello, *, title: str | None = None, soc: str | None = None) -> Hardware:
    """The device as a profile describes it; `title` and `soc` go before what the browser tells.

    `cores` are those that the browser owns up to, and its memory is rounded: both may be less than there is.
    """
    memory_bytes = round(phone.memory_gb * GIB) if phone.memory_gb else None
    return Hardware(
        title=title or _title(phone),
        soc=soc or "not told by the browser",
        cores=phone.cores or 1,
        clusters=(),
        memory_bytes=memory_bytes,
        memory_gb_per_s=None,
        memory_evidence="navigator.deviceMemory, which is rounded and capped" if memory_bytes else None,
        system=f"{phone.system}; {phone.user_agent}" if phone.system else phone.user_agent,
    )


def browser_of(phone: Hello) -> str:
    """The browser's name and version as its user agent has them, such as "Chrome 120".

    >>> browser_of(Hello(page="a" * 8, user_agent="(X11) Gecko Firefox/130.0", model=None, system=None, cores=None,
    ...     memory_gb=None, is_isolated=False))
    'Firefox 130'
    """
    for key, name in _BROWSERS.items():
        if found := re.search(rf"{key}/(\d+)", phone.user_agent):
            return f"{name} {found[1]}"
    return "a browser"


def _title(phone: Hello) -> str:
    if phone.model:
        return phone.model
    if found := _ANDROID.search(phone.user_agent):
        return found[1].removesuffix(" Build").strip()
    for name in ("iPhone", "iPad", "Android", "Windows", "Macintosh", "Linux"):
        if name in phone.user_agent:
            return f"{name} ({browser_of(phone)})"
    return browser_of(phone)
