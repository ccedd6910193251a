"""The adversarial models: of each its presets, its settings, and its task."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.images.codes import CodesTask
from benchmarks.images.data.dataset import ImageData
from benchmarks.images.kinds import Kind, trained_by
from benchmarks.images.quality import QualityTask
from benchmarks.images.semi_supervised import SemiSupervisedTask
from rlgen.generative.adversarial import AdversarialConfig
from rlgen.generative.dcgan import DCGAN, DCGAN_28, DCGAN_32, DCGAN_64, DCGANConfig
from rlgen.generative.improved_gan import (
    IMPROVED_GAN_CIFAR10,
    IMPROVED_GAN_CIFAR10_SAMPLES,
    IMPROVED_GAN_MNIST,
    IMPROVED_GAN_SVHN,
    ImprovedGAN,
    ImprovedGANConfig,
)
from rlgen.generative.infogan import INFOGAN_MNIST, InfoGAN, InfoGANConfig


def _dcgan(data: ImageData) -> str:
    side = data.shape[1]
    return "DCGAN_28" if side <= 28 else "DCGAN_32" if side <= 32 else "DCGAN_64"


def _improved_gan(data: ImageData) -> str:
    if data.name == "svhn":
        return "IMPROVED_GAN_SVHN"
    dense = data.shape[0] == 1 or data.shape[1] < 9
    return "IMPROVED_GAN_MNIST" if dense else "IMPROVED_GAN_CIFAR10"


def fit(config: AdversarialConfig, data: ImageData) -> AdversarialConfig:
    """Settings for the size of the data's images, and for its classes where the model has some."""
    classes = {"n_classes": len(data.classes)} if isinstance(config, ImprovedGANConfig) else {}
    return replace(config, image_shape=data.shape, **classes)


DCGANS = {"DCGAN_28": DCGAN_28, "DCGAN_32": DCGAN_32, "DCGAN_64": DCGAN_64}
IMPROVED_GANS = {
    "IMPROVED_GAN_MNIST": IMPROVED_GAN_MNIST,
    "IMPROVED_GAN_CIFAR10": IMPROVED_GAN_CIFAR10,
    "IMPROVED_GAN_CIFAR10_SAMPLES": IMPROVED_GAN_CIFAR10_SAMPLES,
    "IMPROVED_GAN_SVHN": IMPROVED_GAN_SVHN,
}
INFOGANS = {"INFOGAN_MNIST": INFOGAN_MNIST}

ADVERSARIAL: dict[str, Kind] = {
    "dcgan": Kind(DCGANConfig, DCGANS, _dcgan, fit, trained_by(DCGAN, QualityTask)),
    "improved_gan": Kind(
        ImprovedGANConfig, IMPROVED_GANS, _improved_gan, fit, trained_by(ImprovedGAN, SemiSupervisedTask)
    ),
    "infogan": Kind(
        InfoGANConfig, INFOGANS, lambda data: "INFOGAN_MNIST", fit, trained_by(InfoGAN, CodesTask)
    ),
}
