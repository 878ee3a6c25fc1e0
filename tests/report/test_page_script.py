"""The page's rules are the command line's: its script, run by node, against Python on the same random data."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from bstsearch.model.config import config_to_json
from bstsearch.model.lookup import family_names, get_family
from bstsearch.model.stack_shape import per_layer
from bstsearch.model.supernet_folder import SupernetFolder
from bstsearch.profiles.latency import Latency, Memory
from bstsearch.report.page import packed_candidate, page_data, page_script, trade
from bstsearch.report.staircase import staircase
from bstsearch.score import Accuracy, Metric
from bstsearch.searching.apart import find_not_apart
from bstsearch.searching.budget import HIGH, MIDDLE, Budget
from bstsearch.searching.comparison import find_levels
from bstsearch.searching.costs import DEFAULT, Objectives, known_costs
from bstsearch.searching.floor import keeps_to
from bstsearch.searching.front_file import FrontFile
from bstsearch.searching.pareto import Candidate, find_front, recommend
from bstsearch.searching.pricing import find_stacks
from bstsearch.searching.racing import write_rights
from bstsearch.space import Space, Submodel
from bstsearch.training.sandwich import draw_submodel

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="there is no node on this computer")

SPACE = list(Space.bst(stacks=(4, 4), has_triangle_filter=False))


def run(files: Sequence[str], expression: str, cases: Sequence[Any]) -> list[Any]:
    """What `expression` makes of each case, in the page's script files of these names."""
    read = 'JSON.parse(require("fs").readFileSync(0))'
    program = (
        f'"use strict";\n{page_script(files)}\nconsole.log(JSON.stringify({read}.map((given) => ({expression}))));'
    )
    done = subprocess.run(
        [NODE or "", "-e", program], input=json.dumps(cases), capture_output=True, text=True, check=True
    )
    return list(json.loads(done.stdout))


def random_candidate(rng: random.Random, submodel: Submodel) -> Candidate:
    """Few different numbers, so that ties are common; some are measured, some not scored."""
    source: Any = rng.choice(["measured", "estimated"])
    ms, memory = rng.randint(1, 8) / 3, rng.randint(1, 6) * 1_234_567
    accuracy = None if rng.random() < 0.1 else Accuracy(correct=rng.randint(90, 99) * 10, total=1000)
    return Candidate(
        submodel=submodel,
        parameters=1000,
        macs=rng.randint(1, 6) * 1_000_003,
        latency=Latency(ms=ms, source=source, low_ms=ms / 1.1, high_ms=ms * rng.choice([1.0, 1.1, 2.0])),
        memory=Memory(bytes=memory, source=source, low_bytes=memory, high_bytes=memory + rng.randint(0, 3) * 1_000_000),
        size_bytes=4000,
        accuracy=accuracy,
    )


def random_budget(rng: random.Random, candidates: Sequence[Candidate]) -> Budget:
    """Limits beside, or exactly at, what some candidate costs."""
    free = Budget(at=rng.choice([HIGH, MIDDLE]))
    limits = {
        cost.name: free.cost(cost.name, rng.choice(candidates)) * rng.choice([1.0, 1.0, 0.97, 1 + 2**-52, 3.0])
        for cost in known_costs(candidates)
        if rng.random() < 0.5
    }
    return Budget(**limits, at=free.at)


def cases() -> Iterator[tuple[list[Candidate], Budget]]:
    rng = random.Random(0)
    for _ in range(400):
        candidates = [random_candidate(rng, one) for one in rng.sample(SPACE, rng.randint(2, len(SPACE)))]
        yield candidates, random_budget(rng, candidates)


def as_json(candidates: Sequence[Candidate], budget: Budget) -> dict[str, Any]:
    return {"candidates": [packed_candidate(one) for one in candidates], "budget": budget.to_json()}


ERROR = Metric(name="error", unit="m", is_higher_better=False, best=0.0)


@pytest.mark.parametrize(
    "objectives",
    [DEFAULT, Objectives.of(["accuracy", "memory", "size", "latency"]), Objectives.of(["accuracy", "memory"], ERROR)],
)
def test_front_and_recommended_row_follow_the_same_rule(objectives: Objectives) -> None:
    given = [as_json(*case) | {"trade": trade(objectives)} for case in cases()]
    expression = "(({ front, recommended }) => [front.map((one) => one.id), recommended?.id ?? null])"
    found = run(["rule"], f"{expression}(solve(given.candidates, given.budget, given.trade))", given)
    for (candidates, budget), (ids, recommended) in zip(cases(), found, strict=True):
        front = find_front(filter(budget.admits, candidates), objectives)
        assert ids == [one.id for one in front]
        row = recommend(front, objectives, has_budget=bool(budget)) if front else None
        assert recommended == (row.id if row else None)


