"""Between images as bytes and as torch has them; and the simplest model of images, a Gaussian."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

MOST_PIXELS, FEW_IMAGES = 4096, 5000
"""Sizes up to which a covariance's eigenvectors take seconds, and from which images are mixed instead."""


def to_tensor(images: np.ndarray, device: str | torch.device = "cpu") -> Tensor:
    """(N, H, W, C) uint8 -> (N, C, H, W) float32 in [0, 1]."""
    images = np.require(images, requirements="W")  # torch warns of read-only ones
    return torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float() / 255


def to_images(tensor: Tensor) -> np.ndarray:
    """(N, C, H, W) in [0, 1], cut off outside -> (N, H, W, C) uint8, rounded."""
    scaled = tensor.detach().clamp(0, 1).mul(255).round()
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()


@torch.no_grad()
def apply(
    function: Callable[[Tensor], Tensor],
    images: np.ndarray,
    batch_size: int = 500,
    device: str | torch.device = "cpu",
) -> np.ndarray:
    """What a network gives for images, such as its features.

    Args:
        function: (B, C, H, W) in [0, 1] -> (B, ...); a module in evaluation mode, or a method of it.
        images: (N, H, W, C) uint8.
        batch_size: B.
        device: Where the function wants its input.

    Returns:
        (N, D) float64, whatever was behind B flattened.
    """
    batches = (images[i : i + batch_size] for i in range(0, len(images), batch_size))
    parts = [function(to_tensor(batch, device)).flatten(1).double().cpu().numpy() for batch in batches]
    return np.concatenate(parts)


def gaussian_images(images: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Samples of the Gaussian with the mean and covariance of the pixels: what a model has to beat.

    Args:
        images: (N, H, W, C) uint8; of images of more than `MOST_PIXELS` values `FEW_IMAGES`, the first.
        n: How many.
        seed: Of the draw.

    Returns:
        (n, H, W, C) uint8, cut off at 0 and 255.
    """
    large = images[0].size > MOST_PIXELS
    x = images[: FEW_IMAGES if large else None].reshape(-1, images[0].size).astype(np.float32)
    mean = x.mean(0)
    x -= mean
    draws, freedom = np.random.default_rng(seed), max(len(x) - 1, 1)
    if large:  # a mixture of centred images has their covariance, too
        samples = mean + draws.standard_normal((n, len(x)), np.float32) @ x / np.sqrt(freedom)
    else:
        values, vectors = np.linalg.eigh((x.T @ x).astype(np.float64) / freedom)
        noise = draws.standard_normal((n, len(values)))
        samples = mean + (noise * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    return np.rint(np.clip(samples, 0, 255)).astype(np.uint8).reshape(n, *images.shape[1:])
