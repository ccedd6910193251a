"""What trained models of binary digits are good for: each use with its figures and its picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.images import album, filters, pictures
from benchmarks.images.data import labelled
from benchmarks.images.dataset import Split
from benchmarks.images.few_labels import logistic_accuracy, nearest_accuracy
from benchmarks.images.pixels import to_images
from benchmarks.images.trained import Trained
from rlgen.generative.autoencoder import Autoencoder
from rlgen.generative.evidence import Evidence, downsampled, noisy, partial
from rlgen.generative.likelihood import LikelihoodModel, binarize
from rlgen.generative.pixel_model import PixelModel
from rlgen.generative.pixel_sampling import Given
from rlgen.generative.posterior_search import restore

NOISE = 0.5
"""Standard deviation of the noise that is taken away, where pixels are 0 and 1."""
AT_ONCE = 1000
"""Images that are restored together."""
SHOWN = 10
"""Images of a picture."""
LABELS_PER_CLASS = 10
DRAWS_OF_LABELS = 10


@dataclass(frozen=True, eq=False)
class Digits:
    """What uses are tried on, and what with."""

    model: LikelihoodModel
    x: Tensor
    """Test images (N, 1, H, W), levels 0 and 1."""
    labels: np.ndarray
    """(N,)."""
    judge: Trained
    """A classifier of digits."""
    train: Split
    """Brightnesses and labels, for features."""
    generator: torch.Generator
    draws: int = 16
    """Samples of each image where a mean is taken."""
    steps: int = 200
    """Of a chain of the posterior search."""

    def accuracy(self, images: Tensor) -> float:
        """Percent of images (N, 1, H, W) from 0 to 1 that the classifier has right."""
        guesses = self.judge.probabilities(to_images(images)).argmax(1)
        return 100 * float((guesses == self.labels).mean())

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


@dataclass(frozen=True)
class Use:
    """What came of a use."""

    figures: Mapping[str, float | str]
    """By name, the one that matters first."""
    section: album.Section


def denoise(digits: Digits) -> Use:
    """Take away noise; the mean of several draws against the better of median and Gaussian filters."""
    x = digits.x.float()
    y = x + NOISE * torch.randn(x.shape, generator=digits.generator)
    _, mean = digits.mean_restored(lambda part: noisy(y[part], NOISE), (y > 0.5).to(torch.uint8))
    name, filtered = filters.best_filter(y, x)
    error, other = F.mse_loss(mean, x).item(), F.mse_loss(filtered, x).item()
    figures = {
        "denoising_gain": 100 * (1 - error / other),
        "denoising_squared_error": error,
        "denoising_squared_error_filter": other,
        "denoising_filter": name,
    }
    return Use(figures, rows("noisy, filtered, ours, true", y, filtered, mean, x))


def upper_half(x: Tensor) -> Tensor:
    """Which pixels of images (N, 1, H, W) are given: bool of the same shape."""
    known = torch.zeros_like(x, dtype=torch.bool)
    known[:, :, : x.shape[2] // 2] = True
    return known


def inpaint(digits: Digits) -> Use:
    """Complete the lower half: by conditional sampling, or by posterior search."""
    x, known = digits.x, upper_half(digits.x)
    half = x * known
    if isinstance(digits.model, PixelModel):
        found = digits.model.sample(len(x), digits.generator, Given(half, known)).float()
    else:
        p = digits.restored(lambda part: partial(half[part], known[part]), half)
        drawn = torch.rand(p.shape, generator=digits.generator) < p
        found = torch.where(known, x, drawn).float()
    figures = {
        "inpainting_accuracy": digits.accuracy(found),
        "inpainting_accuracy_half": digits.accuracy(half.float()),
        "inpainting_accuracy_true": digits.accuracy(x.float()),
        "inpainting_given_pixels_kept": 100 * (found == x)[known].float().mean().item(),
    }
    return Use(figures, rows("the half given, completed, true", half.float(), found, x.float()))


def enlarge(digits: Digits) -> Use:
    """Double height and width: one draw for the classifier, the mean of several for the error."""
    x = digits.x.float()
    y = F.avg_pool2d(x, 2)
    guess = (F.interpolate(y, scale_factor=2) >= 0.5).to(torch.uint8)
    one, mean = digits.mean_restored(lambda part: downsampled(y[part]), guess)
    cubic = filters.bicubic(y)
    figures = {
        "super_resolution_accuracy": digits.accuracy(one),
        "super_resolution_accuracy_bicubic": digits.accuracy(cubic),
        "super_resolution_psnr": psnr(mean, x),
        "super_resolution_psnr_bicubic": psnr(cubic, x),
    }
    small = F.interpolate(y, scale_factor=2)
    return Use(figures, rows("small, bicubic, ours, their mean, true", small, cubic, one, mean, x))


def psnr(found: Tensor, x: Tensor) -> float:
    """Peak signal-to-noise ratio in decibels, of the mean squared error of all images."""
    return -10 * float(F.mse_loss(found, x).log10())


def pretrain(digits: Digits) -> Use:
    """The encoder's features of few labelled images, against pixels; means over draws of the images."""
    train, labels, model = digits.train, digits.train.labels, digits.model
    assert labels is not None and isinstance(model, Autoencoder)
    test_labels, table = torch.from_numpy(digits.labels), []
    for seed in range(DRAWS_OF_LABELS):
        chosen = labelled(labels, LABELS_PER_CLASS, seed)
        chosen = chosen[np.random.default_rng(seed).permutation(len(chosen))]  # classes mixed, for folds
        x = binarize(torch.from_numpy(train.images[chosen]).permute(0, 3, 1, 2), digits.generator)
        with torch.no_grad():
            features = [(model.represent(part), part.flatten(1).float()) for part in (x, digits.x)]
        y = torch.from_numpy(labels[chosen])
        table.append(
            [
                [accuracy(few, y, many, test_labels) for few, many in zip(*features, strict=True)]
                for accuracy in (nearest_accuracy, logistic_accuracy)
            ]
        )
    (ours, pixels), (ours_logistic, pixels_logistic) = np.mean(table, 0).tolist()
    figures = {
        "pretraining_gain": ours - pixels,
        "pretraining_accuracy": ours,
        "pretraining_accuracy_pixels": pixels,
        "pretraining_gain_logistic": ours_logistic - pixels_logistic,
        "pretraining_accuracy_logistic": ours_logistic,
        "pretraining_accuracy_logistic_pixels": pixels_logistic,
    }
    return Use(figures, rows("images of one draw of labels", x.float()))


def interpolate(digits: Digits) -> Use:
    """Straight lines between the codes of test images."""
    model = digits.model
    assert isinstance(model, Autoencoder)
    with torch.no_grad():
        ends = model.encode(digits.x[: 2 * album.LINES])
        return Use({}, album.interpolation(lambda z: to_images(model.decode(z)), ends))


def rows(title: str, *images: Tensor) -> album.Section:
    """A picture of the first few images (N, 1, H, W) from 0 to 1, a row each kind."""
    kinds = np.stack([to_images(part[:SHOWN]) for part in images])
    return title, pictures.sweep(kinds, scale=album.scale_of(kinds[0]))


USES: dict[str, Callable[[Digits], Use]] = {
    "denoising": denoise,
    "inpainting": inpaint,
    "super_resolution": enlarge,
    "pretraining": pretrain,
    "interpolation": interpolate,
}
