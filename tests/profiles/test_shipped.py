"""The profiles that ship: what they claim, recomputed from the published rows in another way than the script's."""

from __future__ import annotations

import csv
import math
import subprocess
import sys
from pathlib import Path
from statistics import fmean, geometric_mean

import pytest

from bstsearch.profiles.profile import DeviceProfile
from bstsearch.profiles.profile_file import load_profile

PROFILES = Path(__file__).parents[2] / "profiles"
PUBLISHED = PROFILES / "published"

CALIBRATED = ["pixel4", "galaxy-s10", "moto-one-fusion", "galaxy-a03s", "iphone-xs", "raspberrypi4"]
ESTIMATED = ["pixel7", "pixel6", "snapdragon-888", "snapdragon-8gen2", "raspberrypi5", "jetson-orin-nano"]
ESTIMATED += ["apple-m1", "x86-laptop"]
CLASS = {"raspberrypi5": "narrow", "jetson-orin-nano": "narrow", "x86-laptop": "x86"}  # the others: wide
CHECKED = {"snapdragon-8gen2": ("snapdragon-8gen2", "ncnn", "1"), "apple-m1": ("macbook-air-m3", "ncnn", "1")}

Line = dict[str, str]


def read(name: str) -> list[Line]:
    with (PUBLISHED / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


ROWS = read("latencies.csv")


def load(name: str) -> DeviceProfile:
    return load_profile(PROFILES / f"{name}.json")


def size(row: Line) -> float:
    return float(row["gflops"])


def ms(row: Line) -> float:
    return float(row["latency_ms"])


def own_rows(name: str) -> list[Line]:
    """The rows of the profile's device, cores and runtime."""
    runtime = load(name).runtime
    key = (name, runtime.name, runtime.cores_used, "plain")
    return [row for row in ROWS if (row["device"], row["runtime"], row["cores_used"], row["kind"]) == key]


def line_through(rows: list[Line]) -> tuple[float, float]:
    """Slope and intercept of log latency over log size, by the normal equations; the slope is at most 1."""
    points = [(math.log(size(row)), math.log(ms(row))) for row in rows]
    n, x, y = len(points), sum(x for x, _ in points), sum(y for _, y in points)
    xx, xy = sum(x * x for x, _ in points), sum(x * y for x, y in points)
    slope = min(1.0, (n * xy - x * y) / (n * xx - x * x))
    return slope, (y - slope * x) / n


def off_by(actual: float, log_predicted: float) -> float:
    return abs(actual / math.exp(log_predicted) - 1)


def at(share: float, values: list[float]) -> float:
    """The value at that share of the sorted values, interpolated between neighbours."""
    ordered, place = sorted(values), share * (len(values) - 1)
    low = math.floor(place)
    return ordered[low] + (place - low) * (ordered[min(low + 1, len(values) - 1)] - ordered[low])


def assert_error(profile: DeviceProfile, errors: list[float]) -> None:
    assert profile.error is not None
    assert profile.error.rows == len(errors)
    found = (profile.error.median, profile.error.p90, profile.error.worst)
    assert found == pytest.approx((at(0.5, errors), at(0.9, errors), max(errors)), rel=1e-3)


# What ships


@pytest.mark.parametrize("name", [*CALIBRATED, *ESTIMATED])
def test_it_says_what_it_is_and_where_that_is_from(name: str) -> None:
    profile = load(name)
    assert profile.obtained == ("calibrated" if name in CALIBRATED else "estimated")
    assert profile.sources
    assert profile.runtime.cores_used
    assert profile.hardware.cores == sum(cluster.cores for cluster in profile.hardware.clusters)
    assert any("Runtimes differ" in note and "factor of 1.5" in note for note in profile.notes)


def test_every_device_of_the_table_ships() -> None:
    assert {line["device"] for line in read("devices.csv")} == {*CALIBRATED, *ESTIMATED}


def test_pixel7_is_estimated_to_40_percent_and_says_why() -> None:
    profile = load("pixel7")
    assert profile.obtained == "estimated"
    assert profile.error is not None
    assert profile.error.interval == pytest.approx(0.40)
    assert any("No fp32 latency of a Transformer on a Pixel 7 is published" in note for note in profile.notes)


@pytest.mark.parametrize("name", CALIBRATED)
def test_a_calibrated_profile_says_that_its_runtime_is_not_onnx_runtime(name: str) -> None:
    profile = load(name)
    assert profile.runtime.name.startswith("PyTorch")
    assert any("No fp32 row of ONNX Runtime is published" in note for note in profile.notes)


def test_every_row_names_a_source_that_is_listed() -> None:
    known = {line["key"] for line in read("sources.csv")}
    listed = [key for name in ("hardware.csv", "memory.csv") for line in read(name) for key in line["sources"].split()]
    assert {row["source"] for row in ROWS} | set(listed) <= known


# Rates and errors


@pytest.mark.parametrize("name", CALIBRATED)
def test_calibrated_rates_go_through_the_rows(name: str) -> None:
    slope, start = line_through(own_rows(name))
    rates = load(name).rates
    assert rates is not None
    assert (rates.exponent, rates.gflops_per_s) == pytest.approx((slope, 1000 / math.exp(start)), rel=1e-3)
    sizes = [size(row) for row in own_rows(name)]
    assert (rates.smallest_gflops, rates.largest_gflops) == (min(sizes), max(sizes))


@pytest.mark.parametrize("name", CALIBRATED)
def test_calibrated_error_is_that_of_models_left_out(name: str) -> None:
    rows, errors = own_rows(name), []
    for row in rows:
        slope, start = line_through([other for other in rows if other is not row])
        errors.append(off_by(ms(row), start + slope * math.log(size(row))))
    assert_error(load(name), errors)


def log_share(rows: list[Line], exponent: float) -> float:
    """Mean over devices of the mean over runtimes of the mean log share of peak, over rows that may be fitted to."""
    by_device: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        if row["use"] == "fit":
            reached = 1000 * size(row) ** exponent / ms(row) / float(row["peak_gflops"])
            by_device.setdefault(row["device"], {}).setdefault(row["runtime"], []).append(math.log(reached))
    return fmean(fmean(fmean(shares) for shares in runtimes.values()) for runtimes in by_device.values())


@pytest.mark.parametrize("name", ESTIMATED)
def test_estimated_error_is_that_of_devices_left_out(name: str) -> None:
    profile = load(name)
    assert profile.rates is not None
    exponent = profile.rates.exponent
    of_class = [row for row in ROWS if row["core_class"] == CLASS.get(name, "wide")]
    errors = []
    for row in of_class:
        share = log_share([other for other in of_class if other["device"] != row["device"]], exponent)
        rate = share + math.log(float(row["peak_gflops"]))
        errors.append(off_by(ms(row), math.log(1000) + exponent * math.log(size(row)) - rate))
    for row in ROWS:
        if (row["device"], row["runtime"], row["cores"]) == CHECKED.get(name):
            rate = math.log(profile.rates.gflops_per_s)
            errors.append(off_by(ms(row), math.log(1000) + exponent * math.log(size(row)) - rate))
    assert_error(profile, errors)


@pytest.mark.parametrize("name", ESTIMATED)
def test_estimated_rate_is_a_share_of_the_big_core_s_peak(name: str) -> None:
    profile = load(name)
    assert profile.rates is not None
    share = math.exp(
        log_share([row for row in ROWS if row["core_class"] == CLASS.get(name, "wide")], profile.rates.exponent)
    )
    peak = profile.hardware.clusters[0].peak_gflops
    assert peak is not None
    assert profile.rates.gflops_per_s == pytest.approx(share * peak, rel=1e-3)


def test_blind_predictions_were_off_by_40_percent_which_no_estimate_undercuts() -> None:
    blind = [row for row in ROWS if row["source"] in ("ncnn", "iree-gist", "mobilebert") and row["peak_gflops"]]
    less = {"1": 1.0, "2": 0.83}
    rates = [0.66 * less.get(row["cores"], 0.65) * float(row["peak_gflops"]) for row in blind]
    off = [abs(1000 * size(row) / rate / ms(row) - 1) for row, rate in zip(blind, rates, strict=True)]
    assert len(blind) == 27
    assert fmean(off) == pytest.approx(0.41, abs=0.01)
    assert min(load(name).error.interval for name in ESTIMATED) == pytest.approx(0.40)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", [*CALIBRATED, *ESTIMATED])
def test_the_range_holds_what_was_published_for_those_very_cores(name: str) -> None:
    profile = load(name)
    assert profile.rates is not None
    assert profile.error is not None
    rows = [row for row in ROWS if row["device"] == name and row["kind"] == "plain"]
    cores_used = str(profile.runtime.cores_used)
    same = [row for row in rows if row["cores_used"] == cores_used]
    for row in same:
        predicted = 1000 * size(row) ** profile.rates.exponent / profile.rates.gflops_per_s
        assert 1 / (1 + profile.error.interval) <= ms(row) / predicted <= 1 + profile.error.interval, row["model"]


@pytest.mark.parametrize("name", [*CALIBRATED, *ESTIMATED])
def test_weights_stream_at_the_share_of_memory_speed_that_gpt2_showed(name: str) -> None:
    profile, line = load(name), read("weight_streaming.csv")[0]
    assert profile.rates is not None
    middle = geometric_mean([float(line["fewest_mb"]), float(line["most_mb"])]) / float(line["latency_ms"])
    share = middle / float(line["peak_gb_per_s"])
    assert 13.4 < middle < 19.7
    assert profile.rates.gb_per_s == pytest.approx(share * profile.hardware.memory_gb_per_s, rel=1e-3)  # type: ignore[operator]


# The script


def run_script(*arguments: str, folder: Path) -> str:
    """What the script prints, run from that folder as a user runs it."""
    command = [sys.executable, str(PROFILES / "build.py"), *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def test_the_script_makes_the_files_that_ship(tmp_path: Path) -> None:
    printed = run_script("--out", ".", folder=tmp_path)
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert sorted(made) == sorted(printed.split()) == sorted(f"{name}.json" for name in [*CALIBRATED, *ESTIMATED])
    assert made == {name: (PROFILES / name).read_bytes() for name in made}


def test_the_power_law_has_the_smallest_worst_error_of_the_three_models(tmp_path: Path) -> None:
    worst: dict[str, list[float]] = {}
    for line in run_script("--compare", folder=tmp_path).splitlines()[2:]:
        for model, cell in zip(("constant", "power", "intercept"), line.split("|")[2:5], strict=True):
            worst.setdefault(model, []).append(float(cell.split("worst ")[1].split("%")[0]))
    assert max(worst["power"]) <= max(worst["constant"])
    assert sum(worst["power"]) < sum(worst["intercept"]) < sum(worst["constant"])
