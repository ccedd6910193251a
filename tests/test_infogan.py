"""InfoGAN: sizes as published, its codes, its losses, and that a toy's classes are found."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from rlgen.generative.adversarial import Batch, descend, make_optimizers
from rlgen.generative.infogan import InfoGAN, InfoGANConfig
from tests.draws import generator

SMALL = InfoGANConfig(
    image_shape=(1, 8, 8),
    noise_size=4,
    batch_size=6,
    categorical=(3, 2),
    channels=(8, 4),
    hidden=7,
    posterior_hidden=6,
)


def batch(n: int = 6) -> Batch:
    return Batch(torch.rand(n, 1, 8, 8, generator=generator(7)))


def test_layers_are_the_published_ones():
    model: Any = InfoGAN()
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters() if name.endswith("weight")}
    assert shapes == {
        "generator.linears.0.weight": (1024, 74),
        "generator.linears.1.weight": (6272, 1024),
        "generator.ups.0.weight": (128, 64, 4, 4),
        "generator.last.weight": (64, 1, 4, 4),
        "discriminator.trunk.first.weight": (64, 1, 4, 4),
        "discriminator.trunk.downs.0.weight": (128, 64, 4, 4),
        "discriminator.trunk.linears.0.weight": (1024, 6272),
        "discriminator.head.weight": (1, 1024),
        "discriminator.hidden.weight": (128, 1024),
        "discriminator.codes.weight": (12, 128),
    }
    maps, dense = model.discriminator.trunk.downs[0].weight, model.generator.linears[0].weight
    assert maps.abs().max() <= 0.04 and dense.abs().max() > 0.06
    assert dense.std().item() == pytest.approx(0.02, rel=0.02)


def test_codes_are_noise_classes_and_continuous():
    model = InfoGAN(SMALL)
    z = model.draw_codes(2000, generator())
    noise, first, second, continuous = z.split([4, 3, 2, 2], 1)
    for part in (noise, continuous):
        assert part.min() < -0.99 and part.max() > 0.99 and abs(part.mean().item()) < 0.03
    for part in (first, second):
        assert torch.equal(part.sum(1), torch.ones(2000)) and set(part.unique().tolist()) == {0, 1}
        torch.testing.assert_close(
            part.mean(0), torch.full((part.shape[1],), 1 / part.shape[1]), atol=0.05, rtol=0
        )
    classes = torch.stack([first.argmax(1), second.argmax(1)], 1)
    assert torch.equal(model.compose(noise, classes, continuous), z)


@pytest.mark.parametrize("learn_sigma", [False, True])
def test_losses_subtract_the_bound(learn_sigma):
    model = InfoGAN(replace(SMALL, learn_sigma=learn_sigma, information_weight=0.7))
    z = model.draw_codes(6, generator())
    net, fake = model.discriminator, model.generator(z).detach()
    posterior = net.posterior(net.trunk(fake))
    bound = math.log(3) - F.cross_entropy(posterior.logits[0], z[:, 4:7].argmax(1))
    bound += math.log(2) - F.cross_entropy(posterior.logits[1], z[:, 7:9].argmax(1))
    sigma = torch.as_tensor(posterior.log_sigma).exp().expand(6, 2)
    q = torch.distributions.Normal(posterior.mean, sigma)
    bound += (math.log(2) + q.log_prob(z[:, 9:])).sum(1).mean()
    adversarial = F.softplus(-net(batch().images)).mean() + F.softplus(net(fake)).mean()
    loss = model.discriminator_loss(batch(), generator())
    torch.testing.assert_close(loss, adversarial - 0.7 * bound)
    loss = model.generator_loss(batch(), generator())
    torch.testing.assert_close(loss, F.softplus(-net(fake)).mean() - 0.7 * bound)
    assert (isinstance(posterior.log_sigma, float)) != learn_sigma


def test_codes_of_one_kind_only():
    for change in ({"categorical": ()}, {"continuous": 0}):
        model = InfoGAN(replace(SMALL, **change))
        assert model.discriminator_loss(batch(), generator()).isfinite()
        discrete, continuous = model.information(
            model.posterior(batch().images), model.draw_codes(6, generator())
        )
        assert not (discrete if "categorical" in change else continuous).any()


def test_a_posterior_under_a_reference_is_of_each_image_alone():
    model, images = InfoGAN(SMALL), batch(12).images
    whole, part = (model.posterior(images[6:k], reference=images[:6]) for k in (12, 8))
    torch.testing.assert_close(whole.mean[:2], part.mean)
    torch.testing.assert_close(whole.logits[0][:2], part.logits[0])
    plain = model.posterior(images)
    assert plain.mean.shape == (12, 2) and not plain.mean.requires_grad


@pytest.mark.slow
def test_a_toys_classes_are_found():
    """Bars at one of four heights: the categorical code comes to name the height."""
    config = replace(SMALL, categorical=(4,), continuous=1, batch_size=64, discriminator_rate=1e-3)
    config = replace(config, channels=(16, 8), hidden=64, posterior_hidden=32)
    model, g = InfoGAN(config), generator()
    optimizers = make_optimizers(model)

    def bars(n: int) -> tuple[torch.Tensor, torch.Tensor]:
        heights = torch.randint(4, (n,), generator=g)
        image = F.one_hot(heights, 4).float().repeat_interleave(2, 1)[:, None, :, None].expand(-1, 1, 8, 8)
        return image * (0.7 + 0.3 * torch.rand(n, 1, 1, 1, generator=g)), heights

    for _ in range(900):
        data = Batch(bars(64)[0])
        descend(model.discriminator_loss(data, g), optimizers.discriminator)
        descend(model.generator_loss(data, g), optimizers.generator)
    images, heights = bars(400)
    found = model.posterior(images).logits[0].argmax(1)
    counts = torch.zeros(4, 4).index_put_((heights, found), torch.ones(400), accumulate=True)
    assert counts.max(1).values.sum() > 380 and len(set(counts.argmax(1).tolist())) == 4


def test_pixels_that_its_generator_cannot_draw_are_refused():
    with pytest.raises(ValueError, match=r"from -1 to 1, but the generator's sigmoid .*pixel_scale:255"):
        InfoGAN(replace(SMALL, pixel_offset=127.5, pixel_scale=127.5))
