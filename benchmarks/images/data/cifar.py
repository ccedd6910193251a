"""CIFAR-10 as its authors give it: six pickled batches, in a folder or in cifar-10-python.tar.gz."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from benchmarks.images.data import pickles
from benchmarks.images.data.reading import Arrays, describe, head, told

TRAIN = tuple(f"data_batch_{k}" for k in range(1, 6))
FILES = (*TRAIN, "test_batch")
LARGEST = 2**26
"""Bytes of a batch; the true ones have 31 MB."""


class Batch(NamedTuple):
    """What is in a file."""

    images: np.ndarray
    """(N, 32, 32, 3) uint8."""
    labels: np.ndarray
    """(N,) int64."""


def read(paths: Sequence[Path], keys: Sequence[str]) -> Arrays:
    """The six files, in the order of `FILES`.

    Raises:
        Damaged: Not such a pickle, a damaged one, or one that would do more than hold arrays.
    """
    return _joined([_read_batch(path) for path in paths])


def read_tar(paths: Sequence[Path], keys: Sequence[str]) -> Arrays:
    """The six files in an archive, none of which is written to disk.

    Raises:
        Damaged: as for `read`, or a file is missing in the archive.
    """
    (path,) = paths
    batches: dict[str, Batch] = {}
    with told(path):
        if not head(path).startswith(b"\x1f\x8b"):
            raise ValueError(f"{describe(head(path))}, where a tar.gz is expected")
        with gzip.open(path) as plain:
            with tarfile.open(fileobj=plain, mode="r|") as archive:
                for member in archive:
                    name = PurePosixPath(member.name).name
                    file = archive.extractfile(member) if name in FILES and member.isfile() else None
                    if file is not None:
                        with told(path, name):
                            batches[name] = parse(file.read(LARGEST + 1))
            while plain.read(2**20):  # to the end, where the check sum is
                pass
        missing = [name for name in FILES if name not in batches]
        if missing:
            raise ValueError(f"no {', '.join(missing)} in the archive")
    return _joined([batches[name] for name in FILES])


def parse(data: bytes) -> Batch:
    """A pickled batch: {'data': (N, 3072) uint8, a colour after the other, 'labels': N whole numbers, ...}.

    Raises:
        ValueError: It is none.
    """
    if not data.startswith(b"\x80"):
        raise ValueError(f"{describe(data[:64])}, where a pickled batch is expected")
    if len(data) > LARGEST:
        raise ValueError(f"is larger than {LARGEST} bytes, which no batch is")
    content = pickles.loads(data)
    if not isinstance(content, dict):
        raise ValueError(f"holds a {type(content).__name__}, where a dict with data and labels is expected")
    table = {
        key.decode("latin-1") if isinstance(key, bytes) else key: value for key, value in content.items()
    }
    array, labels = table.get("data"), table.get("labels")
    pixels = array.value if isinstance(array, pickles.Array) else None
    if pixels is None or pixels.dtype != np.uint8 or pixels.ndim != 2 or pixels.shape[1] != 3072:
        found = "nothing" if pixels is None else f"{pixels.dtype} {pixels.shape}"
        raise ValueError(f"data is {found}, where uint8 (N, 3072) is expected")
    if not isinstance(labels, list) or any(type(label) is not int for label in labels):
        raise ValueError("labels are no list of whole numbers")
    if len(labels) != len(pixels):
        raise ValueError(f"{len(labels)} labels for {len(pixels)} images")
    return Batch(pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), np.array(labels, np.int64))


def _read_batch(path: Path) -> Batch:
    with told(path), open(path, "rb") as file:
        return parse(file.read(LARGEST + 1))


def _joined(batches: Sequence[Batch]) -> Arrays:
    train, test = batches[: len(TRAIN)], batches[-1]
    return {
        "train_images": np.concatenate([batch.images for batch in train]),
        "train_labels": np.concatenate([batch.labels for batch in train]),
        "test_images": np.ascontiguousarray(test.images),
        "test_labels": test.labels,
    }
