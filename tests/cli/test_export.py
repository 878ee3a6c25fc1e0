from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bstsearch.cli.export import _hints

Invoke = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("few_questions")


def test_a_row_is_exported_and_named(invoke: Invoke, easy_front: Path) -> None:
    result = invoke("export", "--pick", "2", "--front", easy_front)
    assert result.exit_code == 0, result.stderr
    right = next(
        one["correct"] for one in json.loads(easy_front.read_text())["candidates"] if one["id"] == "w1of2-d1of2"
    )
    share = f"{right / 4.8:.2f}"
    assert right > 0
    assert result.stderr.startswith(f"took w1of2-d1of2 (row 2 of {easy_front}): {share} %, 0.5 ms measured on local\n")
    assert "hint: next: bstsearch eval --model export/w1of2-d1of2 --split test\n" in result.stderr
    assert "hint: or ask it: bstsearch ask" in result.stderr
    title, *_, searched, exported = result.stdout.splitlines()
    assert title == "w1of2-d1of2 in export/w1of2-d1of2, on 480 validation questions"
    assert searched.split() == ["(searched)", "-", "-", str(right), share, "0.5", "100"]
    name, size, difference, correct, accuracy, latency, ratio = exported.split()
    assert (name, correct, accuracy) == ("model.onnx", str(right), share)
    assert float(size) == pytest.approx(Path("export/w1of2-d1of2/model.onnx").stat().st_size / 1e3, abs=0.5)
    assert float(difference) < 1e-4
    assert float(ratio) == pytest.approx(100 * float(latency) / 0.5, rel=0.02)


def test_a_default_front_is_read(invoke: Invoke, easy_front: Path, tmp_path: Path) -> None:
    (tmp_path / "front").mkdir()
    (tmp_path / "front" / "front.json").write_bytes(easy_front.read_bytes())
    assert invoke("export", "--pick", "1", "--out", "here").exit_code == 0
    assert (tmp_path / "here" / "manifest.json").exists()


def test_the_recommended_row_has_a_name(invoke: Invoke, easy_front: Path) -> None:
    result = invoke("export", "--pick", "recommended", "--front", easy_front)
    assert result.exit_code == 0, result.stderr
    assert result.stderr.startswith(f"took {json.loads(easy_front.read_text())['recommended']} (row ")


def test_an_id_off_the_front_is_told(invoke: Invoke, easy_front: Path) -> None:
    result = invoke("export", "--pick", "w1-d1", "--front", easy_front)
    assert result.exit_code == 0
    assert result.stderr.startswith(f"took w1-d1 (in {easy_front}, but not on the front)")


def test_int8_is_a_row_of_its_own(invoke: Invoke, easy_front: Path) -> None:
    result = invoke("export", "--pick", "2", "--front", easy_front, "--precision", "int8")
    assert [line.split()[0] for line in result.stdout.splitlines()[-2:]] == ["model.onnx", "model.int8.onnx"]


def test_json_is_the_manifest(invoke: Invoke, easy_front: Path, tmp_path: Path) -> None:
    result = invoke("export", "--pick", "2", "--front", easy_front, "--json")
    data = json.loads(result.stdout)
    assert data.pop("path") == "export/w1of2-d1of2"
    assert data == json.loads((tmp_path / "export" / "w1of2-d1of2" / "manifest.json").read_text())


def test_a_latency_far_from_the_profile_is_a_warning(invoke: Invoke, easy_front: Path, tmp_path: Path) -> None:
    data = json.loads(easy_front.read_text())
    for candidate in data["candidates"]:
        for key in ("latency_ms", "latency_low_ms", "latency_high_ms"):
            candidate[key] *= 100
    (tmp_path / "front.json").write_text(json.dumps(data))
    result = invoke("export", "--pick", "2", "--front", "front.json")
    assert result.exit_code == 0
    assert "times as long as the profile of local says" in result.stderr
    assert "'bstsearch profile --device local --via local'" in result.stderr


