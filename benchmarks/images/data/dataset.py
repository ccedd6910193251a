"""A data set of images in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True, eq=False)
class Split:
    """Images, and their labels if there are any."""

    images: np.ndarray
    """(N, H, W, C) uint8, 0 to 255; C is 1 or 3."""
    labels: np.ndarray | None = None
    """(N,) int64, 0 to K - 1."""

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, eq=False)
class ImageData:
    """A data set in memory."""

    name: str
    """As in `data.NAMES`; folder-<its name> for a folder."""
    train: Split
    test: Split
    valid: Split | None
    """Only where the data set comes with one."""
    classes: tuple[str, ...]
    """Names of the K classes; none without labels."""
    files: tuple[Path, ...]
    """Where it was read from."""
    binary: bool = False
    """Whether pixels are 0 or 255 in the test images, and are to be in the training images."""
    drawn_anew: bool = False
    """Whether the training images are the probabilities, of 255, by which binary ones are to be drawn."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of an image, as torch has it."""
        height, width, channels = self.train.images.shape[1:]
        return channels, height, width
