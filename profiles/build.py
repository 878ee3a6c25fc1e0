"""Writes the device profiles that ship, from the published rows in `published/`; the same bytes every time.

    python profiles/build.py            writes profiles/<device>.json
    python profiles/build.py --compare  prints the comparison of models that the choice of the power law rests on

A profile is *calibrated* where a power law, latency = 1000 x GFLOP^exponent / rate, could be fitted to published fp32
rows of plain Transformers on that device and those cores; its error comes from leaving one model out. It is *estimated*
where there are too few rows: the rate is the share of a core's fp32 peak that cores of its class reached, and the error
comes from leaving one device out, and from rows that took no part in any fit (ncnn, where it may use fp16).

A constant rate is worse nearly everywhere. A constant time beside a rate is as good on average, and worse at its worst;
and it would put a floor under every smaller submodel (7 ms on a Pixel 4, 78 ms on a Raspberry Pi 4) that no row shows.

What is shown to a user is a range for any runtime, since a user runs ONNX Runtime, of which no device here has a
published fp32 row. So `interval` joins two spreads as independent ones, each such that four of five lie within it: that
between models, and that between runtimes (and, where estimated, devices). It is rounded up to a multiple of 0.05, and
widened to hold a row of that device which nothing was fitted to. Of an estimate it is never less than blind predictions
were off by: 0.40.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bstsearch.devices.profile import (
    FORMAT,
    Cluster,
    DeviceProfile,
    Hardware,
    LatencyError,
    Rates,
    Runtime,
    Source,
    Units,
)
from bstsearch.devices.profile_file import save_profile

HERE = Path(__file__).parent
PUBLISHED = HERE / "published"
DATE = datetime.datetime(2026, 11, 25, tzinfo=datetime.UTC)  # when the published rows were collected
BUILT_WITH = "0.1.0"

FITTED = "PyTorch Mobile"  # the runtime with enough small plain Transformers to fit on
SIZE_MATCHED = 6.0  # GFLOP; submodels of MCAN are smaller
CLASSES = {
    "narrow": "one out-of-order Arm core (Cortex-A75 to A78)",
    "wide": "one core with four 128-bit pipes (Cortex-X, Apple)",
    "x86": "one x86 core",
}
# The blind check of the shared part of peak: 0.66 of it on one core, less on more.
BLIND_SHARE, BLIND_ON_TWO, BLIND_ON_MORE = 0.66, 0.83, 0.65
QUANTILE = 0.8
# What every range and note rests on, beside the rows of the device itself.
BEHIND = ("mmlb-torch", "mmlb-tflite", "ncnn", "iree-gist", "mobilebert", "iree-gpt2")
LEAST_ESTIMATED = "by which blind predictions for other devices and runtimes were off"
LEAST_OF_ONE_RUNTIME = "since the one runtime is of 2020, and runtimes and devices differ by a factor of 1.5"

Curve = Callable[[float], float]
Group = tuple[str, str, str]  # device, runtime and cores: rows that share these say one thing, not several


@dataclass(frozen=True, kw_only=True)
class Row:
    """One published latency, and where it comes from; `peak` is the fp32 peak of the cores used, in GFLOP/s."""

    device: str
    runtime: str
    version: str
    cores_used: str
    cores: int
    precision: str
    peak: float | None
    kind: str
    core_class: str
    use: str
    model: str
    gflops: float
    ms: float
    source: str

    @property
    def group(self) -> Group:
        """The group that the row is in."""
        return self.device, self.runtime, self.cores_used


Fit = Callable[[Sequence[Row]], Curve]


@dataclass(frozen=True, kw_only=True)
class PowerLaw:
    """milliseconds = 1000 x GFLOP^exponent / rate."""

    rate: float
    exponent: float

    def __call__(self, gflops: float) -> float:
        """The latency of a model of that size, in milliseconds."""
        return 1000 * math.pow(gflops, self.exponent) / self.rate


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a way of obtaining a profile found out, before it is put into the file's form."""

    rates: Rates
    error: LatencyError
    runtime: str
    version: str
    notes: list[str]
    sources: list[str]


