from __future__ import annotations

import json
from pathlib import Path

import pytest

from bstsearch.tasks.answer_text import EXPANDED, class_text, evaluation_text, without_articles, without_punctuation

GOLDEN = json.loads((Path(__file__).parent / "golden" / "answer_text.json").read_text(encoding="utf-8"))["rows"]


@pytest.mark.parametrize(("text", "as_class", "as_prediction"), GOLDEN)
def test_answers_are_normalised_as_by_the_public_code(text: str, as_class: str, as_prediction: str) -> None:
    assert class_text(text) == as_class
    assert evaluation_text(text) == as_prediction


def test_the_golden_answers_are_all_there() -> None:
    assert len(GOLDEN) == 60


def test_a_mark_is_deleted_everywhere_where_it_once_stands_beside_a_space() -> None:
    assert without_punctuation("a-b") == "a b"
    assert without_punctuation("a-b -c") == "ab c"


def test_one_mark_says_nothing_about_another() -> None:
    assert without_punctuation("a-b/ c") == "a b c"


def test_marks_count_as_they_stood_at_first() -> None:
    # Once ';' has become a space, '-' stands beside one; that does not matter.
    assert without_punctuation("a;-b") == "a  b"


def test_a_number_with_a_comma_deletes_every_mark() -> None:
    assert without_punctuation("1,5 and a-b/c") == "15 and abc"


def test_colons_and_apostrophes_stay() -> None:
    assert without_punctuation("it's 10:30") == "it's 10:30"


def test_full_stops_stay_before_digits_only() -> None:
    assert without_punctuation("1.5. .5 a.b.") == "1.5 .5 ab"


def test_at_most_32_full_stops_are_deleted() -> None:
    assert without_punctuation("." * 40) == "." * 8


def test_numbers_up_to_ten_become_digits() -> None:
    names = "none zero one two three four five six seven eight nine ten eleven"
    assert without_articles(names) == "0 0 1 2 3 4 5 6 7 8 9 10 eleven"


def test_contractions_are_those_of_the_public_codes() -> None:
    # Theirs are 120: also Id've, I'dve, Im, Ive, which lower-case text does not hold, and let's, she's as themselves.
    assert len(EXPANDED) == 120 - 4 - 2
    assert EXPANDED["somebody'd"] == "somebodyd"
    assert {"lets", "shes", "ill", "im", "well", "were", "its"}.isdisjoint(EXPANDED)


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("couldnt've", "couldn't've"),
        ("couldn'tve", "couldn't've"),
        ("couldntve", "couldntve"),
        ("yalld've", "yalld've"),
        ("y'alld've", "y'all'd've"),
        ("'ows'at", "'ow's'at"),
        ("twas", "'twas"),
        ("Werent", "weren't"),
    ],
)
def test_a_contraction_may_lack_one_apostrophe(short: str, full: str) -> None:
    assert without_articles(short) == full
