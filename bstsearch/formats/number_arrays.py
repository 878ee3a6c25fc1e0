"""Arrays of numbers in files, looked at before memory is taken for them; nothing in a file is ever executed.

Whatever is wrong raises InputError or a library's own error: `reading.opened` and `reading.parsing` name the file.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterable, Sequence
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from bstsearch.errors import InputError
from bstsearch.reading import shown

MOST = 1 << 27  # bytes of one array; an image's regions have a few million
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # how NumPy writes


def read_arrays(file: IO[bytes], names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Those arrays of an .npz archive that have these names; no others are decompressed."""
    with zipfile.ZipFile(file) as archive:
        there = set(archive.namelist())
        return {name: _read_array(archive, name) for name in names if f"{name}.npy" in there}


def check_numbers(name: str, dtype: np.dtype[Any], shape: Sequence[int]) -> int:
    """The bytes that such an array has; InputError where it holds no plain numbers, or cannot be so large."""
    if dtype.kind not in "fiu":
        raise InputError(f"{name} holds {shown(str(dtype))}; expected plain numbers")
    if not all(type(side) is int and side >= 0 for side in shape):
        raise InputError(f"{name} has shape {shown(shape)}")
    size = math.prod(shape) * dtype.itemsize
    if size > MOST:
        raise InputError(f"{name} has shape {shown(shape)}, which is {size:.3g} bytes; expected {MOST:,} at most")
    return size


def array_of(name: str, data: bytes, dtype: np.dtype[Any], shape: Sequence[int], order: Any = "C") -> NDArray[Any]:
    """The array whose bytes are `data`; InputError as of `check_numbers`, and where it has other than its bytes."""
    size = check_numbers(name, dtype, shape)
    if len(data) != size:
        raise InputError(f"{name} has {'less' if len(data) < size else 'more'} than its {size:,} bytes; copy it again")
    return np.frombuffer(data, dtype).reshape(shape, order=order)


def _read_array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    member = archive.getinfo(f"{name}.npy")
    if member.compress_type not in PACKED:
        raise InputError(f"{name} is compressed by method {member.compress_type}; save it with NumPy")
    with archive.open(member) as stream:
        version = npy.read_magic(stream)
        if version not in HEADERS:
            raise InputError(f"{name} is in version {version} of NumPy's format; expected (1, 0) or (2, 0)")
        shape, is_fortran, dtype = HEADERS[version](stream)
        # A byte more than there should be: only at its end is a member held against its checksum.
        data = stream.read(check_numbers(name, dtype, shape) + 1)
    return array_of(name, data, dtype, shape, "F" if is_fortran else "C")
