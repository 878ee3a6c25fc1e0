"""This package's tasks that need no files, and those of the documents, pass what every task must."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import own_data
import pytest
import toy

from bstsearch import doors
from bstsearch.errors import InputError
from bstsearch.families.mcan import FAMILY, PRESETS
from bstsearch.tasks import ON_DISK, get_task
from bstsearch.tasks.easy_vqa import EasyVqa
from bstsearch.tasks.shapes import Shapes
from bstsearch.tasks.sort_of_clevr import SortOfClevr
from bstsearch.tasks.split import MemorySplit
from bstsearch.tasks.task import Split, Task
from bstsearch.testing.tasks import TaskContract


class Short(TaskContract):
    """Of each part the first questions: all would only cost time."""

    @classmethod
    def read(cls, task: Task, name: str, config: Any) -> Split:
        split = super().read(task, name, config)
        assert isinstance(split, MemorySplit)
        return split.head(200)


class TestSortOfClevrObjects(Short):
    task = SortOfClevr
    family, config = FAMILY, PRESETS["mcan-objects-sort-of-clevr"]


class TestEasyVqa(Short):
    task = EasyVqa
    family, config = FAMILY, PRESETS["mcan-easy-vqa"]


class TestShapes(Short):
    task = Shapes
    family, config = FAMILY, PRESETS["mcan-shapes"]


class TestOwnPictures(TaskContract):
    family, config = FAMILY, dataclasses.replace(PRESETS["mcan-easy-vqa"], image_side=16, stem_channels=(4, 8))

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _in_a_folder(cls, tmp_path_factory: pytest.TempPathFactory) -> None:
        folder = tmp_path_factory.mktemp("pets")
        cls.data_dir = own_data.write_pets(folder / "pets")
        cls.task = own_data.from_the_document(folder, "Pets")


class TestOwnNumbers(TaskContract):
    family, config = toy.FAMILY, toy.ToyConfig()

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _in_a_folder(cls, tmp_path_factory: pytest.TempPathFactory) -> None:
        cls.task = own_data.from_the_document(tmp_path_factory.mktemp("sizes"), "Sizes")


def test_a_task_that_lacks_something_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "_admitted", {})

    class Half(Task):
        name = "half"

    with pytest.raises(InputError, match="the task half lacks split"):
        get_task(Half)
    (tmp_path / "none.py").write_text("class none: name = 'none'\n")
    with pytest.raises(InputError, match=r"is no task, .*; make it a subclass of"):
        get_task(f"{tmp_path / 'none.py'}:none")


def test_hints_know_which_of_the_package_s_tasks_need_a_folder() -> None:
    ours = ("easy-vqa", "gqa", "image-classification", "shapes", "sort-of-clevr", "text-classification", "vqa-v2")
    assert tuple(name for name in ours if not get_task(name).is_packaged) == ON_DISK
