"""The settings of adversarial models are those of the papers and of their scripts."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from rlgen.generative.dcgan import DCGAN_28, DCGAN_64
from rlgen.generative.improved_gan import (
    IMPROVED_GAN_CIFAR10,
    IMPROVED_GAN_CIFAR10_SAMPLES,
    IMPROVED_GAN_MNIST,
    IMPROVED_GAN_SVHN,
    ImprovedGAN,
)
from rlgen.generative.infogan import INFOGAN_MNIST

# train_mnist_feature_matching.py, train_cifar_feature_matching.py, train_svhn_feature_matching.py and
# train_cifar_minibatch_discrimination.py of openai/improved-gan.
IMPROVED = {"batch_size": 100, "beta1": 0.5, "hidden_noise": 0.5, "average_decay": 0.9999, "noise_size": 100}
CONV = {**IMPROVED, "discriminator_rate": 3e-4, "generator_rate": 3e-4, "channels": (512, 256, 128)}
# main.py and model.py of Newmu/dcgan_code, mnist and faces.
DCGANS = {"batch_size": 128, "beta1": 0.5, "slope": 0.2, "init_std": 0.02, "kernel": 5, "noise_size": 100}
DCGANS |= {"discriminator_rate": 2e-4, "generator_rate": 2e-4}

RECIPES: dict[str, tuple[Any, dict[str, Any]]] = {
    "improved_gan_mnist": (
        IMPROVED_GAN_MNIST,
        {
            **IMPROVED,
            **{"epochs": 300, "discriminator_rate": 3e-3, "generator_rate": 3e-3, "input_noise": 0.3},
            **{"hidden": (1000, 500, 250, 250, 250), "generator_hidden": (500, 500), "objective": "l2"},
        },
    ),
    "improved_gan_cifar10": (
        IMPROVED_GAN_CIFAR10,
        {
            **CONV,
            **{"epochs": 1200, "constant_epochs": 800, "widths": (96, 192), "input_dropout": 0.2},
            **{"objective": "l1", "generator_steps": 1, "minibatch_kernels": 0},
        },
    ),
    "improved_gan_svhn": (
        IMPROVED_GAN_SVHN,
        {**CONV, "epochs": 900, "constant_epochs": 600, "widths": (64, 128), "input_dropout": 0.2},
    ),
    "improved_gan_samples": (
        IMPROVED_GAN_CIFAR10_SAMPLES,
        {**CONV, "generator_steps": 3, "minibatch_kernels": 100, "minibatch_dims": 5, "input_noise": 0.2},
    ),
    "dcgan_28": (
        DCGAN_28,
        {**DCGANS, "channels": (128, 64), "hidden": (1024,), "weight_decay": 2.5e-5, "squash": "sigmoid"},
    ),
    "dcgan_64": (
        DCGAN_64,
        {**DCGANS, "channels": (1024, 512, 256, 128), "hidden": (), "weight_decay": 1e-5, "squash": "tanh"},
    ),
    "infogan_mnist": (
        INFOGAN_MNIST,
        {
            **{"batch_size": 128, "discriminator_rate": 2e-4, "generator_rate": 1e-3, "beta1": 0.5},
            **{"noise_size": 62, "categorical": (10,), "continuous": 2, "information_weight": 1.0},
            **{"channels": (128, 64), "hidden": 1024, "posterior_hidden": 128, "kernel": 4},
            **{"epochs": 50, "batches_per_epoch": 100, "slope": 0.01},
        },
    ),
}


@pytest.mark.parametrize(("config", "published"), RECIPES.values(), ids=RECIPES)
def test_a_recipe_is_the_published_one(config, published):
    found = asdict(config)
    assert {name: found[name] for name in published} == published


def test_rates_fall_as_published():
    falls = [IMPROVED_GAN_CIFAR10.rate_factor(e) for e in (0, 799, 900, 1199)]
    assert falls == pytest.approx([1, 1, 0.75, 0.0025])


def test_the_classifier_drops_half_of_its_maps_and_its_first_weights_are_the_published_ones():
    model: Any = ImprovedGAN(IMPROVED_GAN_CIFAR10)
    dropouts = [m.p for m in model.discriminator.modules() if type(m).__name__.endswith("Dropout")]
    assert dropouts == [0.2, 0.5, 0.5]
    weights = [p for name, p in model.generator.named_parameters() if p.dim() == 4]
    assert all(p.std().item() == pytest.approx(0.05, rel=0.1) for p in weights[:-1])
