"""The pictures of a model's page: samples beside real images, nearest images, lines between codes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from benchmarks.images import pictures
from benchmarks.images.data.dataset import ImageData

Render = Callable[[Tensor], np.ndarray]
Section = tuple[str, np.ndarray]

SMALLEST = 56
"""Pixels that an image is to have on a page, at least."""
GAP = 16
"""Pixels between pictures beside each other."""
COLUMNS, LINES, STEPS, NEIGHBOURS = 10, 5, 10, 5


def scale_of(images: np.ndarray) -> int:
    """By how much images (N, H, W, C) are enlarged."""
    return max(SMALLEST // images.shape[1], 1)


def frame(images: np.ndarray, columns: int) -> np.ndarray:
    """A grid of the film."""
    return pictures.grid(images, columns, scale=max(scale_of(images) // 2, 1))


def samples_beside(samples: np.ndarray, data: ImageData) -> list[Section]:
    """Samples (N, H, W, C) uint8 beside real images, and beside their nearest training images."""
    rows = np.random.default_rng(1).permutation(len(data.test))[: COLUMNS**2]
    scale = scale_of(samples)
    grids = [pictures.grid(part, COLUMNS, scale=scale) for part in (samples, data.test.images[rows])]
    near = [
        pictures.beside_nearest(part, data.train.images, min(NEIGHBOURS, len(data.train)), scale=scale)
        for part in (samples[:LINES], samples[LINES : 2 * LINES])
    ]
    return [
        ("samples, and test images", beside(grids)),
        ("samples, each with its nearest training images", beside(near)),
    ]


def interpolation(render: Render, ends: Tensor) -> Section:
    """Rows of images from one code to another; see `interpolations`."""
    images = interpolations(render, ends)
    return ("interpolation between two codes a row", pictures.sweep(images, scale=scale_of(images[0])))


def interpolations(render: Render, ends: Tensor, steps: int = STEPS) -> np.ndarray:
    """Codes (2 R, Z), the first and last of each row -> images (R, steps, H, W, C) along straight lines."""
    first, last = ends.chunk(2)
    share = torch.linspace(0, 1, steps, device=ends.device)[None, :, None]
    line = torch.lerp(first[:, None], last[:, None], share)  # (R, S, Z)
    images = render(line.flatten(0, 1))
    return images.reshape(len(first), steps, *images.shape[1:])


def beside(parts: list[np.ndarray]) -> np.ndarray:
    """Pictures (H, W, C) from left to right on white; lower ones end early."""
    height = max(len(part) for part in parts)
    white = [np.full((height, part.shape[1] + GAP, part.shape[2]), 255, np.uint8) for part in parts]
    for paper, part in zip(white, parts, strict=True):
        paper[: len(part), : part.shape[1]] = part
    return np.concatenate(white, 1)[:, :-GAP]
