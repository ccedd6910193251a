"""Pictures of images: grids, pages of titled grids, nearest neighbours, sweeps, films. No display is needed.

Everything takes and gives uint8 arrays (N, H, W, C) with C = 1 or 3. A file is replaced as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import imageio.v3 as iio
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rlgen.files import replace_file

GREY = 128
"""Of the lines between images."""
MARGIN = 8
"""Pixels around what is on a page."""
TITLE = 14
"""Height of a title's letters in pixels."""


def grid(
    images: np.ndarray, columns: int | None = None, *, scale: int = 1, gap: int = 1, line: int = GREY
) -> np.ndarray:
    """Put images into rows from left to right.

    Args:
        images: (N, H, W, C) uint8.
        columns: Images a row; as many as rows, or one more, unless given.
        scale: Pixels of the grid for one of an image, in each direction.
        gap: Width of the lines between images, in pixels of the grid.
        line: Their brightness, 0 to 255.

    Returns:
        (rows (H scale + gap) + gap, columns (W scale + gap) + gap, C) uint8; what a row lacks is `line`.

    Raises:
        ValueError: Another type or shape, or no image.
    """
    _check(images)
    n, height, width, channels = images.shape
    columns = int(np.ceil(np.sqrt(n))) if columns is None else columns
    if columns < 1 or scale < 1 or gap < 0:
        raise ValueError(f"columns {columns}, scale {scale}, gap {gap}: pass at least 1, 1 and 0")
    rows = -(-n // columns)
    big = images.repeat(scale, 1).repeat(scale, 2)
    cell = np.full((rows * columns, height * scale + gap, width * scale + gap, channels), line, np.uint8)
    cell[:n, gap:, gap:] = big
    cells = cell.reshape(rows, columns, *cell.shape[1:]).swapaxes(1, 2)  # (rows, H, columns, W, C)
    body = cells.reshape(rows * cell.shape[1], columns * cell.shape[2], channels)
    return np.pad(body, ((0, gap), (0, gap), (0, 0)), constant_values=line)


def sweep(images: np.ndarray, *, scale: int = 1) -> np.ndarray:
    """A row for each code, or each pair that is interpolated: images (R, S, H, W, C) in S steps -> a grid.

    Raises:
        ValueError: Another type or shape.
    """
    if images.ndim != 5:
        raise ValueError(f"images have shape {images.shape}: give (R, S, H, W, C), a row a code, S steps")
    return grid(images.reshape(-1, *images.shape[2:]), images.shape[1], scale=scale)


class Nearest(NamedTuple):
    """The real images that are nearest to samples."""

    rows: np.ndarray
    """(N, k) int64, nearest first."""
    distances: np.ndarray
    """(N, k) root mean squared differences, in grey levels 0 to 255."""


def nearest(samples: np.ndarray, real: np.ndarray, k: int = 1, batch_size: int = 2000) -> Nearest:
    """Find the k nearest real images of each sample, by pixels.

    Args:
        samples: (N, H, W, C) uint8.
        real: (M, H, W, C) uint8.
        k: Neighbours.
        batch_size: Real images at a time.

    Raises:
        ValueError: Images of two shapes, or more neighbours than real images.
    """
    _check(samples)
    _check(real)
    if samples.shape[1:] != real.shape[1:] or not 1 <= k <= len(real):
        raise ValueError(
            f"samples {samples.shape}, real {real.shape}, k {k}: give one shape, and k from 1 to M"
        )
    x = samples.reshape(len(samples), -1).astype(np.float64)
    best, rows = np.empty((len(x), 0)), np.empty((len(x), 0), np.int64)
    for start in range(0, len(real), batch_size):
        y = real[start : start + batch_size].reshape(-1, x.shape[1]).astype(np.float64)
        squares = (
            (x**2).sum(1, keepdims=True) - 2 * x @ y.T + (y**2).sum(1)
        )  # whole numbers, exact in float64
        best = np.concatenate([best, squares], 1)
        rows = np.concatenate([rows, np.broadcast_to(start + np.arange(len(y)), squares.shape)], 1)
        first = np.argsort(best, 1, kind="stable")[:, :k]
        best, rows = np.take_along_axis(best, first, 1), np.take_along_axis(rows, first, 1)
    return Nearest(rows, np.sqrt(best / x.shape[1]))


def beside_nearest(
    samples: np.ndarray, real: np.ndarray, k: int = 5, *, scale: int = 1, gap: int = 1
) -> np.ndarray:
    """A row a sample: the sample, a wider line, and its k nearest real images -> a picture.

    Raises:
        ValueError: as for `nearest`.
    """
    neighbours = real[nearest(samples, real, k).rows.reshape(-1)]
    left = grid(samples, 1, scale=scale, gap=gap)
    right = grid(neighbours, k, scale=scale, gap=gap)
    line = np.full((len(left), 4 * scale, left.shape[2]), 255, np.uint8)
    return np.concatenate([left, line, right], 1)


def page(sections: Sequence[tuple[str, np.ndarray]]) -> np.ndarray:
    """Pictures under each other on white, each below its title.

    Args:
        sections: Title and picture (H, W, 1 or 3) uint8.

    Returns:
        (H', W', 3) uint8.

    Raises:
        ValueError: No section, or a picture of another type or shape.
    """
    if not sections:
        raise ValueError("a page of no section: give at least one title and picture")
    for _, picture in sections:
        _check(picture[None])
    font = ImageFont.load_default(TITLE)
    width = max(max(picture.shape[1], int(font.getlength(title)) + 1) for title, picture in sections)
    height = sum(len(picture) + TITLE + 2 * MARGIN for _, picture in sections)
    paper = Image.new("RGB", (width + 2 * MARGIN, height + MARGIN), "white")
    draw, y = ImageDraw.Draw(paper), MARGIN
    for title, picture in sections:
        draw.text((MARGIN, y), title, "black", font)
        y += TITLE + MARGIN // 2
        paper.paste(Image.fromarray(_colour(picture)), (MARGIN, y))
        y += len(picture) + MARGIN + MARGIN // 2
    return np.array(paper)


def save_png(path: Path, picture: np.ndarray) -> None:
    """Write a picture (H, W, 1 or 3) uint8.

    Raises:
        ValueError: Another type or shape.
    """
    _check(picture[None])
    image = picture[:, :, 0] if picture.shape[2] == 1 else picture
    replace_file(path, lambda partial: iio.imwrite(partial, image, extension=".png"))


def save_gif(path: Path, frames: Sequence[np.ndarray], *, seconds: float = 0.2, last: float = 2.0) -> None:
    """Write a film that repeats for ever.

    Args:
        path: Of the gif.
        frames: Pictures (H, W, 1 or 3) uint8, all of one size.
        seconds: Each is shown, in steps of 0.01.
        last: The last is shown, in seconds.

    Raises:
        ValueError: No frame, or frames of two sizes.
    """
    if not frames or len({frame.shape for frame in frames}) > 1:
        raise ValueError(
            f"frames of shapes {[frame.shape for frame in frames][:4]}: give at least one, all alike"
        )
    times = [round(100 * t) * 10 for t in (*[seconds] * (len(frames) - 1), last)]
    images = [Image.fromarray(frame[:, :, 0] if frame.shape[2] == 1 else frame) for frame in frames]
    first, *rest = [image if image.mode == "L" else image.quantize(256) for image in images]

    def write(partial: Path) -> None:
        first.save(partial, "GIF", save_all=True, append_images=rest, duration=times, loop=0)

    replace_file(path, write)


def _colour(picture: np.ndarray) -> np.ndarray:
    return np.repeat(picture, 3, 2) if picture.shape[2] == 1 else picture


def _check(images: np.ndarray) -> None:
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3) or images.size == 0:
        raise ValueError(
            f"images are {images.dtype} {images.shape}: give uint8 (N, H, W, C) with 1 or 3 colours"
        )
