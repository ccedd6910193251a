"""DRAW: images that are drawn in steps, by an LSTM that looks at what is still missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from rlgen.generative.attention import AttentiveRead, AttentiveWrite, WholeRead, WholeWrite
from rlgen.generative.autoencoder import Autoencoder, AutoencoderConfig
from rlgen.generative.lstm import LSTM
from rlgen.generative.networks import glorot, linear
from rlgen.generative.noise import gaussian
from rlgen.generative.posterior import Gaussian, draw_posterior, posterior_noise


@dataclass(frozen=True)
class DRAWConfig(AutoencoderConfig):
    """Settings of the paper for binary digits, with attention; smaller ones stand below."""

    gradient_norm: float = 5.0
    steps: int = 64
    """Times T that something is added to the canvas."""
    latent_size: int = 100
    """Numbers that are drawn in a step."""
    hidden: int = 256
    """Units of the encoder's and of the decoder's LSTM."""
    read_size: int = 2
    """N of the N x N grid through which the encoder looks; 0 for a look at the whole image."""
    write_size: int = 5
    """The same for what the decoder adds to the canvas."""


class DRAW(Autoencoder):
    """Deep recurrent attentive writer of Gregor et al.

        e_t = x - mean(c_{t-1})             h_enc_t = LSTM([read(x, e_t, h_dec_{t-1}), h_dec_{t-1}])
        z_t ~ q(z_t | h_enc_t)              h_dec_t = LSTM(z_t)             c_t = c_{t-1} + write(h_dec_t)
        log p(x) >= E_q[log p(x | c_T)] - sum_t KL(q(z_t | h_enc_t) || N(0, 1))

    Each step has noise of its own. The first states and the first canvas are trained. Codes are those of all
    steps, first step first. The parts of the divergence are the steps.

    Args:
        config: Settings.
        seed: Of the first parameters.

    Raises:
        ValueError: No steps, or a grid of one line.

    References:
        Gregor et al. 2015 (arXiv 1502.04623), equations 3 to 12.
    """

    config: DRAWConfig

    def __init__(self, config: DRAWConfig | None = None, *, seed: int = 0) -> None:
        config = config or DRAWConfig()
        if config.steps < 1:
            raise ValueError(f"steps is {config.steps}: draw in 1 or more")
        for name in ("read_size", "write_size"):
            if getattr(config, name) == 1:
                raise ValueError(f"{name} is 1: choose a grid of 2 or more, or 0 for the whole image")
        super().__init__(config, config.steps * config.latent_size)
        generator = torch.Generator().manual_seed(seed)
        fill = glorot(generator)
        shape, hidden, gates = config.image_shape, config.hidden, 4 * config.hidden
        self.canvas = nn.Parameter(torch.zeros(shape))
        self.read = (
            AttentiveRead(shape, config.read_size, hidden, gates, fill)
            if config.read_size
            else WholeRead(shape, gates, fill)
        )
        self.feedback = linear(hidden, gates, fill)
        self.encoder, self.decoder = LSTM(hidden, fill), LSTM(hidden, fill)
        self.posterior = linear(hidden, 2 * config.latent_size, fill, bias=True)
        self.inputs = linear(config.latent_size, gates, fill)
        self.write = (
            AttentiveWrite(shape, config.write_size, hidden, fill)
            if config.write_size
            else WholeWrite(shape, hidden, fill)
        )

    def features(self, x: Tensor) -> tuple[Tensor, ...]:
        """The images from 0 to 1, and what the read makes of them alone."""
        image = x.float() / (self.config.levels - 1)
        return image, self.read.prepare(image)

    def terms(
        self, x: Tensor, features: tuple[Tensor, ...], generator: torch.Generator, *, sampled: bool = False
    ) -> tuple[Tensor, Tensor]:
        """log p(x | z) (B,), and the divergence of each step (B, T)."""
        shape = (self.config.steps, len(x), self.config.latent_size)
        noise = gaussian(*shape, generator=generator, device=x.device)
        _, kl, canvas = self._infer(features, noise, sampled=sampled)
        return self.observation.log_prob(x, canvas), kl

    def encode(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Codes (B, T Z): a draw of the posterior, or the middle of each step's given those before."""
        shape = (self.config.steps, len(x), self.config.latent_size)
        noise = posterior_noise(*shape, generator=generator, device=x.device)
        return self._infer(self.features(self.check(x)), noise)[0]

    def outputs(self, z: Tensor) -> Tensor:
        """Codes (B, T Z) -> the last canvas (B, C, H, W)."""
        return self.drawing(z)[-1]

    def drawing(self, z: Tensor) -> list[Tensor]:
        """Codes (B, T Z) -> the T canvases (B, C, H, W); `observation.mean` makes images of them."""
        steps, canvases = z.unflatten(1, (self.config.steps, -1)).unbind(1), []

        def choose(t: int, canvas: Tensor, h: Tensor) -> Tensor:
            canvases.append(canvas)
            return steps[t]

        last = self._draw(len(z), choose)
        return [*canvases[1:], last]

    def _infer(
        self, features: tuple[Tensor, ...], noise: Tensor, *, sampled: bool = False
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Codes (B, T Z), their divergence (B, T), and the last canvas, for noise (T, B, Z)."""
        x, prepared = features
        codes, divergences = [], []
        encoder = self.encoder.start(len(x))

        def choose(t: int, canvas: Tensor, h: Tensor) -> Tensor:
            nonlocal encoder
            inputs = self.read(prepared, x - self.observation.mean(canvas), h)
            encoder = self.encoder(torch.addmm(inputs, h, self.feedback.weight.T), encoder)
            posterior = Gaussian(*self.posterior(encoder.h).chunk(2, 1))
            z, kl = draw_posterior(posterior, noise[t], sampled=sampled)
            codes.append(z)
            divergences.append(kl.sum(1))
            return z

        canvas = self._draw(len(x), choose)
        return torch.cat(codes, 1), torch.stack(divergences, 1), canvas

    def _draw(self, n: int, choose: Callable[[int, Tensor, Tensor], Tensor]) -> Tensor:
        """The last canvas (n, C, H, W); `choose` gives a step's code for the canvas and the decoder's h."""
        canvas, decoder = self.canvas.expand(n, -1, -1, -1), self.decoder.start(n)
        for t in range(self.config.steps):
            z = choose(t, canvas, decoder.h)
            decoder = self.decoder(self.inputs(z), decoder)
            canvas = canvas + self.write(decoder.h)
        return canvas


DRAW_MNIST = DRAWConfig(
    batch_size=100,
    epochs=35,
    constant_epochs=10,
    average_decay=0.998,
    steps=10,
    read_size=0,
    write_size=0,
)
"""Binary digits of 28 x 28: ten steps, without attention. An epoch takes 80 to 120 s of a CPU core."""

DRAW_MNIST_64 = replace(
    DRAW_MNIST, batch_size=128, epochs=200, constant_epochs=100, steps=64, read_size=2, write_size=5
)
"""As in the paper: 80.97 nats, a bound, on static MNIST. For a GPU."""

DRAW_CIFAR10 = replace(
    DRAW_MNIST, image_shape=(3, 32, 32), levels=256, epochs=60, constant_epochs=30, hidden=400, read_size=5
)
"""Photographs of 32 x 32, read through a grid of 5 x 5 and drawn as a whole."""
