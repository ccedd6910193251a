"""Restorations of binary images by a trained model: noise taken away, a half completed, the size doubled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.images import album, filters, pictures
from benchmarks.images.pixels import to_images
from rlgen.generative.autoencoder import Autoencoder
from rlgen.generative.evidence import Evidence, downsampled, noisy, partial
from rlgen.generative.likelihood_model import LikelihoodModel
from rlgen.generative.noise import gaussian, uniform
from rlgen.generative.pixel_model import PixelModel
from rlgen.generative.pixel_sampling import Given
from rlgen.generative.posterior_search import restore

NOISE = 0.5
"""Standard deviation of the noise that is taken away, where pixels are 0 and 1."""
AT_ONCE = 1000
"""Images that are restored together."""
SHOWN = 10
"""Images of a picture."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Subject:
    """Images, and a model that is to restore them.

    Args:
        model: Of binary images; on the device of the rest.
        x: True images (N, 1, H, W), levels 0 and 1.
        generator: Draws noise and codes.
        draws: Samples of each image where a mean is taken.
        steps: Of a chain of the posterior search.
    """

    model: LikelihoodModel
    x: Tensor
    generator: torch.Generator
    draws: int = 16
    steps: int = 200

    def restored(self, see: Callable[[slice], Evidence], guess: Tensor) -> Tensor:
        """One restoration of every image (N, 1, H, W), from what is seen of each part of them."""
        assert isinstance(self.model, Autoencoder)
        parts = [slice(start, start + AT_ONCE) for start in range(0, len(guess), AT_ONCE)]
        return torch.cat(
            [restore(self.model, see(part), guess[part], self.generator, steps=self.steps) for part in parts]
        )

    def mean_restored(self, see: Callable[[slice], Evidence], guess: Tensor) -> tuple[Tensor, Tensor]:
        """The first of several, and the mean of all."""
        first = total = self.restored(see, guess)
        for _ in range(self.draws - 1):
            total = total + self.restored(see, guess)
        return first, total / self.draws


class Denoised(NamedTuple):
    """Images (N, 1, H, W) from 0 to 1."""

    noisy: Tensor
    """Outside of 0 to 1, too."""
    filtered: Tensor
    """By the best of several filters."""
    ours: Tensor
    """The mean of several draws."""
    true: Tensor


class Completed(NamedTuple):
    """Images (N, 1, H, W), 0 and 1."""

    given: Tensor
    """The known pixels, 0 elsewhere; the upper half unless a mask is passed."""
    completed: Tensor
    """One draw."""
    true: Tensor


class Enlarged(NamedTuple):
    """Images (N, 1, H, W) from 0 to 1."""

    small: Tensor
    """Each of its pixels as a block of 2 x 2."""
    bicubic: Tensor
    ours: Tensor
    """One draw."""
    mean: Tensor
    """Of several."""
    true: Tensor


def denoise(subject: Subject) -> tuple[Denoised, str]:
    """Take away noise; the name of the filter that is shown beside it is the second value."""
    x = subject.x.float()
    y = x + NOISE * gaussian(*x.shape, generator=subject.generator, device=x.device)
    _, mean = subject.mean_restored(lambda part: noisy(y[part], NOISE), (y > 0.5).to(torch.uint8))
    name, filtered = filters.best_filter(y, x)
    return Denoised(y, filtered, mean, x), name


def upper_half(x: Tensor) -> Tensor:
    """Which pixels of images (N, 1, H, W) are given: bool of the same shape."""
    known = torch.zeros_like(x, dtype=torch.bool)
    known[:, :, : x.shape[2] // 2] = True
    return known


def complete(subject: Subject, known: Tensor | None = None) -> Completed:
    """Draw the pixels that are not known: by conditional sampling, or by posterior search.

    PixelCNN and PixelRNN draw a pixel from those before it in reading order: where known pixels come later,
    as those below a gap do, they stay, but have no say in what is drawn. The search heeds all of them.

    Args:
        subject: Model and images.
        known: Bool of the images' shape (N, 1, H, W), any mask; the upper half unless given.
    """
    x = subject.x
    known = upper_half(x) if known is None else known
    half = x * known
    if isinstance(subject.model, PixelModel):
        found = subject.model.sample(len(x), subject.generator, Given(half, known)).float()
    else:
        p = subject.restored(lambda part: partial(half[part], known[part]), half)
        u = uniform(*p.shape, generator=subject.generator, device=p.device)
        found = torch.where(known, x, u < p).float()
    return Completed(half.float(), found, x.float())


def enlarge(subject: Subject) -> Enlarged:
    """Double height and width, from the means of blocks of 2 x 2."""
    x = subject.x.float()
    y = F.avg_pool2d(x, 2)
    guess = (F.interpolate(y, scale_factor=2) >= 0.5).to(torch.uint8)
    one, mean = subject.mean_restored(lambda part: downsampled(y[part]), guess)
    return Enlarged(F.interpolate(y, scale_factor=2), filters.bicubic(y), one, mean, x)


def picture(restored: Denoised | Completed | Enlarged) -> album.Section:
    """The first few images, a row each kind."""
    kinds = np.stack([to_images(images[:SHOWN]) for images in restored])
    title = f"{type(restored).__name__.lower()}: {', '.join(restored._fields)}"
    return title, pictures.sweep(kinds, scale=album.scale_of(kinds[0]))
