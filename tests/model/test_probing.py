from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from collections.abc import Callable

import pytest
from torch import nn
from toy import FAMILY, Toy, ToyConfig

from bstsearch.errors import InputError
from bstsearch.families import mcan
from bstsearch.model.axes import Axis
from bstsearch.model.probing import check_axes
from bstsearch.model.supernet import Supernet


@pytest.mark.parametrize("name", mcan.PRESETS)
def test_mcan_has_no_axis_of_several_parts(name: str) -> None:
    check_axes(mcan.FAMILY, mcan.PRESETS[name])


def test_the_probe_loads_no_compiler() -> None:
    code = (
        "import sys; from bstsearch.families.mcan import FAMILY, PRESETS; "
        "from bstsearch.model.supernet import Supernet; "
        "Supernet(FAMILY, PRESETS['mcan-easy-vqa']); sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("parts", [(1,), (1, 1), (1,) * 4, (4, 1, 1), (2, 1)], ids=str)
def test_an_axis_whose_parts_are_not_declared_is_refused(parts: tuple[int, ...]) -> None:
    axes = (Axis(parameter="layers.*.qkv.*", axis=0, parts=parts),) if len(parts) > 1 else ()
    family = dataclasses.replace(FAMILY, axes=axes)
    expected = "2 x heads" if len(parts) == 1 else f"parts {parts}, each of 2 x heads"
    message = (
        r"toy: axis 0 of layers\.0\.qkv\.\w+ grows from 24 to 30 when heads grows from \(4, 4, 4, 4\) to "
        rf"\(5, 5, 5, 5\); expected {re.escape(expected)}\. Declare its parts as an Axis"
    )
    with pytest.raises(InputError, match=message):
        Supernet(family, ToyConfig())


def test_three_parts_that_are_as_long_as_one_elsewhere_are_refused() -> None:
    # Three parts of one head in layer 0, where other layers have three heads.
    axes = (Axis(parameter="layers.[123].qkv.*", axis=0, parts=(1, 1, 1)),)
    config = ToyConfig(heads=(1, 3, 3, 3))
    with pytest.raises(InputError, match=r"axis 0 of layers\.0\.qkv\.\w+ grows from 6 to 12 .* expected 2 x heads"):
        check_axes(dataclasses.replace(FAMILY, axes=axes), config)


class _WithTail(Toy):
    """A pooled vector in which an elastic part stands beside another part."""

    def __init__(self, config: ToyConfig, tail: int) -> None:
        super().__init__(config)
        self.pool = nn.Linear(config.hidden + tail, 1)


@pytest.mark.parametrize("tail", [lambda config: 3, lambda config: config.ffn[0]], ids=["fixed", "elastic"])
def test_an_elastic_part_beside_another_part_is_refused(tail: Callable[[ToyConfig], int]) -> None:
    family = dataclasses.replace(FAMILY, build=lambda config: _WithTail(config, tail(config)))
    with pytest.raises(InputError, match=r"toy: axis 1 of pool\.weight grows .* or give each part its own parameter"):
        Supernet(family, ToyConfig())


def test_the_probe_runs_once_for_each_configuration() -> None:
    builds = []

    def build(config: ToyConfig) -> Toy:
        builds.append(config)
        return Toy(config)

    family = dataclasses.replace(FAMILY, build=build)
    Supernet(family, ToyConfig())
    first = len(builds)
    Supernet(family, ToyConfig())
    assert len(builds) == first + 1
