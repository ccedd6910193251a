"""The adversarial models as one writes them down at first: the sides that `images_speed` compares with."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlgen.generative.adversarial import Batch
from rlgen.generative.dcgan import DCGANConfig
from rlgen.generative.infogan import InfoGANConfig


class Plain:
    """A generator, a discriminator and a step of both.

    Args:
        config: Of our model.
    """

    generator: nn.Module
    discriminator: nn.Module

    def __init__(self, config: Any) -> None:
        self.config = config
        self.build()
        options = {"betas": (config.beta1, config.beta2), "eps": config.adam_eps}
        options["weight_decay"] = config.weight_decay
        self.d_optimizer = torch.optim.Adam(
            self.discriminator.parameters(), lr=config.discriminator_rate, **options
        )
        self.g_optimizer = torch.optim.Adam(self.generator.parameters(), lr=config.generator_rate, **options)

    def build(self) -> None:
        """Make both networks."""
        raise NotImplementedError

    def step(self, batch: Batch) -> None:
        """Train the discriminator, then the generator."""
        raise NotImplementedError

    def descend(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
        """One step."""
        self.d_optimizer.zero_grad()
        self.g_optimizer.zero_grad()
        loss.backward()
        optimizer.step()


class PlainDCGAN(Plain):
    """DCGAN for 28 x 28."""

    config: DCGANConfig

    def build(self) -> None:
        """Convolutions of 5 x 5."""
        c, k = self.config, self.config.kernel
        a, b = c.channels
        self.generator = nn.Sequential(
            nn.Linear(c.noise_size, c.hidden[0], bias=False),
            nn.BatchNorm1d(c.hidden[0], affine=False),
            nn.ReLU(),
            nn.Linear(c.hidden[0], a * 49, bias=False),
            nn.BatchNorm1d(a * 49, affine=False),
            nn.ReLU(),
            nn.Unflatten(1, (a, 7, 7)),
            nn.ConvTranspose2d(a, b, k, 2, 2, 1, bias=False),
            nn.BatchNorm2d(b, affine=False),
            nn.ReLU(),
            nn.ConvTranspose2d(b, 1, k, 2, 2, 1, bias=False),
            nn.Sigmoid(),
        )
        self.discriminator = nn.Sequential(
            nn.Conv2d(1, b, k, 2, 2, bias=False),
            nn.LeakyReLU(0.2),
            nn.Conv2d(b, a, k, 2, 2, bias=False),
            nn.BatchNorm2d(a, affine=False),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(a * 49, c.hidden[0], bias=False),
            nn.BatchNorm1d(c.hidden[0], affine=False),
            nn.LeakyReLU(0.2),
            nn.Linear(c.hidden[0], 1, bias=False),
        )

    def step(self, batch: Batch) -> None:
        """Binary cross-entropy with labels of ones and zeros."""
        real, n = batch.images, len(batch.images)
        ones, zeros = torch.ones(n, 1), torch.zeros(n, 1)
        fake = self.generator(torch.rand(n, self.config.noise_size) * 2 - 1)
        loss = F.binary_cross_entropy_with_logits(self.discriminator(real), ones)
        loss = loss + F.binary_cross_entropy_with_logits(self.discriminator(fake.detach()), zeros)
        self.descend(loss, self.d_optimizer)
        fake = self.generator(torch.rand(n, self.config.noise_size) * 2 - 1)
        loss = F.binary_cross_entropy_with_logits(self.discriminator(fake), ones)
        self.descend(loss, self.g_optimizer)


class InfoGANNet(nn.Module):
    """Trunk, verdict and posterior."""

    def __init__(self, config: InfoGANConfig) -> None:
        super().__init__()
        (a, b), k = config.channels, config.kernel
        self.trunk = nn.Sequential(
            nn.Conv2d(1, b, k, 2, 1),
            nn.LeakyReLU(config.slope),
            nn.Conv2d(b, a, k, 2, 1, bias=False),
            nn.BatchNorm2d(a),
            nn.LeakyReLU(config.slope),
            nn.Flatten(),
            nn.Linear(a * 49, config.hidden, bias=False),
            nn.BatchNorm1d(config.hidden),
            nn.LeakyReLU(config.slope),
        )
        self.head = nn.Linear(config.hidden, 1)
        self.posterior = nn.Sequential(
            nn.Linear(config.hidden, config.posterior_hidden, bias=False),
            nn.BatchNorm1d(config.posterior_hidden),
            nn.LeakyReLU(config.slope),
            nn.Linear(config.posterior_hidden, 10 + config.continuous),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images -> logits (B, 1) and posterior (B, 12)."""
        h = self.trunk(x)
        return self.head(h), self.posterior(h)


class PlainInfoGAN(Plain):
    """InfoGAN for MNIST."""

    config: InfoGANConfig

    def build(self) -> None:
        """Convolutions of 4 x 4."""
        c, k = self.config, self.config.kernel
        a, b = c.channels
        self.generator = nn.Sequential(
            nn.Linear(c.code_size, c.hidden, bias=False),
            nn.BatchNorm1d(c.hidden),
            nn.ReLU(),
            nn.Linear(c.hidden, a * 49, bias=False),
            nn.BatchNorm1d(a * 49),
            nn.ReLU(),
            nn.Unflatten(1, (a, 7, 7)),
            nn.ConvTranspose2d(a, b, k, 2, 1, bias=False),
            nn.BatchNorm2d(b),
            nn.ReLU(),
            nn.ConvTranspose2d(b, 1, k, 2, 1),
            nn.Sigmoid(),
        )
        self.discriminator = InfoGANNet(c)

    def codes(self, n: int) -> tuple[Tensor, Tensor, Tensor]:
        """Codes, and the classes and numbers in them."""
        classes, numbers = torch.randint(10, (n,)), torch.rand(n, self.config.continuous) * 2 - 1
        noise = torch.rand(n, self.config.noise_size) * 2 - 1
        return torch.cat([noise, F.one_hot(classes, 10).float(), numbers], 1), classes, numbers

    @staticmethod
    def code_loss(posterior: Tensor, classes: Tensor, numbers: Tensor) -> Tensor:
        """Cross-entropy, and a Gaussian of standard deviation 1."""
        squares = 0.5 * (posterior[:, 10:] - numbers) ** 2 + 0.5 * math.log(2 * math.pi)
        return F.cross_entropy(posterior[:, :10], classes) + squares.sum(1).mean()

    def step(self, batch: Batch) -> None:
        """Both losses less the bound."""
        n = len(batch.images)
        ones, zeros = torch.ones(n, 1), torch.zeros(n, 1)
        z, classes, numbers = self.codes(n)
        real_logits, _ = self.discriminator(batch.images)
        fake_logits, posterior = self.discriminator(self.generator(z).detach())
        loss = F.binary_cross_entropy_with_logits(real_logits, ones)
        loss = loss + F.binary_cross_entropy_with_logits(fake_logits, zeros)
        self.descend(loss + self.code_loss(posterior, classes, numbers), self.d_optimizer)
        z, classes, numbers = self.codes(n)
        fake_logits, posterior = self.discriminator(self.generator(z))
        loss = F.binary_cross_entropy_with_logits(fake_logits, ones)
        self.descend(loss + self.code_loss(posterior, classes, numbers), self.g_optimizer)
