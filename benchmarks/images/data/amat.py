"""The text files of static binarized MNIST: a line an image, 784 times 0 or 1."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.images.data.reading import Arrays, describe, told

PIXELS = 28 * 28


def read(paths: Sequence[Path], keys: Sequence[str]) -> Arrays:
    """A file a split, in the order of `keys`; (N, 28, 28) zeros and ones.

    Raises:
        Damaged: Something else than zeros, ones and blanks, or no whole number of images.
    """
    return {key: read_array(path) for key, path in zip(keys, paths, strict=True)}


def read_array(path: Path) -> np.ndarray:
    """(N, 28, 28) uint8 of 0 and 1.

    Raises:
        Damaged: as for `read`.
    """
    with told(path):
        text = np.fromfile(path, np.uint8)
        values = text[text > ord(" ")] - np.uint8(ord("0"))
        if not len(values) or values.max() > 1:
            raise ValueError(f"{describe(text[:64].tobytes())}, where a text of zeros and ones is expected")
        if len(values) % PIXELS:
            raise ValueError(f"is cut short: {len(values)} pixels are no whole number of images of {PIXELS}")
    return values.reshape(-1, 28, 28)
