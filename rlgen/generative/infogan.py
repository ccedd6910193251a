"""InfoGAN: a GAN whose code is in part recoverable from the image, and so comes to mean something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlgen.generative.adversarial import AdversarialConfig, AdversarialModel, Batch, check_range
from rlgen.generative.gan import discriminator_loss, nonsaturating_loss
from rlgen.generative.information import categorical_information, gaussian_information
from rlgen.generative.networks import ImageGenerator, ImageTrunk, linear, normal, up
from rlgen.generative.noise import uniform
from rlgen.generative.normalization import BatchNorm


@dataclass(frozen=True)
class InfoGANConfig(AdversarialConfig):
    """The published model for MNIST: 5,000 rounds."""

    image_shape: tuple[int, int, int] = (1, 28, 28)
    noise_size: int = 62
    pixel_offset: float = 0.0
    pixel_scale: float = 255.0
    epochs: int = 50
    constant_epochs: int = 50
    batches_per_epoch: int | None = 100
    generator_rate: float = 1e-3
    categorical: tuple[int, ...] = (10,)
    """Classes of each categorical code, all equally likely."""
    continuous: int = 2
    """Number J of codes from U(-1, 1)."""
    information_weight: float = 1.0
    """Weight of the information bound in both players' losses."""
    learn_sigma: bool = False
    """Whether the posterior of continuous codes has standard deviations of its own (as in the paper), or 1
    throughout (as in the published code)."""
    channels: tuple[int, ...] = (128, 64)
    """Of the generator's maps, smallest first; the discriminator has them the other way round."""
    hidden: int = 1024
    """Units of the linear layer between code and maps, and between maps and verdict."""
    posterior_hidden: int = 128
    """Units of the linear layer before the posterior."""
    kernel: int = 4
    """Width of the convolutions."""
    slope: float = 0.01
    """Of the discriminator's leaky ReLUs below 0: the code's; the paper has 0.1."""
    init_std: float = 0.02
    """First weights are from N(0, init_std^2), the discriminator's convolutions' cut at two deviations."""

    @property
    def code_size(self) -> int:
        """Size Z of a code: [noise, one-hot classes, continuous]."""
        return self.noise_size + sum(self.categorical) + self.continuous


INFOGAN_MNIST = InfoGANConfig()
"""95 % of test digits have their code's class in the paper."""


class Posterior(NamedTuple):
    """Q(c | x) for B images."""

    logits: tuple[Tensor, ...]
    """(B, K) of each categorical code."""
    mean: Tensor
    """(B, J) of the continuous codes."""
    log_sigma: Tensor | float
    """(B, J), or 0 if it is fixed."""


class InfoGANDiscriminator(nn.Module):
    """Images to logits and to the posterior of their codes, by one trunk.

    Args:
        config: Settings.
        generator: Draws the first weights.
    """

    def __init__(self, config: InfoGANConfig, generator: torch.Generator) -> None:
        super().__init__()
        fill = normal(config.init_std, generator)
        self.slope = config.slope
        self.trunk = ImageTrunk(
            config.image_shape,
            channels=config.channels[::-1],
            hidden=(config.hidden,),
            kernel=config.kernel,
            slope=config.slope,
            first_bias=True,
            normalise=lambda n: BatchNorm(n, generator=generator),
            fill=fill,
            fill_maps=normal(config.init_std, generator, cut=2.0),
        )
        self.head = linear(config.hidden, 1, fill, bias=True)
        self.hidden = linear(config.hidden, config.posterior_hidden, fill)
        self.norm = BatchNorm(config.posterior_hidden, generator=generator)
        moments = config.continuous * (2 if config.learn_sigma else 1)
        self.sizes = (*config.categorical, moments)
        self.codes = linear(config.posterior_hidden, sum(self.sizes), fill, bias=True)
        self.learn_sigma = config.learn_sigma

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Images (B, C, H, W) -> logits (B,), each dependent on the whole batch; nothing is drawn."""
        return self.logits(self.trunk(x))

    def logits(self, features: Tensor) -> Tensor:
        """The trunk's features (B, F) -> logits (B,)."""
        return self.head(features).squeeze(1)

    def posterior(self, features: Tensor, n_reference: int = 0) -> Posterior:
        """The trunk's features (B, F), the first `n_reference` a reference batch -> the others' posterior."""
        h = F.leaky_relu_(self.norm(self.hidden(features), n_reference), self.slope)
        *logits, moments = self.codes(h[n_reference:]).split(self.sizes, 1)
        if not self.learn_sigma:
            return Posterior(tuple(logits), moments, 0.0)
        mean, log_sigma = moments.chunk(2, 1)
        return Posterior(tuple(logits), mean, log_sigma)


