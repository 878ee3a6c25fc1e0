from __future__ import annotations

from pathlib import Path

from bstsearch.answering.evaluation import Evaluation, Scored
from bstsearch.score import ACCURACY, Accuracy


def test_a_notebook_shows_a_row_per_submodel_with_the_data_set_s_own_figures() -> None:
    scored = Scored(id="w1-d1", score=Accuracy(correct=9, total=10), details={"open": 80.0})
    found = Evaluation(model=Path("net"), split="test", metric=ACCURACY, submodels=(scored,))
    row = found.to_frame().loc["w1-d1"]
    assert (row["accuracy"], row["questions"], row["open"]) == (0.9, 10, 80.0)
    assert "details" not in found.to_frame().columns
    assert "<td>80.0</td>" in found._repr_html_()
