"""The errors a user can meet; each class owns the exit code and the kind that the command line returns for it.

A message is one line: what, which, what was expected; what to do. What to do comes last, after a semicolon or a full
stop, and begins with one of `INSTRUCTIONS`, with a quoted command or with an option; so it can be told apart.
"""

from __future__ import annotations

import re

# The verbs that begin what there is to do; a test holds every message of the package against them.
INSTRUCTIONS = (
    *("add", "change", "check", "choose", "close", "connect", "copy", "declare", "did you mean", "export", "give"),
    *(
        "install",
        "keep",
        "leave",
        "let",
        "look at",
        "make",
        "measure",
        "name",
        "plug",
        "raise",
        "remove",
        "rename",
        "run",
        "save",
    ),
    *("say", "see", "send", "start", "switch", "try", "unlock", "unplug", "update", "use", "wait", "write"),
)
_VERB = "|".join(INSTRUCTIONS)
_COMMAND = r"'[^' ]+ [^']+'"
_WHAT_TO_DO = re.compile(rf"(?:; |(?<=[.?]) )(?=(?i:{_VERB})\b|{_COMMAND}|--[a-z])")


class BstsearchError(Exception):
    """Root of every expected error; raised itself, it is a wrong result, which only a bug can bring about."""

    kind = "bug"
    exit_code = 1

    @property
    def remedy(self) -> str | None:
        """The end of the message that says what to do; None where it says nothing of the kind.

        >>> InputError("front.json is truncated; 'bstsearch pareto --force' makes it anew").remedy
        "'bstsearch pareto --force' makes it anew"
        """
        message = " ".join(str(self).splitlines())
        begin = _WHAT_TO_DO.search(message)
        return message[begin.end() :] if begin else None


class UsageError(BstsearchError):
    """The request itself cannot be right: unknown names, options that exclude each other."""

    kind = "usage"
    exit_code = 2


class InfeasibleBudgetError(BstsearchError):
    """No submodel fits the budget; the message names the nearest one."""

    kind = "infeasible-budget"
    exit_code = 3


class InputError(BstsearchError):
    """An input is missing, malformed, or stale."""

    kind = "input"
    exit_code = 4


class DeviceError(BstsearchError):
    """A device, a disk or a runtime is not available."""

    kind = "device"
    exit_code = 5


class NoisyMeasurementError(BstsearchError):
    """Something was measured, but its times say nothing, or with `--strict` are not those of a device at rest."""

    kind = "noisy-measurement"
    exit_code = 6