def test_a_floor_leaves_what_is_good_enough_and_recommends_the_cheapest() -> None:
    rng = random.Random(4)
    given = [
        as_json(*case) | {"trade": trade(DEFAULT), "floor": rng.choice([0.9, 0.93, 0.99, 1.0])} for case in cases()
    ]
    expression = "(({ front, recommended }) => [front.map((one) => one.id), recommended?.id ?? null])"
    found = run(["rule"], f"{expression}(solve(given.candidates, given.budget, given.trade, given.floor))", given)
    for (candidates, budget), case, (ids, recommended) in zip(cases(), given, found, strict=True):
        good = [one for one in candidates if budget.admits(one) and keeps_to(case["floor"], one, DEFAULT.metric)]
        front = find_front(good)
        assert ids == [one.id for one in front]
        assert recommended == (recommend(front, has_budget=bool(budget), floor=case["floor"]).id if front else None)


def test_levels_and_what_is_apart_are_what_python_says() -> None:
    lists = [candidates for candidates, _ in cases()][:80]
    groups = [[find_front(one) for one in lists[start : start + 3]] for start in range(0, 78, 3)]
    given = [[[packed_candidate(one) for one in front] for front in group] for group in groups]
    expression = (
        f"levelsOf(given, {json.dumps(trade(DEFAULT))})"
        ".map(({ cost, best, leader, isApart }) => [cost, best.map((one) => one?.id ?? null), leader, isApart])"
    )
    for group, levels in zip(groups, run(["rule"], expression, given), strict=True):
        assert levels == [
            [level.cost, [one and one.id for one in level.best], level.leader, level.is_apart]
            for level in find_levels(group, DEFAULT)
        ]


def test_rows_are_compared_by_what_each_answered_where_that_is_known(make_front: Callable[..., FrontFile]) -> None:
    """900 of 1,000 right and 910 are apart where the 910 hold the 900; a budget leaves rows out between them."""
    file = make_front()
    nested = {
        one.id: dataclasses.replace(one, rights=write_rights(np.arange(1000) < one.accuracy.correct))
        for one in file.candidates
        if isinstance(one.accuracy, Accuracy)
    }
    known = dataclasses.replace(
        file, candidates=tuple(nested.values()), front=tuple(nested[one.id] for one in file.front)
    )
    ids, apart = [one.id for one in file.front], []
    for each, is_known in ((file, False), (known, True)):
        (front,) = [one["front"] for one in page_data({Path("front.json"): each})["fronts"]]
        pairs = list(itertools.combinations(each.front, 2))
        given = [{"front": front, "rows": [packed_candidate(one) for one in reversed(pair)]} for pair in pairs]
        found = run(["rule"], "isRowApart(given.front, ...given.rows)", given)
        assert front["compared"] == (ids if is_known else [])
        assert found == [(one.id, other.id) not in find_not_apart([(one, other)]) for one, other in pairs]
        apart.append(sum(found))
    assert apart[0] < apart[1]


def test_the_cases_hold_every_kind() -> None:
    fronts = [find_front(filter(budget.admits, candidates)) for candidates, budget in cases()]
    assert {min(3, len(front)) for front in fronts} == {0, 1, 2, 3}
    assert {bool(budget) for _, budget in cases()} == {True, False}


def test_the_nearest_is_the_one_that_the_error_names() -> None:
    found = run(["rule"], "nearest(given.candidates, given.budget).id", [as_json(*case) for case in cases()])
    assert found == [min(candidates, key=budget.overrun).id for candidates, budget in cases()]


def test_what_a_search_covers_is_what_python_says() -> None:
    limits = [None, 1.0, 2.0]
    budgets = [
        Budget(latency_ms=ms, gflops=n, at=at) for ms, n, at in itertools.product(limits, limits, (HIGH, MIDDLE))
    ]
    pairs = list(itertools.product(budgets, repeat=2))
    found = run(["rule"], "covers(...given)", [[one.to_json(), other.to_json()] for one, other in pairs])
    assert found == [one.covers(other) for one, other in pairs]


@pytest.mark.parametrize("is_higher_better", [True, False])
def test_the_edge_is_the_pictures(is_higher_better: bool) -> None:
    rng = random.Random(1)
    lists = [[[rng.randint(0, 9), rng.randint(0, 9)] for _ in range(rng.randint(0, 8))] for _ in range(50)]
    assert run(["rule"], f"staircase(given, {json.dumps(is_higher_better)})", lists) == [
        [list(step) for step in staircase(map(tuple, points), is_higher_better=is_higher_better)]  # type: ignore[arg-type]
        for points in lists
    ]


