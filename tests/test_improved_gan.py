"""Improved GAN: sizes as published, noise and initialisation, its losses, and that it learns a toy."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from rlgen.generative.adversarial import Batch, descend, make_optimizers
from rlgen.generative.gan import feature_matching, minimax_loss, semi_supervised_loss
from rlgen.generative.improved_gan import (
    IMPROVED_GAN_CIFAR10,
    IMPROVED_GAN_CIFAR10_SAMPLES,
    IMPROVED_GAN_SVHN,
    ImprovedGAN,
    ImprovedGANConfig,
)
from tests.draws import generator

SMALL = ImprovedGANConfig(
    image_shape=(1, 16, 16), noise_size=5, batch_size=6, hidden=(9, 8), generator_hidden=(7,)
)
SMALL_CONV = replace(
    IMPROVED_GAN_CIFAR10, image_shape=(1, 16, 16), noise_size=5, batch_size=6, widths=(4, 5), channels=(8, 4)
)
SMALL_SAMPLES = replace(SMALL_CONV, objective="minimax", minibatch_kernels=3, input_noise=0.2)
CONFIGS = {"dense": SMALL, "conv": SMALL_CONV, "samples": SMALL_SAMPLES}
configs = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


def batch() -> Any:
    images = torch.rand(12, 1, 16, 16, generator=generator(7))
    return Batch(images[:6], images[6:], torch.arange(6))


def directions(module: torch.nn.Module) -> list[tuple[int, ...]]:
    return [tuple(p.shape) for name, p in module.named_parameters() if name.endswith(".v")]


def test_layers_for_mnist_are_the_published_ones():
    model: Any = ImprovedGAN()
    sizes = [(1000, 784), (500, 1000), (250, 500), (250, 250), (250, 250), (10, 250)]
    assert directions(model.discriminator) == sizes
    scales = [name for name, _ in model.discriminator.named_parameters() if name.endswith(".g")]
    assert scales == ["last.g"]  # the hidden layers' are fixed
    assert directions(model.generator) == [(784, 500)]
    assert [tuple(layer.weight.shape) for layer in model.generator.layers] == [(500, 100), (500, 500)]
    gains = [name for name, _ in model.generator.named_parameters() if "gain" in name]
    assert gains == [] and model.generator.norms[0].eps == 1e-6


@pytest.mark.parametrize("config", [IMPROVED_GAN_CIFAR10, IMPROVED_GAN_SVHN, IMPROVED_GAN_CIFAR10_SAMPLES])
def test_layers_for_colour_are_the_published_ones(config):
    model: Any = ImprovedGAN(config)
    a, b = config.widths
    convolutions = [(a, 3, 3, 3), (a, a, 3, 3), (a, a, 3, 3), (b, a, 3, 3), (b, b, 3, 3), (b, b, 3, 3)]
    convolutions += [(b, b, 3, 3), (b, b, 1, 1), (b, b, 1, 1)]
    assert directions(model.discriminator) == [*convolutions, (10, b + config.minibatch_kernels)]
    shapes = [tuple(layer.weight.shape) for layer in [*model.generator.linears, *model.generator.ups]]
    assert shapes == [(8192, 100), (512, 256, 5, 5), (256, 128, 5, 5)]
    assert directions(model.generator) == [(128, 3, 5, 5)]
    with torch.no_grad():
        features = model.discriminator.features(torch.zeros(1, 3, 32, 32))
    assert features.shape == (1, b)


@configs
def test_the_discriminators_loss_is_that_of_its_three_batches(config):
    """Without noise the one pass over all is three passes."""
    config = replace(config, input_noise=0.0, hidden_noise=0.0, input_dropout=0.0)
    model: Any = ImprovedGAN(config)
    model.initialise(batch().images, generator())
    if config.network == "conv":
        for dropout in model.discriminator.dropouts:
            dropout.p = 0.0
    with torch.no_grad():
        fake = model.generator(model.draw_codes(6, generator(1)))
    labelled, unlabelled, fake = (model.discriminator(x) for x in (batch().labelled, batch().images, fake))
    oracle = semi_supervised_loss(labelled, batch().labels, unlabelled, fake)
    torch.testing.assert_close(model.discriminator_loss(batch(), generator(1)), oracle)


@configs
def test_the_generators_loss_is_its_objective(config):
    model: Any = ImprovedGAN(config)
    model.initialise(batch().images, generator())
    g = generator(1)
    fake, net = model.generator(model.draw_codes(6, g)), model.discriminator
    if config.objective == "minimax":
        oracle = minimax_loss(net(fake, g).logsumexp(1))
    else:
        real = net.features(batch().images, g)
        oracle = feature_matching(real, net.features(fake, g), config.objective)
    torch.testing.assert_close(model.generator_loss(batch(), generator(1)), oracle)


@configs
def test_initialisation_standardises_what_the_first_images_give(config):
    """The last layer's logits under the same noise have mean 0 and their layer's deviation."""
    model: Any = ImprovedGAN(config)
    images = torch.rand(100, 1, 16, 16, generator=generator(7))
    model.initialise(images, generator(1))
    g = generator(1)
    codes = model.draw_codes(config.batch_size, g)
    with torch.no_grad():
        logits = model.discriminator(images, g)
        pictures = model.render(codes)
    torch.testing.assert_close(logits.mean(0), torch.zeros(10), atol=1e-4, rtol=0)
    std = 1.0 if config.network == "dense" else 0.1
    torch.testing.assert_close(logits.std(0, correction=0), torch.full((10,), std), rtol=1e-3, atol=0)
    if config.network == "conv":
        assert pictures.atanh().std(correction=0).item() == pytest.approx(0.1, rel=1e-3)


@configs
def test_logits_are_without_noise_and_of_the_average(config):
    model: Any = ImprovedGAN(config)
    model.initialise(batch().images, generator())
    model.update_averages()
    images = batch().images
    torch.testing.assert_close(model.logits(images), model.logits(images, averaged=False))
    assert not torch.allclose(model.logits(images), model.discriminator(images, generator()))
    with torch.no_grad():
        model.discriminator.last.b.add_(1.0)
    torch.testing.assert_close(model.logits(images) + 1, model.logits(images, averaged=False))
    model.update_averages()
    torch.testing.assert_close(
        model.logits(images) + 0.5, model.logits(images, averaged=False), atol=1e-3, rtol=0
    )


def test_hidden_noise_enters_behind_every_hidden_layer_but_not_the_features():
    model = ImprovedGAN(replace(SMALL, input_noise=0.0, hidden_noise=0.5, hidden=(9,)))
    model.initialise(batch().images, generator())
    net, images = model.discriminator, batch().images
    torch.testing.assert_close(net.features(images, generator()), net.features(images))
    assert not torch.allclose(net(images, generator()), net(images))


def test_a_batch_without_labels_is_refused():
    with pytest.raises(ValueError, match="no labels"):
        ImprovedGAN(SMALL).discriminator_loss(Batch(batch().images), generator())


def test_images_too_small_to_convolve_are_refused():
    with pytest.raises(ValueError, match="8 x 8 are too small"):
        ImprovedGAN(replace(SMALL_CONV, image_shape=(1, 8, 8)))


@pytest.mark.parametrize(
    ("change", "remedy"),
    [
        ({"network": "vgg"}, "'vgg'.*dense, conv"),
        ({"minibatch_kernels": 3}, "network .dense. has none"),
        ({"pixel_offset": 127.5}, "pixel_scale:255"),
    ],
)
def test_options_that_do_not_fit_are_refused(change, remedy):
    with pytest.raises(ValueError, match=remedy):
        ImprovedGAN(replace(SMALL, **change))


@pytest.mark.slow
def test_unlabelled_images_help_to_classify_a_toy():
    """Blobs on two arcs of a ring, one label for each: only the unlabelled show where the arcs end."""
    config = replace(SMALL, image_shape=(1, 8, 8), batch_size=50, hidden=(64, 64), generator_hidden=(64,))
    config = replace(config, n_classes=2, average_decay=0.99)
    grid = torch.stack(torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij"))

    def blobs(n: int, g: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        labels = torch.randint(2, (n,), generator=g)
        angle = (0.15 + 0.7 * torch.rand(n, generator=g) + labels) * torch.pi
        centre = 3.5 + 2.5 * torch.stack([angle.sin(), angle.cos()], 1)
        return (-0.5 * (grid - centre[:, :, None, None]).square().sum(1, keepdim=True)).exp(), labels

    def accuracy(unlabelled_weight: float) -> float:
        model = ImprovedGAN(replace(config, unlabelled_weight=unlabelled_weight), seed=1)
        optimizers, g = make_optimizers(model), generator(1)
        images, labels = blobs(200, g)
        first = torch.tensor([int((labels == k).nonzero()[0]) for k in (0, 1)]).repeat(25)
        model.initialise(images, g)
        for _ in range(400):
            data = Batch(blobs(50, g)[0], images[first], labels[first])
            descend(model.discriminator_loss(data, g), optimizers.discriminator)
            descend(model.generator_loss(Batch(blobs(50, g)[0]), g), optimizers.generator)
            model.update_averages()
        images, labels = blobs(1000, g)
        return (model.logits(images).argmax(1) == labels).float().mean().item()

    assert accuracy(1.0) > 0.99 > 0.95 > accuracy(0.0)


def test_bytes_are_refused_with_the_remedy():
    with pytest.raises(ValueError, match="apply from_bytes"):
        ImprovedGAN(SMALL).logits(torch.zeros(2, 1, 16, 16, dtype=torch.uint8))
