"""ResNet VAE: a ladder of latent maps whose posterior is found from below and from above."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlgen.generative.autoencoder import Autoencoder, AutoencoderConfig
from rlgen.generative.iaf import IAF
from rlgen.generative.masked import ConvMADE
from rlgen.generative.noise import gaussian
from rlgen.generative.posterior import Gaussian, draw_posterior, posterior_noise
from rlgen.generative.weight_norm import WeightNormConv2d, WeightNormConvTranspose2d


@dataclass(frozen=True)
class ResNetVAEConfig(AutoencoderConfig):
    """CIFAR-10 at depth 4, which fits a GPU; other sizes stand below."""

    image_shape: tuple[int, int, int] = (3, 32, 32)
    levels: int = 256
    batch_size: int = 64
    epochs: int = 300
    constant_epochs: int = 300
    optimizer: str = "adamax"
    learning_rate: float = 0.002
    average_decay: float = 0.999
    free_nats: float = 0.1
    depth: int = 4
    """Levels of the ladder."""
    channels: int = 160
    """Of the deterministic maps, which have half the image's height and width."""
    latent_channels: int = 32
    """Of the latent maps at each level."""
    flow: int = 1
    """Steps of inverse autoregressive flow at each level; 0 for a Gaussian posterior."""
    flow_layers: int = 2
    """Hidden layers of a step's network, of `channels` each."""
    forget_bias: float = 1.5
    """See `IAFStep`."""
    branch_scale: float = 0.1
    """What a block's branch is multiplied with before it is added."""
    init_std: float = 0.1
    """Deviation of a layer's outputs that initialisation from data brings about."""


RESNET_VAE_CIFAR10 = ResNetVAEConfig()
"""Depth 4 with flow: 3.54 bits per dimension in the paper (3.56 with one hidden layer), 3.74 without."""

RESNET_VAE_CIFAR10_SMALL = replace(
    RESNET_VAE_CIFAR10, depth=2, channels=48, latent_channels=16, flow_layers=1, epochs=60, constant_epochs=40
)
"""For the subset of 10,000 images on a CPU."""

RESNET_VAE_MNIST = replace(
    RESNET_VAE_CIFAR10,
    image_shape=(1, 28, 28),
    levels=2,
    batch_size=100,
    depth=2,
    channels=32,
    latent_channels=4,
    flow_layers=1,
    epochs=200,
    constant_epochs=100,
)
"""A small ladder for binary digits."""


class Above(NamedTuple):
    """What a level makes of the maps above it, (B, ...) each."""

    prior: Gaussian
    posterior: Gaussian
    """To be added to what comes from below."""
    context: Tensor
    """The same for the flow's context."""
    h: Tensor
    """The deterministic part."""


