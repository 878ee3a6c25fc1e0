from __future__ import annotations

from pathlib import Path

import pytest

from bstsearch.answering.evaluation import Evaluation, Scored, evaluate
from bstsearch.errors import UsageError
from bstsearch.holding import holding
from bstsearch.score import ACCURACY, Accuracy


def test_a_notebook_shows_a_row_per_submodel_with_the_data_set_s_own_figures() -> None:
    scored = Scored(id="w1-d1", score=Accuracy(correct=9, total=10), details={"open": 80.0})
    found = Evaluation(model=Path("net"), split="test", metric=ACCURACY, submodels=(scored,))
    row = found.to_frame().loc["w1-d1"]
    assert (row["accuracy"], row["questions"], row["open"]) == (0.9, 10, 80.0)
    assert "details" not in found.to_frame().columns
    assert "<td>80.0</td>" in found._repr_html_()


def test_an_exported_folder_is_scored_in_each_precision_that_it_has(exported_folder: Path, few_questions: None) -> None:
    found = evaluate(exported_folder, precisions=["float32", "int8"])
    assert [one.id for one in found.submodels] == ["w1of2-d1of2", "w1of2-d1of2-int8"]
    with pytest.raises(UsageError, match=r"holds no model\.float16\.onnx; export it with --precision float16"):
        evaluate(exported_folder, precisions=["float16"])


def test_results_are_written_by_one_process_at_a_time_and_never_over_others(tmp_path: Path) -> None:
    path = tmp_path / "answers.json"
    with holding(path), pytest.raises(UsageError, match=r"being written by another process; .* another --results"):
        evaluate(results=path)
    path.write_text("mine")
    with pytest.raises(UsageError, match=r"answers\.json exists; give another name with --results"):
        evaluate(results=path)
    assert [found.read_text() for found in tmp_path.iterdir()] == ["mine"]
