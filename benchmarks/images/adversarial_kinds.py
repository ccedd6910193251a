"""The adversarial models: of each its presets, its settings, and its task."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.images.codes import CodesTask
from benchmarks.images.dataset import ImageData
from benchmarks.images.kinds import Kind, trained_by
from benchmarks.images.quality import QualityTask
from benchmarks.images.semi_supervised import SemiSupervisedTask
from rlgen.generative.dcgan import DCGAN, DCGAN_28, DCGAN_32, DCGANConfig
from rlgen.generative.improved_gan import (
    IMPROVED_GAN_CIFAR10,
    IMPROVED_GAN_MNIST,
    IMPROVED_GAN_SVHN,
    ImprovedGAN,
    ImprovedGANConfig,
)
from rlgen.generative.infogan import InfoGAN, InfoGANConfig


def _dcgan(data: ImageData) -> tuple[str, DCGANConfig]:
    side = data.shape[1]
    name, config = (
        ("DCGAN_28", DCGAN_28)
        if side <= 28
        else ("DCGAN_32", DCGAN_32)
        if side <= 32
        else ("DCGANConfig", DCGANConfig())
    )
    return name, replace(config, image_shape=data.shape)


def _improved_gan(data: ImageData) -> tuple[str, ImprovedGANConfig]:
    dense = data.shape[0] == 1 or data.shape[1] < 9
    name, config = (
        ("IMPROVED_GAN_SVHN", IMPROVED_GAN_SVHN)
        if data.name == "svhn"
        else ("IMPROVED_GAN_MNIST", IMPROVED_GAN_MNIST)
        if dense
        else ("IMPROVED_GAN_CIFAR10", IMPROVED_GAN_CIFAR10)
    )
    return name, replace(config, image_shape=data.shape, n_classes=len(data.classes))


def _infogan(data: ImageData) -> tuple[str, InfoGANConfig]:
    return "InfoGANConfig", replace(InfoGANConfig(), image_shape=data.shape)


ADVERSARIAL: dict[str, Kind] = {
    "dcgan": Kind(DCGANConfig, _dcgan, trained_by(DCGAN, QualityTask)),
    "improved_gan": Kind(ImprovedGANConfig, _improved_gan, trained_by(ImprovedGAN, SemiSupervisedTask)),
    "infogan": Kind(InfoGANConfig, _infogan, trained_by(InfoGAN, CodesTask)),
}
