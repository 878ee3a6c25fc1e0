"""The model card of a bundle, from its elastic.json (no torch)."""

from __future__ import annotations

import decimal
from collections.abc import Mapping
from typing import Any

from bstsearch.answering.bundle_folder import ELASTIC, WEIGHTS
from bstsearch.answering.exported_folder import metric_of
from bstsearch.exporting.card import ASK, install, takes_pictures, tensors


def card(elastic: Mapping[str, Any]) -> str:
    """The text of README.md: what is in the bundle, how to run it, how good and how fast each submodel is."""
    sizes, family, data = elastic["sizes"], elastic["supernet"]["family"].upper(), elastic["data"]
    return f"""---
library_name: onnx
tags: [bstsearch, slimmable, onnxruntime]
datasets: [{data}]
---

# {len(elastic["submodels"])} {family} submodels for {data}, over one file of weights

`{WEIGHTS}` holds the weights of the full model, and each `.onnx` file the graph of one submodel, which reads its part
of them. {sizes["weights"]:,} bytes of weights and {sizes["graphs"]:,} of graphs are {sizes["ratio"]:.3f} times the full
model's own file; files of their own would be {sizes["alone"] / sizes["full_export"]:.2f} times as large.

## Run it

{_how_to_run(elastic)}

| tensor | shape | type |
|---|---|---|
{tensors(elastic)}

`{ELASTIC}` tells of each submodel how good and how fast it is, and holds the digest of every file. `preprocessor.json`
says how a picture becomes a tensor and a text ids. `sample.json` holds inputs with the output of each submodel, by id.

Other programs open a graph as any ONNX file, in this folder. ONNX Runtime takes a submodel's part of the weights when
it loads the graph, so that a session is as fast as that of the submodel's own file: leave its optimisation on.

## How good, how fast

{_submodels(elastic)}

Each graph's outputs were those of the submodel's own file, bit by bit, and nothing was left to be sliced at run time,
in ONNX Runtime {elastic["versions"]["onnxruntime"]}. Measured with threads: {elastic["threads"]}, processor:
{elastic["cpu"]}, batch 1, both files in turns.

## Where it is from

Cut out of supernet `{elastic["supernet"]["digest"]}`, front `{elastic["front"]["digest"]}`, by bstsearch
{elastic["versions"]["bstsearch"]} on {elastic["created"]}.
"""


def _how_to_run(elastic: Mapping[str, Any]) -> str:
    submodels, device = elastic["submodels"], elastic["device"]["name"]
    lines = ["```console", install(elastic)]
    if takes_pictures(elastic):
        budget = _rounded_up(submodels[len(submodels) // 2]["latencies"][device]["high_ms"])
        lines += [f'$ python run.py picture.png "what color is the circle?" --budget-ms {budget} --device {device}']
    lines += [f"$ python run.py sample.json --submodel {submodels[0]['id']}", "```"]
    return "\n".join(
        [*lines, *(["", f"{ASK}, with `--submodel ID` or `--budget-ms MS`."] if takes_pictures(elastic) else [])]
    )


def _rounded_up(ms: float) -> str:
    """A budget of two digits that is no less than `ms`.

    >>> _rounded_up(0.4181), _rounded_up(123.4), _rounded_up(2.0)
    ('0.42', '130', '2')
    """
    two_digits = decimal.Context(prec=2, rounding=decimal.ROUND_UP)
    return f"{float(two_digits.create_decimal_from_float(ms)):g}"


def _submodels(elastic: Mapping[str, Any]) -> str:
    """One row per submodel; latencies of every device that is known."""
    metric, devices = metric_of(elastic), list(elastic["submodels"][0]["latencies"])
    unit = f", {metric.unit}" if metric.unit else ""
    heads = ["id", "parameters", f"{metric.name}{unit} (95 % interval)", *(f"ms on {name}" for name in devices)]
    heads += ["ms measured", "ratio to its own file"]
    rows = [f"| {' | '.join(heads)} |", "|---|" + "---:|" * (len(heads) - 1)]
    for one in elastic["submodels"]:
        score = "{} ({}-{})".format(*(metric.text(one["accuracy"][key]) for key in ("value", "low", "high")))
        times = [f"{one['latencies'][name]['ms']:.3g}" for name in devices]
        cells = [f"`{one['id']}`", f"{one['parameters']:,}", score, *times]
        cells += [f"{one['check']['ms']:.3g}", f"{one['check']['ratio']:.2f}"]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)
