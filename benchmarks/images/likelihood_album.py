"""The pictures of a model with a likelihood: samples, codes of test images, restorations, drawings."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from benchmarks.images import album, pictures, restorations
from benchmarks.images.data.dataset import ImageData
from benchmarks.images.pixels import to_images
from rlgen.generative.autoencoder import Autoencoder
from rlgen.generative.draw import DRAW
from rlgen.generative.likelihood_model import LikelihoodModel

GRID = 10
"""Rows and columns of a frame."""
PIXEL_GRID = 5
"""The same for models that draw pixel by pixel, which takes them longer."""
STAGES = 10
"""Canvases of a drawing that are shown, at most."""
DRAWS, STEPS = 4, 100
"""Of restorations; `benchmarks.image_uses` takes more, and measures them."""


def frame(model: LikelihoodModel, seed: int) -> np.ndarray:
    """A picture of the film, always from the same random numbers."""
    columns = GRID if isinstance(model, Autoencoder) else PIXEL_GRID
    return album.frame(samples(model, columns**2, seed), columns)


@torch.no_grad()
def samples(model: LikelihoodModel, n: int, seed: int) -> np.ndarray:
    """n images (n, H, W, C) uint8; of models with a code what a code stands for, without noise of pixels."""
    generator = torch.Generator(model.device).manual_seed(seed)
    if isinstance(model, Autoencoder):
        return to_images(model.decode(model.draw_codes(n, generator)))
    return _bytes(model, model.sample(n, generator))


@torch.no_grad()
def sections(
    model: LikelihoodModel, data: ImageData, levels: Callable[[np.ndarray], Tensor]
) -> list[album.Section]:
    """What the page of a run shows.

    Args:
        model: Trained.
        data: The real images.
        levels: Bytes (N, H, W, C) -> what the model takes.
    """
    n = album.COLUMNS * (album.COLUMNS if isinstance(model, Autoencoder) else PIXEL_GRID)
    found = album.samples_beside(samples(model, n, 1), data)
    rows = np.random.default_rng(2).permutation(len(data.test))[: 4 * album.COLUMNS]  # they may be sorted
    x = levels(data.test.images[rows])
    found += _restorations(model, x[: restorations.SHOWN])
    if not isinstance(model, Autoencoder):
        return found
    back = to_images(model.reconstruct(x))
    pairs = np.stack([_bytes(model, x), back], 1).reshape(-1, *back.shape[1:])
    grid = pictures.grid(pairs, album.COLUMNS, scale=album.scale_of(back))
    found.append(("test images, each with its reconstruction", grid))
    ends = model.encode(x[: min(len(x) // 2, album.LINES) * 2])
    title, line = album.interpolation(lambda z: to_images(model.decode(z)), ends)
    found.append((f"{title}, those of test images", line))
    if isinstance(model, DRAW):
        found.append(("how samples are drawn, step by step", _drawings(model)))
    return found


def _restorations(model: LikelihoodModel, x: Tensor) -> list[album.Section]:
    """What the model makes of a few test images (N, C, H, W) seen in part, through noise, or small."""
    if model.config.levels != 2:
        return []
    generator = torch.Generator(model.device).manual_seed(3)
    subject = restorations.Subject(model=model, x=x, generator=generator, draws=DRAWS, steps=STEPS)
    found = [restorations.picture(restorations.complete(subject))]
    if isinstance(model, Autoencoder):
        found.append(restorations.picture(restorations.denoise(subject)[0]))
        found.append(restorations.picture(restorations.enlarge(subject)))
    return found


def _drawings(model: DRAW) -> np.ndarray:
    """A row an image, its canvases from left to right, the last one included."""
    z = model.draw_codes(album.LINES, torch.Generator(model.device).manual_seed(1))
    canvases = model.drawing(z)
    stages = np.unique(np.linspace(0, len(canvases) - 1, STAGES).round().astype(int))
    images = np.stack([to_images(model.observation.mean(canvases[t])) for t in stages], 1)
    return pictures.sweep(images, scale=album.scale_of(images[0]))


def _bytes(model: LikelihoodModel, x: Tensor) -> np.ndarray:
    """Levels (N, C, H, W) -> (N, H, W, C) uint8."""
    return model.config.to_bytes(x).permute(0, 2, 3, 1).contiguous().cpu().numpy()
