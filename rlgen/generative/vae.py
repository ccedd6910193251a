"""Variational autoencoder, its posterior a Gaussian or with inverse autoregressive flow behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlgen.generative.autoencoder import Autoencoder, AutoencoderConfig
from rlgen.generative.iaf import IAF
from rlgen.generative.masked import MADE
from rlgen.generative.networks import glorot, linear
from rlgen.generative.noise import gaussian
from rlgen.generative.posterior import Gaussian, draw_posterior, posterior_noise
from rlgen.generative.residual import ResidualDecoder, ResidualEncoder


@dataclass(frozen=True)
class VAEConfig(AutoencoderConfig):
    """Fully connected, for binary MNIST; other forms stand below."""

    batch_size: int = 100
    epochs: int = 200
    constant_epochs: int = 50
    network: Literal["dense", "conv"] = "dense"
    """Kind of encoder and decoder: linear layers, or residual blocks of convolutions before them."""
    latent_size: int = 32
    """Size Z of a code."""
    hidden: tuple[int, ...] = (400, 400)
    """Units of the encoder's linear layers; the decoder has them the other way round."""
    channels: tuple[int, ...] = (16, 32, 32)
    """Of the convolutional encoder's maps, each half as high and wide as the one before."""
    flow: int = 0
    """Steps of inverse autoregressive flow; 0 for a Gaussian posterior."""
    flow_hidden: tuple[int, ...] = (320, 320)
    """Units of the hidden layers of a step's network."""
    context_size: int = 128
    """Features of the image that the steps see."""
    forget_bias: float = 1.5
    """See `IAFStep`."""


VAE_MNIST = VAEConfig()
"""Fully connected, with a Gaussian posterior."""

VAE_IAF_MNIST = replace(VAE_MNIST, flow=4)
"""The same decoder with flow."""

CONV_VAE_MNIST = replace(
    VAE_MNIST,
    network="conv",
    hidden=(450,),
    epochs=400,
    constant_epochs=200,
    optimizer="adamax",
    learning_rate=0.002,
    average_decay=0.999,
)
"""The paper's residual network: -81.08 nats on dynamic MNIST there."""

CONV_VAE_IAF_MNIST = replace(CONV_VAE_MNIST, flow=4, flow_hidden=(320, 320))
"""The same with flow: -79.17 nats on dynamic MNIST with 4 steps of width 1920 in the paper."""


