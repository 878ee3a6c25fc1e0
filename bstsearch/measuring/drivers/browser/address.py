"""How a phone finds this computer: its addresses in the local network, and a QR code of one (no torch)."""

from __future__ import annotations

import ipaddress
import socket
from itertools import zip_longest

import psutil

from bstsearch.errors import DeviceError

_ELSEWHERE = ("192.0.2.1", 9)  # an address of nobody's (RFC 5737); "connecting" a datagram socket sends nothing

_BORDER = 2  # modules; the standard asks for four, readers do with two
# Black on white whatever the terminal's colours are: not every reader takes a code with the two exchanged.
_START, _END = "\x1b[30;107m", "\x1b[0m"
_HALVES = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}


def lan_addresses() -> list[str]:
    """IPv4 addresses of this computer, that of its way out first; DeviceError where there is none."""
    found = [
        address.address
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family == socket.AF_INET and not _is_useless(address.address)
    ]
    if not found:
        raise DeviceError("this computer has no address in a network; connect it to the phone's, or use --via adb")
    first = _way_out()
    return sorted(found, key=lambda address: address != first)


def qr_lines(url: str) -> list[str]:
    """The lines of a QR code that says `url`, two rows of modules in each, in black on white (ANSI colours)."""
    import segno

    rows = [tuple(row) for row in segno.make_qr(url, error="l").matrix_iter(border=_BORDER)]
    empty = (0,) * len(rows[0])
    pairs = zip_longest(rows[::2], rows[1::2], fillvalue=empty)
    lines = ("".join(_HALVES[bool(high), bool(low)] for high, low in zip(*pair, strict=True)) for pair in pairs)
    return [f"{_START}{line}{_END}" for line in lines]


def _is_useless(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return parsed.is_loopback or parsed.is_link_local


def _way_out() -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)
        except OSError:
            return None
        return str(probe.getsockname()[0])
