"""The idx format of MNIST: two zero bytes, type, number of axes, their lengths, the values; also gzipped."""

from __future__ import annotations

import gzip
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.images.data.reading import Arrays, describe, head, told

UINT8 = 8
LARGEST = 2**31
"""Bytes; a header that asks for more is damaged."""


def read(paths: Sequence[Path], keys: Sequence[str]) -> Arrays:
    """A file an array, in the order of `keys`.

    Raises:
        Damaged: Another kind of file, or one that is cut short or too long.
    """
    return {key: read_array(path) for key, path in zip(keys, paths, strict=True)}


def read_array(path: Path) -> np.ndarray:
    """Unsigned bytes of any shape, from a plain or a gzipped file whatever its name.

    Raises:
        Damaged: as for `read`.
    """
    start = head(path)
    with told(path), gzip.open(path) if start.startswith(b"\x1f\x8b") else open(path, "rb") as file:
        magic = file.read(4)
        if len(magic) < 4 or magic[:2] != b"\0\0" or not 1 <= magic[3] <= 4:
            seems = describe(start) if not isinstance(file, gzip.GzipFile) else "holds something else"
            raise ValueError(
                f"{seems}; an idx file begins with 00 00 08 01 or 00 00 08 03, not {magic.hex(' ')}"
            )
        if magic[2] != UINT8:
            raise ValueError(f"holds values of type {magic[2]:#x}, where unsigned bytes (0x8) are expected")
        lengths = file.read(4 * magic[3])
        shape = tuple(int(n) for n in np.frombuffer(lengths.ljust(4 * magic[3], b"\xff"), ">u4"))
        size = math.prod(shape)
        if len(lengths) < 4 * magic[3] or size > LARGEST:
            raise ValueError(f"its header of {magic[3]} axes is cut short or damaged")
        values = file.read(size + 1)
    with told(path):
        if len(values) != size:
            less = len(values) < size
            raise ValueError(f"{'is cut short' if less else 'is longer than its header says'}: {shape} bytes")
    return np.frombuffer(values, np.uint8).reshape(shape)
