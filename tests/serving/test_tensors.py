from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bstsearch.errors import InputError
from bstsearch.serving.tensors import Signature, Tensor, Wanted, check_outputs, outputs_json, read_inputs, signatures

IDS = Signature(name="ids", datatype="INT64", shape=[1, 2])
BOXES = Signature(name="boxes", datatype="FP32", shape=[1, -1, 2])
SOUND = Tensor(name="ids", datatype="INT64", shape=[1, 2], data=[3, 4])


def test_nested_and_flat_numbers_are_read() -> None:
    boxes = Tensor(name="boxes", datatype="FP32", shape=[1, 2, 2], data=[[[1, 2], [3, 4]]])
    found = read_inputs([SOUND, boxes], [IDS, BOXES], 8)
    assert found["ids"].tolist() == [[3, 4]]
    assert found["boxes"].tolist() == [[[1, 2], [3, 4]]]
    assert found["boxes"].dtype == np.float32


def changed(**changes: Any) -> Tensor:
    return Tensor(**{"name": "ids", "datatype": "INT64", "shape": [1, 2], "data": [3, 4]} | changes)


@pytest.mark.parametrize(
    ("tensor", "line"),
    [
        (changed(name="words"), "the inputs hold no 'ids'"),
        (changed(datatype="FP32"), "input ids is 'FP32' [1, 2]; expected INT64 [1, 2]"),
        (changed(datatype="BYTES"), "expected INT64"),
        (changed(shape=[2, 2], data=[1, 2, 3, 4]), "expected INT64 [1, 2]"),
        (changed(shape=[2]), "expected INT64 [1, 2]"),
        (changed(data=[1, 2, 3]), "input ids"),
        (changed(data=[1, "a"]), "input ids"),
        (changed(data=[1, None]), "input ids"),
        (changed(data=[[1], [2, 3]]), "input ids"),
        (changed(data=[1, 2**70]), "input ids"),
        (changed(data=[{}, {}]), "input ids"),
    ],
)
def test_what_does_not_fit_is_named(tensor: Tensor, line: str) -> None:
    with pytest.raises(InputError) as error:
        read_inputs([tensor], [IDS], 8)
    assert line in str(error.value)


def test_a_tensor_that_no_model_reads_is_named() -> None:
    with pytest.raises(InputError, match="the model reads no 'more'"):
        read_inputs([SOUND, changed(name="more")], [IDS], 8)


def test_an_axis_of_any_size_is_bounded() -> None:
    boxes = Tensor(name="boxes", datatype="FP32", shape=[1, 9, 2], data=[0] * 18)
    with pytest.raises(InputError, match=r"input boxes is \[1, 9, 2\]; give an axis of any size 8 at most"):
        read_inputs([SOUND, boxes], [IDS, BOXES], 8)
    assert read_inputs([SOUND, boxes], [IDS, BOXES], 9)["boxes"].shape == (1, 9, 2)


def test_an_output_that_there_is_not_is_named() -> None:
    check_outputs(None, [IDS])
    check_outputs([Wanted(name="ids")], [IDS])
    with pytest.raises(InputError, match="the model has no output 'logits'; choose one of ids"):
        check_outputs([Wanted(name="logits")], [IDS])


def test_signatures_are_those_of_one_example() -> None:
    value = type("Value", (), {"name": "boxes", "type": "tensor(float)", "shape": ["batch", "boxes", 2]})
    assert signatures([value]) == [BOXES]


def test_outputs_are_flat() -> None:
    logits = Signature(name="logits", datatype="FP32", shape=[1, 2])
    assert outputs_json([logits], [np.array([[0.5, 1.5]], np.float32)]) == [
        {"name": "logits", "datatype": "FP32", "shape": [1, 2], "data": [0.5, 1.5]}
    ]
