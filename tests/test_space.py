from __future__ import annotations

import dataclasses
import itertools
import json
import random
import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bstsearch.errors import InputError, UsageError
from bstsearch.space import PRECISIONS, Space, Submodel, triangle
from bstsearch.space_sample import draw_submodel

HALF, ONE = Fraction(1, 2), Fraction(1)
QUARTERS = tuple(Fraction(n, 4) for n in (1, 2, 3, 4))

shares = st.fractions(min_value=Fraction(1, 12), max_value=1, max_denominator=12)
rows = st.lists(shares, max_size=6).map(tuple)
pairs = st.lists(shares, max_size=3).map(tuple)
submodels = st.builds(
    Submodel,
    width=shares,
    depth=shares,
    depths=pairs,
    heads=rows,
    ffn=rows,
    tokens=shares,
    precision=st.sampled_from(PRECISIONS),
)


@st.composite
def spaces(draw: st.DrawFn, stacks: tuple[int, ...] = ()) -> Space:
    """Spaces small enough to list."""
    stacks = stacks or tuple(draw(st.lists(st.integers(1, 2), min_size=1, max_size=2)))
    can_halve = all(layers % 2 == 0 for layers in stacks)
    choices = st.sampled_from([(), (ONE,), (HALF,), (HALF, ONE), (Fraction(1, 4), ONE)])
    widths = draw(st.sampled_from([QUARTERS, (HALF, ONE), (ONE,), (HALF,)]))
    depths = draw(st.sampled_from([(HALF, ONE), (ONE,), (HALF,)] if can_halve else [(ONE,)]))
    return Space(
        widths=widths,
        depths=depths,
        stacks=stacks,
        least_depths=draw(st.sampled_from([(), triangle(widths, depths)])),
        has_own_depths=draw(st.booleans()),
        tokens=draw(st.sampled_from([(ONE,), (HALF, ONE), (HALF,)])),
        layer_heads=draw(choices),
        layer_ffn=draw(choices),
        precisions=draw(st.sampled_from([("float32",), ("float32", "int8"), ("float16",)])),
    )


# Submodel


@given(submodels)
def test_an_id_names_one_submodel_and_is_safe_as_a_file_name(submodel: Submodel) -> None:
    assert Submodel.from_id(submodel.id) == submodel
    assert re.fullmatch(r"[a-z0-9.-]+", submodel.id)


def test_ids_are_those_of_the_documentation() -> None:
    assert Submodel(width=HALF, depth=Fraction(1, 3)).id == "w1of2-d1of3"
    assert Submodel().id == "w1-d1"
    assert Submodel(width=HALF, heads=(HALF, ONE), ffn=(Fraction(1, 4), HALF)).id == "w1of2-d1-h12of2-f12of4"


def test_layers_that_all_follow_the_width_are_written_as_none() -> None:
    assert Submodel(width=HALF, heads=(HALF, HALF), ffn=(HALF,)) == Submodel(width=HALF)


NO_IDS = ["", "w1", "d1-w1", "w1of2", "w0-d1", "w2-d1", "w1of0-d1", "wof-d1", "w1of2of3-d1", "w1-d1 "]
NO_IDS += ["w1-d1-h", "w1-d1-h1.2", "w1-d1-h1.ofof2", "w1-d1-f15of4", "w1-d1-t2", "w1-d1.2", "w1-d1-hi1of4"]


@pytest.mark.parametrize("text", NO_IDS)
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a submodel id; ids look like 'w1of2-d1of3'"):
        Submodel.from_id(text)


@pytest.mark.parametrize(("text", "better"), [("w2of4-d1", "w1of2-d1"), ("w1-d1-h24of4", "w1-d1-h12of2")])
def test_an_id_in_other_terms_is_refused_with_the_right_one(text: str, better: str) -> None:
    with pytest.raises(UsageError, match=f"not in lowest terms; write '{better}'"):
        Submodel.from_id(text)


@pytest.mark.parametrize("field", ["width", "depth"])
@pytest.mark.parametrize("share", [Fraction(0), Fraction(-1, 2), Fraction(5, 4)])
def test_a_share_outside_the_full_model_is_refused(field: str, share: Fraction) -> None:
    with pytest.raises(UsageError, match=f"lies in \\(0, 1\\], not {share}"):
        Submodel(**{field: share})
    with pytest.raises(UsageError, match="lies in"):
        Submodel(heads=(share,))


def test_an_id_of_the_largest_space_is_short() -> None:
    space = Space.bst(stacks=(6, 6)).elastic
    assert space.size > 10**15 / 10
    assert max(len(draw_submodel(space, random.Random(seed)).id) for seed in range(100)) <= 50


def test_ids_of_older_versions_are_still_read() -> None:
    assert Submodel.from_id("w1of2-d1-h1.2of2-f1.2of4") == Submodel.from_id("w1of2-d1-h12of2-f12of4")