@pytest.mark.parametrize("device", [{"via": "ssh"}, {"obtained": "estimated", "via": None}])
def test_the_latency_of_another_device_is_not_held_against_this_machines(
    invoke: Invoke, easy_front: Path, tmp_path: Path, device: dict[str, str | None]
) -> None:
    data = json.loads(easy_front.read_text())
    data["device"] |= {"name": "phone", **device}
    for candidate in data["candidates"]:
        for key in ("latency_ms", "latency_low_ms", "latency_high_ms"):
            candidate[key] *= 100
    (tmp_path / "front.json").write_text(json.dumps(data))
    result = invoke("export", "--pick", "2", "--front", "front.json")
    assert result.exit_code == 0, result.stderr
    assert "the latencies of the files are this machine's; phone is another device" in result.stderr
    assert "times as long" not in result.stderr
    assert [line.split()[-1] for line in result.stdout.splitlines()[-2:]] == ["-", "-"]


def test_what_was_not_measured_is_said(invoke: Invoke, easy_front: Path, tmp_path: Path) -> None:
    data = json.loads(easy_front.read_text())
    data["device"] |= {"name": "phone", "obtained": "estimated", "via": None}
    for candidate in data["candidates"]:
        candidate |= {"latency_source": "estimated", "latency_high_ms": 2 * candidate["latency_ms"]}
    (tmp_path / "front.json").write_text(json.dumps(data))
    result = invoke("export", "--pick", "2", "--front", "front.json", "--out", "out")
    claim = "latency on phone: 0.5 ms (0.5-1) estimated"
    assert f"warning: not measured: {claim}\n" in result.stderr
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["not_measured"] == [claim]
    assert f"Not measured there: {claim}." in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.parametrize(
    ("pick", "message"),
    [
        ("99", "the front has rows 1 to 2, no row 99"),
        ("0", "the front has rows 1 to 2, no row 0"),
        ("best", "the front has no submodel 'best'; its ids: w1of4-d1of4, w1of2-d1of2"),
    ],
)
def test_a_pick_that_is_not_there_lists_those_that_are(
    invoke: Invoke, easy_front: Path, tmp_path: Path, pick: str, message: str
) -> None:
    result = invoke("export", "--pick", pick, "--front", easy_front)
    assert result.exit_code == 4
    assert message in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_missing_front_names_the_command_that_makes_one(invoke: Invoke) -> None:
    result = invoke("export", "--pick", "1")
    assert result.exit_code == 4
    assert "front/front.json does not exist; 'bstsearch pareto" in result.stderr


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}'])
def test_a_malformed_front_is_an_input_error(invoke: Invoke, tmp_path: Path, text: str) -> None:
    (tmp_path / "front.json").write_text(text)
    result = invoke("export", "--pick", "1", "--front", "front.json")
    assert result.exit_code == 4
    assert "front.json" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_stale_front_is_an_input_error(invoke: Invoke, easy_front: Path, tmp_path: Path) -> None:
    data = json.loads(easy_front.read_text())
    data["supernet"]["digest"] = "0" * 16
    (tmp_path / "front.json").write_text(json.dumps(data))
    result = invoke("export", "--pick", "1", "--front", "front.json")
    assert result.exit_code == 4
    assert "is older than its supernet" in result.stderr


def test_existing_output_needs_force(invoke: Invoke, easy_front: Path, tmp_path: Path) -> None:
    assert invoke("export", "--pick", "1", "--front", easy_front).exit_code == 0
    again = invoke("export", "--pick", "1", "--front", easy_front)
    assert again.exit_code == 2
    assert "--force" in again.stderr
    assert invoke("export", "--pick", "1", "--front", easy_front, "--force").exit_code == 0