def main() -> None:
    """Writes the profiles, or prints the comparison."""
    parser = argparse.ArgumentParser(description="Write the device profiles that ship, from profiles/published/.")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for the profiles (default: this one)")
    parser.add_argument("--compare", action="store_true", help="print the comparison of models instead")
    arguments = parser.parse_args()
    if arguments.compare:
        sys.stdout.write(comparison() + "\n")
        return
    for profile in build():
        sys.stdout.write(f"{save_profile(profile, arguments.out)}\n")


def build() -> list[DeviceProfile]:
    """The profile of every device in published/devices.csv."""
    rows = read_rows()
    return [_profile(device, rows) for device in _read("devices.csv")]


def read_rows() -> list[Row]:
    """All published latencies."""
    return [
        Row(
            device=line["device"],
            runtime=line["runtime"],
            version=line["version"],
            cores_used=line["cores_used"],
            cores=int(line["cores"]),
            precision=line["precision"],
            peak=float(line["peak_gflops"]) if line["peak_gflops"] else None,
            kind=line["kind"],
            core_class=line["core_class"],
            use=line["use"],
            model=line["model"],
            gflops=float(line["gflops"]),
            ms=float(line["latency_ms"]),
            source=line["source"],
        )
        for line in _read("latencies.csv")
    ]


# Models of latency, and how far they are off


def fit_power_law(rows: Sequence[Row]) -> PowerLaw:
    """The power law with the least squares of log latency; its exponent is at most 1."""
    sizes, times = np.log([row.gflops for row in rows]), np.log([row.ms for row in rows])
    exponent = min(1.0, float(np.polyfit(sizes, times, 1)[0]))
    return PowerLaw(rate=1000 / math.exp(float(np.mean(times - exponent * sizes))), exponent=exponent)


def fit_constant(rows: Sequence[Row]) -> PowerLaw:
    """The constant rate with the least squares of log latency."""
    return PowerLaw(rate=1000 / _geometric_mean([row.ms / row.gflops for row in rows]), exponent=1.0)


def fit_intercept(rows: Sequence[Row]) -> Curve:
    """A constant time beside a constant rate, with the least relative squares; neither is negative."""
    table = np.array([[1 / row.ms, row.gflops / row.ms] for row in rows])
    start, slope = np.linalg.lstsq(table, np.ones(len(rows)), rcond=None)[0]
    return (lambda gflops: float(start + slope * gflops)) if start > 0 else fit_constant(rows)


def held_out(rows: Sequence[Row], fit: Fit) -> list[tuple[float, float]]:
    """Actual and predicted latency of every row, by a fit to the others."""
    return [(row.ms, fit([other for other in rows if other is not row])(row.gflops)) for row in rows]


def comparison() -> str:
    """A Markdown table: the leave-one-model-out error of three models on every core set."""
    models: dict[str, Fit] = {
        "constant rate": fit_constant,
        "power law": fit_power_law,
        "rate + constant time": fit_intercept,
    }
    lines = [f"| rows | {' | '.join(models)} |", "|---|" + "---|" * len(models)]
    for (device, runtime, cores_used), rows in _groups(_fittable(read_rows())).items():
        errors = [_errors(rows, fit) for fit in models.values()]
        lines.append(f"| {device}, {runtime}, {cores_used} | {' | '.join(errors)} |")
    return "\n".join(lines)


def _errors(rows: Sequence[Row], fit: Fit) -> str:
    errors = [abs(actual / predicted - 1) for actual, predicted in held_out(rows, fit)]
    small = [error for row, error in zip(rows, errors, strict=True) if row.gflops < SIZE_MATCHED]
    return f"{np.mean(errors):.1%} (below 6 GFLOP {np.mean(small):.1%}, worst {max(errors):.1%})"


def _fittable(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row.kind == "plain" and row.source in ("mmlb-torch", "hat")]


# Calibrated: rows of that device


