"""What trained models of binary digits are good for: each use with its figures and its picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.images import album, pictures
from benchmarks.images.data import labelled
from benchmarks.images.data.dataset import Split
from benchmarks.images.few_labels import logistic_accuracy, nearest_accuracy
from benchmarks.images.pixels import to_images
from benchmarks.images.restorations import SHOWN, Subject, complete, denoise, enlarge, picture, upper_half
from benchmarks.images.trained import Trained
from rlgen.generative.autoencoder import Autoencoder
from rlgen.generative.likelihood_model import binarize

LABELS_PER_CLASS = 10
DRAWS_OF_LABELS = 10


@dataclass(frozen=True, eq=False, kw_only=True)
class Digits(Subject):
    """Test images of digits, and what uses are judged by."""

    shades: Tensor
    """What was binarized (N, 1, H, W), 0 to 255."""
    labels: np.ndarray
    """(N,)."""
    judge: Trained
    """A classifier of digits."""
    train: Split
    """Brightnesses and labels, for features."""

    def accuracy(self, images: Tensor) -> float:
        """Percent of images (N, 1, H, W) from 0 to 1 that the classifier has right."""
        guesses = self.judge.probabilities(to_images(images)).argmax(1)
        return 100 * float((guesses == self.labels).mean())


@dataclass(frozen=True)
class Use:
    """What came of a use."""

    figures: Mapping[str, float | str]
    """By name, the one that matters first."""
    section: album.Section


def denoising(digits: Digits) -> Use:
    """Noise taken away: the mean of several draws against the better of median and Gaussian filters."""
    found, name = denoise(digits)
    error, other = (F.mse_loss(images, found.true).item() for images in (found.ours, found.filtered))
    figures = {
        "denoising_gain": 100 * (1 - error / other),
        "denoising_squared_error": error,
        "denoising_squared_error_filter": other,
        "denoising_filter": name,
    }
    return Use(figures, picture(found))


def inpainting(digits: Digits) -> Use:
    """The lower half completed: whether the digit can be read, and the given half stayed."""
    found = complete(digits)
    kept = (found.completed == found.true)[upper_half(digits.x)]
    figures = {
        "inpainting_accuracy": digits.accuracy(found.completed),
        "inpainting_accuracy_half": digits.accuracy(found.given),
        "inpainting_accuracy_true": digits.accuracy(found.true),
        "inpainting_given_pixels_kept": 100 * kept.float().mean().item(),
    }
    return Use(figures, picture(found))


def super_resolution(digits: Digits) -> Use:
    """Height and width doubled: one draw for the classifier, the mean of several for the error."""
    found = enlarge(digits)
    figures = {
        "super_resolution_accuracy": digits.accuracy(found.ours),
        "super_resolution_accuracy_bicubic": digits.accuracy(found.bicubic),
        "super_resolution_psnr": psnr(found.mean, found.true),
        "super_resolution_psnr_bicubic": psnr(found.bicubic, found.true),
    }
    return Use(figures, picture(found))


def psnr(found: Tensor, x: Tensor) -> float:
    """Peak signal-to-noise ratio in decibels, of the mean squared error of all images."""
    return -10 * float(F.mse_loss(found, x).log10())


def pretraining(digits: Digits) -> Use:
    """The encoder's features of few labelled images, against pixels: those that it saw, and all their shades.

    Means over draws of the labelled images, with standard deviations of the gains.
    """
    train, labels, model = digits.train, digits.train.labels, digits.model
    assert labels is not None and isinstance(model, Autoencoder)
    test_labels, table = torch.from_numpy(digits.labels), []
    for seed in range(DRAWS_OF_LABELS):
        chosen = labelled(labels, LABELS_PER_CLASS, seed)
        chosen = chosen[np.random.default_rng(seed).permutation(len(chosen))]  # classes mixed, for folds
        generator = torch.Generator().manual_seed(seed)
        shades = torch.from_numpy(train.images[chosen]).permute(0, 3, 1, 2)
        few, many = (binarize(shades, generator), shades), (digits.x, digits.shades)
        kinds = [
            [_represent(model, x), x.flatten(1).float(), grey.flatten(1).float()] for x, grey in (few, many)
        ]
        y = torch.from_numpy(labels[chosen])
        table.append(
            [
                [accuracy(part, y, test, test_labels) for part, test in zip(*kinds, strict=True)]
                for accuracy in (nearest_accuracy, logistic_accuracy)
            ]
        )
    figures, accuracies = {}, np.array(table)  # (draws, classifiers, kinds)
    for k, suffix in enumerate(("", "_logistic")):
        ours, pixels, grey = accuracies[:, k].T
        for name, gain in (("gain", ours - pixels), ("gain_over_grey", ours - grey)):
            figures[f"pretraining_{name}{suffix}"] = float(gain.mean())
            figures[f"pretraining_{name}{suffix}_sd"] = float(gain.std(ddof=1))
        for name, values in (("", ours), ("_pixels", pixels), ("_grey_pixels", grey)):
            figures[f"pretraining_accuracy{suffix}{name}"] = float(values.mean())
    rows = [few[0][_nearest(test, part)] for part, test in zip(*(kind[:2] for kind in kinds), strict=True)]
    images = np.stack([to_images(part.float()) for part in (digits.x[:SHOWN], *rows)])
    title = "test images, and below each the nearest of 100 labelled ones by features, then by pixels"
    return Use(figures, (title, pictures.sweep(images, scale=album.scale_of(images[0]))))


def _represent(model: Autoencoder, x: Tensor) -> Tensor:
    with torch.no_grad():
        return model.represent(x)


def _nearest(test: Tensor, few: Tensor) -> Tensor:
    """Rows (SHOWN,) of the nearest examples of the first test images."""
    return torch.cdist(test[:SHOWN], few).argmin(1)


def interpolation(digits: Digits) -> Use:
    """Straight lines between the codes of test images."""
    model = digits.model
    assert isinstance(model, Autoencoder)
    with torch.no_grad():
        ends = model.encode(digits.x[: 2 * album.LINES])
        return Use({}, album.interpolation(lambda z: to_images(model.decode(z)), ends))


USES: dict[str, Callable[[Digits], Use]] = {
    use.__name__: use for use in (denoising, inpainting, super_resolution, pretraining, interpolation)
}
