"""Gaussian posteriors of a code, drawn from with and without a flow."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from rlgen.generative.iaf import IAF
from rlgen.generative.likelihoods import gaussian_kl, gaussian_log_prob
from rlgen.generative.noise import gaussian


class Gaussian(NamedTuple):
    """Independent Gaussians, (B, ...) each, or one number for all."""

    mean: Tensor
    log_sigma: Tensor
    """Log of the standard deviation."""


def draw_posterior(
    posterior: Gaussian,
    noise: Tensor,
    prior: Gaussian | None = None,
    flow: IAF | None = None,
    context: Tensor | None = None,
    *,
    sampled: bool = False,
) -> tuple[Tensor, Tensor]:
    """A code from a Gaussian posterior, passed through a flow if there is one, and its divergence.

    Args:
        posterior: z_0 ~ N(mean, sigma^2), entries of shape (B, ...).
        noise: (B, ...), from N(0, 1); zeros for the middle of the posterior.
        prior: p(z); N(0, 1) unless given.
        flow: T steps.
        context: What they see of the image.
        sampled: Whether the divergence is log q(z | x) - log p(z) at the draw, also without a flow.

    Returns:
        z (B, ...), and KL(q || p) by entry, (B, ...): in closed form without a flow, otherwise estimated by
        log q(z | x) - log p(z) at the draw.
    """
    z = posterior.mean + posterior.log_sigma.exp() * noise
    if flow is None and not sampled:
        return z, gaussian_kl(*posterior, *(prior or ()))
    log_q = gaussian_log_prob(noise) - posterior.log_sigma
    if flow is not None:
        z, log_det = flow(z, context)
        log_q = log_q - log_det
    return z, log_q - gaussian_log_prob(z, *(prior or ()))


def posterior_noise(
    *shape: int, generator: torch.Generator | None, device: torch.device | None = None
) -> Tensor:
    """Noise for a draw of the posterior, from N(0, 1), or without a generator for its middle: zeros."""
    if generator is None:
        return torch.zeros(shape, device=device)
    return gaussian(*shape, generator=generator, device=device)
