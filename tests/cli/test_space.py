from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bstsearch.profiles.profile import DeviceProfile
from bstsearch.profiles.profile_file import save_profile

Invoke = Callable[..., Any]
MakeProfile = Callable[..., DeviceProfile]

# id, parameters, share of the full model's, MACs, GFLOPs, share of the full model's, whether BST trains it: counted
# by running the public code (MILVLG/bst).
PUBLISHED = {
    "mcan-vqa-v2": """
        w1of4-d1of6 9,533,963 0.1642 82,279,936 0.1646 0.0299 yes
        w1of4-d1of3 9,996,811 0.1721 111,397,376 0.2228 0.0405 yes
        w1of4-d2of3 10,922,507 0.1881 169,632,256 0.3393 0.0617 yes
        w1of4-d1 11,848,203 0.2040 227,867,136 0.4557 0.0829 yes
        w1of2-d1of6 12,340,235 0.2125 197,442,560 0.3949 0.0719 -
        w1of2-d1of3 14,183,435 0.2442 307,975,168 0.6160 0.1121 yes
        w1of2-d2of3 17,869,835 0.3077 529,040,384 1.0581 0.1926 yes
        w1of2-d1 21,556,235 0.3712 750,105,600 1.5002 0.2730 yes
        w3of4-d1of6 16,260,619 0.2800 368,769,536 0.7375 0.1342 -
        w3of4-d1of3 20,401,675 0.3513 613,015,040 1.2260 0.2231 -
        w3of4-d2of3 28,683,787 0.4939 1,101,506,048 2.2030 0.4009 yes
        w3of4-d1 36,965,899 0.6365 1,589,997,056 3.1800 0.5787 yes
        w1-d1of6 21,295,115 0.3667 596,260,864 1.1925 0.2170 -
        w1-d1of3 28,651,531 0.4933 1,026,516,992 2.0530 0.3736 -
        w1-d2of3 43,364,363 0.7467 1,887,029,248 3.7741 0.6868 -
        w1-d1 58,077,195 1.0000 2,747,541,504 5.4951 1.0000 yes
    """,
    "mcan-gqa": """
        w1of4-d1of6 4,185,937 0.0797 139,354,240 0.2787 0.0432 yes
        w1of4-d1of3 4,648,785 0.0885 172,461,440 0.3449 0.0534 yes
        w1of4-d2of3 5,574,481 0.1061 238,675,840 0.4774 0.0739 yes
        w1of4-d1 6,500,177 0.1237 304,890,240 0.6098 0.0944 yes
        w1of2-d1of6 6,924,881 0.1318 292,995,328 0.5860 0.0908 -
        w1of2-d1of3 8,768,081 0.1669 418,388,736 0.8368 0.1296 yes
        w1of2-d2of3 12,454,481 0.2371 669,175,552 1.3384 0.2073 yes
        w1of2-d1 16,140,881 0.3073 919,962,368 1.8399 0.2850 yes
        w3of4-d1of6 10,777,937 0.2052 510,173,568 1.0203 0.1580 -
        w3of4-d1of3 14,918,993 0.2840 787,032,192 1.5741 0.2438 -
        w3of4-d2of3 23,201,105 0.4417 1,340,749,440 2.6815 0.4153 yes
        w3of4-d1 31,483,217 0.5994 1,894,466,688 3.7889 0.5868 yes
        w1-d1of6 15,745,105 0.2998 790,888,960 1.5818 0.2450 -
        w1-d1of3 23,101,521 0.4398 1,278,391,808 2.5568 0.3960 -
        w1-d2of3 37,814,353 0.7199 2,253,397,504 4.5068 0.6980 -
        w1-d1 52,527,185 1.0000 3,228,403,200 6.4568 1.0000 yes
    """,
}


def cells(text: str) -> list[list[str]]:
    """The cells of a table's rows that begin with an id."""
    return [line.split() for line in text.splitlines() if line.strip().startswith("w")]


@pytest.mark.parametrize("preset", PUBLISHED)
def test_all_sixteen_cells_of_the_published_models_are_exact(invoke: Invoke, preset: str) -> None:
    result = invoke("space", "--preset", preset, "--all")
    found = {row[0]: [*row[1:6], row[7]] for row in cells(result.stdout)}
    assert found == {row[0]: row[1:] for row in cells(PUBLISHED[preset])}


