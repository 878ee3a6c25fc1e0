"""Exports and bundles in ONNX Runtime for node and for browsers: the numbers of the Python package's."""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path
from typing import Any

import easy_vqa
import numpy as np
import onnx
import pytest
from node import NODE, run_module, run_node
from numpy.typing import NDArray
from PIL import Image

from bstsearch.answering import run_script
from bstsearch.answering.exported_folder import open_session
from bstsearch.exporting.page import PARTS, RUNTIME

MODULES = Path(os.environ.get("BSTSEARCH_NODE_MODULES", "node_modules")).resolve()
PACKAGES = ("onnxruntime-node", "onnxruntime-web")
INT8_FAR = 0.05  # of the largest output: kernels of other processors round other sums
QUESTION = "Is there a Grey circle?"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(NODE is None, reason="there is no node on this computer"),
    pytest.mark.skipif(
        not all((MODULES / name).is_dir() for name in PACKAGES),
        reason=f"there is no {' and '.join(PACKAGES)}: 'npm install --ignore-scripts {' '.join(PACKAGES)}'",
    ),
]

OPEN = f"""
const {{ readInputs, readSample, toFeeds }} = await import("{PARTS.as_uri()}/inputs.mjs");
const node = (await import("{(MODULES / "onnxruntime-node/dist/index.js").as_uri()}")).default;
const web = await import("{(MODULES / "onnxruntime-web/dist" / RUNTIME[0]).as_uri()}");
web.env.wasm.numThreads = 1;
web.env.wasm.wasmBinary = readFileSync("{MODULES / "onnxruntime-web/dist" / RUNTIME[1]}");
const read = (name) => readFileSync(`${{given.folder}}/${{name}}`);
const readJson = (name) => JSON.parse(read(name));
const open = {{
  node: (file, more) => node.InferenceSession.create(`${{given.folder}}/${{file}}`, more),
  web: (file, more) => {{
    const externalData = given.weights ? [{{ path: given.weights, data: new Uint8Array(read(given.weights)) }}] : [];
    return web.InferenceSession.create(new Uint8Array(read(file)), {{ externalData, ...more }});
  }},
}};
"""
RUN = f"""{OPEN}
const bytes = new Uint8Array(Buffer.from(given.picture.bytes, "base64"));
const sample = readSample(readJson("sample.json").inputs);
const files = {{ preprocessor: readJson("preprocessor.json") }};
const asked = readInputs(files, {{ ...given.picture, data: bytes }}, given.question);
const found = {{}};
for (const file of given.files) {{
  for (const [name, ort] of [["node", node], ["web", web]]) {{
    const session = await open[name](file);
    for (const [which, inputs] of [["sample", sample], ["asked", asked]]) {{
      const outputs = await session.run(toFeeds(ort, inputs));
      found[`${{file}} ${{name}} ${{which}}`] = [...outputs[session.outputNames[0]].data];
    }}
  }}
}}
tell(found);
"""


def given(folder: Path, files: list[str], weights: str | None) -> dict[str, Any]:
    path = easy_vqa.get_test_image_paths()[0]
    with Image.open(path) as picture:
        rgb = np.asarray(picture.convert("RGB"))
    seen = {"width": rgb.shape[1], "height": rgb.shape[0], "bytes": base64.b64encode(rgb.tobytes()).decode()}
    return {"folder": str(folder), "files": files, "weights": weights, "picture": seen, "question": QUESTION}


def expected(folder: Path, file: str, which: str, monkeypatch: pytest.MonkeyPatch) -> NDArray[Any]:
    """What run.py computes."""
    monkeypatch.setattr(run_script, "FOLDER", folder)
    path = folder / "sample.json" if which == "sample" else Path(easy_vqa.get_test_image_paths()[0])
    arrays = run_script.read_inputs(path, QUESTION)
    session = open_session(folder / file, threads=1)
    values: NDArray[Any] = session.run(None, {one.name: arrays[one.name] for one in session.get_inputs()})[0]
    return values.ravel()


@pytest.mark.parametrize(
    ("fixture", "files", "weights"),
    [
        ("bundle_folder", ["w1of4-d1of4.onnx", "w1of2-d1of2.onnx"], "weights.bin"),
        ("exported_folder", ["model.onnx", "model.int8.onnx"], None),
    ],
)
def test_logits_are_those_of_the_python_package(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    fixture: str,
    files: list[str],
    weights: str | None,
) -> None:
    folder: Path = request.getfixturevalue(fixture)
    found = run_module(RUN, given(folder, files, weights))
    assert len(found) == 4 * len(files)
    for key, values in found.items():
        file, _, which = key.split()
        wanted = expected(folder, file, which, monkeypatch)
        far = INT8_FAR * np.abs(wanted).max() if "int8" in file else 1e-4
        np.testing.assert_allclose(values, wanted, atol=far, rtol=0, err_msg=key)


def test_node_leaves_no_slice_of_weights_to_run_time(bundle_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "optimised.onnx"
    program = f'{OPEN} await open.node("w1of2-d1of2.onnx", {{ optimizedModelFilePath: given.out }}); tell(null);'
    run_module(program, {**given(bundle_folder, [], "weights.bin"), "out": str(path)})
    graph = onnx.load(path, load_external_data=False).graph
    constants = {tensor.name for tensor in graph.initializer}
    assert len(graph.node) > 50
    assert [node.op_type for node in graph.node if node.input and constants >= set(filter(None, node.input))] == []


def test_browsers_leave_no_slice_of_weights_to_run_time(bundle_folder: Path) -> None:
    """They write no optimised graph, but tell what they run, and but for its weights the model slices nothing."""
    source = onnx.load(bundle_folder / "w1of2-d1of2.onnx", load_external_data=False).graph
    assert "Slice" in {node.op_type for node in source.node}
    program = f"""{OPEN}
    const session = await open.web("w1of2-d1of2.onnx", {{ enableProfiling: true }});
    await session.run(toFeeds(web, readSample(readJson("sample.json").inputs)));
    session.endProfiling();"""
    ran = set(re.findall(r'"op_name" : "(\w+)"', run_node(program, given(bundle_folder, [], "weights.bin"))))
    assert {"Gemm", "LayerNormalization"} <= ran
    assert "Slice" not in ran