def test_stacks_may_have_depths_of_their_own() -> None:
    submodel = Submodel(width=HALF, depths=(Fraction(1, 3), ONE))
    assert submodel.id == "w1of2-d1.3of3"
    assert (submodel.depth, submodel.depth_of(0), submodel.depth_of(1)) == (ONE, Fraction(1, 3), ONE)
    assert Submodel(depths=(HALF, HALF)) == Submodel(depth=HALF)


# Space


def test_bst_space_is_the_published_ten() -> None:
    published = {
        Fraction(1, 4): ["1/6", "1/3", "2/3", "1"],
        Fraction(1, 2): ["1/3", "2/3", "1"],
        Fraction(3, 4): ["2/3", "1"],
        Fraction(1): ["1"],
    }
    expected = [Submodel(width=w, depth=Fraction(d)) for w, depths in published.items() for d in depths]
    assert list(Space.bst(stacks=(6, 6))) == expected
    assert len(Space.bst(stacks=(6, 6), has_triangle_filter=False)) == 16


@pytest.mark.parametrize(
    ("stacks", "depths"), [((6, 6), "1/6 1/3 2/3 1"), ((12,), "1/6 1/3 2/3 1"), ((4, 4), "1/4 1/2 3/4 1")]
)
def test_bst_depths_are_whole_layers(stacks: tuple[int, ...], depths: str) -> None:
    assert Space.bst(stacks=stacks).depths == tuple(map(Fraction, depths.split()))


def test_bst_space_of_layers_that_neither_fits_is_refused() -> None:
    with pytest.raises(InputError, match="depth 1/4 of 5 layers is not a whole number of layers"):
        Space.bst(stacks=(5,))


@given(spaces())
def test_a_space_lists_each_of_its_members_once(space: Space) -> None:
    members = list(space)
    assert len(members) == len(set(members)) == len(space) == space.size
    assert all(submodel in space for submodel in members)
    assert {space.smallest, space.middle, space.largest, *space.grid()} <= set(members)


@given(spaces(), submodels)
def test_membership_is_being_listed(space: Space, submodel: Submodel) -> None:
    assert (submodel in space) == (submodel in set(space))


@given(spaces())
def test_the_smallest_submodel_is_smallest_in_every_direction(space: Space) -> None:
    smallest = space.smallest
    for member in space:
        assert smallest.width <= member.width
        assert smallest.depth <= member.depth
        for name in ("heads", "ffn"):
            row = getattr(member, name) or (member.width,) * space.kept_layers(member)
            smallest_row = getattr(smallest, name) or (smallest.width,) * space.kept_layers(smallest)
            assert all(a <= b for a, b in zip(smallest_row, row, strict=False))


@given(st.integers(1, 6), st.integers(1, 6))
def test_the_triangle_filter_keeps_thin_and_deep(widths: int, depths: int) -> None:
    rows, columns = (tuple(Fraction(n, count) for n in range(1, count + 1)) for count in (widths, depths))
    space = Space(widths=rows, depths=columns, stacks=(depths,), least_depths=triangle(rows, columns))
    kept = {(cell.width, cell.depth) for cell in space.grid()}
    thinner = itertools.pairwise(space.widths)
    assert all((thin, depth) in kept for thin, wide in thinner for depth in space.depths if (wide, depth) in kept)
    assert {(width, ONE) for width in space.widths} <= kept
    if widths > 1:
        assert kept & {(ONE, depth) for depth in space.depths} == {(ONE, ONE)}


@given(spaces())
def test_json_and_back(space: Space) -> None:
    assert Space.from_json(json.loads(json.dumps(space.to_json()))) == space


def test_a_space_in_float32_is_written_as_older_versions_write_it() -> None:
    space = Space.bst(stacks=(6, 6))
    assert "precisions" not in space.to_json()
    both = Space.from_json({**space.to_json(), "precisions": ["float32", "int8"]})
    assert both.precisions == ("int8", "float32")
    assert (both.smallest.id, both.largest.id, both.size) == ("w1of4-d1of6-int8", "w1-d1", 2 * space.size)
    assert {cell.precision for cell in both.grid()} == {"float32"}


@pytest.mark.parametrize("precisions", [[], ["int8", "int8"], ["int4"]])
def test_precisions_that_are_none_are_refused(precisions: list[str]) -> None:
    with pytest.raises(InputError, match=r"precisions"):
        Space.from_json({**Space.bst(stacks=(6, 6)).to_json(), "precisions": precisions})


def test_a_precision_ends_an_id_whatever_comes_before_it() -> None:
    for text in ("w1-d1-float16", "w1of2-d1-h12of2-f12of4-t1of2-int8", "w1-d2.3of4-int8"):
        assert Submodel.from_id(text).id == text
    with pytest.raises(UsageError, match="is not a submodel id"):
        Submodel.from_id("w1-d1-float32")


