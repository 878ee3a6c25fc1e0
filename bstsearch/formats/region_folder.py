"""A folder of region features: bottom-up attention's tables, one .npz file for each image, or both."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from bstsearch.errors import InputError
from bstsearch.formats.butd_tsv import Line, read_line, table_lines
from bstsearch.formats.image_ids import ImageIndex, files_below
from bstsearch.formats.region_files import Regions, read_npz
from bstsearch.reading import digest


@dataclasses.dataclass(frozen=True, kw_only=True)
class RegionFolder:
    """A `RegionSource`: the tables in and below `folder`, then the files there; `features` is F.

    `strays` are .tsv files that are no such tables, and why: they matter only where an image is not found.
    """

    folder: Path
    lines: ImageIndex[Line]
    files: ImageIndex[Path]
    strays: tuple[str, ...]
    features: int
    has_boxes: bool

    def regions(self, image: str) -> Regions:
        """As `RegionSource.regions`."""
        if (line := self.lines.find(image)) is not None:
            return read_line(line, self.features, has_boxes=self.has_boxes)
        if (path := self.files.find(image)) is not None:
            return read_npz(path, self.features, has_boxes=self.has_boxes)
        raise InputError(f"{self._no(image)}; copy the file that has it there")

    def first_missing(self, images: Iterable[str]) -> str | None:
        """As `RegionSource.first_missing`."""
        missing = (image for image in images if self.lines.find(image) is None and self.files.find(image) is None)
        image = next(missing, None)
        return None if image is None else self._no(image)

    def _no(self, image: str) -> str:
        stray = f" ({self.strays[0]})" if self.strays else ""
        return f"{self.folder}: no .npz file and no line of a .tsv file for image {image}{stray}"


def find_regions(folder: Path, features: int, *, has_boxes: bool = True) -> RegionFolder:
    """The regions in and below `folder`, F numbers each; boxes are read only with `has_boxes`."""
    lines: list[tuple[str, Line]] = []
    strays: list[str] = []
    for path in files_below(folder, ".tsv"):
        try:
            lines += table_lines(path)
        except InputError as error:
            strays.append(str(error).replace(str(path), path.relative_to(folder).as_posix(), 1))
    files = [(path.stem, path) for path in files_below(folder, ".npz")]
    return RegionFolder(
        folder=folder,
        lines=ImageIndex(folder, lines, label=lambda _, line: _below(line.path, folder), content=Line.read),
        files=ImageIndex(folder, files, label=lambda _, path: _below(path, folder), content=digest),
        strays=tuple(strays),
        features=features,
        has_boxes=has_boxes,
    )


def _below(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
