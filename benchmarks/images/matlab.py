"""MATLAB 5 files (.mat of before 7.3): named arrays of numbers, as SVHN is given.

128 bytes of header, then elements of tag (type, bytes) and data, padded to 8. One of type 15 is another one,
compressed. An array is four elements: flags with its class, lengths of the axes, name, values.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.images.reading import Arrays, describe, told

TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""Of values, by their number in a tag."""
MATRIX, COMPRESSED = 14, 15
NUMBERS = range(6, 16)
"""Classes of arrays of numbers: double, single, int8 to uint64."""
LARGEST = 2**31
"""Bytes of an array."""


def read_svhn(paths: Sequence[Path], keys: Sequence[str]) -> Arrays:
    """A file a split: X (32, 32, 3, N) and y (N, 1), whose 10 means the digit 0.

    Raises:
        Damaged: Another kind of file, a damaged one, or one without X and y.
    """
    splits = [key.removesuffix("_images") for key in keys if key.endswith("_images")]
    arrays = {}
    for split, path in zip(splits, paths, strict=True):
        found = read(path)
        with told(path):
            if not {"X", "y"} <= set(found):
                raise ValueError(f"no X and y in it, but {', '.join(found) or 'no array'}")
            x, y = found["X"], found["y"].reshape(-1)
            if x.ndim != 4:
                raise ValueError(f"X has shape {x.shape}, where (32, 32, 3, N) is expected")
            if y.dtype.kind == "f" and (y == np.rint(y)).all():
                y = y.astype(np.int64)
        arrays[f"{split}_images"] = np.ascontiguousarray(x.transpose(3, 0, 1, 2))
        arrays[f"{split}_labels"] = np.where(y == 10, y.dtype.type(0), y)
    return arrays


def read(path: Path) -> dict[str, np.ndarray]:
    """All arrays of numbers by name; cells, structs, sparse arrays and text are skipped.

    Raises:
        Damaged: Another kind of file, or a damaged one.
    """
    with told(path):
        data = memoryview(path.read_bytes())
        start = bytes(data[:128])
        if len(start) < 128 or start[126:128] not in (b"IM", b"MI") or not start.startswith(b"MATLAB 5"):
            advice = ": save it with -v7" if start.startswith((b"MATLAB 7.3", b"\x89HDF")) else ""
            raise ValueError(f"{describe(start)}, where a MATLAB 5 file is expected{advice}")
        order = "<" if start[126:128] == b"IM" else ">"
        arrays = {}
        for kind, content in _elements(data[128:], order):
            if kind == COMPRESSED:
                kind, content = _next(_elements(_inflate(content), order))
            if kind == MATRIX:
                arrays |= _array(content, order)
    return arrays


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Type and content of one after the other."""
    at = 0
    while at < len(data):
        if len(data) - at < 8:
            raise ValueError("is cut short")
        kind, size = struct.unpack_from(f"{order}II", data, at)
        begin, step = at + 8, 8 + size + (-size % 8 if kind != COMPRESSED else 0)
        if kind >> 16:  # up to four bytes fit into the tag itself
            kind, size, begin, step = kind & 0xFFFF, min(kind >> 16, 4), at + 4, 8
        if begin + size > len(data):
            raise ValueError(f"is cut short: an element of {size} bytes where {len(data) - begin} are left")
        yield kind, data[begin : begin + size]
        at += step


def _next(parts: Iterator[tuple[int, memoryview]]) -> tuple[int, memoryview]:
    part = next(parts, None)
    if part is None:
        raise ValueError("an array in it is cut short")
    return part


def _inflate(content: memoryview) -> memoryview:
    stream = zlib.decompressobj()
    plain = stream.decompress(content, LARGEST)
    if not stream.eof:
        raise ValueError("a compressed array is cut short, or too large")
    return memoryview(plain)


def _array(content: memoryview, order: str) -> dict[str, np.ndarray]:
    """{name: array}, or nothing if it is not one of real numbers."""
    parts = _elements(content, order)
    bits = struct.unpack_from(f"{order}I", _next(parts)[1])[0]
    if bits & 0xFF not in NUMBERS or bits & 0x800:  # 0x800: complex
        return {}
    shape = tuple(int(n) for n in np.frombuffer(_next(parts)[1], f"{order}i4"))
    name = bytes(_next(parts)[1]).decode("ascii")
    kind, values = _next(parts)
    if kind not in TYPES or any(n < 0 for n in shape):
        raise ValueError(f"array {name} has values of type {kind} and shape {shape}")
    array = np.frombuffer(values, order + TYPES[kind])
    if len(array) != math.prod(shape):
        raise ValueError(f"array {name} has {len(array)} values, where {shape} needs {math.prod(shape)}")
    return {name: array.astype(TYPES[kind], copy=False).reshape(shape, order="F")}
