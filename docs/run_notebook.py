"""Runs docs/notebook.ipynb in an empty folder and writes back what its cells show: part of `make docs`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parent / "notebook.ipynb"
TIMEOUT_S = 600  # of a cell


def executed(path: Path, folder: Path) -> nbformat.NotebookNode:
    """The notebook with the outputs that its cells have when run in `folder`; CellExecutionError where one fails."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=TIMEOUT_S, resources={"metadata": {"path": str(folder)}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # the times
        if cell.cell_type == "code":
            cell.outputs = [_shown(output) for output in cell.outputs if output.output_type != "stream"]
    return notebook


def _shown(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The output as a notebook shows it: the plain text of what has a table would only tell this machine's paths."""
    if "text/html" in output.get("data", {}):
        del output.data["text/plain"]
    return output


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        found = executed(NOTEBOOK, Path(name))
    nbformat.write(found, NOTEBOOK)
