"""The addresses under which other devices of the local network reach this computer (no torch)."""

from __future__ import annotations

import ipaddress
import socket

import psutil

from bstsearch.errors import DeviceError

_ELSEWHERE = ("192.0.2.1", 9)  # an address of nobody's (RFC 5737); "connecting" a datagram socket sends nothing


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
