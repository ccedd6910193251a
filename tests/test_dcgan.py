"""DCGAN: sizes and first weights as published, its loss, and its options."""

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from rlgen.generative.adversarial import Batch
from rlgen.generative.dcgan import DCGAN, DCGAN_28, DCGAN_32, DCGANConfig
from tests.draws import generator

SMALL = DCGANConfig(image_shape=(1, 8, 8), noise_size=5, batch_size=6, channels=(8, 4))


def batch() -> Batch:
    return Batch(torch.rand(6, 1, 8, 8, generator=generator(7)))


def weights(module: torch.nn.Module) -> list[tuple[int, ...]]:
    """Shapes of the layers' weights, normalisations left out."""
    return [tuple(p.shape) for name, p in module.named_parameters() if name.endswith("weight")]


FORMS = {
    "64": (
        DCGANConfig(),
        [(16384, 100), (1024, 512, 5, 5), (512, 256, 5, 5), (256, 128, 5, 5), (128, 3, 5, 5)],
        [(128, 3, 5, 5), (256, 128, 5, 5), (512, 256, 5, 5), (1024, 512, 5, 5), (1, 16384)],
    ),
    "32": (
        DCGAN_32,
        [(8192, 100), (512, 256, 5, 5), (256, 128, 5, 5), (128, 3, 5, 5)],
        [(128, 3, 5, 5), (256, 128, 5, 5), (512, 256, 5, 5), (1, 8192)],
    ),
    "28": (
        DCGAN_28,
        [(1024, 100), (6272, 1024), (128, 64, 5, 5), (64, 1, 5, 5)],
        [(64, 1, 5, 5), (128, 64, 5, 5), (1024, 6272), (1, 1024)],
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_have_the_published_layers(form):
    config, up, down = FORMS[form]
    model = DCGAN(replace(config, batch_size=2))
    assert weights(model.generator) == up and weights(model.discriminator) == down
    biases = [name for name, _ in model.named_parameters() if "bias" in name]
    norms = [name for name, _ in model.named_parameters() if "gain" in name or "shift" in name]
    assert biases == [] and (norms == []) == (form == "28")
    images = model.sample(2, generator())
    assert images.shape == (2, *config.image_shape)
    assert model.discriminator(images).shape == (2,)


def test_first_weights_are_the_published_ones():
    model: Any = DCGAN(DCGAN_32)
    for layer in (model.generator.ups[0], model.discriminator.trunk.downs[0]):
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.01)
    norm = model.generator.linear_norms[0]
    assert norm.gain.std().item() == pytest.approx(0.02, rel=0.1)
    assert norm.gain.mean().item() == pytest.approx(1.0, abs=0.01) and not norm.shift.any()


@pytest.mark.parametrize("smoothing", [0.0, 0.25])
def test_losses_are_cross_entropies_of_separate_batches(smoothing):
    model = DCGAN(replace(SMALL, label_smoothing=smoothing))
    real = model.discriminator(batch().images)
    fake = model.discriminator(model.generator(model.draw_codes(6, generator())))
    ones = torch.ones(6)
    oracle = F.binary_cross_entropy_with_logits(real, (1 - smoothing) * ones)
    oracle += F.binary_cross_entropy_with_logits(fake, 0 * ones)
    torch.testing.assert_close(model.discriminator_loss(batch(), generator()), oracle)
    oracle = F.binary_cross_entropy_with_logits(fake, ones)
    torch.testing.assert_close(model.generator_loss(batch(), generator()), oracle)


@pytest.mark.parametrize("settings", [{"joint_batches": True}, {"minibatch_kernels": 3}])
def test_joint_batches_are_normalised_together(settings):
    """Minibatch discrimination brings them along, so that they alone are what it has to be held against."""
    model = DCGAN(replace(SMALL, **settings))
    fake = model.generator(model.draw_codes(6, generator()))
    both, sizes = torch.cat([batch().images, fake]), [6, 6]
    real, false = model.discriminator(both, None, sizes).split(sizes)
    oracle = F.softplus(-real).mean() + F.softplus(false).mean()
    torch.testing.assert_close(model.discriminator_loss(batch(), generator()), oracle)
    torch.testing.assert_close(model.generator_loss(batch(), generator()), F.softplus(-false).mean())
    alone = (
        F.softplus(-model.discriminator(batch().images)).mean() + F.softplus(model.discriminator(fake)).mean()
    )
    assert not torch.allclose(oracle, alone, atol=1e-6)


def test_an_unknown_squash_names_the_known():
    with pytest.raises(ValueError, match="'relu'.*tanh, sigmoid"):
        DCGAN(replace(SMALL, squash="relu"))  # type: ignore


def test_historical_averaging_adds_the_distance_from_the_mean():
    plain, model = DCGAN(SMALL), DCGAN(replace(SMALL, historical_averaging=0.5))
    torch.testing.assert_close(
        model.generator_loss(batch(), generator()), plain.generator_loss(batch(), generator())
    )
    with torch.no_grad():
        for step in (1.0, 2.0):  # the mean of theta + 1 and theta + 3 is 1 from the latter
            for parameter in model.generator.parameters():
                parameter.add_(step)
            model.update_averages()
        for mine, other in zip(model.generator.parameters(), plain.generator.parameters(), strict=True):
            other.copy_(mine)
    n = sum(parameter.numel() for parameter in model.generator.parameters())
    gap = model.generator_loss(batch(), generator()) - plain.generator_loss(batch(), generator())
    assert gap.item() == pytest.approx(0.5 * n, rel=1e-4)


def test_virtual_normalisation_frees_images_from_their_batch_in_training_too():
    z = DCGAN(SMALL).draw_codes(6, generator())
    free, bound = DCGAN(replace(SMALL, virtual_batch_norm=True)), DCGAN(SMALL)
    torch.testing.assert_close(free.render(z)[:3], free.render(z[:3]))
    assert not torch.allclose(bound.render(z)[:3], bound.render(z[:3]))


def test_minibatch_discrimination_tells_images_that_are_alike_from_a_varied_batch():
    model: Any = DCGAN(replace(SMALL, minibatch_kernels=4))
    images = batch().images
    model.initialise(images, generator())
    alike = images[:1] + 0.01 * torch.randn(images.shape, generator=generator())
    found: list[torch.Tensor] = []
    model.discriminator.minibatch.register_forward_hook(lambda layer, x, y: found.append(y[:, -4:]))
    model._judge(images, alike, generator())
    varied, copies = found[0].split(len(images))
    assert (copies > varied + 1).all()


def test_a_generator_that_cannot_reach_the_pixels_is_refused():
    with pytest.raises(
        ValueError, match=r"from -1 to 1, but the generator's sigmoid .*pixel_offset:0 pixel_"
    ):
        DCGAN(replace(DCGAN_32, squash="sigmoid"))