def _calibrate(device: dict[str, str], rows: Sequence[Row]) -> Made:
    own = _groups(_fittable(rows))[device["device"], device["basis"], device["cores_used"]]
    law, pairs, runtime = fit_power_law(own), held_out(own, fit_power_law), f"{own[0].runtime} {own[0].version}"
    check = _check(device, rows, law)
    interval, why = _interval(
        {"models": _spread(_ratios(pairs)), "runtimes": _spread(between_runtimes(rows).values())},
        check,
        least=(float(device["least_interval"] or 0), LEAST_OF_ONE_RUNTIME),
    )
    share = f" ({law.rate / own[0].peak:.0%} of the peak of {own[0].peak:g})" if own[0].peak else ""
    return Made(
        rates=_rates(law, own, device, f"{law.rate:.4g} GFLOP/s at 1 GFLOP{share}, x GFLOP^{1 - law.exponent:.3f}"),
        error=_error(
            pairs,
            interval=interval,
            computed_on=f"{len(own)} plain Transformers of {own[0].gflops:.2g} to {own[-1].gflops:.3g} GFLOP on "
            f"{device['cores_used']}, {runtime}, each predicted by a fit to the others",
            is_one_device=True,
        ),
        runtime=own[0].runtime,
        version=own[0].version,
        notes=[
            f"Fitted to {runtime}. No fp32 row of ONNX Runtime is published for this device.",
            why,
            _runtimes_note(rows),
            *([check.text] if check else []),
        ],
        sources=[own[0].source],
    )


def between_runtimes(rows: Sequence[Row]) -> dict[Group, float]:
    """How much longer other runtimes took than the fit to PyTorch Mobile on the same cores, a factor for each group.

    TFLite ran on the same cores of the same device; ncnn on Cortex-A76 cores of other clocks, for which the peak
    makes up.
    """
    laws = {(device, cores): fit_power_law(rows) for (device, _, cores), rows in _one_core_fits(rows).items()}
    a76 = next(row for row in rows if row.cores_used == "1 x Cortex-A76 2.84 GHz")
    found = {}
    for key, group in _groups(row for row in rows if row.kind == "plain" and row.cores == 1).items():
        device, runtime, cores = key
        if runtime == "TFLite" and (device, cores) in laws:
            found[key] = _geometric_mean([row.ms / laws[device, cores](row.gflops) for row in group])
        elif runtime == "ncnn" and "Cortex-A76" in cores:
            law, scale = laws[a76.device, a76.cores_used], _peak(group[0]) / _peak(a76)
            found[key] = _geometric_mean([row.ms / law(row.gflops) * scale for row in group])
    return found


def _one_core_fits(rows: Sequence[Row]) -> dict[Group, list[Row]]:
    return {key: group for key, group in _groups(_fittable(rows)).items() if group[0].cores == 1}


def _runtimes_note(rows: Sequence[Row]) -> str:
    factors, blind = between_runtimes(rows).values(), blind_transfer(rows)
    return (
        f"Runtimes differ: on equal cores TFLite and ncnn took {min(factors):.2f} to {max(factors):.2f} times as long "
        f"as fits to {FITTED} say. Of {len(blind)} blind predictions for other devices, runtimes and threads, the "
        f"standard deviation is a factor of {_geometric_deviation(blind):.1f}."
    )


def blind_transfer(rows: Sequence[Row]) -> list[float]:
    """Actual / predicted for rows of other devices, runtimes and threads, by 0.66 of peak and nothing fitted."""
    ratios = []
    for row in rows:
        if row.source in ("ncnn", "iree-gist", "mobilebert") and row.peak:
            on_more = 1.0 if row.cores == 1 else BLIND_ON_TWO if row.cores == 2 else BLIND_ON_MORE
            ratios.append(row.ms / (1000 * row.gflops / (BLIND_SHARE * on_more * row.peak)))
    return ratios


# Estimated: rows of cores of its class


