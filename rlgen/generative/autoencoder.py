"""What models with a code have in common: the evidence lower bound, importance sampling, encoding.

    log p(x) >= elbo(x) = E_q[log p(x | z)] - KL(q(z | x) || p(z))

Codes are standardised: whatever the model's own latent variables are, a code's entries are independent and
from N(0, 1) under the prior. So codes of the prior, and paths between codes, mean the same for every model.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rlgen.generative.likelihood_model import LikelihoodConfig, LikelihoodModel
from rlgen.generative.likelihoods import free_bits, importance_weighted
from rlgen.generative.noise import gaussian
from rlgen.generative.observations import make_observation

AT_ONCE = 500
"""Draws of a code that are decoded together in an estimate of the likelihood."""


@dataclass(frozen=True)
class AutoencoderConfig(LikelihoodConfig):
    """Settings that every model with a code has."""

    free_nats: float = 0.0
    """Nats of divergence, on average, that each part of the code has for free in the loss."""


class Autoencoder(LikelihoodModel):
    """A model with a code. Subclasses set `features`, `terms`, `encode` and `outputs`.

    Args:
        config: Settings.
        code_size: Size Z of a code.
    """

    config: AutoencoderConfig

    def __init__(self, config: AutoencoderConfig, code_size: int) -> None:
        super().__init__(config)
        self.code_size = code_size
        self.observation = make_observation(config.image_shape[0], config.levels)

    def features(self, x: Tensor) -> tuple[Tensor, ...]:
        """What the posterior is made of, (B, ...) each, for images x (B, C, H, W), levels."""
        raise NotImplementedError

    def terms(
        self, x: Tensor, features: tuple[Tensor, ...], generator: torch.Generator, *, sampled: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Parts of the bound at one draw of the posterior, in nats.

        Args:
            x: Images (B, C, H, W), levels.
            features: Theirs.
            generator: Draws the noise.
            sampled: Whether the divergence is log q(z | x) - log p(z) at the draw, as importance weights
                need it, also where its expectation has a closed form.

        Returns:
            log p(x | z) (B,), and the divergence of each of M parts of the code (B, M).
        """
        raise NotImplementedError

    def encode(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Codes (B, Z) of images x (B, C, H, W), levels: a draw of the posterior, or its middle."""
        raise NotImplementedError

    def represent(self, x: Tensor) -> Tensor:
        """Features (B, F) of images x (B, C, H, W), levels, for other tasks: codes, or their source."""
        return self.encode(x)

    def outputs(self, z: Tensor) -> Tensor:
        """Codes (B, Z) -> what the observation's distribution depends on (B, C, H, W)."""
        raise NotImplementedError

    def loss(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Minus the mean of the bound, but for the free nats."""
        log_prob, kl = self.terms(x, self.features(self.check(x)), generator)
        return free_bits(kl, self.config.free_nats) - log_prob.mean()

    def elbo(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """The bound (B,) in nats, estimated from one draw an image; higher is better."""
        log_prob, kl = self.terms(x, self.features(self.check(x)), generator)
        return log_prob - kl.sum(1)

    @torch.no_grad()
    def log_likelihood(self, x: Tensor, generator: torch.Generator, n_samples: int = 1) -> Tensor:
        """log p(x) (B,) in nats by importance sampling; in pieces, so that memory is bounded.

        Raises:
            ValueError: No samples.
        """
        if n_samples < 1:
            raise ValueError(
                f"n_samples is {n_samples}: draw 1 code an image at least, 128 for a good estimate"
            )
        pieces = self.check(x).split(AT_ONCE)
        return torch.cat([self._weigh(piece, generator, n_samples) for piece in pieces])

    def _weigh(self, x: Tensor, generator: torch.Generator, n_samples: int) -> Tensor:
        """The same for few images, whose features are found once."""
        features, log_w = self.features(x), []
        most = max(1, AT_ONCE // max(len(x), 1))
        for start in range(0, n_samples, most):
            n = min(most, n_samples - start)
            many, *rest = (t.expand(n, *t.shape).flatten(0, 1) for t in (x, *features))
            log_prob, kl = self.terms(many, tuple(rest), generator, sampled=True)
            log_w.append((log_prob - kl.sum(1)).view(n, -1))
        return importance_weighted(torch.cat(log_w))

    def decode(self, z: Tensor) -> Tensor:
        """Codes (B, Z) -> the images that they stand for (B, C, H, W), from 0 to 1."""
        return self.observation.mean(self.outputs(z))

    @torch.no_grad()
    def reconstruct(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Images x (B, C, H, W), levels, there and back -> images from 0 to 1."""
        return self.decode(self.encode(x, generator))

    def draw_codes(self, n: int, generator: torch.Generator) -> Tensor:
        """n codes (n, Z) of the prior."""
        return gaussian(n, self.code_size, generator=generator, device=self.device)

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n images (n, C, H, W), levels."""
        return self.observation.draw(self.outputs(self.draw_codes(n, generator)), generator)
