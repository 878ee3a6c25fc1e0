from __future__ import annotations

import random

import pytest
import torch
from torch import Tensor

from bstsearch.families.mcan import FAMILY, McanConfig
from bstsearch.listener import Listener
from bstsearch.model.nesting import Nesting
from bstsearch.model.supernet import Supernet
from bstsearch.score import ACCURACY, Metric
from bstsearch.space import Space, Submodel
from bstsearch.tasks.split import MemorySplit
from bstsearch.training import order
from bstsearch.training.order import Order, choose, measure_order

ELASTIC = Space.bst(stacks=(4, 4)).elastic


def nested(space: Space) -> Nesting:
    return Nesting(space=space, keep_orders=((0, 3, 1, 2), (3, 0, 1, 2)))


class Questions(MemorySplit):
    """Random questions about random pictures of a tiny model; the `right` answers are counted as told."""

    def seen(self, images: Tensor) -> dict[str, Tensor]:
        return {"image": torch.zeros(len(images), 16, 16, 3, dtype=torch.uint8)}


@pytest.fixture
def split(tiny_config: McanConfig) -> Questions:
    source = torch.Generator().manual_seed(0)
    questions = torch.randint(1, tiny_config.vocab, (300, tiny_config.question_length), generator=source)
    answers = torch.randint(0, tiny_config.answers, (300,), generator=source)
    return Questions(questions={"question": questions}, image_of=torch.zeros(300, dtype=torch.long), answers=answers)


def test_couples_of_an_elastic_space_are_looked_at_with_what_lies_within_and_around() -> None:
    chosen = choose(nested(ELASTIC))
    assert set(ELASTIC.grid()) <= set(chosen)
    assert len(ELASTIC.uniform) < len(chosen) <= len(ELASTIC.uniform) + 4 * order.COUPLES
    assert all(submodel in ELASTIC for submodel in chosen)
    assert chosen == choose(nested(ELASTIC)) != choose(nested(ELASTIC), seed=1)


def test_of_a_space_of_uniform_submodels_all_are_looked_at() -> None:
    space = Space.bst(stacks=(4, 4))
    assert choose(nested(space)) == list(space)


def test_pairs_whose_larger_one_is_worse_are_counted(monkeypatch: pytest.MonkeyPatch, tiny_supernet: Supernet) -> None:
    # Right answers fall with the width, all other things alike: each wider one is worse, beyond noise by 50 of 100.
    def worth(*_: object) -> object:
        shares = [1 - submodel.width / 2 for submodel in tiny_supernet.space]
        return torch.tensor([[row < share * 100 for row in range(100)] for share in shares]).double().numpy()

    monkeypatch.setattr(order, "_values", worth)
    split = object()
    found = measure_order(tiny_supernet, split, ACCURACY)  # type: ignore[arg-type]
    assert found is not None
    cells = list(tiny_supernet.space)
    within = [(a, b) for a in cells for b in cells if a != b and a.width <= b.width and a.depth <= b.depth]
    wider = sum(a.width < b.width for a, b in within)
    assert (found.submodels, found.pairs, found.rows) == (10, len(within), 100)
    assert found.worse == found.clearly_worse == wider
    error = Metric(name="error", is_higher_better=False)
    other = measure_order(tiny_supernet, split, error)  # type: ignore[arg-type]
    assert other is not None
    assert (other.worse, other.loss) == (0, 0)


def test_a_difference_within_noise_is_not_clear(monkeypatch: pytest.MonkeyPatch, tiny_supernet: Supernet) -> None:
    source = random.Random(0)
    values = torch.tensor([[float(source.random() < 0.5) for _ in range(200)] for _ in range(10)]).double().numpy()
    monkeypatch.setattr(order, "_values", lambda *_: values)
    found = measure_order(tiny_supernet, object(), ACCURACY)  # type: ignore[arg-type]
    assert found is not None
    assert 0 < found.worse < found.pairs
    assert found.clearly_worse < found.worse / 2


def test_it_is_that_of_the_supernets_own_answers(
    tiny_config: McanConfig, split: Questions, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Steps(Listener):
        def __init__(self) -> None:
            self.seen: list[tuple[int, int | None]] = []

        def progress(self, text: str, done: int = 0, total: int | None = None, news: str = "") -> None:
            assert text == "comparing larger with smaller submodels"
            self.seen.append((done, total))

    monkeypatch.setattr(order, "COUPLES", 2)
    monkeypatch.setattr(order, "ROWS", 64)
    torch.manual_seed(0)
    supernet, steps = Supernet(FAMILY, tiny_config, ELASTIC).eval(), Steps()
    found = measure_order(supernet, split, ACCURACY, steps)
    assert found is not None
    assert found.rows == 64
    assert steps.seen == [(done, found.submodels) for done in range(found.submodels)]
    rows = torch.randperm(300, generator=torch.Generator().manual_seed(order.SEED))[:64].sort().values
    (batch,) = split.batches(64, rows)
    with torch.inference_mode(), supernet.bind(Submodel()) as model:
        right = (model(**batch.inputs).argmax(1) == batch.targets).double().mean()
    values = order._values(supernet, split, [Submodel()], Listener())
    assert values is not None
    assert values.mean() == pytest.approx(float(right))


def test_a_score_that_is_no_mean_over_rows_has_no_order(
    tiny_supernet: Supernet, split: Questions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Questions, "values", lambda *_: None)
    assert measure_order(tiny_supernet, split, ACCURACY) is None


def test_it_is_told_in_one_line() -> None:
    found = Order(submodels=10, pairs=1200, worse=60, clearly_worse=3, loss=0.001, rows=4000)
    assert found.words == (
        "of 1,200 pairs of submodels, one within the other, the larger one is worse in 5.0 %, and beyond noise in 0.2 %"
    )
    assert Order(**found.to_json()) == found
