"""What was read, compared with what its data set holds: types, shapes, range, and the count of every class.

The counts tell apart what file names do not: the files of MNIST and of Fashion-MNIST have the same names.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.images.data.dataset import ImageData, Split
from benchmarks.images.data.reading import Arrays, Damaged
from benchmarks.images.data.sources import SOURCES


def check(name: str, arrays: Arrays, files: tuple[Path, ...]) -> ImageData:
    """Arrays as read from `files` -> a data set.

    Raises:
        Damaged: They are not the data set `name`.
    """
    source, splits = SOURCES[name], {}
    where = str(files[0]) if len(files) == 1 else f"{files[0]} and beside it"
    for split in source.counts:
        images = _images(name, split, arrays[f"{split}_images"], where)
        labels = _labels(name, split, arrays[f"{split}_labels"], where) if source.classes else None
        splits[split] = Split(images, labels)
    parts = splits["train"], splits["test"], splits.get("valid")
    return ImageData(name, *parts, source.classes, files, source.binary)


def _images(name: str, split: str, images: np.ndarray, where: str) -> np.ndarray:
    """(N, H, W, C), or (N, H, W) if grey -> (N, H, W, C), 0 to 255."""
    source, key = SOURCES[name], f"{split}_images"
    n, largest = sum(source.counts[split]), 1 if source.binary else 255
    if images.dtype != np.uint8:
        raise Damaged(f"{where}: {key} is {images.dtype}, where uint8 from 0 to {largest} is expected")
    height, width, channels = source.shape
    shapes = [(n, height, width, channels)] + [(n, height, width)] * (channels == 1)
    if images.shape not in shapes:
        raise Damaged(f"{where}: {key} has shape {images.shape}, that of {name} is {shapes[-1]}")
    low, high = int(images.min()), int(images.max())
    if low == high or (high > 1) == source.binary:
        raise Damaged(f"{where}: pixels of {key} are from {low} to {high}, those of {name} 0 to {largest}")
    images = images.reshape(shapes[0])
    # torch wants arrays that can be written to
    return images * np.uint8(255) if source.binary else np.require(images, requirements=("C", "W"))


def _labels(name: str, split: str, labels: np.ndarray, where: str) -> np.ndarray:
    """(N,) or (N, 1) whole numbers -> (N,) int64."""
    counts, key = SOURCES[name].counts[split], f"{split}_labels"
    n = sum(counts)
    if labels.dtype.kind not in "iu" or labels.shape not in ((n,), (n, 1)):
        found = f"{labels.dtype} {labels.shape}"
        raise Damaged(f"{where}: {key} is {found}, where {n} whole numbers are expected")
    labels = labels.reshape(-1).astype(np.int64)
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= len(counts):
        raise Damaged(f"{where}: {key} are from {low} to {high}, those of {name} 0 to {len(counts) - 1}")
    found = tuple(np.bincount(labels, minlength=len(counts)).tolist())
    if found != counts:
        k = int(np.flatnonzero(np.array(found) != counts)[0])
        others = [other for other, source in SOURCES.items() if source.counts.get(split) == found]
        hint = f": they are those of {others[0]}" if others else ""
        raise Damaged(f"{where}: {found[k]} of {key} are {k}, in {name} {counts[k]} are{hint}")
    return labels
