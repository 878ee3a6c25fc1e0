"""The model card of an exported submodel, from its manifest (no torch)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bstsearch.answering.exported_folder import MANIFEST, ONNX_FILES, TOKENIZER, metric_of
from bstsearch.space import FLOAT32

Manifest = Mapping[str, Any]

ANSWERS = "vocabulary.json"  # in the folder of a model that answers questions
OLDEST = "3.10"  # Python that the scripts of a folder run on
ASK = 'With bstsearch: `bstsearch ask "what color is the circle?" --image picture.png --model .`'


def card(manifest: Manifest) -> str:
    """The text of README.md: what the model is, how to run it, how good and how fast it is, where it is from."""
    submodel, data, score = manifest["submodel"], manifest["data"], manifest["accuracy"]
    own, metric = ONNX_FILES[submodel.get("precision", FLOAT32)], metric_of(manifest)
    check = manifest["checks"][own]
    latency = check["latency"]
    return f"""{_header(manifest)}
# {submodel["id"]}: {manifest["supernet"]["family"].upper()} submodel for {data}

{_purpose(manifest)}
Width {submodel["width"]} and depth {submodel["depth"]} of its supernet: {submodel["parameters"]:,} parameters,
{submodel["macs"]:,} multiply-adds ({submodel["gflops"]:.3g} GFLOPs, two to a multiply-add).

## Run it

{_how_to_run(manifest)}

| tensor | shape | type |
|---|---|---|
{tensors(manifest)}

`preprocessor.json` says how a picture becomes a tensor and a text ids; `pictures.py` and `texts.py` do it.
`sample.json` holds inputs with their outputs, to hold other programs against.

## How good, how fast

{_files(manifest)}

Scored on: the {score["split"]} part of {data}; the search found {_found(manifest)}.
Outputs of `{own}` differ from torch's by at most {check["max_difference"]:.1e} there.
{"" if metric.is_higher_better else f"Less {metric.name} is better.{chr(10)}"}
Latency: median at batch 1, ONNX Runtime, threads: {latency["threads"]}, processor: {latency["cpu"]}. The profile of
`{manifest["device"]["name"]}` says {latency["profile_ms"]:.3g} ms ({manifest["device"]["latency_source"]}).
{_not_measured(manifest)}
## Where it is from

Cut out of supernet `{manifest["supernet"]["digest"]}`, {_row(manifest)} of front `{manifest["front"]["digest"]}`, by
bstsearch {manifest["versions"]["bstsearch"]} on {manifest["created"]}. `{MANIFEST}` holds the digest of every file.
"""


def _header(manifest: Manifest) -> str:
    score, data, name = manifest["accuracy"], manifest["data"], metric_of(manifest).name
    kind = "visual-question-answering" if _has_answers(manifest) else "other"
    tag = "" if kind == "other" else f"pipeline_tag: {kind}\n"
    return f"""---
library_name: onnx
{tag}tags: [bstsearch, slimmable, onnxruntime]
datasets: [{data}]
model-index:
  - name: {manifest["submodel"]["id"]}
    results:
      - task: {{type: {kind}}}
        dataset: {{name: {data}, type: {data}, split: {score["split"]}}}
        metrics:
          - {{type: {name}, value: {score["value"]:.6f}}}
---
"""


def _has_answers(manifest: Manifest) -> bool:
    return ANSWERS in manifest["files"]


def _purpose(manifest: Manifest) -> str:
    inputs, ((output, signature),) = ", ".join(manifest["inputs"]), manifest["output"].items()
    if not _has_answers(manifest):
        return f"Computes `{output}` of {inputs}."
    return f"Answers a question about an image, out of the {signature['shape'][1]} answers in `{ANSWERS}`."


def takes_pictures(manifest: Manifest) -> bool:
    """Whether the model answers questions about pictures that it reads itself."""
    return _has_answers(manifest) and {"image", "question"} == set(manifest["inputs"])


def install(manifest: Manifest) -> str:
    """The command that installs all that `run.py` needs."""
    packages = ["numpy", "onnxruntime"]
    if takes_pictures(manifest):
        packages += ["pillow", *(["tokenizers"] if TOKENIZER in manifest["files"] else [])]
    return f"$ pip install {' '.join(packages)}  # Python {OLDEST} or newer"


def _how_to_run(manifest: Manifest) -> str:
    """Commands; a picture and a question are taken by a model that reads just these."""
    has_pictures = takes_pictures(manifest)
    question = 'picture.png "what color is the circle?"'
    lines = ["```console", install(manifest)]
    lines += [f"$ python run.py {question}"] if has_pictures else []
    lines += ["$ python run.py sample.json", "```", ""]
    lines += ["The last line runs the model on inputs that come with it, and compares the outputs; it needs no Pillow."]
    if has_pictures:
        lines += [ASK]
    return "\n".join(lines)


def tensors(manifest: Manifest) -> str:
    """A row for each input and output."""
    both = {**manifest["inputs"], **manifest["output"]}
    return "\n".join(
        f"| `{name}` | {', '.join(map(str, tensor['shape']))} | {tensor['dtype']} |" for name, tensor in both.items()
    )


def _files(manifest: Manifest) -> str:
    """One row per file; the column of right answers only where scores are shares of them."""
    metric, total = metric_of(manifest), manifest["accuracy"]["questions"]
    is_counted = manifest["accuracy"]["correct"] is not None
    unit = f", {metric.unit}" if metric.unit else ""
    correct = f" correct of {total:,} |" if is_counted else ""
    rows = [f"| file | bytes |{correct} {metric.name}{unit} (95 % interval) | latency, ms |"]
    rows.append("|---|---:|" + ("---:|" if is_counted else "") + "---:|---:|")
    for name, check in manifest["checks"].items():
        score, latency, size = check["accuracy"], check["latency"], manifest["files"][name]["bytes"]
        value, low, high = (metric.text(score[key]) for key in ("value", "low", "high"))
        correct = f" {score['correct']:,.10g} |" if is_counted else ""
        rows.append(f"| `{name}` | {size:,} |{correct} {value} ({low}-{high}) | {latency['ms']:.3g} |")
    return "\n".join(rows)


def _found(manifest: Manifest) -> str:
    score = manifest["accuracy"]
    if score["correct"] is not None:
        return f"{score['correct']:,.10g} correct answers"
    return f"{metric_of(manifest).words(score['value'])} on {score['questions']:,} examples"


def _row(manifest: Manifest) -> str:
    row = manifest["front"]["row"]
    return f"row {row}" if row else "a submodel"


def _not_measured(manifest: Manifest) -> str:
    claims = manifest["not_measured"]
    return f"Not measured there: {'; '.join(claims)}.\n" if claims else ""