class Level(nn.Module):
    """One level of the ladder: a residual block on the way up and one on the way down.

    Args:
        config: Settings.
        top: Whether this is the last level on the way up, which then ends with its part of the posterior.
        generator: Draws the first weights.
    """

    def __init__(self, config: ResNetVAEConfig, top: bool, generator: torch.Generator) -> None:
        super().__init__()
        d, j = config.latent_channels, config.channels
        context = j if config.flow else 0
        self.scale = config.branch_scale
        self.below_sizes, self.above_sizes = (d, d, context), (d, d, d, d, context, j)

        def conv(i: int, o: int) -> WeightNormConv2d:
            return WeightNormConv2d(i, o, 3, 1, 1, init_std=config.init_std, generator=generator)

        self.up_first = conv(j, sum(self.below_sizes) + (0 if top else j))
        self.up_second = None if top else conv(j, j)
        self.down_first, self.down_second = conv(j, sum(self.above_sizes)), conv(d + j, j)
        self.flow = _flow(config, generator) if config.flow else None

    def up(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Maps from below (B, J, H, W) -> maps for the level above, and the image's part of the posterior."""
        below = self.up_first(F.elu(h))
        if self.up_second is None:
            return h, below
        size = sum(self.below_sizes)
        below, branch = below[:, :size], below[:, size:]
        return h + self.scale * self.up_second(F.elu(branch)), below

    def above(self, h: Tensor) -> Above:
        """Maps from above (B, J, H, W) -> the prior, their part of the posterior, the deterministic part."""
        *moments, context, rest = self.down_first(F.elu(h)).split(self.above_sizes, 1)
        return Above(Gaussian(*moments[:2]), Gaussian(*moments[2:]), context, rest)

    def infer(self, above: Above, below: Tensor, noise: Tensor, sampled: bool) -> tuple[Tensor, Tensor]:
        """A draw of the latent maps (B, D, H, W), and its divergence by entry: see `draw_posterior`."""
        mean, log_sigma, context = below.split(self.below_sizes, 1)
        posterior = Gaussian(above.posterior.mean + mean, above.posterior.log_sigma + log_sigma)
        context = above.context + context
        return draw_posterior(posterior, noise, above.prior, self.flow, context, sampled=sampled)

    def down(self, h: Tensor, above: Above, z: Tensor) -> Tensor:
        """Maps from above (B, J, H, W) and latent maps -> maps for the level below."""
        return h + self.scale * self.down_second(F.elu(torch.cat([z, above.h], 1)))


def _flow(config: ResNetVAEConfig, generator: torch.Generator) -> IAF:
    hidden = [config.channels] * config.flow_layers
    networks = [
        ConvMADE(
            config.latent_channels,
            hidden,
            outputs=2,
            backwards=t % 2 == 1,
            init_std=config.init_std,
            generator=generator,
        )
        for t in range(config.flow)
    ]
    return IAF(networks, config.forget_bias)


class ResNetVAE(Autoencoder):
    """Variational autoencoder with L levels of latent maps z_1 (top) to z_L and bidirectional inference.

        p(x, z) = p(x | h_L) prod_l p(z_l | h_{l-1})            h_l from h_{l-1} and z_l, on the way down
        q(z | x) = prod_l q(z_l | h_{l-1}, d_l)                 d_l from x, on the way up

    Each p(z_l | ...) is Gaussian, each q(z_l | ...) a Gaussian whose moments are sums of a part from above
    and one from below, with inverse autoregressive flow behind it. The free nats are those of each map.
    Codes are all levels' latent maps, top first, in units of their priors: see `autoencoder`. Call
    `initialise` with a few hundred training images before the first step. What differs from the published
    code:

    ======================================================  ==============================================
    published code                                          here
    ======================================================  ==============================================
    z <- (z - m) / exp(s), m and s scaled by 0.1            the paper's gates: see `iaf`
    one scale of the logistic density                       the paper's: one a channel
    initial log scales of weights divided by 3              as the initialisation from data has it
    divergence sampled, always                              closed form where there is no flow
    means of pixels held within the image's range           not held: the outermost bins are open
    ======================================================  ==============================================

    Args:
        config: Settings.
        seed: Of the first parameters.

    Raises:
        ValueError: Images whose height or width is odd, or a flow without hidden layers.

    References:
        Kingma et al. 2016 (arXiv 1606.04934), section 5.2 and appendix C; github.com/openai/iaf.
    """

    config: ResNetVAEConfig

    def __init__(self, config: ResNetVAEConfig | None = None, *, seed: int = 0) -> None:
        config = config or ResNetVAEConfig()
        channels, height, width = config.image_shape
        if config.flow and config.flow_layers < 1:
            raise ValueError(f"flow_layers is {config.flow_layers}: give the flow's networks 1 or more")
        if height % 2 or width % 2:
            raise ValueError(f"images are {height} x {width}: crop or pad them to even numbers")
        self.latent_shape = (config.latent_channels, height // 2, width // 2)
        super().__init__(config, config.depth * math.prod(self.latent_shape))
        generator = torch.Generator().manual_seed(seed)
        options = {"init_std": config.init_std, "generator": generator}
        self.first = WeightNormConv2d(channels, config.channels, 5, 2, 2, **options)
        depth = config.depth
        self.levels = nn.ModuleList(Level(config, i == depth - 1, generator) for i in range(depth))
        self.top = nn.Parameter(torch.zeros(config.channels, 1, 1))
        self.last = WeightNormConvTranspose2d(config.channels, channels, 5, **options)

    def features(self, x: Tensor) -> tuple[Tensor, ...]:
        """The image's part of each level's posterior, top level first."""
        h, parts = self.first(self.centred(x)), []
        for level in self.levels:
            h, below = cast(Level, level).up(h)
            parts.append(below)
        return tuple(parts[::-1])

    def terms(
        self, x: Tensor, features: tuple[Tensor, ...], generator: torch.Generator, *, sampled: bool = False
    ) -> tuple[Tensor, Tensor]:
        """log p(x | z) (B,), and the divergence of each latent map (B, L D), top level first."""
        divergences = []

        def infer(level: Level, above: Above, i: int) -> Tensor:
            noise = gaussian(len(x), *self.latent_shape, generator=generator, device=x.device)
            z, kl = level.infer(above, features[i], noise, sampled)
            divergences.append(kl.sum((2, 3)))
            return z

        outputs = self._descend(len(x), infer)
        return self.observation.log_prob(x, outputs), torch.cat(divergences, 1)

    def encode(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Codes (B, Z): a draw of the posterior, or the middle of each level's given those above."""
        features, codes = self.features(self.check(x)), []

        def infer(level: Level, above: Above, i: int) -> Tensor:
            noise = posterior_noise(len(x), *self.latent_shape, generator=generator, device=x.device)
            z, _ = level.infer(above, features[i], noise, False)
            codes.append(((z - above.prior.mean) * (-above.prior.log_sigma).exp()).flatten(1))
            return z

        self._descend(len(x), infer)
        return torch.cat(codes, 1)

    def outputs(self, z: Tensor) -> Tensor:
        """Codes (B, Z) -> logits or means of the pixels (B, C, H, W)."""
        codes = z.view(len(z), self.config.depth, *self.latent_shape)  # (B, L, D, H / 2, W / 2)

        def place(level: Level, above: Above, i: int) -> Tensor:
            return above.prior.mean + above.prior.log_sigma.exp() * codes[:, i]

        return self._descend(len(z), place)

    def _descend(self, n: int, choose: Callable[[Level, Above, int], Tensor]) -> Tensor:
        """From the top to the outputs for n images, `choose` giving the latent maps at each level."""
        h = self.top.expand(n, -1, *self.latent_shape[1:])
        for i, level in enumerate(reversed(self.levels)):
            level = cast(Level, level)
            above = level.above(h)
            h = level.down(h, above, choose(level, above, i))
        return self.last(F.elu(h))
