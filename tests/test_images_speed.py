"""The plain versions that training steps are compared with are the same networks."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmarks import images_speed
from benchmarks.images.plain import PlainDCGAN, PlainInfoGAN
from benchmarks.images.plain_improved_gan import PlainImprovedGAN
from rlgen.generative.dcgan import DCGAN, DCGAN_28
from rlgen.generative.improved_gan import IMPROVED_GAN_CIFAR10, IMPROVED_GAN_MNIST, ImprovedGAN
from rlgen.generative.infogan import InfoGAN, InfoGANConfig

CASES = {
    "dcgan": (DCGAN, PlainDCGAN, replace(DCGAN_28, channels=(4, 2), hidden=(6,))),
    "infogan": (InfoGAN, PlainInfoGAN, InfoGANConfig(channels=(4, 2), hidden=6, posterior_hidden=5)),
    "dense": (
        ImprovedGAN,
        PlainImprovedGAN,
        replace(IMPROVED_GAN_MNIST, hidden=(8, 6), generator_hidden=(7, 5)),
    ),
    "conv": (ImprovedGAN, PlainImprovedGAN, replace(IMPROVED_GAN_CIFAR10, widths=(3, 4), channels=(8, 4, 2))),
}


@pytest.mark.parametrize("case", CASES)
def test_a_plain_version_has_the_same_parameters_and_learns(case):
    make, kind, config = CASES[case]
    model = make(replace(config, batch_size=4))
    with torch.random.fork_rng(devices=[]):
        plain = kind(model.config)
        images_speed.check_alike(case, model, plain)
        networks = (plain.generator, plain.discriminator)
        before = [p.detach().clone() for network in networks for p in network.parameters()]
        plain.step(images_speed.random_batch(model))
        after = [p for network in networks for p in network.parameters()]
    trained = [not torch.equal(a, b) for a, b in zip(before, after, strict=True) if b.requires_grad]
    assert sum(trained) > 0.8 * len(trained)


def test_another_network_is_refused():
    with pytest.raises(RuntimeError, match="parameters of ours"):
        images_speed.check_alike("dcgan", DCGAN(replace(DCGAN_28, channels=(4, 2))), PlainDCGAN(DCGAN_28))


def test_too_few_rounds_and_unknown_models_are_refused():
    with pytest.raises(ValueError, match="a median wants at least five"):
        images_speed.main(images_speed.Config(rounds=4))
    with pytest.raises(ValueError, match="unknown model 'vae'"):
        images_speed.main(images_speed.Config(models=("vae",)))