def _estimate(device: dict[str, str], rows: Sequence[Row]) -> Made:
    of_class, exponent = [row for row in rows if row.core_class == device["basis"]], common_exponent(rows)
    core, share = _clusters(device["device"])[0], share_of_peak(of_class, exponent)
    peak = core.peak_gflops or math.nan
    law = PowerLaw(rate=share * peak, exponent=exponent)
    pairs, check = left_out_devices(of_class, exponent), _check(device, rows, law)
    for row in _check_rows(device, rows):
        pairs.setdefault(row, (row.ms, law(row.gflops)))
    groups = _groups(row for row in pairs if row.core_class)
    elsewhere = [_geometric_mean(_ratios(pairs[row] for row in group)) for group in groups.values()]
    interval, why = _interval(
        {"models": _between_models(rows), "devices and runtimes": _spread(elsewhere)},
        check,
        least=(_blind_error(rows), LEAST_ESTIMATED),
    )
    behind = [row for row in of_class if row.use == "fit"] + [
        row for fit in _one_core_fits(rows).values() for row in fit
    ]
    return Made(
        rates=_rates(
            law,
            behind,
            device,
            f"{share:.3f} of the peak of one core ({core.clock_ghz:g} GHz x {core.fp32_flop_per_cycle} FLOP/cycle = "
            f"{peak:.4g} GFLOP/s) = {law.rate:.4g} GFLOP/s at 1 GFLOP, x GFLOP^{1 - exponent:.3f}",
        ),
        error=_error(
            list(pairs.values()),
            interval=interval,
            computed_on=f"{len(pairs)} rows on {CLASSES[device['basis']]}, none of whose devices had a part in its "
            f"prediction: {'; '.join(_group_text(key, group) for key, group in _groups(pairs).items())}",
            is_one_device=False,
        ),
        runtime="any",
        version="not stated",
        notes=[
            f"Estimated from specifications: the share of peak reached elsewhere on {CLASSES[device['basis']]}.",
            why,
            *_not_counted(device, rows),
            _runtimes_note(rows),
            *([check.text] if check else []),
        ],
        sources=[],
    )


def share_of_peak(rows: Iterable[Row], exponent: float) -> float:
    """The rate at 1 GFLOP over the peak: geometric mean of models, then of runtimes, then of devices."""
    of_device: dict[str, list[float]] = {}
    for (device, _, _), group in _groups(row for row in rows if row.use == "fit").items():
        reached = [1000 * math.pow(row.gflops, exponent) / row.ms / _peak(row) for row in group]
        of_device.setdefault(device, []).append(_geometric_mean(reached))
    return _geometric_mean([_geometric_mean(shares) for shares in of_device.values()])


def left_out_devices(rows: Sequence[Row], exponent: float) -> dict[Row, tuple[float, float]]:
    """Actual and predicted latency of each row, by the share of peak of the other devices."""
    found = {}
    for row in rows:
        share = share_of_peak([other for other in rows if other.device != row.device], exponent)
        found[row] = row.ms, PowerLaw(rate=share * _peak(row), exponent=exponent)(row.gflops)
    return found


def common_exponent(rows: Sequence[Row]) -> float:
    """The mean exponent of the fits on one out-of-order core: all but that of the in-order Cortex-A53."""
    fits = [group for group in _one_core_fits(rows).values() if "A53" not in group[0].cores_used]
    return float(np.mean([fit_power_law(group).exponent for group in fits]))


def _between_models(rows: Sequence[Row]) -> float:
    """The median, over the one-core fits, of how far a model that was left out is off."""
    pairs = [held_out(group, fit_power_law) for group in _one_core_fits(rows).values()]
    return float(np.median([_spread(_ratios(group)) for group in pairs]))


# The range, and the row of the device itself (or its next of kin) that no fit has seen


@dataclass(frozen=True, kw_only=True)
class Check:
    """How many times as long as predicted a row took that nothing was fitted to, and that in words."""

    ratio: float
    text: str


def _check(device: dict[str, str], rows: Sequence[Row], law: PowerLaw) -> Check | None:
    for row in _check_rows(device, rows):
        ratio = row.ms / law(row.gflops)
        where = row.cores_used if row.device == device["device"] else f"{row.cores_used} ({row.device})"
        took = f"{row.model} took {row.ms:.0f} ms in {row.runtime} {row.version} ({row.precision}) on {where}"
        return Check(ratio=ratio, text=f"Not fitted to: {took}, {ratio:.2f} times what these rates say.")
    return None


def _check_rows(device: dict[str, str], rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if " | ".join(row.group) == device["check"]]


