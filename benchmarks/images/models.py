"""The models that the command trains: of each its presets, its settings, and its task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.images import plan as plans
from benchmarks.images.adversarial import AdversarialTask
from benchmarks.images.codes import CodesTask
from benchmarks.images.dataset import ImageData
from benchmarks.images.plan import Plan
from benchmarks.images.quality import QualityTask
from benchmarks.images.semi_supervised import SemiSupervisedTask
from benchmarks.images.task import Task
from rlgen.generative.dcgan import DCGAN, DCGAN_28, DCGAN_32, DCGANConfig
from rlgen.generative.improved_gan import (
    IMPROVED_GAN_CIFAR10,
    IMPROVED_GAN_MNIST,
    IMPROVED_GAN_SVHN,
    ImprovedGAN,
    ImprovedGANConfig,
)
from rlgen.generative.infogan import InfoGAN, InfoGANConfig


@dataclass(frozen=True)
class Kind:
    """What the command has to know of a model."""

    config: type
    """Dataclass of its settings; it has image_shape, epochs, constant_epochs and batch_size."""
    preset: Callable[[ImageData], tuple[str, Any]]
    """Name and settings of the published recipe for a data set, or of the nearest."""
    build: Callable[[Any, ImageData, Plan], Task]
    """Settings, data and plan -> what is trained, on the plan's device."""


def build(plan: Plan, data: ImageData) -> Task:
    """The task of a plan, not begun.

    Raises:
        ValueError: Settings that do not fit the data.
    """
    kind = KINDS[plan["model"]]
    return kind.build(plans.config_of(kind.config, plan), data, plan)


def _adversarial(model: type, task: type[AdversarialTask]) -> Callable[[Any, ImageData, Plan], Task]:
    def make(config: Any, data: ImageData, plan: Plan) -> Task:
        return task(model(config, seed=plan["seed"]).to(plan["device"]), data, plan)

    return make


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


KINDS: dict[str, Kind] = {
    "dcgan": Kind(DCGANConfig, _dcgan, _adversarial(DCGAN, QualityTask)),
    "improved_gan": Kind(ImprovedGANConfig, _improved_gan, _adversarial(ImprovedGAN, SemiSupervisedTask)),
    "infogan": Kind(InfoGANConfig, _infogan, _adversarial(InfoGAN, CodesTask)),
}
