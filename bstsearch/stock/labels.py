"""What the numbers of a stock model's output stand for, as its configuration says it: id2label."""

from __future__ import annotations

import re

import torch

from bstsearch.errors import InputError
from bstsearch.reading import shown
from bstsearch.stock.configuration import StockConfig, class_names
from bstsearch.stock.inputs import example_inputs
from bstsearch.stock.module import build, get_class

NAMES, NUMBERS = "id2label", "label2id"
_UNNAMED = re.compile(r"LABEL_\d+")  # what transformers calls a class that nobody named


def with_classes(config: StockConfig, names: tuple[str, ...]) -> StockConfig:
    """The same with one number in its output for each of `names`; InputError where its class gives no such numbers.

    Without names it stays as it is.
    """
    if not names or class_names(config) == names:
        return config
    labels = {str(index): name for index, name in enumerate(names)}
    config = config.with_settings({NAMES: labels, NUMBERS: {name: index for index, name in enumerate(names)}})
    check_output(config, len(names))
    return config


def check_classes(config: StockConfig, names: tuple[str, ...]) -> None:
    """Passes where the output has a number for each of `names`, in this order; else InputError.

    A class without a name may be any.
    """
    found = class_names(config)
    if not names:
        return
    if len(found) != len(names):
        raise InputError(f"{config.architecture} tells {len(found):,} classes apart, but the data have {len(names):,}")
    for own, name in zip(found, names, strict=True):
        if own != name and not _UNNAMED.fullmatch(own):
            raise InputError(f"{config.architecture} has {shown(own)} where the data have {shown(name)}")


def check_output(config: StockConfig, count: int) -> None:
    """Passes where the model gives that many numbers for each example; else InputError."""
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        shape = build(config).eval()(**example_inputs(config, 2)).shape
    if shape == (2, count):
        return
    if hasattr(get_class(config.architecture), "generate"):
        raise InputError(
            f"{config.architecture} writes its answers word by word, and gives no number for each of {count:,}; "
            "choose a class that does, such as ViltForQuestionAnswering"
        )
    raise InputError(
        f"{config.architecture} gives {' x '.join(map(str, shape[1:]))} numbers for an example, not one for each of "
        f"{count:,} classes; choose a class that does, such as BertForSequenceClassification"
    )