def test_an_output_that_cannot_be_written_is_a_device_error(invoke: Invoke, easy_front: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = invoke("export", "--pick", "1", "--front", easy_front, "--out", "file/out")
    assert result.exit_code == 5
    assert "error: cannot write file/out" in result.stderr


def test_an_interrupt_leaves_nothing(
    invoke: Invoke, easy_front: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bstsearch.exporting.write.time_files", interrupt)
    assert invoke("export", "--pick", "1", "--front", easy_front).exit_code == 130
    assert not (tmp_path / "export").exists()


@pytest.mark.parametrize(
    ("data", "inputs", "hints"),
    [
        ("vqa-v2", ("question", "regions"), ["next: bstsearch eval --model out --data-dir DIR"]),
        ("sort-of-clevr", ("question", "regions", "boxes"), ["next: bstsearch eval --model out --split test"]),
        (
            "sort-of-clevr",
            ("question", "image"),
            [
                "next: bstsearch eval --model out --split test",
                'or ask it: bstsearch ask "QUESTION" --image FILE --model out',
            ],
        ),
    ],
)
def test_the_hints_ask_for_no_more_than_they_need(data: str, inputs: tuple[str, ...], hints: list[str]) -> None:
    assert _hints({"data": data, "inputs": dict.fromkeys(inputs)}, "out") == hints


def test_a_bundle_is_written_shown_and_asked(invoke: Invoke, easy_front: Path, tmp_path: Path) -> None:
    result = invoke("export", "--elastic", "--pick", "1", "--front", easy_front)
    assert result.exit_code == 0, result.stderr
    title, *_, row, _, sizes = result.stdout.splitlines()
    assert title == "1 submodel in export/elastic; outputs equal to those of own files"
    assert row.split()[:2] == ["1", "w1of4-d1of4"]
    assert sizes.startswith("weights ")
    assert result.stderr.splitlines()[-1].endswith("export/elastic/sample.json --submodel w1of4-d1of4")
    again = invoke("export", "--elastic", "--pick", "1", "--front", easy_front)
    assert (again.exit_code, again.stderr.splitlines()[-1]) == (
        2,
        "error: export/elastic exists; give --force to replace it, or another --out",
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "--pick is missing; give a row, an id or 'recommended', or --elastic for all rows"),
        (("--elastic", "--precision", "int8"), "--elastic writes each row in its own precision; leave out --precision"),
        (("--bundle", "b"), "--bundle says what a page is made of; give --web, too"),
        (("--ort-web", "o", "--elastic"), "--ort-web says what a page runs with; give --web, too"),
        (("--ort-web", "o", "--pick", "1"), "--ort-web says what a page runs with; give --web, too"),
        *(
            (
                ("--web", "d", "--bundle", "b", f"--{name}", "x"),
                f"--{name} is about a front; leave out --{name} or --bundle",
            )
            for name in ("pick", "front", "space", "profiles", "data")
        ),
        (("--web", "d", "--elastic"), "--web writes a page into its folder; leave out --elastic"),
    ],
)
def test_what_does_not_go_together_is_refused(invoke: Invoke, options: tuple[str, ...], message: str) -> None:
    result = invoke("export", *options)
    assert (result.exit_code, result.stderr) == (2, f"error: {message}\n")


def test_a_page_is_written_of_a_front_and_told(
    invoke: Invoke, easy_front: Path, runtime_folder: Path, tmp_path: Path
) -> None:
    result = invoke("export", "--web", "site", "--pick", "1", "--front", easy_front, "--ort-web", runtime_folder)
    assert result.exit_code == 0, result.stderr
    title, *_, row = result.stdout.splitlines()
    assert title == "1 submodel in the page site"
    assert row.split()[0] == "w1of4-d1of4"
    assert result.stderr.splitlines()[-1] == "hint: next: python -m http.server --directory site"
    assert {"index.html", "page.json", "weights.bin", "w1of4-d1of4.onnx"} <= {
        path.name for path in Path("site").iterdir()
    }


def test_without_onnxruntime_web_one_line_says_how_to_get_it(invoke: Invoke, bundle_folder: Path) -> None:
    result = invoke("export", "--web", "site", "--bundle", bundle_folder)
    assert result.exit_code == 4
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: node_modules/onnxruntime-web holds no ort.wasm.bundle.min.mjs and ")
    assert "'npm install onnxruntime-web@1.30.0' puts it into node_modules" in line
    assert not Path("site").exists()
