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
from bstsearch.model.config import changed
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


@pytest.mark.parametrize("change", ["dropout=9", "word_dim=0", "lstm_hidden=0"])
def test_sizes_that_layers_refuse_are_refused_in_one_line(change: str) -> None:
    config = changed(mcan.FAMILY, mcan.PRESETS["mcan-easy-vqa"], [change])
    with pytest.raises(InputError, match=r"^mcan cannot be built of these sizes: \w+"):
        Supernet(mcan.FAMILY, config)


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


# Sizes that move together


@dataclasses.dataclass(frozen=True, kw_only=True)
class TowerConfig:
    """A decoder, and a tower whose output is as wide: four sizes that only go together."""

    hidden: int = 16
    heads: int = 8
    kv_heads: int = 4
    out_hidden: int = 16

    def __post_init__(self) -> None:
        if (2 * self.heads, 2 * self.kv_heads, self.hidden) != (self.hidden, self.heads, self.out_hidden):
            raise ValueError("these sizes do not go together")


def tower(config: TowerConfig) -> nn.Module:
    return nn.ModuleDict(
        {
            "query": nn.Linear(config.hidden, 2 * config.heads),
            "value": nn.Linear(config.hidden, 2 * config.kv_heads),
            "connector": nn.Linear(5, config.out_hidden),
        }
    )


TOWER = dataclasses.replace(
    FAMILY,
    name="tower",
    config=TowerConfig,
    build=tower,
    elastic_units=lambda config: {"hidden": 1, "heads": 2, "kv_heads": 2, "out_hidden": 1},
    groups=lambda config: ({"hidden": 4, "heads": 2, "kv_heads": 1, "out_hidden": 4},),
    axes=(),
)


def test_four_sizes_move_jointly() -> None:
    check_axes(TOWER, TowerConfig())


def test_three_of_four_sizes_are_refused_and_named() -> None:
    family = dataclasses.replace(TOWER, groups=lambda config: ({"hidden": 4, "heads": 2, "kv_heads": 1},))
    message = (
        "tower cannot be built when hidden grows from 16 to 20 and heads grows from 8 to 10 and kv_heads grows from 4 "
        r"to 5: ValueError: these sizes do not go together\. Declare in groups"
    )
    with pytest.raises(InputError, match=message):
        check_axes(family, TowerConfig())