def test_no_number_reads_as_on_the_other_side_of_its_limit() -> None:
    rng = random.Random(2)
    given = []
    for _ in range(300):
        limit = rng.choice([60.0, 0.4285, 1 / 3, 0.3, 12345.678])
        near = [limit * (1 + rng.choice([-1, 1]) * 10 ** rng.uniform(-6, 0)) for _ in range(5)]
        given.append({"values": [limit, math.nextafter(limit, math.inf), *near][rng.randint(0, 2) :], "limit": limit})
    expression = (
        "(({ values, limit }) => [limitText(limit, values), "
        "values.map((value) => value.toFixed(columnDecimals(values, limit)))])(given)"
    )
    for case, (limit, texts) in zip(given, run(["numbers"], expression, given), strict=True):
        sides = [value <= case["limit"] for value in case["values"]]
        assert [float(text) <= float(limit) for text in texts] == sides, (case, limit, texts)
        assert len({text.partition(".")[2].__len__() for text in texts}) == 1


def test_a_number_far_from_its_limit_stays_short() -> None:
    given = [{"values": [0.171114, 1.66410], "limit": 60}, {"values": [60.04, 3.0], "limit": 60}]
    assert run(["numbers"], "given.values.map((x) => x.toFixed(columnDecimals(given.values, given.limit)))", given) == [
        ["0.171", "1.664"],
        ["60.04", "3.00"],
    ]


def test_axes_hold_their_points_and_readable_ticks() -> None:
    ranges = [(0.12, 2.3), (0.003, 0.004), (5.0, 7.0), (1e-3, 1e3), (92.0, 99.7), (3.0, 3.0), (0.9, 9.1)]
    expression = (
        "((scale) => ({ isLog: scale.isLog, ends: given.map(scale.at), ticks: ticks(scale, 6), "
        "shares: ticks(scale, 6).map(scale.at), back: scale.value(scale.at(given[0])) }))(makeScale(given))"
    )
    for (low, high), axis in zip(ranges, run(["scale"], expression, ranges), strict=True):
        assert axis["isLog"] == (high / low > 10)
        assert all(0 < share < 1 for share in axis["ends"])
        assert axis["back"] == pytest.approx(low)
        assert 2 <= len(axis["ticks"]) <= 8
        assert axis["ticks"] == sorted(set(axis["ticks"]))
        assert all(-1e-9 <= share <= 1 + 1e-9 for share in axis["shares"])
        assert all(len(f"{tick:.15g}".replace(".", "").strip("0")) <= 3 for tick in axis["ticks"])


@pytest.mark.parametrize(
    ("name", "preset"), [(name, preset) for name in family_names() for preset in get_family(name).presets]
)
def test_layers_are_those_that_the_family_keeps(name: str, preset: str) -> None:
    family = get_family(name)
    config = family.presets[preset]
    space = family.space(config)
    stacks = find_stacks(SupernetFolder(path=Path("net"), family=name, config=config_to_json(config), space=space))
    rng = random.Random(3)
    submodels = [*space, *(layerwise(rng, space, one) for one in space)]
    submodels += [draw_submodel(space.elastic, rng) for _ in range(20)]
    given = [{"id": one.id, "width": str(one.width), "depth": str(one.depth)} for one in submodels]
    constants = json.dumps([space.to_json(), [msgspec.to_builtins(stack) for stack in stacks]])
    found = run(["layers"], f"stacksOf(given, ...{constants})", given)
    for submodel, shown in zip(submodels, found, strict=True):
        kept = family.kept_layers(config, submodel)
        assert {stack["name"]: tuple(layer["layer"] for layer in stack["layers"]) for stack in shown} == kept
        small = config_to_json(family.shrink(config, submodel))
        for word in ("heads", "ffn"):
            sizes = [tuple(layer[word]["size"] for layer in stack["layers"]) for stack in shown]
            assert sizes == per_layer(small, word, tuple(map(len, kept.values())))
            assert all(sizes)


def layerwise(rng: random.Random, space: Space, submodel: Submodel) -> Submodel:
    layers = space.kept_layers(submodel)
    heads, ffn = ([rng.choice([Fraction(1, 2), Fraction(1)]) for _ in range(layers)] for _ in range(2))
    return Submodel(width=submodel.width, depth=submodel.depth, heads=tuple(heads), ffn=tuple(ffn))


def test_without_keep_orders_layers_are_only_counted() -> None:
    space = json.dumps(Space.bst(stacks=(4, 4)).to_json())
    given = {"id": "w1of2-d1of4-h1.2of2", "width": "1/2", "depth": "1/4"}
    ((first, second),) = run(["layers"], f"stacksOf(given, {space}, [])", [given])
    for stack, heads in ((first, "1/2"), (second, "1")):
        assert stack["total"] == 4
        assert stack["layers"] == [{"layer": None, "heads": unknown(heads), "ffn": unknown("1/2")}]


def unknown(share: str) -> dict[str, Any]:
    return {"share": share, "whole": None, "size": None}