def _not_counted(device: dict[str, str], rows: Sequence[Row]) -> list[str]:
    """A note on rows of the same class whose core, or its peak, is not known; they count for one device only."""
    others = [line for line in _read("devices.csv") if line["basis"] == device["basis"] and line != device]
    names = [line["device"] for line in others if any(not row.core_class for row in _check_rows(line, rows))]
    if not names:
        return []
    return [f"Not counted, for want of the core's name or peak: a row each in the notes of {' and '.join(names)}."]


def _interval(factors: dict[str, float], check: Check | None, *, least: tuple[float, str]) -> tuple[float, str]:
    """Half of the range as a share, and why: independent factors together, at least `least` and what `check` took."""
    joined = _round_up(math.exp(math.hypot(*map(math.log, factors.values()))) - 1)
    checked = _round_up(_factor(check.ratio) - 1) if check else 0.0
    interval = max(joined, checked, least[0])
    parts = " with one of ".join(f"{factor:.2f} between {what}" for what, factor in factors.items())
    why = f"The range joins a factor of {parts}; four of five lie within each: +-{joined:.0%}."
    if interval == joined:
        return interval, why
    if interval == checked:
        return interval, f"{why} The row that was not fitted to widens it to +-{interval:.0%}."
    return interval, f"{why} It is widened to +-{interval:.0%}, {least[1]}."


def _blind_error(rows: Sequence[Row]) -> float:
    """The mean of abs(predicted / actual - 1) of the blind predictions, to the nearest 0.05."""
    return round(float(np.mean([abs(1 / ratio - 1) for ratio in blind_transfer(rows)])) / 0.05) * 0.05


# The file's form


def _profile(device: dict[str, str], rows: Sequence[Row]) -> DeviceProfile:
    name = device["device"]
    is_calibrated = device["basis"] not in CLASSES
    made = (_calibrate if is_calibrated else _estimate)(device, rows)
    clusters, memory = _clusters(name), next(line for line in _read("memory.csv") if line["device"] == name)
    keys = [key for line in _read("hardware.csv") if line["device"] == name for key in line["sources"].split()]
    keys = [*made.sources, *BEHIND, *keys, *memory["sources"].split()]
    return DeviceProfile(
        format=FORMAT,
        device=name,
        hardware=Hardware(
            title=device["title"],
            soc=device["soc"],
            cores=sum(cluster.cores for cluster in clusters),
            clusters=clusters,
            memory_bytes=None,
            memory_gb_per_s=float(memory["gb_per_s"]),
            memory_evidence=memory["evidence"],
            system=None,
        ),
        runtime=Runtime(
            name=made.runtime,
            version=made.version,
            provider="CPU",
            threads=int(device["threads"]),
            precision="float32",
            cores_used=device["cores_used"],
        ),
        obtained="calibrated" if is_calibrated else "estimated",
        via=None,
        date=DATE,
        bstsearch=BUILT_WITH,
        units=Units(latency="ms", memory="bytes"),
        sources=tuple(_sources(keys)),
        notes=(*([device["note"]] if device["note"] else []), *made.notes, _kinds_note(rows)),
        error=made.error,
        rates=made.rates,
        models=(),
    )


def _clusters(device: str) -> tuple[Cluster, ...]:
    return tuple(
        Cluster(
            core=line["core"],
            cores=int(line["cores"]),
            clock_ghz=float(line["clock_ghz"]),
            fp32_flop_per_cycle=int(line["fp32_flop_per_cycle"]) if line["fp32_flop_per_cycle"] else None,
            evidence=line["evidence"],
        )
        for line in _read("hardware.csv")
        if line["device"] == device
    )


def _sources(keys: Iterable[str]) -> list[Source]:
    known = {line["key"]: Source(what=line["what"], where=line["where"]) for line in _read("sources.csv")}
    return [known[key] for key in dict.fromkeys(keys)]


