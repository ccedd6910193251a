"""Evidence of binary pixels against enumeration, and codes against a posterior that is known."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from rlgen.generative.evidence import downsampled, expected_pixels, noisy, partial
from rlgen.generative.posterior_search import restore, search_codes
from rlgen.generative.vae import VAE, VAEConfig
from tests.draws import generator

SHAPE = (1, 2, 4)


def seen(kind: str, x: Tensor) -> tuple[Any, Any]:
    """The evidence of images x (B, 1, 2, 4), and log p(y | every image) (B, N) of all N, up to a constant."""
    if kind == "noisy":
        y = x + 0.7 * torch.randn(x.shape, generator=generator(1))
        return noisy(
            y, 0.7
        ), lambda every: Normal(every[None].float(), 0.7).log_prob(y[:, None]).sum((2, 3, 4))
    if kind == "partial":
        known = torch.tensor([[[[1, 0, 0, 1], [0, 1, 0, 0]]]]).bool()
        return partial(
            x, known
        ), lambda every: ((every[None] == x[:, None]) | ~known).all(4).all(3).all(2).float().log()
    y = torch.nn.functional.avg_pool2d(x.float(), 2)
    small = torch.nn.functional.avg_pool2d
    return downsampled(
        y
    ), lambda every: (small(every.float(), 2)[None] == y[:, None]).all(4).all(3).all(2).float().log()


@pytest.mark.parametrize("kind", ["noisy", "partial", "downsampled"])
def test_evidence_and_expected_pixels_are_those_of_all_images_together(kind):
    every = torch.tensor(list(itertools.product((0, 1), repeat=8))).view(-1, *SHAPE)
    x = every[[3, 77, 200]]
    evidence, log_likelihood = seen(kind, x)
    logits = torch.randn(3, *SHAPE, generator=generator(2))
    prior = (every[None] * logits[:, None] - torch.nn.functional.softplus(logits[:, None])).sum((2, 3, 4))
    joint = prior + log_likelihood(every)  # (B, N)
    offset = joint.logsumexp(1) - evidence(logits)
    if kind == "noisy":  # up to a constant, which no logits change
        other = evidence(torch.zeros_like(logits))
        zero = (log_likelihood(every) - 8 * torch.tensor(2.0).log()).logsumexp(1)
        torch.testing.assert_close(offset, zero - other)
    else:
        torch.testing.assert_close(offset, torch.zeros(3), atol=1e-5, rtol=0)
    expected = (joint.softmax(1)[:, :, None, None, None] * every).sum(1)
    torch.testing.assert_close(expected_pixels(evidence, logits), expected, atol=1e-5, rtol=0)


def small_model(latent_size: int = 1) -> VAE:
    model: Any = VAE(VAEConfig(image_shape=SHAPE, hidden=(8,), latent_size=latent_size))
    with torch.no_grad():
        for parameter in model.decoder.parameters():
            parameter.mul_(2)
    return model


def test_chains_end_in_draws_of_the_posterior():
    """Against a sum over a fine grid of the one number that the code is."""
    model = small_model()
    x = torch.tensor([1, 1, 0, 0, 1, 0, 0, 1]).view(1, *SHAPE)
    known = torch.ones(1, *SHAPE).bool()
    grid = torch.linspace(-6, 6, 2001)[:, None]
    with torch.no_grad():
        log_p = partial(x, known)(model.outputs(grid)) - 0.5 * grid[:, 0] ** 2
    weights = log_p.softmax(0)
    mean = (weights * grid[:, 0]).sum()
    std = (weights * (grid[:, 0] - mean) ** 2).sum().sqrt()
    start = torch.randn(3000, 1, generator=generator())
    z = search_codes(model, partial(x, known), start, generator(3), steps=150, step_size=0.5)
    assert abs(mean) > 0.1 or abs(std - 1) > 0.1  # not the prior
    torch.testing.assert_close(z.mean(), mean, atol=0.07, rtol=0)
    torch.testing.assert_close(z.std(), std, atol=0.07, rtol=0)


def test_what_is_known_stays_and_the_rest_is_between_0_and_1():
    model = small_model(3)
    x = torch.randint(0, 2, (6, *SHAPE), generator=generator()).to(torch.uint8)
    known = torch.tensor([[[[1, 1, 0, 0], [1, 0, 0, 1]]]]).bool().expand(6, -1, -1, -1)
    found = restore(model, partial(x, known), x * known, generator(), steps=5)
    torch.testing.assert_close(found[known], x[known].float(), atol=1e-6, rtol=0)
    assert ((found[~known] > 0) & (found[~known] < 1)).all() and not found.requires_grad
    again = restore(model, partial(x, known), x * known, generator(), steps=5)
    assert torch.equal(found, again)


def test_images_of_many_levels_are_refused():
    model = VAE(replace(VAEConfig(), image_shape=SHAPE, hidden=(4,), latent_size=2, levels=256))
    with pytest.raises(ValueError, match="256 levels: pass one of binary"):
        search_codes(model, lambda logits: logits.sum(), torch.zeros(1, 2), generator())
