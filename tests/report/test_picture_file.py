from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bstsearch.report import picture
from bstsearch.report.picture_file import remove_other, write_picture
from bstsearch.searching.budget import Budget
from bstsearch.searching.front_file import FrontFile, write_front

MakeFront = Callable[..., FrontFile]


def test_a_picture_of_the_same_front_stays_and_is_not_drawn_again(
    make_front: MakeFront, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "front.png"
    assert write_picture(make_front(), path) is None
    before = path.read_bytes()
    monkeypatch.setattr(picture, "draw_picture", lambda *_: pytest.fail("it was drawn again"))
    remove_other(make_front(), path)
    assert write_picture(make_front(), path) is None
    assert path.read_bytes() == before


@pytest.mark.parametrize("change", [{"budget": Budget(latency_ms=0.5)}, {"scale": 2}, {"device": "phone"}])
def test_a_picture_of_another_front_is_removed(
    make_front: MakeFront, tmp_path: Path, change: dict[str, object]
) -> None:
    path = tmp_path / "front.png"
    write_picture(make_front(), path)
    remove_other(make_front(**change), path)
    assert not path.exists()
    remove_other(make_front(**change), path)  # there may be none
    assert write_picture(make_front(**change), path) is None
    assert path.exists()


def test_a_picture_without_a_mark_is_removed(make_front: MakeFront, tmp_path: Path) -> None:
    """As an older version wrote it, or a file cut short."""
    path = tmp_path / "front.png"
    for content in (b"", b"\x89PNG\r\n", b"x" * 10_000):
        path.write_bytes(content)
        remove_other(make_front(), path)
        assert not path.exists()


@pytest.mark.parametrize(
    "error", [RuntimeError("no font"), ImportError("no matplotlib"), MemoryError(), OSError(28, "full")]
)
def test_a_failure_costs_only_the_picture(
    make_front: MakeFront, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(picture, "draw_picture", fail)
    problem = write_picture(make_front(), tmp_path / "front.png")
    assert problem is not None
    assert problem.startswith(f"{tmp_path / 'front.png'} could not be drawn: ")
    assert str(error) in problem
    assert problem.endswith("; all else is there")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "settings",
    [
        "text.usetex: True\nsavefig.bbox: tight\nfigure.facecolor: black\n",
        "nonsense: 1\nbackend: nonsense\nsavefig.dpi: 7\n",
        "font.family: no such\nfont.size: 30\npath.sketch: 1, 100, 2\n",
    ],
)
def test_strange_surroundings_do_not_matter(make_front: MakeFront, tmp_path: Path, settings: str) -> None:
    """Backends that do not exist, settings of one's own, no folder for caches: the same bytes; nothing on stderr."""
    write_front(make_front(), tmp_path / "front.json")
    (tmp_path / "matplotlibrc").write_text(settings)
    code = (
        "import os; from pathlib import Path; from bstsearch.searching.front_file import read_front\n"
        "from bstsearch.report.picture_file import write_picture\n"
        "print(write_picture(read_front(Path('front.json')), Path('front.png')), os.environ['MPLBACKEND'])"
    )
    environment = {**os.environ, "MPLBACKEND": "no_such_backend", "MPLCONFIGDIR": "/dev/null/x", "HOME": "/dev/null"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("None no_such_backend\n", "")
    assert write_picture(make_front(), tmp_path / "quiet.png") is None
    assert (tmp_path / "front.png").read_bytes() == (tmp_path / "quiet.png").read_bytes()


def test_nobody_waits_for_a_pipe_with_the_name_of_matplotlibs_settings(
    make_front: MakeFront, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("matplotlibrc")
    said = "front.png could not be drawn: matplotlibrc: a device, pipe or socket; expected a file; all else is there"
    assert write_picture(make_front(), Path("front.png")) == said