class VAE(Autoencoder):
    """Variational autoencoder of a single code z.

        p(x, z) = N(z; 0, I) p(x | z)        q(z | x): N(mean(x), sigma(x)^2), passed through a flow

    Call `initialise` with a few hundred training images before the first step. The free nats are those of
    each entry of the code.

    Args:
        config: Settings.
        seed: Of the first parameters.

    Raises:
        ValueError: An unknown network, no hidden units, or a flow of a code of one number.

    References:
        Kingma and Welling 2013 (arXiv 1312.6114), section 3; Kingma et al. 2016 (arXiv 1606.04934),
        algorithm 1 and appendix B.
    """

    config: VAEConfig

    def __init__(self, config: VAEConfig | None = None, *, seed: int = 0) -> None:
        config = config or VAEConfig()
        super().__init__(config, config.latent_size)
        if config.network not in NETWORKS:
            raise ValueError(f"network is {config.network!r}: choose one of {', '.join(NETWORKS)}")
        if not config.hidden:
            raise ValueError("hidden is empty: give the encoder a linear layer at least, such as (400,)")
        if config.flow and (config.latent_size < 2 or not config.flow_hidden):
            raise ValueError(
                f"flow has {config.flow} steps, latent_size is {config.latent_size} and flow_hidden "
                f"{list(config.flow_hidden)}: give a flow a code of 2 numbers and a hidden layer at least"
            )
        generator = torch.Generator().manual_seed(seed)
        make_encoder, make_decoder = NETWORKS[config.network]
        self.encoder = make_encoder(config, generator)
        self.decoder = make_decoder(config, generator)
        self.sizes = (config.latent_size, config.latent_size, config.context_size if config.flow else 0)
        self.posterior = linear(config.hidden[-1], sum(self.sizes), glorot(generator), bias=True)
        self.flow = _flow(config, generator) if config.flow else None

    def features(self, x: Tensor) -> tuple[Tensor, ...]:
        """Mean and log sigma (B, Z) of the Gaussian, and the flow's context (B, context_size or 0)."""
        mean, log_sigma, context = self.posterior(self.encoder(self.centred(x))).split(self.sizes, 1)
        return mean, log_sigma, F.elu(context)

    def terms(
        self, x: Tensor, features: tuple[Tensor, ...], generator: torch.Generator, *, sampled: bool = False
    ) -> tuple[Tensor, Tensor]:
        """log p(x | z) (B,), and the divergence of each entry of the code (B, Z)."""
        noise = gaussian(len(x), self.code_size, generator=generator, device=x.device)
        z, kl = self._infer(features, noise, sampled)
        return self.observation.log_prob(x, self.outputs(z)), kl

    def _infer(self, features: tuple[Tensor, ...], noise: Tensor, sampled: bool) -> tuple[Tensor, Tensor]:
        mean, log_sigma, context = features
        posterior = Gaussian(mean, log_sigma)
        return draw_posterior(posterior, noise, flow=self.flow, context=context, sampled=sampled)

    def encode(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Codes (B, Z): a draw of the posterior, or what becomes of the Gaussian's mean."""
        noise = posterior_noise(len(x), self.code_size, generator=generator, device=x.device)
        return self._infer(self.features(self.check(x)), noise, False)[0]

    def represent(self, x: Tensor) -> Tensor:
        """The convolutions' last maps, flattened, or the last hidden units of linear layers."""
        x = self.centred(self.check(x))
        if isinstance(self.encoder, ResidualEncoder):
            return self.encoder.blocks(x).flatten(1)
        return self.encoder(x)

    def outputs(self, z: Tensor) -> Tensor:
        """Codes (B, Z) -> logits or means of the pixels (B, C, H, W)."""
        return self.decoder(z)


class DenseEncoder(nn.Sequential):
    """Linear layers of ELU units, (B, C, H, W) -> (B, hidden[-1])."""

    def __init__(self, config: VAEConfig, generator: torch.Generator) -> None:
        sizes = (math.prod(config.image_shape), *config.hidden)
        super().__init__(nn.Flatten(), *_dense(sizes, generator))


class DenseDecoder(nn.Sequential):
    """Linear layers of ELU units and a last one, (B, Z) -> (B, C, H, W)."""

    def __init__(self, config: VAEConfig, generator: torch.Generator) -> None:
        sizes = (config.latent_size, *config.hidden[::-1])
        last = linear(sizes[-1], math.prod(config.image_shape), glorot(generator), bias=True)
        super().__init__(*_dense(sizes, generator), last, nn.Unflatten(1, config.image_shape))


def _dense(sizes: Sequence[int], generator: torch.Generator) -> list[nn.Module]:
    pairs = zip(sizes[:-1], sizes[1:], strict=True)
    layers = [(linear(i, j, glorot(generator), bias=True), nn.ELU()) for i, j in pairs]
    return [module for pair in layers for module in pair]


def _conv_encoder(config: VAEConfig, generator: torch.Generator) -> nn.Module:
    return ResidualEncoder(config.image_shape, config.channels, config.hidden, generator)


def _conv_decoder(config: VAEConfig, generator: torch.Generator) -> nn.Module:
    shape, channels, hidden = config.image_shape, config.channels, config.hidden
    return ResidualDecoder(config.latent_size, shape, channels, hidden, generator)


def _flow(config: VAEConfig, generator: torch.Generator) -> IAF:
    options = {"outputs": 2, "context": config.context_size, "generator": generator}
    networks = [
        MADE(config.latent_size, config.flow_hidden, backwards=t % 2 == 1, **options)
        for t in range(config.flow)
    ]
    return IAF(networks, config.forget_bias)


NETWORKS = {"dense": (DenseEncoder, DenseDecoder), "conv": (_conv_encoder, _conv_decoder)}
"""What makes the encoder and the decoder of each kind."""
