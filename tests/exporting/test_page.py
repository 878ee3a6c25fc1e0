from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from pathlib import Path

import onnx
import pytest
from node import NODE, run_module

from bstsearch.answering.bundle_folder import read_bundle
from bstsearch.errors import InputError, UsageError
from bstsearch.exporting import page
from bstsearch.exporting.page import GAP, PARTS, RUNTIME, write_page
from bstsearch.exporting.web import export_web
from bstsearch.graphs.live_bytes import read_spans

IDS = ["w1of4-d1of4", "w1of2-d1of2"]
CASES = [[[0, 10], [20, 30]], [[5, 25]], [], [[0, 100]], [[10, 20]], [[29, 40], [40, 41]]]
needs_node = pytest.mark.skipif(NODE is None, reason="there is no node on this computer")


@pytest.fixture(scope="module")
def site(bundle_folder: Path, runtime_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("web") / "site"
    write_page(read_bundle(bundle_folder), folder, runtime_folder)
    return folder


def test_the_folder_holds_the_page_the_runtime_and_what_the_models_need(site: Path, bundle_folder: Path) -> None:
    needed = {"weights.bin", "preprocessor.json", "sample.json", "vocabulary.json", *(f"{name}.onnx" for name in IDS)}
    parts = {path.name for path in PARTS.iterdir()}
    assert {path.name for path in site.iterdir()} == needed | parts | {*RUNTIME, "page.json"}
    assert all((site / name).read_bytes() == (bundle_folder / name).read_bytes() for name in needed)


def test_page_json_tells_of_each_submodel_what_travels(site: Path) -> None:
    data = json.loads((site / "page.json").read_text())
    assert (data["device"], data["weights"]["bytes"]) == ("local", (site / "weights.bin").stat().st_size)
    small, large = data["submodels"]
    assert [small["id"], large["id"]] == IDS
    for one in data["submodels"]:
        spans = read_spans(site / one["file"], gap=GAP)
        assert one["spans"] == [list(span) for span in spans]
        assert one["bytes"] == (site / one["file"]).stat().st_size + sum(end - start for start, end in spans)
    assert small["score"].endswith(" %")
    assert small["goodness"] == pytest.approx(float(small["score"].split()[0]) / 100, abs=1e-4)


def test_page_json_tells_what_changes_with_each_file_that_travels(site: Path) -> None:
    data = json.loads((site / "page.json").read_text())
    graphs = {one["file"]: one["version"] for one in data["submodels"]}
    assert set(data["files"]) == {"preprocessor.json", "sample.json", "vocabulary.json"}
    for name, version in {**data["files"], **graphs, "weights.bin": data["weights"]["version"]}.items():
        assert hashlib.sha256((site / name).read_bytes()).hexdigest().startswith(version)


@pytest.mark.parametrize("name", IDS)
def test_a_graph_reads_its_spans_and_nothing_else(site: Path, tmp_path: Path, name: str) -> None:
    """What lies outside may be anything: the loaded graph stays the same, number for number."""
    spans = read_spans(site / f"{name}.onnx")
    weights = (site / "weights.bin").read_bytes()
    kept = bytearray(b"\xff" * len(weights))
    for start, end in spans:
        kept[start:end] = weights[start:end]
    (tmp_path / "weights.bin").write_bytes(kept)
    shutil.copy(site / f"{name}.onnx", tmp_path)
    found, expected = (onnx.load(folder / f"{name}.onnx") for folder in (tmp_path, site))
    assert found == expected
    assert sum(end - start for start, end in spans) < len(weights)
    joined = read_spans(site / f"{name}.onnx", gap=GAP)
    assert len(joined) <= len(spans)
    assert all(before[1] + GAP <= after[0] for before, after in itertools.pairwise(joined))


def test_a_page_stays_unless_it_is_forced_and_then_leaves_no_old_graph(
    site: Path, bundle_folder: Path, runtime_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(site, tmp_path / "site")
    data = json.loads((folder / "page.json").read_text())
    (folder / "page.json").write_text(json.dumps({**data, "submodels": [{"file": "w1-d1.onnx"}]}))
    (folder / "w1-d1.onnx").write_text("of the older page")
    (folder / "my.onnx").write_text("mine")
    with pytest.raises(UsageError, match="site exists; give --force"):
        export_web(folder, bundle=bundle_folder, ort_web=runtime_folder)
    export_web(folder, bundle=bundle_folder, ort_web=runtime_folder, is_forced=True)
    assert {path.name for path in folder.iterdir()} == {path.name for path in site.iterdir()} | {"my.onnx"}


def test_models_that_read_no_pictures_have_no_page(bundle_folder: Path, runtime_folder: Path, tmp_path: Path) -> None:
    bundle = shutil.copytree(bundle_folder, tmp_path / "bundle")
    read = read_bundle(bundle)
    (bundle / "preprocessor.json").write_text('{"format": 1, "picture": null, "text": null}')
    with pytest.raises(InputError, match=r"preprocessor\.json: the models do not answer questions about pictures"):
        write_page(read, tmp_path / "site", runtime_folder)
    assert not (tmp_path / "site").exists()


def test_a_damaged_bundle_is_refused_before_anything_is_written(
    bundle_folder: Path, runtime_folder: Path, tmp_path: Path
) -> None:
    bundle = shutil.copytree(bundle_folder, tmp_path / "bundle")
    (bundle / "weights.bin").write_bytes(b"")
    with pytest.raises(InputError, match=r"weights\.bin is not the file that was exported"):
        export_web(tmp_path / "site", bundle=bundle, ort_web=runtime_folder)
    assert not (tmp_path / "site").exists()


WEIGHTS = f'const {{ Weights, missing }} = await import("{page.PARTS.as_uri()}/weights.mjs");'
FETCH = """
const asked = [];
const file = Uint8Array.from({ length: 100 }, (_, index) => index);
const get = async (url, { headers }) => {
  const [start, last] = headers.Range.slice(6).split("-").map(Number);
  asked.push([start, last + 1]);
  const bytes = given.status === 206 ? file.slice(start, last + 1) : file;
  const cut = bytes.slice(0, bytes.length - given.cut);
  const { status } = given;
  return { ok: status < 300, status, url: "http://here/weights.bin", arrayBuffer: async () => cut.buffer };
};
const weights = new Weights("weights.bin", 100, get);
"""


@needs_node
def test_what_is_missing_is_what_was_not_loaded() -> None:
    pairs = [(wanted, loaded) for wanted in CASES for loaded in CASES]
    found = run_module(f"{WEIGHTS} tell(given.map(([wanted, loaded]) => missing(wanted, loaded)))", pairs)

    def numbers(spans: list[list[int]]) -> set[int]:
        return {number for start, end in spans for number in range(start, end)}

    for (wanted, loaded), spans in zip(pairs, found, strict=True):
        assert numbers(spans) == numbers(wanted) - numbers(loaded)
        assert sum(end - start for start, end in spans) == len(numbers(spans))


@needs_node
@pytest.mark.parametrize("status", [206, 200])
def test_only_what_a_submodel_lacks_is_fetched_or_everything_once(status: int) -> None:
    program = f"""{WEIGHTS} {FETCH}
    const bytes = [await weights.load([[0, 10], [50, 60], [70, 75]]), await weights.load([[5, 20], [50, 55]])];
    tell({{ bytes, asked, data: [...weights.data] }});"""
    found = run_module(program, {"status": status, "cut": 0})
    if status == 200:
        assert (found["bytes"], found["asked"]) == ([100, 0], [[0, 10]])
        assert found["data"] == list(range(100))
    else:
        assert (found["bytes"], found["asked"]) == ([25, 10], [[0, 10], [50, 60], [70, 75], [10, 20]])
        loaded = [*range(1, 20), *range(50, 60), *range(70, 75)]
        assert [index for index, value in enumerate(found["data"]) if value] == loaded


@needs_node
@pytest.mark.parametrize(
    ("status", "cut", "message"),
    [
        (404, 0, "http://here/weights.bin cannot be fetched: status 404"),
        (206, 1, "http://here/weights.bin has other bytes than expected; is it of another export?"),
        (200, 1, "http://here/weights.bin has other bytes than expected; is it of another export?"),
    ],
)
def test_a_missing_or_truncated_file_is_one_line(status: int, cut: int, message: str) -> None:
    program = f"{WEIGHTS} {FETCH} await weights.load([[0, 10]]).catch((error) => tell(error.message));"
    assert run_module(program, {"status": status, "cut": cut}) == message


@needs_node
def test_an_error_is_told_when_nothing_is_under_way_any_more() -> None:
    program = f"""{WEIGHTS} {FETCH}
    let ended = 0;
    const later = async (url, how) => {{
      const isFirst = asked.length === 1;
      const response = await get(url, how);
      if (isFirst) throw new Error("no network");
      await new Promise((resolve) => setTimeout(resolve, 5));
      ended += 1;
      return response;
    }};
    const slow = new Weights("weights.bin", 100, later);
    await slow.load([[0, 10], [20, 30], [40, 50]]).catch(({{ message }}) => tell({{ message, ended }}));"""
    assert run_module(program, {"status": 206, "cut": 0}) == {"message": "no network", "ended": 2}


@needs_node
def test_times_are_expected_from_what_was_seen_and_the_best_within_a_budget_is_chosen() -> None:
    members = [{"id": name, "ms": ms, "goodness": good} for name, ms, good in (("a", 1, 1), ("b", 2, 3), ("c", 4, 2))]
    program = f"""const {{ choose, expectedTimes }} = await import("{page.PARTS.as_uri()}/choosing.mjs");
    const times = given.seen.map((seen) => expectedTimes(given.members, new Map(seen)));
    const chosen = [0.5, 1, 2, 9].map((budget) => choose(given.members, times[0], budget).id);
    tell([times.map((one) => [...one.values()]), chosen]);"""
    given = {"members": members, "seen": [[], [["a", 3]], [["a", 2], ["c", 32]]]}
    times, chosen = run_module(program, given)
    assert times[0] == [1, 2, 4]
    assert times[1] == pytest.approx([3, 6, 12])
    assert times[2] == pytest.approx([2, 8, 32])
    assert chosen == ["a", "a", "b", "b"]
