"""Posterior search: codes of binary images of which something else was seen than the encoder expects.

    p(z | y) ~ p(y | z) N(z; 0, I)

y is any evidence of the pixels: see `evidence`. So one trained model takes away noise, fills in what is
missing, and finds fine detail, without being trained for any of it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rlgen.generative.autoencoder import Autoencoder
from rlgen.generative.evidence import Evidence, expected_pixels
from rlgen.generative.likelihoods import gaussian_log_prob
from rlgen.generative.noise import gaussian, uniform

ACCEPTED = 0.57
"""Share of proposals that are to be taken: the best for many dimensions."""
RATE = 0.1
"""How fast a chain's step is fitted, in its logarithm."""


def search_codes(
    model: Autoencoder,
    evidence: Evidence,
    z: Tensor,
    generator: torch.Generator,
    *,
    steps: int = 200,
    step_size: float = 0.1,
) -> Tensor:
    """Draws from p(z | y) by Langevin dynamics with a Metropolis test, one chain a code.

        z' = z + s^2 / 2 grad log p(z, y) + s eps

    Each chain fits its step s in the first half of the steps; it is held in the second.

    Args:
        model: With binary pixels.
        evidence: What was seen; of the same number of images as codes.
        z: Where the chains start (B, Z).
        generator: Draws proposals.
        steps: Length of the chains.
        step_size: First s.

    Returns:
        Their ends (B, Z).

    Raises:
        ValueError: The model's pixels are not binary.

    References:
        Roberts and Rosenthal 1998 (doi 10.1111/1467-9868.00123), the share of accepted proposals.
    """
    if model.config.levels != 2:
        raise ValueError(f"the model's images have {model.config.levels} levels: pass one of binary images")
    z = z.detach()
    log_p, gradient = _density(model, evidence, z)
    size = torch.full_like(z[:, :1], step_size)
    for step in range(steps):
        noise = gaussian(*z.shape, generator=generator, device=z.device)
        proposal = z + size**2 / 2 * gradient + size * noise
        new_log_p, new_gradient = _density(model, evidence, proposal)
        back = (z - proposal - size**2 / 2 * new_gradient) / size
        ratio = new_log_p - log_p + 0.5 * (noise**2 - back**2).sum(1)
        u = uniform(len(z), generator=generator, device=z.device)
        accepted = (u.log() < ratio)[:, None]
        z, gradient = torch.where(accepted, proposal, z), torch.where(accepted, new_gradient, gradient)
        log_p = torch.where(accepted[:, 0], new_log_p, log_p)
        if step < steps // 2:
            size = size * (RATE * (accepted.float() - ACCEPTED)).exp()
    return z


def _density(model: Autoencoder, evidence: Evidence, z: Tensor) -> tuple[Tensor, Tensor]:
    """log p(z, y) (B,), and its gradient (B, Z)."""
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        log_p = evidence(model.outputs(z)) + gaussian_log_prob(z).sum(1)
        (gradient,) = torch.autograd.grad(log_p.sum(), z)
    return log_p.detach(), gradient


@torch.no_grad()
def restore(
    model: Autoencoder,
    evidence: Evidence,
    guess: Tensor,
    generator: torch.Generator,
    *,
    steps: int = 200,
) -> Tensor:
    """What binary images are likely to be (B, C, H, W), each P(x_i = 1 | y, z) for one draw of the code.

    The mean over several draws is the best image in squared error; a single one is sharper.

    Args:
        model: With binary pixels.
        evidence: What was seen of them.
        guess: Images (B, C, H, W), levels, whose codes the chains start from.
        generator: Draws codes.
        steps: Length of a chain.
    """
    z = search_codes(model, evidence, model.encode(guess, generator), generator, steps=steps)
    return expected_pixels(evidence, model.outputs(z))
