"""Models with a code, all kinds: the bound, importance sampling against quadrature, codes and back."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from rlgen.generative import autoencoder
from rlgen.generative.autoencoder import Autoencoder
from rlgen.generative.likelihood_model import descend, make_optimizer
from rlgen.generative.likelihoods import bernoulli_log_prob, gaussian_log_prob
from rlgen.generative.resnet_vae import ResNetVAE, ResNetVAEConfig
from rlgen.generative.vae import VAE, VAEConfig
from tests.draws import generator

DENSE = VAEConfig(image_shape=(1, 4, 4), latent_size=2, hidden=(12,), flow_hidden=(9,), context_size=5)
CONV = replace(DENSE, image_shape=(1, 7, 7), network="conv", channels=(3, 4))
BYTES = replace(CONV, image_shape=(3, 4, 4), levels=256)
LADDER = ResNetVAEConfig(
    image_shape=(1, 2, 2), levels=2, depth=2, channels=6, latent_channels=1, flow=0, flow_layers=1
)
COLOURS = replace(LADDER, image_shape=(3, 6, 4), levels=8, latent_channels=3)
CONFIGS: dict[str, Any] = {
    "dense": DENSE,
    "dense_flow": replace(DENSE, flow=2),
    "conv": CONV,
    "conv_flow": replace(CONV, flow=2),
    "bytes": BYTES,
    "ladder": LADDER,
    "ladder_flow": replace(LADDER, depth=1, latent_channels=2, flow=1),
    "colours": COLOURS,
    "colours_flow": replace(COLOURS, flow=2),
}


def images(config: Any, n: int) -> torch.Tensor:
    return torch.randint(
        0, config.levels, (n, *config.image_shape), generator=generator(5), dtype=torch.uint8
    )


def make(kind: str, seed: int = 0, **changes: Any) -> Autoencoder:
    """A model initialised from data, with strong dependence on its code."""
    config = replace(CONFIGS[kind], **changes)
    model = VAE(config, seed=seed) if isinstance(config, VAEConfig) else ResNetVAE(config, seed=seed)
    model.initialise(images(config, 64), generator(8))
    return model


def log_evidence(model: Autoencoder, x: torch.Tensor) -> torch.Tensor:
    """log p(x) (B,) by a sum over a grid of codes of two entries."""
    step = 0.05
    axis = torch.arange(-6, 6, step)
    codes = torch.cartesian_prod(axis, axis)
    outputs = model.outputs(codes)
    log_p = [model.observation.log_prob(image.expand(len(codes), *image.shape), outputs) for image in x]
    return (torch.stack(log_p) + gaussian_log_prob(codes).sum(1)).logsumexp(1) + 2 * math.log(step)


@pytest.mark.parametrize("kind", ["dense", "dense_flow", "ladder", "ladder_flow"])
def test_importance_sampling_finds_the_evidence_and_the_bound_is_below(kind, monkeypatch):
    monkeypatch.setattr(autoencoder, "AT_ONCE", 1200)
    model, x = make(kind, learning_rate=0.01), images(CONFIGS[kind], 4)
    optimizer = make_optimizer(model)
    losses = []
    for seed in range(80):  # a posterior that is near the true one
        losses.append(model.loss(x, generator(seed)))
        descend(losses[-1], optimizer)
    assert losses[-1] < losses[0] - 0.3
    with torch.no_grad():
        exact = log_evidence(model, x)
        estimate = model.log_likelihood(x, generator(), 4000)
        bound = torch.stack([model.elbo(x, generator(seed)) for seed in range(100)]).mean(0)
    torch.testing.assert_close(estimate, exact, atol=0.06, rtol=0)
    assert bound.sum() < exact.sum() - 0.02


@pytest.mark.parametrize("kind", CONFIGS)
def test_codes_of_the_posterior_have_the_likelihood_of_the_bound(kind):
    model, x = make(kind), images(CONFIGS[kind], 3)
    z = model.encode(x, generator())
    assert z.shape == (3, model.code_size)
    for sampled in (False, True):
        log_prob, _ = model.terms(x, model.features(x), generator(), sampled=sampled)
        torch.testing.assert_close(model.observation.log_prob(x, model.outputs(z)), log_prob)
    torch.testing.assert_close(model.decode(z), model.reconstruct(x, generator()))
    assert not torch.equal(model.encode(x), z)
    assert torch.equal(model.encode(x), model.encode(x))


@pytest.mark.parametrize("kind", CONFIGS)
def test_the_loss_is_minus_the_bound_and_free_nats_only_add_to_it(kind):
    model, x = make(kind, free_nats=0.0), images(CONFIGS[kind], 6)
    elbo = model.elbo(x, generator())
    assert elbo.shape == (6,)
    torch.testing.assert_close(model.loss(x, generator()), -elbo.mean())
    log_prob, kl = model.terms(x, model.features(x), generator())
    torch.testing.assert_close(log_prob - kl.sum(1), elbo)
    free = make(kind, free_nats=100.0)
    torch.testing.assert_close(free.loss(x, generator()), 100.0 * kl.shape[1] - log_prob.mean())


@pytest.mark.parametrize("kind", ["dense", "ladder"])
def test_the_divergence_in_closed_form_is_what_draws_give_on_average(kind):
    model, x = make(kind), images(CONFIGS[kind], 1).expand(4000, -1, -1, -1)
    with torch.no_grad():
        sampled, closed = (
            model.terms(x, model.features(x), generator(), sampled=s)[1] for s in (True, False)
        )
    error = sampled.std(0) / math.sqrt(4000)
    assert ((sampled.mean(0) - closed.mean(0)).abs() < 5 * error).all()
    assert closed.std(0).max() < 0.5 * sampled.std(0).max()


@pytest.mark.parametrize("kind", CONFIGS)
def test_gradients_reach_every_parameter(kind):
    model = make(kind)
    if isinstance(model, ResNetVAE):
        model.top.data.fill_(0.3)  # it starts at 0, and so do gradients of weights that it meets first
    for seed in range(3):
        model.loss(images(CONFIGS[kind], 16), generator(seed)).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.any() and parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("kind", CONFIGS)
def test_samples_are_levels_of_the_seed_alone(kind):
    before = torch.get_rng_state()
    model, same, other = make(kind), make(kind), make(kind, seed=1)
    x = model.sample(5, generator())
    assert x.dtype == torch.uint8 and x.shape == (5, *CONFIGS[kind].image_shape)
    assert x.int().max() < CONFIGS[kind].levels and torch.equal(x, same.sample(5, generator()))
    decoded = model.decode(model.draw_codes(5, generator()))
    assert decoded.shape == x.shape and decoded.min() >= 0 and decoded.max() <= 1
    assert not torch.equal(decoded, other.decode(other.draw_codes(5, generator())))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("at_once", [3, 10, 500])
def test_likelihoods_come_in_pieces_image_after_image(at_once, monkeypatch):
    """Every draw gives the evidence itself where the decoder ignores the code and the posterior the image."""
    monkeypatch.setattr(autoencoder, "AT_ONCE", at_once)
    model: Any = make("dense")
    for parameter in (*model.posterior.parameters(), model.decoder[-2].weight):
        parameter.data.zero_()
    logits = torch.randn(1, 4, 4, generator=generator())
    model.decoder[-2].bias.data.copy_(logits.flatten())
    x = images(DENSE, 7)
    exact = bernoulli_log_prob(x, logits.expand(7, 1, 4, 4))
    torch.testing.assert_close(model.log_likelihood(x, generator(), 20), exact)


def test_no_draws_are_refused_and_so_are_wrong_images():
    model = make("dense")
    with pytest.raises(ValueError, match="n_samples is 0"):
        model.log_likelihood(images(DENSE, 2), generator(), 0)
    with pytest.raises(ValueError, match="apply from_bytes"):
        model.encode(torch.zeros(2, 1, 5, 5, dtype=torch.uint8))
