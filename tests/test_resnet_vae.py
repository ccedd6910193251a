"""ResNet VAE: sizes as published, bidirectional inference, codes in units of the prior, what is refused."""

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from rlgen.generative.resnet_vae import RESNET_VAE_CIFAR10, ResNetVAE, ResNetVAEConfig
from tests.draws import generator

SMALL = ResNetVAEConfig(
    image_shape=(1, 4, 4), levels=2, depth=2, channels=6, latent_channels=3, flow=1, flow_layers=1
)


def images(n: int = 5) -> torch.Tensor:
    return torch.randint(0, 2, (n, 1, 4, 4), generator=generator(3), dtype=torch.uint8)


def make(config: ResNetVAEConfig = SMALL) -> Any:
    model = ResNetVAE(config)
    model.initialise(images(40), generator())
    return model


def test_layers_are_the_published_ones():
    model: Any = ResNetVAE(replace(RESNET_VAE_CIFAR10, depth=2))
    level, top = model.levels
    sizes = {name: tuple(p.shape) for name, p in level.named_parameters() if name.endswith(".v")}
    assert sizes == {
        "up_first.v": (2 * 32 + 160 + 160, 160, 3, 3),
        "up_second.v": (160, 160, 3, 3),
        "down_first.v": (4 * 32 + 160 + 160, 160, 3, 3),
        "down_second.v": (160, 32 + 160, 3, 3),
        "flow.steps.0.network.layers.0.v": (160, 32, 3, 3),
        "flow.steps.0.network.layers.1.v": (160, 160, 3, 3),
        "flow.steps.0.network.layers.2.v": (64, 160, 3, 3),
    }
    assert top.up_second is None and top.up_first.v.shape[0] == 2 * 32 + 160
    assert model.first.v.shape == (160, 3, 5, 5) and model.last.v.shape == (160, 3, 5, 5)
    assert model.code_size == 2 * 32 * 16 * 16


def test_the_posterior_has_a_part_from_below_and_one_from_above():
    model, x = make(replace(SMALL, flow=0)), images()
    level = model.levels[1]
    noise, h = torch.zeros(5, 3, 2, 2), torch.randn(5, 6, 2, 2, generator=generator())
    above, below = level.above(h), model.features(x)[0]
    z, kl = level.infer(above, below, noise, False)
    torch.testing.assert_close(z, above.posterior.mean + below[:, :3])
    assert (kl >= 0).all() and level.infer(level.above(h + 1), below, noise, False)[0].ne(z).all()
    # Where the sum of both is the prior's, nothing has been learnt from the image.
    same = torch.cat([above.prior.mean - above.posterior.mean, above.prior.log_sigma], 1)
    same[:, 3:] -= above.posterior.log_sigma
    torch.testing.assert_close(
        level.infer(above, same, noise, False)[1], torch.zeros_like(kl), atol=1e-6, rtol=0
    )


def test_codes_are_in_units_of_the_prior_top_level_first():
    model = make()
    z = model.draw_codes(3, generator())
    level, h = model.levels[1], model.top.expand(3, -1, 2, 2)
    above = level.above(h)
    latent = above.prior.mean + above.prior.log_sigma.exp() * z[:, :12].view(3, 3, 2, 2)
    lower = model.levels[0]
    h = level.down(h, above, latent)
    above = lower.above(h)
    latent = above.prior.mean + above.prior.log_sigma.exp() * z[:, 12:].view(3, 3, 2, 2)
    oracle = model.last(torch.nn.functional.elu(lower.down(h, above, latent)))
    torch.testing.assert_close(model.outputs(z), oracle)


def test_the_way_up_gives_each_level_its_own_part_and_the_way_down_adds_to_what_it_has():
    model, x = make(), images()
    lower, top = model.levels
    h = model.first(2 * x.float() - 1)
    outputs = lower.up_first(F.elu(h))
    sizes = sum(lower.below_sizes)
    above = h + 0.1 * lower.up_second(F.elu(outputs[:, sizes:]))
    torch.testing.assert_close(model.features(x), (top.up_first(F.elu(above)), outputs[:, :sizes]))
    z = torch.randn(5, 3, 2, 2, generator=generator(1))
    parts = lower.above(h)
    down = h + 0.1 * lower.down_second(F.elu(torch.cat([z, parts.h], 1)))
    torch.testing.assert_close(lower.down(h, parts, z), down)


def test_there_is_a_divergence_for_each_map():
    model = make()
    _, kl = model.terms(images(), model.features(images()), generator())
    assert kl.shape == (5, 2 * 3)


def test_a_flow_without_layers_is_refused():
    with pytest.raises(ValueError, match="flow_layers is 0: give the flow's networks 1 or more"):
        ResNetVAE(replace(SMALL, flow_layers=0))


def test_odd_images_are_refused():
    with pytest.raises(ValueError, match="28 x 27: crop or pad"):
        ResNetVAE(replace(SMALL, image_shape=(1, 28, 27)))
