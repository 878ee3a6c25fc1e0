"""front.html: the front as a page that needs nothing else, not even a network: plot, table, what to do next."""

from __future__ import annotations

import html
import importlib.util
import json
from pathlib import Path

from bstsearch.errors import DeviceError
from bstsearch.files import read_text, writing
from bstsearch.front_file import FrontFile
from bstsearch.pareto import MEASURED
from bstsearch.report.plot import AXES, make_plot
from bstsearch.report.table import accuracy_text, digits, latency_kind, latency_text

TEMPLATE = Path(__file__).with_name("page.html")


def write_page(file: FrontFile, path: Path) -> None:
    """Replaces the page at `path`: the template, its places filled, plotly.js inside."""
    places = {
        "title": html.escape(f"Pareto front of {file.origin.supernet['family']} on {file.origin.device['name']}"),
        "facts": _facts(file),
        "axes": _axis_buttons(),
        "rows": "\n".join(_rows(file)),
        "next": html.escape(
            f"bstsearch export --pick {file.front.index(file.recommended) + 1} --front {path.parent}/front.json"
        ),
        "origin": _origin(file),
        "plots": json.dumps({axis.key: make_plot(file, axis) for axis in AXES}, allow_nan=False).replace(
            "<", "\\u003c"
        ),
    }
    page = read_text(TEMPLATE, "page template")
    for name, text in places.items():
        page = page.replace(f"<!--{name}-->", text)
    # Last, since so long a script may contain anything.
    page = page.replace("/*plotly.js*/", _plotly_js(), 1)
    with writing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _plotly_js() -> str:
    """The script inside the plotly package, which is not imported: that alone takes longer than all the rest."""
    spec = importlib.util.find_spec("plotly")
    if spec is None or spec.origin is None:
        raise DeviceError("the package plotly is not installed; 'pip install plotly' brings the plot's script")
    return read_text(Path(spec.origin).parent / "package_data" / "plotly.min.js", "the plot's script")


def _facts(file: FrontFile) -> str:
    scored = sum(candidate.accuracy is not None for candidate in file.candidates)
    kind = "exact" if file.is_exact else f"sampled ({file.sampler})"
    facts = {
        "Recommended": f"{file.recommended.id}, {file.rule}",
        "Budget": str(file.budget) or "none",
        "Front": f"{len(file.front)} of {scored} scored submodels, {kind}",
        "Accuracy": f"on the {file.origin.split} split, with 95 % intervals",
        "Latency": _obtained(file),
    }
    return "".join(f"<dt>{name}</dt><dd>{html.escape(text)}</dd>" for name, text in facts.items())


def _axis_buttons() -> str:
    return "".join(
        f'<label><input type="radio" name="axis" value="{axis.key}"{" checked" if axis is AXES[0] else ""}>'
        f"<span>{axis.name}</span></label>"
        for axis in AXES
    )


def _rows(file: FrontFile) -> list[str]:
    rows = []
    for number, one in enumerate(file.front, start=1):
        is_recommended = one == file.recommended
        cells = [
            accuracy_text(one),
            latency_text(one),
            digits(one.gflops),
            digits(one.macs / 1e6),
            digits(one.parameters / 1e3),
            digits(one.size_bytes / 1e6),
            digits(one.safe_memory_bytes / 1e6),
        ]
        badge = ' <span class="badge">recommended</span>' if is_recommended else ""
        name = f'<td>{number}</td><td class="id"><code>{one.id}</code>{badge}</td>'
        shape = f"<td>{one.submodel.width}</td><td>{one.submodel.depth}</td>"
        numbers = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
        rows.append(f"<tr{' class=recommended' if is_recommended else ''}>{name}{shape}{numbers}</tr>")
    return rows


def _origin(file: FrontFile) -> str:
    runtime, supernet = file.origin.device["runtime"], file.origin.supernet
    words = runtime.get("words") or f"{runtime['name']} {runtime['version']}"
    text = (
        f"Supernet {supernet['path']} ({supernet['digest']}). Latencies {_obtained(file)} with "
        f"{words}, {runtime['provider']}, threads: {runtime['threads']}, "
        f"{runtime['precision']}, batch 1. Made {file.created}."
    )
    return html.escape(text)


def _obtained(file: FrontFile) -> str:
    """How the latencies came about, with the range where they are not measured."""
    error, kind = file.origin.device.get("latency_error"), latency_kind(file.front)
    return kind + (f" (+-{error:.0%})" if error and kind != MEASURED else "")
