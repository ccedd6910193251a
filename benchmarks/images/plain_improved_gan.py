"""Improved GAN as one writes it down at first: see `plain`."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from benchmarks.images.plain import Plain
from rlgen.generative.adversarial import Batch
from rlgen.generative.improved_gan import ImprovedGANConfig


class Noise(nn.Module):
    """Gaussian noise."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        """x with noise."""
        return x + self.std * torch.randn_like(x)


def normed(layer: nn.Module, *, scale: bool = False, axis: int = 0) -> nn.Module:
    """The layer with torch's weight normalisation, its scale trained or not."""
    layer = weight_norm(layer, dim=axis)
    layer.parametrizations.weight.original0.requires_grad_(scale)  # type: ignore[union-attr]
    return layer


class PlainImprovedGAN(Plain):
    """Improved GAN, semi-supervised: dense or convolutional."""

    config: ImprovedGANConfig

    def build(self) -> None:
        """Both networks, and the classifier's average."""
        c = self.config
        if c.network == "dense":
            self.generator, layers = dense_generator(c), dense_classifier(c)
        else:
            self.generator, layers = conv_generator(c), conv_classifier(c)
        self.discriminator = nn.Sequential(*layers)
        self.features = nn.Sequential(*layers[: -2 if c.network == "dense" else -1])
        self.average = copy.deepcopy(self.discriminator).requires_grad_(False)

    def step(self, batch: Batch) -> None:
        """Three passes of the classifier, two of its features, and the average."""
        assert batch.labelled is not None and batch.labels is not None
        n, matched = len(batch.images), F.l1_loss if self.config.objective == "l1" else F.mse_loss
        fake = self.generator(torch.rand(n, self.config.noise_size)).detach()
        labelled, real, false = (self.discriminator(x) for x in (batch.labelled, batch.images, fake))
        real, false = real.logsumexp(1), false.logsumexp(1)
        loss = F.cross_entropy(labelled, batch.labels)
        loss = loss + 0.5 * (F.softplus(real) - real).mean() + 0.5 * F.softplus(false).mean()
        self.descend(loss, self.d_optimizer)
        fake = self.generator(torch.rand(n, self.config.noise_size))
        self.descend(
            matched(self.features(fake).mean(0), self.features(batch.images).mean(0)), self.g_optimizer
        )
        with torch.no_grad():
            for mean, new in zip(self.average.parameters(), self.discriminator.parameters(), strict=True):
                mean.copy_(self.config.average_decay * mean + (1 - self.config.average_decay) * new)


class ShiftedNorm(nn.Module):
    """Batch normalisation with a shift and no gain."""

    def __init__(self, norm: nn.Module, features: int) -> None:
        super().__init__()
        self.norm, self.shift = norm, nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, ...) by its own statistics."""
        return self.norm(x) + self.shift.view(1, -1, *[1] * (x.ndim - 2))


def dense_generator(c: ImprovedGANConfig) -> nn.Module:
    """Softplus units and sigmoid pixels."""
    layers: list[nn.Module] = []
    sizes = (c.noise_size, *c.generator_hidden)
    for i, j in zip(sizes[:-1], sizes[1:], strict=True):
        norm = ShiftedNorm(nn.BatchNorm1d(j, eps=1e-6, affine=False), j)
        layers += [nn.Linear(i, j, bias=False), norm, nn.Softplus()]
    last = normed(nn.Linear(sizes[-1], math.prod(c.image_shape)), scale=True)
    return nn.Sequential(*layers, last, nn.Sigmoid(), nn.Unflatten(1, c.image_shape))


def dense_classifier(c: ImprovedGANConfig) -> Sequence[nn.Module]:
    """Layers; the features are before the last noise."""
    layers: list[nn.Module] = [nn.Flatten(), Noise(c.input_noise)]
    sizes = (math.prod(c.image_shape), *c.hidden)
    for i, j in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [normed(nn.Linear(i, j)), nn.ReLU(), Noise(c.hidden_noise)]
    return [*layers, normed(nn.Linear(sizes[-1], c.n_classes), scale=True)]


def conv_generator(c: ImprovedGANConfig) -> nn.Module:
    """Three transposed convolutions of 5 x 5."""
    sizes = c.channels

    def norm(n: int) -> list[nn.Module]:
        return [ShiftedNorm(nn.BatchNorm2d(n, eps=1e-6, affine=False), n), nn.ReLU()]

    first = nn.Linear(c.noise_size, 16 * sizes[0], bias=False)
    flat = ShiftedNorm(nn.BatchNorm1d(16 * sizes[0], eps=1e-6, affine=False), 16 * sizes[0])
    layers: list[nn.Module] = [first, flat, nn.ReLU(), nn.Unflatten(1, (sizes[0], 4, 4))]
    for i, j in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [nn.ConvTranspose2d(i, j, 5, 2, 2, 1, bias=False), *norm(j)]
    last = normed(nn.ConvTranspose2d(sizes[-1], 3, 5, 2, 2, 1), scale=True, axis=1)
    return nn.Sequential(*layers, last, nn.Tanh())


def conv_classifier(c: ImprovedGANConfig) -> Sequence[nn.Module]:
    """Nine convolutions; the features are the means over space."""
    a, b = c.widths
    groups = [
        [(3, a, 3, 1, 1), (a, a, 3, 1, 1), (a, a, 3, 2, 1)],
        [(a, b, 3, 1, 1), (b, b, 3, 1, 1), (b, b, 3, 2, 1)],
        [(b, b, 3, 1, 0), (b, b, 1, 1, 0), (b, b, 1, 1, 0)],
    ]
    layers: list[nn.Module] = []
    for p, group in zip((c.input_dropout, 0.5, 0.5), groups, strict=True):
        layers.append(nn.Dropout(p))
        for shape in group:
            layers += [normed(nn.Conv2d(*shape)), nn.LeakyReLU(0.2)]
    layers += [nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())]
    return [*layers, normed(nn.Linear(b, c.n_classes), scale=True)]
