from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from synthetic import annotation, question_file, write_json

from bstsearch.errors import InputError
from bstsearch.formats import openvqa
from bstsearch.formats.openvqa import existing_parts, get_part, matches, read_annotated, read_questions

ASKED = [{"question_id": 10 + row, "image_id": 5, "question": f"is it {row}?"} for row in range(3)]
NAMES = {
    "v2": ("v2_OpenEnded_mscoco_{}_questions.json", "v2_mscoco_{}_annotations.json"),
    "v1": ("OpenEnded_mscoco_{}_questions.json", "mscoco_{}_annotations.json"),
}


def write(folder: Path, version: str, word: str) -> Path:
    """The three official parts of a version, whose questions are all `word`."""
    questions, annotations = NAMES[version]
    for year in ("train2014", "val2014", "test2015"):
        asked = [{**one, "question": word} for one in ASKED]
        write_json(folder / questions.format(year), question_file(asked))
        if year != "test2015":
            write_json(folder / annotations.format(year), {"annotations": [annotation(one, "yes") for one in asked]})
    return folder


@pytest.mark.parametrize("version", NAMES)
def test_both_versions_names_are_known(tmp_path: Path, version: str) -> None:
    write(tmp_path, version, "red?")
    assert matches(tmp_path)
    assert len(existing_parts(tmp_path)) == 3
    for split, has_annotations in (("train", True), ("validation", True), ("test", False)):
        part = get_part(tmp_path, split)
        assert [one.question for one in part.questions()] == ["red?"] * 3
        assert len(list(part.annotations())) == (3 if has_annotations else 0)


def test_the_second_version_is_read_where_both_lie_side_by_side(tmp_path: Path) -> None:
    write(write(tmp_path, "v1", "old?"), "v2", "new?")
    assert {one.question for part in existing_parts(tmp_path) for one in part.questions()} == {"new?"}
    (tmp_path / NAMES["v2"][0].format("val2014")).unlink()
    with pytest.raises(InputError, match=r"has no devval_questions\.json or v2_OpenEnded_mscoco_val2014"):
        get_part(tmp_path, "validation")  # never one part of each version


def test_ok_vqas_annotations_are_read(tmp_path: Path) -> None:
    people = [{"answer_id": 1, "raw_answer": "Red hats", "answer_confidence": "yes", "answer": "red hat"}] * 10
    entry = {"image_id": 5, "question_id": 10, "answer_type": "other", "question_type": "four", "confidence": 3}
    write(tmp_path, "v1", "what?")
    write_json(tmp_path / "mscoco_val2014_annotations.json", {"annotations": [{**entry, "answers": people}]})
    (found,) = get_part(tmp_path, "validation").annotations()
    assert (found.texts, found.multiple_choice_answer) == (["red hat"] * 10, "")


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "questions.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(question_file(ASKED)).encode())
    assert [one.question_id for one in read_questions(path)] == [10, 11, 12]


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _text(content: str, encoding: str = "utf-8") -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content.encode(encoding))


def _questions(**changes: Any) -> Callable[[Path], object]:
    return _text(json.dumps({"questions": [*ASKED, {**ASKED[0], **changes}]}))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_fifo, ": a device, pipe or socket; expected a file"),
        (lambda path: path.mkdir(), ": a folder; expected a file"),
        (lambda _path: None, " does not exist"),
        (_text(""), ": empty"),
        (_text("\ufeff"), ": empty"),
        (_text('{"questions": [' + "[" * 200_000), ": "),
        (_text(json.dumps(question_file([{**ASKED[0], "question": "café"}]), ensure_ascii=False), "latin-1"), ""),
        (_text('{"questions": 7}'), ", questions: expected array, got int"),
        (_text('{"questions": []}'), " has no questions"),
        (_questions(question_id="shop-1"), ", questions[3], question_id: expected int, got str"),
        (_questions(question_id="42.5"), ", questions[3], question_id: expected int, got str"),
        (_questions(question_id=42.5), ", questions[3], question_id: expected int, got float"),
        (_questions(question_id=2**70), ", questions[3], question_id: "),
        (_questions(image_id=-1), ", questions[3], image_id: expected int >= 0"),
        (_questions(question=None), ", questions[3], question: expected str, got null"),
    ],
)
def test_what_is_no_question_file_is_one_short_line(
    tmp_path: Path, make: Callable[[Path], object], message: str
) -> None:
    path = tmp_path / "questions.json"
    make(path)
    with pytest.raises(InputError) as error:
        list(read_questions(path))
    assert str(error.value).startswith(f"{path}{message}")
    assert len(str(error.value)) < 300


def test_no_annotation_at_all_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"annotations": []})
    with pytest.raises(InputError, match=r"a\.json has no annotations; copy it again"):
        list(read_annotated(tmp_path / "a.json"))


def test_only_one_record_is_decoded_at_a_time(tmp_path: Path) -> None:
    """What is wrong further behind is met when it is reached, not before."""
    write_json(tmp_path / "q.json", question_file([*ASKED, {"question_id": "x"}]))
    questions = read_questions(tmp_path / "q.json")
    assert [next(questions).question_id for _ in ASKED] == [10, 11, 12]
    with pytest.raises(InputError, match=r"questions\[3\]"):
        next(questions)


@pytest.mark.parametrize("content", [[], {}, [{"red": 1}], [{}], [{"red": [0]}], [7]])
def test_an_answer_file_without_answers_from_zero_is_refused(tmp_path: Path, content: object) -> None:
    write_json(tmp_path / "answer_dict.json", content)
    with pytest.raises(InputError, match=r"answer_dict\.json"):
        openvqa.read_answer_dict(tmp_path)


def test_ids_may_be_written_as_text_and_kinds_be_unknown(tmp_path: Path) -> None:
    asked = {"question_id": "42", "image_id": 7.0, "question": "is it?"}
    write_json(tmp_path / "q.json", question_file([asked]))
    (question,) = read_questions(tmp_path / "q.json")
    assert (question.question_id, question.image_id) == (42, 7)
    unknown = {"answer_type": None, "question_type": None, "multiple_choice_answer": None}
    write(tmp_path, "v2", "what?")
    entry = {**annotation({"question_id": "42", "image_id": "7"}, "yes"), **unknown}
    write_json(tmp_path / "v2_mscoco_val2014_annotations.json", {"annotations": [entry]})
    (found,) = get_part(tmp_path, "validation").annotations()
    assert (found.question_id, found.answer_type, found.texts[:2]) == (42, None, ["yes", "yes"])


def test_an_empty_folder_raw_hides_nothing(tmp_path: Path) -> None:
    (write(tmp_path, "v2", "red?") / "raw").mkdir()
    assert matches(tmp_path)
    assert len(existing_parts(tmp_path)) == 3