class InfoGAN(AdversarialModel):
    """Information maximising GAN.

        D, Q:  E_real[-log D(x)] + E_z[-log(1 - D(G(z)))] - weight I        G:  E_z[-log D(G(z))] - weight I
        I = H(c) + E_z[log Q(c | G(z))]

    Q's steps are the discriminator's, trunk included, as in the published code. What differs from that:

    ======================================================  ==============================================
    published code                                          here
    ======================================================  ==============================================
    standard deviation of continuous codes fixed at 1       kept; `learn_sigma` has the paper's form
    leaky ReLU of 0.01 (paper: 0.1)                         kept
    entropy of continuous codes logged as a Gaussian's      the uniform's: no gradient depends on it
    biases ahead of batch normalisation                     absent: it takes them out again
    1e-8 inside logarithms                                  logits instead
    samples normalised by the batch that they come in       by a fixed reference batch: see `generate`
    55,000 training images, reshuffled when all were seen   the benchmark has all 60,000, reshuffled after
                                                              every 100 steps
    ======================================================  ==============================================

    Args:
        config: Settings.
        seed: Of the first parameters and the reference codes.

    Raises:
        ValueError: Images that are not square, or that the number of channels does not fit; pixels that are
            not from 0 to 1.

    References:
        Chen et al. 2016 (arXiv 1606.03657); github.com/openai/InfoGAN.
    """

    config: InfoGANConfig
    discriminator: InfoGANDiscriminator

    def __init__(self, config: InfoGANConfig | None = None, *, seed: int = 0) -> None:
        config = config or InfoGANConfig()
        super().__init__(config)
        check_range(config, "sigmoid")
        if not config.categorical and not config.continuous:
            raise ValueError("categorical is empty and continuous is 0: give InfoGAN a code to tell of")
        generator = torch.Generator().manual_seed(seed)
        fill = normal(config.init_std, generator)
        self.generator = ImageGenerator(
            config.code_size,
            config.image_shape,
            hidden=(config.hidden,),
            channels=config.channels,
            kernel=config.kernel,
            last=up(config.channels[-1], config.image_shape[0], config.kernel, fill, bias=True),
            squash=torch.sigmoid,
            normalise=lambda n: BatchNorm(n, generator=generator),
            fill=fill,
        )
        self.discriminator = InfoGANDiscriminator(config, generator)
        self._finish(generator)

    def compose(self, noise: Tensor, classes: Tensor, continuous: Tensor) -> Tensor:
        """A code (B, Z) of its parts.

        Args:
            noise: (B, noise_size) in [-1, 1].
            classes: (B, number of categorical codes), int64.
            continuous: (B, J) in [-1, 1].
        """
        columns = zip(classes.T, self.config.categorical, strict=True)
        return torch.cat([noise, *(F.one_hot(column, k).float() for column, k in columns), continuous], 1)

    def draw_codes(self, n: int, generator: torch.Generator) -> Tensor:
        """n codes (n, Z) from the prior."""
        config, device = self.config, self.device
        size = config.noise_size + config.continuous
        noise = uniform(n, size, generator=generator, low=-1.0, device=device)
        classes = torch.empty(n, len(config.categorical), dtype=torch.int64, device=generator.device)
        for column, k in zip(classes.T, config.categorical, strict=True):
            column.random_(0, k, generator=generator)
        noise, continuous = noise.split([config.noise_size, config.continuous], 1)
        return self.compose(noise, classes.to(device), continuous)

    def information(self, posterior: Posterior, z: Tensor) -> tuple[Tensor, Tensor]:
        """Terms (B,) of the bound for the codes in z (B, Z): of all categorical ones, of all continuous."""
        config = self.config
        _, *classes, continuous = z.split([config.noise_size, *config.categorical, config.continuous], 1)
        pairs = zip(posterior.logits, classes, strict=True)
        discrete = sum((categorical_information(*pair) for pair in pairs), z.new_zeros(len(z)))
        return discrete, gaussian_information(posterior.mean, continuous, posterior.log_sigma)

    def _judge(self, z: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B,) of fakes, and the weighted bound for the codes that they were made of."""
        features = self.discriminator.trunk(fake)
        discrete, continuous = self.information(self.discriminator.posterior(features), z)
        bound = self.config.information_weight * (discrete + continuous).mean()
        return self.discriminator.logits(features), bound

    def discriminator_loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """See the class."""
        z = self.draw_codes(len(batch.images), generator)
        with torch.no_grad():
            fake = self.render(z)
        real_logits = self.discriminator(self.check(batch.images))
        fake_logits, bound = self._judge(z, fake)
        return discriminator_loss(real_logits, fake_logits) - bound

    def generator_loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """See the class; of the batch only the size matters."""
        z = self.draw_codes(len(batch.images), generator)
        logits, bound = self._judge(z, self.render(z))
        return nonsaturating_loss(logits) - bound

    @torch.no_grad()
    def posterior(self, images: Tensor, reference: Tensor | None = None) -> Posterior:
        """What Q makes of images (B, C, H, W), statistics being those of `reference` images, or their own.

        Pass a few hundred images, or such a reference: with few, each moves the others' result.
        """
        n, images = 0 if reference is None else len(reference), self.check(images)
        images = images if reference is None else torch.cat([reference, images])
        return self.discriminator.posterior(self.discriminator.trunk(images, n), n)

    @torch.no_grad()
    def measure(self, batch: Batch, generator: torch.Generator) -> dict[str, float]:
        """Losses without the bound, its two parts in nats, and mean logits."""
        z = self.draw_codes(len(batch.images), generator)
        features = self.discriminator.trunk(self.render(z))
        real, fake = self.discriminator(batch.images), self.discriminator.logits(features)
        discrete, continuous = self.information(self.discriminator.posterior(features), z)
        return {
            "discriminator_loss": discriminator_loss(real, fake).item(),
            "generator_loss": nonsaturating_loss(fake).item(),
            "information_categorical": discrete.mean().item(),
            "information_continuous": continuous.mean().item(),
            "logit_real": real.mean().item(),
            "logit_fake": fake.mean().item(),
        }
