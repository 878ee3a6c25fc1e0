"""The model card of an exported submodel, from its manifest (no torch)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bstsearch.answering.exported_folder import MANIFEST, ONNX
from bstsearch.score import ACCURACY, Metric

Manifest = Mapping[str, Any]


def card(manifest: Manifest) -> str:
    """The text of README.md: what the model is, how to run it, how good and how fast it is, where it is from."""
    submodel, data, accuracy = manifest["submodel"], manifest["data"], manifest["accuracy"]
    check = manifest["checks"][ONNX]
    latency = check["latency"]
    return f"""{_header(manifest)}
# {submodel["id"]}: {manifest["supernet"]["family"].upper()} submodel for {data}

{_what_for(manifest)}
Width {submodel["width"]} and depth {submodel["depth"]} of its supernet: {submodel["parameters"]:,} parameters,
{submodel["macs"]:,} multiply-adds ({submodel["gflops"]:.3g} GFLOPs, two to a multiply-add).

## Run it

{_how_to_run(manifest)}

| tensor | shape | type |
|---|---|---|
{_tensors(manifest)}

{_reading(manifest)}`sample.json` holds inputs with their outputs, to hold other programs against.

## How good, how fast

| file | bytes | correct of {accuracy["questions"]:,} | {_metric(manifest).title} (95 % interval) | latency, ms |
|---|---:|---:|---:|---:|
{_files(manifest)}

{_searched(manifest)}
Logits of `{ONNX}` differ from torch's by at most {check["max_difference"]:.1e} there.

Latency: median at batch 1, ONNX Runtime, threads: {latency["threads"]}, processor: {latency["cpu"]}. The profile of
`{manifest["device"]["name"]}` says {latency["profile_ms"]:.3g} ms ({manifest["device"]["latency_source"]}).
{_not_measured(manifest)}
## Where it is from

Cut out of supernet `{manifest["supernet"]["digest"]}`, {_row(manifest)} of front `{manifest["front"]["digest"]}`, by
bstsearch {manifest["versions"]["bstsearch"]} on {manifest["created"]}. `{MANIFEST}` holds the digest of every file.
"""


def _is_vqa(manifest: Manifest) -> bool:
    return "vocabulary.json" in manifest["files"]


def _metric(manifest: Manifest) -> Metric:
    return Metric.from_json(manifest["metric"]) if "metric" in manifest else ACCURACY


def _what_for(manifest: Manifest) -> str:
    if not _is_vqa(manifest):
        return f"A model for the data set {manifest['data']}."
    (output,) = manifest["output"].values()
    return f"Answers a question about an image, out of the {output['shape'][1]} answers in `vocabulary.json`."


def _how_to_run(manifest: Manifest) -> str:
    if not _is_vqa(manifest):
        return f"`{ONNX}` runs in ONNX Runtime, with these inputs."
    return """```console
$ pip install numpy onnxruntime pillow
$ python run.py picture.png "what color is the circle?"
$ python run.py sample.json
```

The last line answers a question that comes with the model and compares the logits; it needs no Pillow.
With bstsearch: `bstsearch ask "what color is the circle?" --image picture.png --model .`"""


def _reading(manifest: Manifest) -> str:
    if not _is_vqa(manifest):
        return ""
    return (
        "`preprocessor.json` says how a picture becomes the tensor and a question the ids; "
        "`pictures.py` and `texts.py` do it.\n"
    )


def _searched(manifest: Manifest) -> str:
    """On which examples the files were scored, and what the search found there."""
    accuracy, metric = manifest["accuracy"], _metric(manifest)
    part = f"the {accuracy['split']} part of {manifest['data']}; the search found"
    if accuracy["correct"] is None:
        return f"Examples: {part} {metric.words(accuracy['value'])}."
    return f"Questions: {part} {accuracy['correct']:,} correct answers."


def _header(manifest: Manifest) -> str:
    accuracy = manifest["accuracy"]
    kind = "visual-question-answering" if _is_vqa(manifest) else "other"
    return f"""---
library_name: onnx
pipeline_tag: {kind}
tags: [bstsearch, slimmable, onnxruntime]
datasets: [{manifest["data"]}]
model-index:
  - name: {manifest["submodel"]["id"]}
    results:
      - task: {{type: {kind}}}
        dataset: {{name: {manifest["data"]}, type: {manifest["data"]}, split: {accuracy["split"]}}}
        metrics:
          - {{type: {_metric(manifest).name}, value: {accuracy["value"]:.6f}}}
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
        value, low, high = (_metric(manifest).text(accuracy[end]) for end in ("value", "low", "high"))
        size = manifest["files"][name]["bytes"]
        rows.append(f"| `{name}` | {size:,} | {_correct(accuracy)} | {value} ({low}-{high}) | {latency['ms']:.3g} |")
    return "\n".join(rows)


def _correct(accuracy: Mapping[str, Any]) -> str:
    return "-" if accuracy["correct"] is None else f"{accuracy['correct']:,}"


def _row(manifest: Manifest) -> str:
    row = manifest["front"]["row"]
    return f"row {row}" if row else "a submodel"


def _not_measured(manifest: Manifest) -> str:
    claims = manifest["not_measured"]
    return f"Not measured there: {'; '.join(claims)}.\n" if claims else ""