def test_a_space_too_large_for_len_still_knows_its_size() -> None:
    space = dataclasses.replace(Space.bst(stacks=(12, 12)), layer_heads=QUARTERS, layer_ffn=QUARTERS)
    assert space.size > 16**24
    assert space.largest in space


@given(spaces(stacks=(2,)), spaces(stacks=(2,)))
def test_a_part_of_a_space_is_one_whose_members_are_all_in_it(space: Space, part: Space) -> None:
    assert space.holds(part) == (set(part) <= set(space))


@given(spaces(stacks=(1, 1)), spaces(stacks=(1, 1)))
def test_so_it_is_with_two_stacks(space: Space, part: Space) -> None:
    assert space.holds(part) == (set(part) <= set(space))


@given(spaces())
def test_named_parts_are_parts(space: Space) -> None:
    assert space.holds(space)
    if space.layer_heads == space.layer_ffn == ():
        assert space.holds(space.uniform)
        assert space.elastic.holds(space)


def test_a_space_written_by_an_older_version_is_read() -> None:
    data = Space.bst(stacks=(6, 6)).to_json()
    for key in ("least_depths", "has_own_depths", "tokens"):
        del data[key]
    assert Space.from_json(data | {"has_triangle_filter": True}) == Space.bst(stacks=(6, 6))
    assert Space.from_json(data | {"has_triangle_filter": False}) == Space.bst(stacks=(6, 6)).unfiltered


def test_no_other_object_is_a_member() -> None:
    assert "w1-d1" not in Space.bst(stacks=(4,))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"widths": (ONE, HALF)}, "space.widths must be distinct fractions in .* in rising order"),
        ({"depths": (HALF, HALF, ONE)}, "space.depths must be distinct"),
        ({"widths": (Fraction(0), ONE)}, "space.widths must be distinct"),
        ({"layer_ffn": (ONE, Fraction(3, 2))}, "space.layer_ffn must be distinct"),
        ({"widths": ()}, "space.widths must hold at least one share"),
        ({"tokens": ()}, "space.tokens must hold at least one share"),
        ({"least_depths": (HALF,)}, "space.least_depths must be one of space.depths for each width"),
        ({"least_depths": (HALF, Fraction(1, 4))}, "space.least_depths must be one of space.depths"),
        ({"stacks": ()}, "space.stacks must be layer counts of at least 1"),
        ({"stacks": (4, 0)}, "space.stacks must be layer counts of at least 1"),
        ({"stacks": (3,)}, "depth 1/2 of 3 layers is not a whole number"),
    ],
)
def test_an_impossible_space_is_refused(changes: dict[str, object], message: str) -> None:
    space = Space(widths=(HALF, ONE), depths=(HALF, ONE), stacks=(4,))
    with pytest.raises(InputError, match=message):
        dataclasses.replace(space, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"widths": None},
        {"widths": ["1/2", "one"]},
        {"widths": ["1/0", "1"]},
        {"widths": [float("inf")]},
        {"widths": ["1/" + "9" * 300_000, "1"]},
        {"widths": [f"{n}/200" for n in range(1, 201)]},
        {"stacks": 4},
        {"stacks": [float("inf")]},
        {"stacks": [10**9]},
        {"stacks": [600, 600]},
        {"has_triangle_filter": "no"},
        {"has_own_depths": "no"},
        {"least_depths": ["1/3"]},
        {"colour": "blue"},
    ],
)
def test_malformed_json_is_refused(changes: dict[str, object]) -> None:
    data = Space.bst(stacks=(4,)).to_json()
    with pytest.raises(InputError, match=r"^space[:,.]"):
        Space.from_json(data | changes)


@pytest.mark.parametrize("key", ["widths", "depths", "stacks"])
def test_json_without_a_key_is_refused(key: str) -> None:
    data = Space.bst(stacks=(4,)).to_json()
    del data[key]
    with pytest.raises(InputError, match=f"space: object missing required field {key}"):
        Space.from_json(data)


@pytest.mark.parametrize("data", [None, 3, "w1-d1", ["widths"]])
def test_json_that_is_no_object_is_refused(data: object) -> None:
    with pytest.raises(InputError, match="space: expected object, got"):
        Space.from_json(data)


def test_each_stack_may_take_the_nearest_number_of_layers() -> None:
    """Half of 9, 5 and 5 layers; a file says so, and one that does not means what it meant."""
    halves = (Fraction(1, 2), Fraction(1))
    with pytest.raises(InputError, match="depth 1/2 of 9 layers is not a whole number of layers"):
        Space(widths=halves, depths=halves, stacks=(9, 5, 5))
    space = Space(widths=halves, depths=halves, stacks=(9, 5, 5), has_nearest_depths=True)
    assert space.kept_layers(Submodel(depth=Fraction(1, 2))) == 5 + 3 + 3
    assert Space.from_json(space.to_json()) == space
    assert "has_nearest_depths" not in Space.bst(stacks=(4,)).to_json()
