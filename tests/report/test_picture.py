from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from bstsearch.budget import Budget
from bstsearch.front_file import FrontFile
from bstsearch.report.picture import PANELS, draw_picture

MakeFront = Callable[..., FrontFile]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures drawn in this test."""
    figures: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **_: figures.append(figure))
    return figures


def labels(figure: Figure) -> list[list[Annotation]]:
    return [[text for text in axes.texts if isinstance(text, Annotation)] for axes in figure.axes]


def test_picture_is_a_png(make_front: MakeFront, tmp_path: Path) -> None:
    draw_picture(make_front(), tmp_path / "front.png")
    assert (tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")


def test_each_panel_shows_the_front_and_names_it(make_front: MakeFront, drawn: list[Figure], tmp_path: Path) -> None:
    file = make_front()
    draw_picture(file, tmp_path / "front.png")
    assert [axes.get_xlabel() for axes in drawn[0].axes] == [f"{PANELS[0][0]} (measured)", PANELS[1][0]]
    for panel in labels(drawn[0]):
        assert {text.get_text() for text in panel} == {candidate.id for candidate in file.front}


def test_latencies_that_were_not_measured_have_a_line_over_their_range(
    make_front: MakeFront, drawn: list[Figure], tmp_path: Path
) -> None:
    file = make_front(estimated=["w1-d1"])
    draw_picture(file, tmp_path / "front.png")
    panel, other = drawn[0].axes
    assert panel.get_xlabel() == f"{PANELS[0][0]} (estimated or measured)"
    assert other.get_xlabel() == PANELS[1][0]
    ranges = {(one.latency.low_ms, one.latency.high_ms) for one in file.front}
    assert ranges <= {tuple(path.vertices[:, 0]) for lines in panel.collections for path in lines.get_paths()}


def test_labels_do_not_overlap(make_front: MakeFront, drawn: list[Figure], tmp_path: Path) -> None:
    draw_picture(make_front(), tmp_path / "front.png")
    for panel in labels(drawn[0]):
        boxes = [text.get_window_extent() for text in panel]
        assert not any(box.overlaps(other) for row, box in enumerate(boxes) for other in boxes[:row])


def test_picture_does_not_depend_on_the_budget(make_front: MakeFront, drawn: list[Figure], tmp_path: Path) -> None:
    for budget in (Budget(), Budget(latency_ms=0.3)):
        draw_picture(make_front(budget), tmp_path / "front.png")
    one, other = ([text.get_text() for panel in labels(figure) for text in panel] for figure in drawn)
    assert one == other
    assert drawn[0].get_suptitle() == drawn[1].get_suptitle() == "mcan on local: exact front of 10 scored submodels"