def test_a_supernet_is_counted_with_the_part_that_all_submodels_share(invoke: Invoke, tiny_easy_folder: Path) -> None:
    result = invoke("space", "--supernet", tiny_easy_folder)
    assert result.exit_code == 0, result.stderr
    assert len(cells(result.stdout)) == 10
    data = json.loads(invoke("space", "--supernet", tiny_easy_folder, "--json").stdout)
    assert f"each of them: {data['fixed_macs']:,} MACs in the part that is never slimmed" in result.stdout
    full = data["submodels"][-1]
    assert (full["id"], full["macs_ratio"], full["size_bytes"]) == ("w1-d1", 1.0, 4 * full["parameters"])
    assert all(one["macs"] > data["fixed_macs"] and one["is_in_space"] for one in data["submodels"])


def test_sizes_of_a_preset_can_be_changed(invoke: Invoke) -> None:
    data = json.loads(invoke("space", "--preset", "mcan-easy-vqa", "--set", "image_side=32", "--json").stdout)
    assert data["config"]["image_side"] == 32
    whole = json.loads(invoke("space", "--preset", "mcan-easy-vqa", "--json").stdout)
    assert data["submodels"][0]["macs"] < whole["submodels"][0]["macs"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--preset", "mcan"], 4, "unknown preset 'mcan'; this version knows "),
        (
            ["--preset", "mcan-gqa", "--set", "regions"],
            2,
            "--set takes NAME=VALUE with a number, true, false or [list]",
        ),
        (["--preset", "mcan-gqa", "--set", "region=3"], 4, "McanConfig: unknown field 'region'; its fields: "),
        (["--preset", "mcan-gqa", "--set", "regions=3.5"], 4, "McanConfig, regions: expected int, got float"),
        (["--preset", "mcan-gqa", "--set", "hidden=510"], 4, "hidden=510 times 1/4 is not a whole number"),
        (["--set", "regions=3"], 2, "--set changes a preset; give --preset NAME"),
        (["--preset", "mcan-gqa", "--supernet", "runs/mine"], 2, "--preset and --supernet name two models"),
        (["--supernet", "runs/mine"], 4, "runs/mine does not exist; 'bstsearch train --out runs/mine'"),
        (["--budget-ms", "60"], 2, "--budget-ms needs a device to keep to it on; give --device NAME"),
        (["--device", "pixel7", "--budget-ms", "soon"], 2, "--budget-ms 'soon' is no budget"),
        (["--device", "pixel7,"], 2, "--device 'pixel7,' has an empty name"),
        (["--device", "pixel77"], 4, "no profile of device 'pixel77'; did you mean pixel7"),
        (["--preset", "mcan-gqa", "--device", "x86-xeon-2core"], 4, "device profile 'x86-xeon-2core' holds no "),
    ],
)
def test_bad_requests_are_one_clear_line(invoke: Invoke, arguments: list[str], code: int, message: str) -> None:
    result = invoke("space", *arguments)
    assert result.exit_code == code
    assert result.stderr.startswith(f"error: {message}")
    assert result.stderr.count("\n") == 1


def test_an_unknown_preset_names_those_that_there_are(invoke: Invoke) -> None:
    assert "mcan-vqa-v2, mcan-gqa" in invoke("space", "--preset", "mcan").stderr


# On devices, before there are weights

ON_TWO = ("space", "--preset", "mcan-vqa-v2", "--device", "pixel7,raspberrypi4", "--budget-ms", "60")


def test_latencies_on_two_devices_stand_beside_the_counts_in_80_columns(invoke: Invoke) -> None:
    result = invoke(*ON_TWO)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    (rule,) = (number for number, line in enumerate(lines) if line.startswith("---"))
    assert max(map(len, lines[: rule + 12])) <= 80
    heads = " ".join(" ".join(lines[1:rule]).split())
    assert heads == "pixel7 raspberrypi4 id params GFLOPs estimated <= 60.0 calibrated <= 60.0 M ms ms ms ms"
    rows = {row[0]: row[1:] for row in cells(result.stdout)}
    assert len(rows) == 10
    assert rows["w1-d1"][:2] == ["58.1", "5.50"]
    data = json.loads(invoke(*ON_TWO, "--json").stdout)
    for one in data["submodels"]:
        verdicts = [rows[one["id"]][4], rows[one["id"]][7]]
        assert verdicts == ["yes" if one["latencies"][device]["fits"] else "no" for device in one["latencies"]]


