"""A folder of png and jpg: cut to the centre square, resized by area, with sub-folders as labels."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from benchmarks.images.data.reading import Damaged, told

SUFFIXES = (".png", ".jpg", ".jpeg")
GREY = ("1", "L", "LA")
MODES = (*GREY, "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
"""Of PIL: eight bits a colour."""


class Pictures(NamedTuple):
    """What is in a folder, ordered by name."""

    images: np.ndarray
    """(N, size, size, C) uint8; C = 1 if all are grey."""
    labels: np.ndarray | None
    """(N,) int64, the sub-folders' place in the alphabet; None with fewer than two sub-folders."""
    classes: tuple[str, ...]
    """Names of the sub-folders, if there are labels."""


def read(folder: Path, size: int | None) -> Pictures:
    """Read every picture of a folder, or of its sub-folders, one level down. Hidden files are left out.

    Args:
        folder: Where they are.
        size: Height and width in pixels; None where they all have one size already, and are square.

    Raises:
        Damaged: No picture, a broken one, one that is smaller than `size`, of another size than the first, of
            16 bits a colour, or pictures both beside and inside sub-folders.
    """
    files, labels, classes = _listed(folder)
    pictures = [_read(file, size) for file in files]
    if size is None:
        _check_sizes(files, pictures)
    colour = any(picture.shape[2] == 3 for picture in pictures)
    shape = (*pictures[0].shape[:2], 3 if colour else 1)
    images = np.empty((len(pictures), *shape), np.uint8)
    for image, picture in zip(images, pictures, strict=True):
        image[:] = picture  # grey ones fill all three colours
    return Pictures(images, labels, classes)


def _listed(folder: Path) -> tuple[list[Path], np.ndarray | None, tuple[str, ...]]:
    """The files in order, their labels and the classes."""
    with told(folder):
        shown = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
        inside = {path: _pictures(path) for path in shown if path.is_dir()}
    beside = _pictures(folder)
    if not inside or not any(inside.values()):
        if not beside:
            deeper = next((path for path in folder.glob("*/*/*") if _is_picture(path)), None)
            at = deeper.parents[1] if deeper else "the right folder"
            raise Damaged(f"{folder}: no png or jpg in it, nor in its sub-folders: pass --data-dir {at}")
        return beside, None, ()
    if beside:
        names = ", ".join(path.name for path in inside)
        raise Damaged(
            f"{beside[0]} lies beside sub-folders ({names[:60]}), which are labels: move it into one of them"
        )
    for path, files in inside.items():
        if not files:
            raise Damaged(
                f"{path}: no png or jpg in it, while sub-folders are labels: fill it or take it away"
            )
    if len(inside) == 1:
        return inside.popitem()[1], None, ()
    labels = np.repeat(np.arange(len(inside)), [len(files) for files in inside.values()]).astype(np.int64)
    return sum(inside.values(), []), labels, tuple(path.name for path in inside)


def _pictures(folder: Path) -> list[Path]:
    return sorted(filter(_is_picture, folder.iterdir()))


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _read(path: Path, size: int | None) -> np.ndarray:
    """(H, W, C) uint8; transparent parts lie on white."""
    with told(path), warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(path) as file:
                file.verify()  # the check sums of a png
            with Image.open(path) as file:
                if file.mode not in MODES:
                    raise ValueError(f"is of mode {file.mode}: save it with 8 bits a colour")
                image = ImageOps.exif_transpose(file)
                grey = image.mode in GREY
                if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
                    over = image.convert("RGBA")
                    image = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
                pixels = np.asarray(image.convert("L" if grey else "RGB"))
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise ValueError(f"is too large: {error}") from error
        pixels = pixels.reshape(*pixels.shape[:2], -1)
        return pixels if size is None else resize(crop(pixels), size)


def crop(image: np.ndarray) -> np.ndarray:
    """(H, W, C) -> the centre square."""
    height, width, _ = image.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """Square (H, H, C) uint8 -> (size, size, C): each new pixel is the mean over the area that it covers.

    Raises:
        ValueError: The image is smaller than that.
    """
    side = len(image)
    if size < 1 or side < size:
        raise ValueError(
            f"is {side} x {side}, smaller than {size} x {size}: pass --image-size {side} or less"
        )
    if side == size:
        return image
    edges = np.linspace(0, side, size + 1)
    pixel = np.arange(side)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    weights = np.clip(overlap, 0, None) * (size / side)  # (size, side), rows sum to 1
    means = np.einsum("ah,hwc,bw->abc", weights, image, weights, optimize=True)
    return np.rint(means).astype(np.uint8)


def _check_sizes(files: Sequence[Path], pictures: Sequence[np.ndarray]) -> None:
    """All squares of one size."""
    height, width, _ = pictures[0].shape
    for file, picture in zip(files, pictures, strict=True):
        if picture.shape[:2] != (height, width):
            size = f"{picture.shape[0]} x {picture.shape[1]}"
            raise Damaged(
                f"{file} is {size}, {files[0].name} {height} x {width}: pass --image-size to resize them all"
            )
    if height != width:
        raise Damaged(
            f"{files[0]} is {height} x {width}, not square: pass --image-size to crop and resize them all"
        )
