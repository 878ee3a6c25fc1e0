from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

import bstsearch
from bstsearch.measuring.assemble import Measurement, assemble
from bstsearch.profiles.profile import DeviceProfile
from bstsearch.profiles.profile_file import load_profile, save_profile
from bstsearch.reading import checked

MakeProfile = Callable[..., DeviceProfile]


@pytest.fixture
def before(tiny_folder: Path, make_profile: MakeProfile) -> DeviceProfile:
    """What there was: another model's measurement."""
    return make_profile(tiny_folder, "phone", model={"architecture": "0" * 16, "family": "uniter"})


@pytest.fixture
def measurement(tiny_folder: Path, make_profile: MakeProfile) -> Measurement:
    made = make_profile(tiny_folder, "phone", model={"date": "2026-05-01T08:00:00+00:00"})
    return Measurement(hardware=made.hardware, runtime=made.runtime, model=made.models[0])


def test_a_first_measurement_is_a_profile(measurement: Measurement, tmp_path: Path) -> None:
    profile = assemble("phone", "ssh", measurement, ["it was warm"], None)
    assert (profile.device, profile.obtained, profile.via) == ("phone", "measured", "ssh")
    assert (profile.models, profile.notes) == ((measurement.model,), ("it was warm",))
    assert (profile.hardware, profile.runtime) == (measurement.hardware, measurement.runtime)
    assert profile.date == measurement.model.date
    assert profile.bstsearch == bstsearch.__version__
    assert load_profile(save_profile(profile, tmp_path)) == profile


def test_other_models_stay(measurement: Measurement, before: DeviceProfile) -> None:
    profile = assemble("phone", "local", measurement, [], before)
    assert profile.models == (*before.models, measurement.model)


def test_the_same_model_is_replaced(measurement: Measurement, before: DeviceProfile) -> None:
    once = assemble("phone", "local", measurement, [], before)
    assert assemble("phone", "local", measurement, [], once).models == once.models


@pytest.mark.parametrize(
    "change",
    [{"via": "ssh"}, {"runtime": {"threads": 1}}, {"runtime": {"version": "1.0"}}, {"hardware": {"title": "another"}}],
)
def test_models_of_another_device_or_runtime_go(
    change: dict[str, Any], measurement: Measurement, before: DeviceProfile
) -> None:
    data = before.to_json()
    for key, value in change.items():
        data[key] = data[key] | value if isinstance(value, dict) else value
    profile = assemble("phone", "local", measurement, [], checked(data, DeviceProfile, "made up"))
    assert profile.models == (measurement.model,)


def test_an_estimate_is_replaced_by_a_measurement(
    measurement: Measurement, tiny_folder: Path, make_profile: MakeProfile, make_estimated: MakeProfile
) -> None:
    profile = assemble("phone", "adb", measurement, [], make_estimated(tiny_folder))
    assert (profile.obtained, profile.rates, profile.sources) == ("measured", None, ())


def test_the_same_model_in_another_precision_stays(measurement: Measurement, before: DeviceProfile) -> None:
    int8 = dataclasses.replace(measurement, model=structs.replace(measurement.model, precision="int8"))
    once = assemble("phone", "local", measurement, [], before)
    both = assemble("phone", "local", int8, [], once)
    assert both.models == (*before.models, measurement.model, int8.model)
    assert assemble("phone", "local", int8, [], both).models == both.models
