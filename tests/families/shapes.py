"""Holds every call to the shapes that names of arguments give: `x_BTD` has three axes, of sizes B, T and D.

A letter is one size in all arguments of a call, a digit that size itself. What is no tensor, and what is traced, whose
sizes are no numbers, passes.
"""

from __future__ import annotations

import functools
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import torch

import bstsearch

NAMED = re.compile(r"\b[a-z]\w*_([A-Z][A-Z0-9]*)\b")


def check_package() -> int:
    """Makes the functions and methods of the package check their arguments from now on; how many do."""
    root = Path(bstsearch.__file__).parent
    for path in root.rglob("*.py"):
        if NAMED.search(path.read_text(encoding="utf-8")):
            import_module(".".join(["bstsearch", *path.relative_to(root).with_suffix("").parts]))
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] == "bstsearch"]
    checked = {function: checking(function) for function in set(_functions(modules)) if _axes(function)}
    for owner in (*modules, *_classes(modules)):
        for name, value in list(vars(owner).items()):
            if _is_in(value, checked):
                setattr(owner, name, checked[value])
            elif isinstance(value, dict) and isinstance(owner, ModuleType):  # a table of functions by name
                value.update({key: checked[one] for key, one in value.items() if _is_in(one, checked)})
    return len(checked)


def checking(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, which then fails where an argument has not the shape that its name gives."""
    signature, axes = inspect.signature(function), _axes(function)

    @functools.wraps(function)
    def checked(*args: Any, **options: Any) -> Any:
        if not torch.jit.is_tracing():
            _check(axes, signature.bind(*args, **options).arguments, function.__qualname__)
        return function(*args, **options)

    return checked


def _check(axes: Mapping[str, str], arguments: Mapping[str, Any], where: str) -> None:
    sizes = {str(digit): digit for digit in range(10)}
    for name, letters in axes.items():
        if isinstance(value := arguments.get(name), torch.Tensor):
            shape = tuple(value.shape)
            expected = tuple(sizes.setdefault(letter, size) for letter, size in zip(letters, shape, strict=False))
            assert (len(letters), expected) == (len(shape), shape), f"{where}: {name} is {shape}, of {sizes}"


def _is_in(value: object, checked: Mapping[FunctionType, object]) -> bool:
    return isinstance(value, FunctionType) and value in checked


def _axes(function: Callable[..., Any]) -> dict[str, str]:
    """The letters of each argument whose name gives a shape."""
    found = {name: NAMED.fullmatch(name) for name in inspect.signature(function).parameters}
    return {name: match[1] for name, match in found.items() if match}


def _classes(modules: list[ModuleType]) -> Iterator[type]:
    for module in modules:
        yield from (one for one in vars(module).values() if isinstance(one, type) and one.__module__ == module.__name__)


def _functions(modules: list[ModuleType]) -> Iterator[FunctionType]:
    for owner in (*modules, *_classes(modules)):
        values = (value for value in vars(owner).values() if isinstance(value, FunctionType))
        yield from (value for value in values if value.__module__.partition(".")[0] == "bstsearch")
