"""The model card of an exported submodel, from its manifest (no torch)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bstsearch.answering.exported_folder import MANIFEST, ONNX

Manifest = Mapping[str, Any]


def card(manifest: Manifest) -> str:
    """The text of README.md: what the model is, how to run it, how good and how fast it is, where it is from."""
    submodel, data, accuracy = manifest["submodel"], manifest["data"], manifest["accuracy"]
    check = manifest["checks"][ONNX]
    latency = check["latency"]
    return f"""{_header(manifest)}
# {submodel["id"]}: {manifest["supernet"]["family"].upper()} submodel for {data}

Answers a question about an image, out of the {manifest["output"]["logits"]["shape"][1]} answers in `vocabulary.json`.
Width {submodel["width"]} and depth {submodel["depth"]} of its supernet: {submodel["parameters"]:,} parameters,
{submodel["macs"]:,} multiply-adds ({submodel["gflops"]:.3g} GFLOPs, two to a multiply-add).

## Run it

```console
$ pip install numpy onnxruntime pillow
$ python run.py picture.png "what color is the circle?"
$ python run.py sample.json
```

The last line answers a question that comes with the model and compares the logits; it needs no Pillow.
With bstsearch: `bstsearch ask "what color is the circle?" --image picture.png --model .`

| tensor | shape | type |
|---|---|---|
{_tensors(manifest)}

`preprocessor.json` says how a picture becomes the tensor and a question the ids; `pictures.py` and `texts.py` do it.
`sample.json` holds inputs with their outputs, to hold other programs against.

## How good, how fast

| file | bytes | correct of {accuracy["questions"]:,} | accuracy, % (95 % interval) | latency, ms |
|---|---:|---:|---:|---:|
{_files(manifest)}

Questions: the {accuracy["split"]} part of {data}; the search found {accuracy["correct"]:,} correct answers.
Logits of `{ONNX}` differ from torch's by at most {check["max_difference"]:.1e} there.

Latency: median at batch 1, ONNX Runtime, threads: {latency["threads"]}, processor: {latency["cpu"]}. The profile of
`{manifest["device"]["name"]}` says {latency["profile_ms"]:.3g} ms ({manifest["device"]["latency_source"]}).
{_not_measured(manifest)}
## Where it is from

Cut out of supernet `{manifest["supernet"]["digest"]}`, {_row(manifest)} of front `{manifest["front"]["digest"]}`, by
bstsearch {manifest["versions"]["bstsearch"]} on {manifest["created"]}. `{MANIFEST}` holds the digest of every file.
"""


def _header(manifest: Manifest) -> str:
    accuracy = manifest["accuracy"]
    return f"""---
library_name: onnx
pipeline_tag: visual-question-answering
tags: [bstsearch, slimmable, onnxruntime]
datasets: [{manifest["data"]}]
model-index:
  - name: {manifest["submodel"]["id"]}
    results:
      - task: {{type: visual-question-answering}}
        dataset: {{name: {manifest["data"]}, type: {manifest["data"]}, split: {accuracy["split"]}}}
        metrics:
          - {{type: accuracy, value: {accuracy["value"]:.6f}}}
---
"""


def _tensors(manifest: Manifest) -> str:
    tensors = {**manifest["inputs"], **manifest["output"]}
    return "\n".join(
        f"| `{name}` | {', '.join(map(str, tensor['shape']))} | {tensor['dtype']} |" for name, tensor in tensors.items()
    )


def _files(manifest: Manifest) -> str:
    rows = []
    for name, check in manifest["checks"].items():
        accuracy, latency = check["accuracy"], check["latency"]
        share = f"{100 * accuracy['value']:.2f} ({100 * accuracy['low']:.2f}-{100 * accuracy['high']:.2f})"
        size = manifest["files"][name]["bytes"]
        rows.append(f"| `{name}` | {size:,} | {accuracy['correct']:,} | {share} | {latency['ms']:.3g} |")
    return "\n".join(rows)


def _row(manifest: Manifest) -> str:
    row = manifest["front"]["row"]
    return f"row {row}" if row else "a submodel"


def _not_measured(manifest: Manifest) -> str:
    claims = manifest["not_measured"]
    return f"Not measured there: {'; '.join(claims)}.\n" if claims else ""
