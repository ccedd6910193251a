"""A small convolutional classifier and, for each data set, the recipe by which it is trained.

Its features are what the metrics compare (`trained`): Inception's weights need a download, and are not used.
On the CPU the same seed, data, recipe and number of threads give the same weights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from benchmarks.images.data.dataset import ImageData
from benchmarks.images.pixels import apply, to_tensor


@dataclass(frozen=True)
class Recipe:
    """How a classifier is built and trained."""

    layers: tuple[tuple[int, int], ...] = ((32, 2), (64, 2), (64, 1))
    """Width and stride of each convolution; the first is 5 x 5, the others 3 x 3."""
    features: int = 128
    """D."""
    epochs: int = 4
    batch_size: int = 128
    learning_rate: float = 4e-3
    """Of Adam at its peak, after a fifth of the steps; 0 at both ends."""
    weight_decay: float = 0.05
    shift: int = 2
    """Pixels, at most, by which training images are moved in each direction."""
    flip: bool = False
    """Mirror half of the training images."""


OBJECTS = Recipe(layers=((32, 1), (64, 2), (96, 2), (96, 1)), epochs=24, shift=3, flip=True)
OTHERS = replace(OBJECTS, flip=False)
"""For folders: letters are not their mirror images."""
RECIPES = {
    "mnist": Recipe(),
    "fashion-mnist": Recipe(epochs=8, shift=1, flip=True),
    "cifar10": Recipe(layers=((48, 1), (96, 2), (128, 2), (128, 1)), epochs=12, shift=3, flip=True),
    "cifar10-subset": OBJECTS,
    "svhn": Recipe(layers=OBJECTS.layers, epochs=5),
}
"""By data set; `OTHERS` for folders with labels."""


class Classifier(nn.Module):
    """Convolutions with batch normalisation and ReLUs, means over a 4 x 4 grid, features, logits.

    Args:
        shape: (C, H, W) of images.
        n_classes: K.
        recipe: Widths and strides.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, shape: tuple[int, int, int], n_classes: int, recipe: Recipe) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape[0], 1, 1))
        self.register_buffer("std", torch.ones(shape[0], 1, 1))
        blocks, channels = [], shape[0]
        for k, (width, stride) in enumerate(recipe.layers):
            size = 3 if k else 5
            conv = nn.Conv2d(channels, width, size, stride, size // 2, bias=False)
            blocks += [conv, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            channels = width
        self.body = nn.Sequential(*blocks)
        self.neck, self.head = (
            nn.Linear(16 * channels, recipe.features),
            nn.Linear(recipe.features, n_classes),
        )

    def features(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] -> (B, D), none below 0."""
        x = ((x - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        return F.relu(self.neck(F.adaptive_avg_pool2d(self.body(x), 4).flatten(1)))

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] -> logits (B, K)."""
        return self.head(self.features(x))


def train_classifier(
    data: ImageData, seed: int, *, recipe: Recipe, device: str = "cpu", progress: bool = True
) -> Classifier:
    """Train on the training images; the global generator is not drawn from.

    Raises:
        ValueError: The data has no labels.
    """
    labels = labels_of(data)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Classifier(data.shape, len(data.classes), recipe)
    for channel, mean, std in zip(range(data.shape[0]), *moments(data.train.images), strict=True):
        network.mean[channel], network.std[channel] = mean, std
    network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    draws = np.random.default_rng(seed)
    size = min(recipe.batch_size, len(labels))
    steps = recipe.epochs * (len(labels) // size)
    optimizer = torch.optim.AdamW(
        network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda k: min(5 * (k + 1) / steps, 1.25 * (1 - k / steps))
    )
    with tqdm(total=steps, desc=f"{data.name} classifier", disable=None if progress else True) as bar:
        for _ in range(recipe.epochs):
            order = draws.permutation(len(labels))
            for rows in order[: len(order) // size * size].reshape(-1, size):
                x = to_tensor(augment(data.train.images[rows], recipe, draws), device)
                loss = F.cross_entropy(network(x), torch.from_numpy(labels[rows]).to(device))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                bar.update()
    return network.eval()


def moments(images: np.ndarray) -> tuple[list[float], list[float]]:
    """(N, H, W, C) uint8 -> mean and standard deviation of each channel, scaled to [0, 1]."""
    levels, means, stds = np.arange(256) / 255, [], []
    for channel in range(images.shape[3]):
        share = np.bincount(images[..., channel].ravel(), minlength=256) / images[..., channel].size
        means.append(float(share @ levels))
        stds.append(float(np.sqrt(share @ (levels - means[-1]) ** 2)))
    return means, stds


def augment(images: np.ndarray, recipe: Recipe, generator: np.random.Generator) -> np.ndarray:
    """Move each of (B, H, W, C) by up to `shift` pixels each way, 0 coming in, and mirror half if `flip`."""
    n, height, width, _ = images.shape
    s = recipe.shift
    padded = np.pad(images, ((0, 0), (s, s), (s, s), (0, 0)))
    down, right = generator.integers(0, 2 * s + 1, (2, n, 1))
    rows, columns = down + np.arange(height), right + np.arange(width)  # (B, H), (B, W)
    if recipe.flip:
        mirrored = generator.random(n) < 0.5
        columns[mirrored] = columns[mirrored, ::-1]
    return padded[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]


def measure_accuracy(network: Classifier, data: ImageData, device: str = "cpu") -> float:
    """Percent of the test images."""
    guesses = apply(network, data.test.images, device=device).argmax(1)
    return 100 * float(np.mean(guesses == data.test.labels))


def labels_of(data: ImageData) -> np.ndarray:
    """Those of the training images.

    Raises:
        ValueError: There are none.
    """
    if data.train.labels is None:
        also = (
            "pass the classifier of mnist"
            if data.name == "mnist-static"
            else "put its images into sub-folders, one a class"
        )
        raise ValueError(f"{data.name} has no labels to train a classifier on: {also}")
    return data.train.labels
