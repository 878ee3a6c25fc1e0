"""What went wrong on the way to a board or on it, in one line with what to do about it (no torch)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bstsearch.errors import UsageError
from bstsearch.reading import REASON, shown

SSH_FAILED = 255  # ssh's own exit status; others are the board's
NOT_FOUND = (126, 127)  # what shells say of a program that is not there, or none
KILLED = 137

# What OpenSSH writes, and what to tell of it; the first that fits. {host} as given, {name} the computer alone, {login}
# as ssh-copy-id takes it, {forget} the command that takes it out of known_hosts.
KNOWN = (
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED",
        "the host key of {host} is not the one that this computer knows; check that this is your board, set up anew, "
        "and not another; then {forget}, and connect once by hand with 'ssh {host}'",
    ),
    (
        r"Host key verification failed|No \S+ host key is known",
        "this computer does not know the host key of {host} yet; connect once by hand with 'ssh {host}', and compare "
        "the fingerprint that it shows",
    ),
    (
        r"Permission denied \(|Too many authentication failures",
        "{host} accepts no key of yours; 'ssh-copy-id {login}' puts one there (with a passphrase: 'ssh-add' first)",
    ),
    (
        r"Could not resolve hostname|Name or service not known",
        "there is no host {name}; check the name, or give the address",
    ),
    (
        r"Connection refused",
        "{host} is there, but runs no ssh server; switch it on (on a Raspberry Pi: 'sudo raspi-config'; in Termux: "
        "'sshd', and its port is 8022, as in ssh://{name}:8022)",
    ),
    (
        r"timed out|No route to host|unreachable|Host is down",
        "{host} does not answer; check that it is on, and in the same network",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Session:
    """What was asked for, and whether the runner ever became ready."""

    host: str
    python: str
    is_ready: bool


def check_host(host: str) -> None:
    """Passes where `host` can be one; else UsageError, as where ssh would take it for an option."""
    if not re.fullmatch(r"[^\s-]\S{,254}", host) or not host.isprintable():
        raise UsageError(
            f"{shown(host)} is no host; give one as for ssh, like pi@raspberrypi.local or a name of ~/.ssh/config"
        )


def check_python(python: str) -> None:
    """Passes where `python` can name a program; else UsageError."""
    if not re.fullmatch(r"[^\s-].{,999}", python) or not python.isprintable():
        raise UsageError(f"{shown(python)} names no Python; give --board-python a name, or a path on the board")


def explain_end(session: Session, status: int, errors: str) -> str:
    """Why the session ended by itself with exit status `status`, after ssh or the board wrote `errors`."""
    last = _last_line(errors) or f"exit status {status}"
    if session.is_ready:
        return _left(session.host, status, last)
    if status in NOT_FOUND:
        return (
            f"{session.host} has no {session.python!r}; install Python 3.8 or newer there, or name one with "
            "--board-python"
        )
    if status != SSH_FAILED:
        return f"{session.python!r} does not start on {session.host}: {last}; --board-python names another one there"
    for pattern, line in KNOWN:
        if re.search(pattern, errors):
            return line.format_map(_names(session.host))
    return f"cannot connect to {session.host}: {last}; 'ssh {session.host} true' must work without a question"


def explain_silence(host: str, seconds: float) -> str:
    """What to say of a board from which nothing has come for `seconds`, or that took nothing."""
    return f"{host} did not answer within {seconds:g} s; check its power and network, and measure again"


def explain_refusal(host: str, kind: str, line: str) -> str:
    """What the runner on `host` answered instead of a result."""
    if kind == "MissingRuntimeError":
        return f"{host}: {line} (where that is refused, in a virtual environment; then name its Python: --board-python)"
    return f"{host}: {line}" if kind == "RunnerError" else f"{host}: {kind}: {line}"


def _names(host: str) -> dict[str, str]:
    """What `host`, which may be an address like ssh://user@name:port, is called elsewhere."""
    place = host.removeprefix("ssh://").rstrip("/")
    user, _, name = place.rpartition("@")
    port = ""
    if place != host and (found := re.fullmatch(r"(.+):(\d+)", name)):
        name, port = found.groups()
    login = f"{user}@{name}" if user else name
    return {
        "host": host,
        "name": name,
        "forget": f"\"ssh-keygen -R '[{name}]:{port}'\"" if port not in ("", "22") else f"'ssh-keygen -R {name}'",
        "login": f"-p {port} {login}" if port else login,
    }


def _left(host: str, status: int, last: str) -> str:
    if status == KILLED:
        return f"{host} ended the measurement, most likely for want of memory; close other programs there, or use swap"
    return f"{host} left in the middle of the measurement ({last}); check its power and network, and measure again"


def _last_line(text: str) -> str:
    """The last line that says something, without what could move a terminal's cursor."""
    lines = ["".join(filter(str.isprintable, line)).strip() for line in text.splitlines()]
    return next((line[:REASON] for line in reversed(lines) if line), "")
