"""The errors a user can meet; each class owns the exit code that the command line returns for it."""

from __future__ import annotations


class BstsearchError(Exception):
    """Root of every expected error; its message is one line: what, which, what was expected, what to do."""

    exit_code = 1


class UsageError(BstsearchError):
    """The request itself cannot be right: unknown names, options that exclude each other."""

    exit_code = 2


class InfeasibleBudgetError(BstsearchError):
    """No submodel fits the budget; the message names the nearest one."""

    exit_code = 3


class InputError(BstsearchError):
    """An input is missing, malformed, or stale."""

    exit_code = 4


class DeviceError(BstsearchError):
    """A device, a disk or a runtime is not available."""

    exit_code = 5


class NoisyMeasurementError(BstsearchError):
    """Something was measured, but its times say nothing, or with `--strict` are not those of a device at rest."""

    exit_code = 6