def _kinds_note(rows: Sequence[Row]) -> str:
    law = fit_power_law([row for row in _fittable(rows) if row.cores_used == "1 x Cortex-A76 2.84 GHz"])
    others = [row.ms / law(row.gflops) for row in rows if row.kind == "hybrid" and row.runtime == FITTED]
    return (
        f"For plain Transformers. On a Pixel 4, {len(others)} hierarchical and hybrid ones took {min(others):.1f} to "
        f"{max(others):.1f} times as long (median {np.median(others):.1f}) as the fit to plain ones says."
    )


def _rates(law: PowerLaw, rows: Sequence[Row], device: dict[str, str], arithmetic: str) -> Rates:
    streaming = streaming_share()
    peak = next(float(line["gb_per_s"]) for line in _read("memory.csv") if line["device"] == device["device"])
    return Rates(
        gflops_per_s=_round(law.rate),
        exponent=_round(law.exponent),
        gb_per_s=_round(streaming * peak),
        smallest_gflops=min(row.gflops for row in rows),
        largest_gflops=max(row.gflops for row in rows),
        arithmetic=f"{arithmetic}; weights at {streaming:.2f} of {peak:g} GB/s of memory = "
        f"{streaming * peak:.3g} GB/s, the share that one core of a Pixel 6 reached with GPT-2",
    )


def streaming_share() -> float:
    """The part of the memory's peak at which one core read weights: the middle of what GPT-2's one token allows."""
    line = _read("weight_streaming.csv")[0]
    middle = math.sqrt(float(line["fewest_mb"]) * float(line["most_mb"]))
    return middle / float(line["latency_ms"]) / float(line["peak_gb_per_s"])


def _error(
    pairs: Sequence[tuple[float, float]], *, interval: float, computed_on: str, is_one_device: bool
) -> LatencyError:
    """The error over actual and predicted latencies; ranks say something of one device's models only."""
    errors = [abs(actual / predicted - 1) for actual, predicted in pairs]
    return LatencyError(
        median=_round(float(np.median(errors))),
        p90=_round(float(np.percentile(errors, 90))),
        worst=_round(max(errors)),
        interval=interval,
        rank_correlation=_round(_rank_correlation(pairs)) if is_one_device else None,
        rows=len(pairs),
        computed_on=computed_on,
    )


def _group_text(key: Group, group: Sequence[Row]) -> str:
    device, runtime, cores_used = key
    allowed = "" if group[0].precision == "fp32" else f", {group[0].precision}"
    return f"{len(group)} of {device} ({cores_used}, {runtime}{allowed})"


# Small sums


def _groups(rows: Iterable[Row]) -> dict[Group, list[Row]]:
    found: dict[Group, list[Row]] = {}
    for row in dict.fromkeys(rows):
        found.setdefault(row.group, []).append(row)
    return found


def _peak(row: Row) -> float:
    if row.peak is None:
        raise ValueError(f"published/latencies.csv: {row.group} has no peak_gflops, which its class needs")
    return row.peak


def _geometric_mean(values: Sequence[float]) -> float:
    return math.exp(float(np.mean(np.log(values))))


def _geometric_deviation(values: Sequence[float]) -> float:
    return math.exp(float(np.std(np.log(values))))


def _factor(ratio: float) -> float:
    return max(ratio, 1 / ratio)


def _ratios(pairs: Iterable[tuple[float, float]]) -> list[float]:
    return [actual / predicted for actual, predicted in pairs]


def _spread(ratios: Iterable[float]) -> float:
    """The factor, up or down, that four of five ratios stay within."""
    return float(np.quantile([_factor(ratio) for ratio in ratios], QUANTILE))


def _rank_correlation(pairs: Sequence[tuple[float, float]]) -> float:
    """Spearman's, of actual and predicted latencies, no two of which are equal."""
    ranks = [np.argsort(np.argsort(column, kind="stable"), kind="stable") for column in np.array(pairs).T]
    first, second = (rank - rank.mean() for rank in ranks)
    return float(first @ second / math.sqrt(float((first @ first) * (second @ second))))


def _round_up(value: float) -> float:
    return round(math.ceil(value / 0.05 - 1e-9) * 0.05, 2)


def _round(value: float) -> float:
    return float(f"{value:.4g}")


def _read(name: str) -> list[dict[str, str]]:
    with (PUBLISHED / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    main()
