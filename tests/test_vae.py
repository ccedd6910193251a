"""VAE: sizes of the presets, what the flow adds, and what is refused."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from rlgen.generative.vae import CONV_VAE_IAF_MNIST, CONV_VAE_MNIST, VAE, VAE_IAF_MNIST, VAE_MNIST, VAEConfig
from tests.draws import generator


def shapes(module: Any) -> list[tuple[int, ...]]:
    return [tuple(p.shape) for p in module.parameters()]


@pytest.mark.parametrize("plain, flow", [(VAE_MNIST, VAE_IAF_MNIST), (CONV_VAE_MNIST, CONV_VAE_IAF_MNIST)])
def test_the_flow_changes_the_posterior_and_not_the_decoder(plain, flow):
    one, other = VAE(plain), VAE(flow)
    assert shapes(one.decoder) == shapes(other.decoder) and shapes(one.encoder) == shapes(other.encoder)
    for mine, theirs in zip(one.decoder.parameters(), other.decoder.parameters(), strict=True):
        assert torch.equal(mine, theirs)  # the same first values, too
    assert one.flow is None and other.flow is not None and len(other.flow.steps) == flow.flow
    assert replace(flow, flow=0) == plain


def test_steps_of_the_flow_alternate_and_see_the_context():
    model: Any = VAE(VAEConfig(image_shape=(1, 4, 4), hidden=(8,), latent_size=5, flow=3, flow_hidden=(9,)))
    first, second, third = (step.network.layers[0].mask for step in model.flow.steps)
    assert torch.equal(first, third) and torch.equal(first, second.flip((0, 1)))
    x = torch.randint(0, 2, (2, 1, 4, 4), generator=generator(), dtype=torch.uint8)
    mean, log_sigma, context = model.features(x)
    assert mean.shape == log_sigma.shape == (2, 5) and context.shape == (2, 128)
    (gradient,) = torch.autograd.grad(model.loss(x, generator()), model.posterior.weight)
    assert gradient[10:].any(1).all()  # the rows of the context


def test_a_posterior_learns_the_code_that_an_image_is_made_of():
    """Bars in one of 4 places; without a code 16 (log 1/4 + 3 log 3/4) / 4 = -9 nats is the most."""
    config = VAEConfig(image_shape=(1, 4, 4), hidden=(32,), latent_size=2, flow=1, flow_hidden=(16,))
    model, data = VAE(config), torch.eye(4, dtype=torch.uint8).view(4, 1, 4, 1).repeat(16, 1, 1, 4)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    model.initialise(data, generator())
    for seed in range(100):
        optimizer.zero_grad()
        model.loss(data, generator(seed)).backward()
        optimizer.step()
    elbo = model.elbo(data, generator()).mean().item()
    assert -4 < elbo < -1.386  # log 1/4 is the most that there is
    assert (model.reconstruct(data[:4]).round() == data[:4]).all()


def test_an_unknown_network_is_refused():
    with pytest.raises(ValueError, match="network is 'transformer': choose one of dense, conv"):
        VAE(replace(VAE_MNIST, network="transformer"))  # type: ignore


def test_an_encoder_without_a_layer_is_refused():
    with pytest.raises(ValueError, match="hidden is empty: give the encoder a linear layer"):
        VAE(replace(VAE_MNIST, hidden=()))


@pytest.mark.parametrize("network", ["dense", "conv"])
def test_features_for_other_tasks_are_what_the_code_is_read_from(network):
    config = VAEConfig(image_shape=(1, 8, 8), network=network, hidden=(5,), latent_size=2)
    model = VAE(config if network == "dense" else replace(config, channels=(3, 4)))
    x = torch.randint(0, 2, (6, 1, 8, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    features = model.represent(x)
    assert features.shape == (6, 5 if network == "dense" else 4 * 2 * 2)
    assert model.represent(x[:2]).allclose(features[:2]) and not features[0].equal(features[1])
