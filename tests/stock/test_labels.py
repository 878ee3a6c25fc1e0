"""The numbers of a stock model's output are named after the data's answers, where its class gives such numbers."""

from __future__ import annotations

import pytest
from classes import CLASSES
from folders import config_of

from bstsearch.errors import InputError
from bstsearch.stock.configuration import StockConfig
from bstsearch.stock.labels import check_classes, with_classes
from bstsearch.stock.module import build

NAMES = ("yes", "no", "red")


def config(architecture: str) -> StockConfig:
    """A small one of that class."""
    return config_of(architecture, CLASSES[architecture][0])


def test_a_class_of_answers_gets_as_many_as_the_data_have_by_their_names() -> None:
    named = with_classes(config("BertForSequenceClassification"), NAMES)
    assert named.settings["id2label"] == {"0": "yes", "1": "no", "2": "red"}
    assert named.settings["label2id"] == {"yes": 0, "no": 1, "red": 2}
    assert build(named).model.classifier.weight.shape == (3, 32)
    assert with_classes(named, NAMES) is named
    assert with_classes(named, ()) is named


def test_a_trained_model_must_have_the_datas_answers_in_their_order() -> None:
    named = with_classes(config("BertForSequenceClassification"), NAMES)
    check_classes(named, NAMES)
    check_classes(named, ())
    with pytest.raises(InputError, match="tells 3 classes apart, but the data have 2"):
        check_classes(named, NAMES[:2])
    with pytest.raises(InputError, match="has 'yes' where the data have 'no'"):
        check_classes(named, ("no", "yes", "red"))
    check_classes(config("BertForSequenceClassification"), ("unnamed", "classes"))


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ("BlipForQuestionAnswering", "writes its answers word by word, and gives no number for each of 3; choose"),
        ("T5EncoderModel", "gives 48 x 48 numbers for an example, not one for each of 3 classes; choose"),
    ],
)
def test_a_class_that_gives_no_such_numbers_is_refused(architecture: str, message: str) -> None:
    with pytest.raises(InputError, match=f"{architecture} {message}"):
        with_classes(config(architecture), NAMES)
