"""Likelihoods against torch.distributions, sums over all outcomes, and bounds where they should be tight."""

import math

import pytest
import torch
from torch.distributions import Bernoulli, Normal, kl_divergence

from rlgen.generative.likelihoods import (
    bernoulli_log_prob,
    bits_per_dim,
    discretized_logistic_log_prob,
    free_bits,
    gaussian_kl,
    gaussian_log_prob,
    importance_weighted,
)
from tests.draws import normal


def test_binary_images_are_independent_pixels():
    logits = 3 * normal(5, 1, 4, 3)
    x = (normal(5, 1, 4, 3, seed=1) > 0).to(torch.uint8)
    oracle = Bernoulli(logits=logits).log_prob(x.double()).sum((1, 2, 3))
    torch.testing.assert_close(bernoulli_log_prob(x, logits), oracle)


def test_a_binary_image_can_be_certain_without_an_overflow():
    x, logits = torch.tensor([[1, 0], [0, 1]], dtype=torch.uint8), torch.tensor([[1e4, -1e4]] * 2)
    assert bernoulli_log_prob(x, logits).tolist() == [0.0, -2e4]


def test_gaussian_density_is_torchs():
    x, mean, log_sigma = normal(4, 3), normal(4, 3, seed=1), normal(4, 3, seed=2)
    oracle = Normal(mean, log_sigma.exp()).log_prob(x)
    torch.testing.assert_close(gaussian_log_prob(x, mean, log_sigma), oracle)
    torch.testing.assert_close(gaussian_log_prob(x), Normal(0.0, 1.0).log_prob(x))
    torch.testing.assert_close(gaussian_log_prob(x, 0.5, -1.0), Normal(0.5, math.exp(-1)).log_prob(x))


def test_gaussian_divergence_is_torchs():
    mean, log_sigma, prior_mean, prior_log_sigma = (normal(4, 3, seed=seed) for seed in range(4))
    q = Normal(mean, log_sigma.exp())
    oracle = kl_divergence(q, Normal(prior_mean, prior_log_sigma.exp()))
    torch.testing.assert_close(gaussian_kl(mean, log_sigma, prior_mean, prior_log_sigma), oracle)
    oracle = kl_divergence(q, Normal(torch.tensor(0.0), torch.tensor(1.0)))
    torch.testing.assert_close(gaussian_kl(mean, log_sigma), oracle)
    oracle = kl_divergence(q, Normal(torch.tensor(0.5), torch.tensor(1.0).mul(-1.0).exp()).expand((4, 3)))
    torch.testing.assert_close(gaussian_kl(mean, log_sigma, 0.5, -1.0), oracle.double(), rtol=1e-6, atol=1e-6)


def test_free_bits_hold_the_parts_that_are_below_on_average():
    kl = torch.tensor([[0.1, 3.0, 0.9], [0.3, 1.0, 0.0]], requires_grad=True)  # means 0.2, 2, 0.45
    assert free_bits(kl, 0.4).item() == pytest.approx(0.4 + 2 + 0.45)
    (gradient,) = torch.autograd.grad(free_bits(kl, 0.4), kl)
    assert gradient.tolist() == [[0, 0.5, 0.5]] * 2
    assert free_bits(kl - 1, 0.0).item() == pytest.approx(2.65 - 3)  # an estimate may be below 0


@pytest.mark.parametrize("levels", [2, 5, 256])
def test_bins_add_up_to_one(levels):
    x = torch.arange(levels, dtype=torch.uint8)[:, None]
    mean, log_scale = torch.meshgrid(
        torch.tensor([-3.0, -1.0, 0.1, 1.2]), torch.tensor([-7.0, -2.0, 0.0, 4.0]), indexing="ij"
    )
    mean, log_scale = mean.flatten().double(), log_scale.flatten().double()
    log_prob = discretized_logistic_log_prob(x, mean, log_scale, levels)
    assert log_prob.shape == (levels, 16) and (log_prob <= 0).all()
    torch.testing.assert_close(log_prob.exp().sum(0), torch.ones(16, dtype=torch.float64))


def test_bins_are_differences_of_the_distribution_function():
    x = torch.arange(1, 7, dtype=torch.uint8)
    mean, log_scale = torch.tensor(0.3, dtype=torch.float64), torch.tensor(-1.0, dtype=torch.float64)
    centre = x.double() / 3.5 - 1
    cdf = [((centre + side / 7 - mean) * math.e).sigmoid() for side in (-1, 1)]
    torch.testing.assert_close(
        discretized_logistic_log_prob(x, mean, log_scale, 8).exp(), cdf[1] - cdf[0], rtol=1e-10, atol=0
    )


def test_a_level_far_in_the_tails_has_a_finite_gradient_towards_it():
    x = torch.tensor([0, 10, 245, 255], dtype=torch.uint8)
    mean = torch.tensor([1.0, 1.0, -1.0, -1.0], requires_grad=True)
    log_scale = torch.full((4,), -7.0, requires_grad=True)
    log_prob = discretized_logistic_log_prob(x, mean, log_scale, 256)
    assert log_prob.isfinite().all() and (log_prob < -1000).all()
    towards, wider = torch.autograd.grad(log_prob.sum(), [mean, log_scale])
    assert towards.sign().tolist() == [-1, -1, 1, 1] and (wider > 0).all()
    assert towards.isfinite().all() and wider.isfinite().all()


def test_importance_weights_are_averaged_and_more_of_them_are_tighter():
    log_w = 2 * normal(64, 500)
    torch.testing.assert_close(importance_weighted(log_w), log_w.exp().mean(0).log())
    torch.testing.assert_close(importance_weighted(log_w[:1]), log_w[0])
    means = [importance_weighted(log_w[:k]).mean().item() for k in (1, 4, 64)]
    assert means[0] < means[1] - 0.5 < means[2] - 1
    assert means[2] < 2.0  # log E w = 2^2 / 2
    assert importance_weighted(log_w - 1e4).isfinite().all()


def test_the_true_posterior_needs_one_draw():
    """z ~ N(0, 1), x ~ N(z, 1): q = N(x / 2, 1 / 2) gives log N(x; 0, 2) whatever is drawn."""
    x, noise = normal(6), normal(3, 6, seed=1)
    log_sigma = -0.5 * math.log(2)
    z = x / 2 + math.exp(log_sigma) * noise
    log_w = gaussian_log_prob(z) + gaussian_log_prob(x, z) - gaussian_log_prob(z, x / 2, log_sigma)
    exact = Normal(0.0, math.sqrt(2)).log_prob(x)
    torch.testing.assert_close(log_w, exact.expand(3, 6))
    torch.testing.assert_close(importance_weighted(log_w), exact)


def test_bits_are_for_each_value_of_an_image():
    guess = 3 * 4 * 5 * math.log(256)  # 256 levels, all alike
    assert bits_per_dim(guess, (3, 4, 5)) == pytest.approx(8)
    assert bits_per_dim(torch.tensor([guess]), (3, 4, 5)).tolist() == pytest.approx([8])
