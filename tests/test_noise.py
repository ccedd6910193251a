"""Noise layers draw from the generator that is passed, and from nothing else."""

import pytest
import torch

from rlgen.generative.noise import Dropout, GaussianNoise, uniform
from tests.draws import generator


@pytest.mark.parametrize("layer", [GaussianNoise(0.5), Dropout(0.3)])
def test_noise_is_the_generators_and_without_one_there_is_none(layer):
    x, state = torch.full((4, 3), 2.0), torch.get_rng_state()
    assert layer(x) is x
    assert torch.equal(layer(x, generator()), layer(x, generator()))
    assert not torch.equal(layer(x, generator()), layer(x, generator(1)))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("layer", [GaussianNoise(0.0), Dropout(0.0)])
def test_no_noise_draws_nothing(layer):
    g = generator()
    state = g.get_state()
    x = torch.ones(2, 2)
    assert layer(x, g) is x and torch.equal(g.get_state(), state)


def test_gaussian_noise_has_its_standard_deviation_and_passes_gradients():
    x = torch.full((100, 200), 3.0, requires_grad=True)
    y = GaussianNoise(0.5)(x, generator())
    assert y.mean().item() == pytest.approx(3.0, abs=0.02)
    assert y.std().item() == pytest.approx(0.5, rel=0.02)
    y.sum().backward()
    assert x.grad is not None and torch.equal(x.grad, torch.ones_like(x))


def test_dropout_keeps_the_mean_and_scales_what_it_keeps():
    x = torch.full((100, 200), 3.0, requires_grad=True)
    y = Dropout(0.25)(x, generator())
    kept = y != 0
    assert kept.float().mean().item() == pytest.approx(0.75, abs=0.01)
    torch.testing.assert_close(y[kept], torch.full_like(y[kept], 4.0))
    y.sum().backward()
    torch.testing.assert_close(x.grad, kept / 0.75)


@pytest.mark.parametrize("low", [0.0, -1.0])
def test_uniform_codes_fill_their_range(low):
    u = uniform(1000, 3, generator=generator(), low=low)
    assert u.shape == (1000, 3) and u.min() >= low and u.max() <= 1
    assert u.mean().item() == pytest.approx((low + 1) / 2, abs=0.05)
    assert u.min() < low + 0.01 and u.max() > 0.99