def test_what_fits_is_decided_by_the_upper_end_or_by_the_middle(invoke: Invoke) -> None:
    high, middle = (json.loads(invoke(*ON_TWO, "--json", "--budget-at", end).stdout) for end in ("high", "middle"))
    assert [one["name"] for one in high["devices"]] == ["pixel7", "raspberrypi4"]
    assert [(one["obtained"], one["budget_ms"]) for one in high["devices"]] == [("estimated", 60), ("calibrated", 60)]
    both = zip(high["submodels"], middle["submodels"], strict=True)
    found = [(one["latencies"][name], other["latencies"][name]) for one, other in both for name in one["latencies"]]
    assert all(one["fits"] == (one["high_ms"] <= 60) and other["fits"] == (other["ms"] <= 60) for one, other in found)
    assert any(one["fits"] != other["fits"] for one, other in found)
    assert all(one["low_ms"] < one["ms"] < one["high_ms"] for one, _ in found)


def test_the_answer_is_said_for_each_device_and_for_both(invoke: Invoke) -> None:
    result = invoke(*ON_TWO)
    data = json.loads(invoke(*ON_TWO, "--json").stdout)
    fitting = {
        name: [one["id"] for one in data["submodels"] if one["latencies"][name]["fits"]]
        for name in ("pixel7", "raspberrypi4")
    }
    for name, ids in fitting.items():
        assert f"{name}: {len(ids)} of 10 keep to 60 ms at the upper end of their range" in result.stdout
    shared = [one for one in fitting["pixel7"] if one in fitting["raspberrypi4"]]
    assert f"on all 2: {', '.join(shared) or 'none'}\n" in result.stdout
    assert "hint: next: bstsearch train --preset mcan-vqa-v2 --out runs/mcan-vqa-v2 --data-dir DIR" in result.stderr


def test_where_nothing_fits_the_nearest_is_named(invoke: Invoke) -> None:
    result = invoke("space", "--preset", "mcan-vqa-v2", "--device", "pixel7", "--budget-ms", "0.01")
    assert result.exit_code == 0
    assert "pixel7: 0 of 10 keep to 0.01 ms at the upper end of their range; the nearest is w1of4-d1of6, " in (
        result.stdout
    )


def test_models_beyond_the_published_ones_are_warned_of(invoke: Invoke) -> None:
    result = invoke("space", "--device", "pixel7,pixel6")
    assert result.stderr.count("warning: w1of4-d1of4 has 0.00661 GFLOPs") == 2
    assert "<=" not in result.stdout
    data = json.loads(invoke("space", "--device", "pixel7", "--json").stdout)
    assert data["devices"][0]["warnings"][0].startswith("w1of4-d1of4 has 0.00661 GFLOPs")
    assert data["submodels"][0]["latencies"]["pixel7"]["fits"] is None


def test_a_measured_device_tells_its_rows_and_composes_the_rest(
    invoke: Invoke, tiny_folder: Path, make_profile: MakeProfile, tmp_path: Path
) -> None:
    save_profile(make_profile(tiny_folder, "laptop"), tmp_path / "mine")
    arguments = ("space", "--supernet", tiny_folder, "--device", "laptop", "--profiles", "mine", "--budget-ms", "50%")
    result = invoke(*arguments, "--all")
    assert result.exit_code == 0, result.stderr
    assert "composed or" in result.stdout
    data = json.loads(invoke(*arguments, "--all", "--json").stdout)
    sources = {one["id"]: one["latencies"]["laptop"]["source"] for one in data["submodels"]}
    assert (sources["w1-d1"], sources["w1-d1of4"], len(sources)) == ("measured", "composed", 16)
    assert data["devices"][0]["budget_ms"] == pytest.approx(0.5 * 1.01)
    hint = f"next: bstsearch pareto --supernet {tiny_folder} --device laptop --profiles mine --budget-ms 50%\n"
    assert invoke(*arguments).stderr.endswith(hint)


def test_a_device_measured_on_another_model_is_one_clear_line(
    invoke: Invoke, tiny_folder: Path, tiny_easy_folder: Path, make_profile: MakeProfile, tmp_path: Path
) -> None:
    save_profile(make_profile(tiny_easy_folder, "laptop"), tmp_path / "profiles")
    result = invoke("space", "--supernet", tiny_folder, "--device", "laptop")
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (4, "", 1)
    assert "'laptop' holds no measurement of this model" in result.stderr
