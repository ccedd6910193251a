"""Improved GAN: semi-supervised classification by a discriminator that knows the classes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlgen.generative.adversarial import AdversarialConfig, AdversarialModel, Batch, check_range
from rlgen.generative.averages import ParameterAverage
from rlgen.generative.classifiers import ConvClassifier, DenseClassifier, NoisyClassifier
from rlgen.generative.gan import discriminator_loss, feature_matching, minimax_loss, semi_supervised_loss
from rlgen.generative.networks import DenseGenerator, ImageGenerator, normal
from rlgen.generative.noise import uniform
from rlgen.generative.normalization import BatchNorm
from rlgen.generative.weight_norm import WeightNormConvTranspose2d

OBJECTIVES = ("l1", "l2", "minimax")


@dataclass(frozen=True)
class ImprovedGANConfig(AdversarialConfig):
    """The published recipe for MNIST; `IMPROVED_GAN_CIFAR10` and others stand below."""

    image_shape: tuple[int, int, int] = (1, 28, 28)
    pixel_offset: float = 0.0
    pixel_scale: float = 255.0
    batch_size: int = 100
    epochs: int = 300
    constant_epochs: int = 300
    discriminator_rate: float = 0.003
    generator_rate: float = 0.003
    adam_eps: float = 1e-4
    """The published Adam divides by sqrt(v + 1e-8), which is within a factor of sqrt(2) of sqrt(v) + 1e-4."""
    network: Literal["dense", "conv"] = "dense"
    """Kind of both networks."""
    hidden: tuple[int, ...] = (1000, 500, 250, 250, 250)
    """Units of the dense classifier."""
    generator_hidden: tuple[int, ...] = (500, 500)
    """Units of the dense generator."""
    widths: tuple[int, int] = (96, 192)
    """Channels of the convolutional classifier."""
    channels: tuple[int, ...] = (512, 256, 128)
    """Of the convolutional generator's maps, smallest first."""
    n_classes: int = 10
    """K."""
    objective: Literal["l1", "l2", "minimax"] = "l2"
    """The generator's: feature matching by this norm, or the zero-sum game."""
    unlabelled_weight: float = 1.0
    """See `semi_supervised_loss`."""
    input_noise: float = 0.3
    """Standard deviation of Gaussian noise on the classifier's input."""
    hidden_noise: float = 0.5
    """The same on the dense classifier's hidden outputs."""
    input_dropout: float = 0.0
    """Share of the convolutional classifier's input values that become 0."""
    minibatch_kernels: int = 0
    """Kernels of minibatch discrimination in the convolutional classifier; 0 for none."""
    minibatch_dims: int = 5
    """Size of each kernel."""
    average_decay: float = 0.9999
    """Decay of the classifier's averaged parameters, which evaluation uses."""


IMPROVED_GAN_MNIST = ImprovedGANConfig()
"""100 labels: 0.93 +- 0.065 % test error in the paper."""

IMPROVED_GAN_CIFAR10 = ImprovedGANConfig(
    image_shape=(3, 32, 32),
    pixel_offset=127.5,
    pixel_scale=128.0,
    epochs=1200,
    constant_epochs=800,
    discriminator_rate=3e-4,
    generator_rate=3e-4,
    network="conv",
    objective="l1",
    input_noise=0.0,
    input_dropout=0.2,
)
"""4,000 labels: 18.63 +- 2.32 % test error in the paper."""

IMPROVED_GAN_SVHN = replace(
    IMPROVED_GAN_CIFAR10, pixel_scale=127.5, epochs=900, constant_epochs=600, widths=(64, 128)
)
"""1,000 labels: 8.11 +- 1.3 % test error in the paper. The paper gives CIFAR-10's widths, the code these."""

IMPROVED_GAN_CIFAR10_SAMPLES = replace(
    IMPROVED_GAN_CIFAR10,
    generator_steps=3,
    objective="minimax",
    input_noise=0.2,
    input_dropout=0.0,
    minibatch_kernels=100,
)
"""Minibatch discrimination and the zero-sum game: better pictures, a worse classifier."""


class ImprovedGAN(AdversarialModel):
    """Semi-supervised GAN of Salimans et al.

        D: `semi_supervised_loss` of labelled, unlabelled and fake images
        G: `feature_matching` of unlabelled and fake images, or `minimax_loss` of the fakes' "real" logit

    with z ~ U(0, 1)^Z. Noise is active in both; `logits` has none, and averaged parameters. Call
    `initialise` with 500 training images before the first step. What differs from the published code:

    ======================================================  ==============================================
    published code                                          here
    ======================================================  ==============================================
    averages start at 0 and are never divided               divided: sound from the first step on
    averages of the parameters before a step                of those after it
    images to initialise by: CIFAR-10 and SVHN labelled     any, as for MNIST
    1e-6 inside the root of weight normalisation (images)   0
    1e-8 inside the root of Adam                            1e-4 outside it: see `adam_eps`
    Gaussian noise and dropout drawn by image and batch     kept; the three batches pass as one
    samples normalised by the batch that they come in       by a fixed reference batch: see `generate`
    dense generator's last directions uniform               Gaussian of the same variance
    ======================================================  ==============================================

    The paper's generator for CIFAR-10 has virtual batch normalisation, the published scripts' has not.

    Args:
        config: Settings.
        seed: Of the first parameters and the reference codes.

    Raises:
        ValueError: Images or settings that do not suit the network, pixels in another range than its
            generator's; an unknown network or objective.

    References:
        Salimans et al. 2016 (arXiv 1606.03498); github.com/openai/improved-gan.
    """

    config: ImprovedGANConfig
    discriminator: NoisyClassifier

    def __init__(self, config: ImprovedGANConfig | None = None, *, seed: int = 0) -> None:
        config = config or ImprovedGANConfig()
        super().__init__(config)
        generator = torch.Generator().manual_seed(seed)
        if config.network not in NETWORKS:
            raise ValueError(f"network is {config.network!r}: choose one of {', '.join(NETWORKS)}")
        if config.objective not in OBJECTIVES:
            raise ValueError(f"objective is {config.objective!r}: choose one of {', '.join(OBJECTIVES)}")
        make_generator, make_classifier, squash, foreign = NETWORKS[config.network]
        check_range(config, squash)
        for name in foreign:
            value, default = getattr(config, name), getattr(ImprovedGANConfig, name)
            if value not in (default, 0):
                raise ValueError(f"{name} is {value}, but network {config.network!r} has none: leave it out")
        self.generator = make_generator(config, generator)
        self.discriminator = make_classifier(config, generator)
        self.average = ParameterAverage(self.discriminator, config.average_decay)
        self._finish(generator)

    def draw_codes(self, n: int, generator: torch.Generator) -> Tensor:
        """n codes (n, Z) from U(0, 1)."""
        return uniform(n, self.config.code_size, generator=generator, device=self.device)

    def discriminator_loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """See the class.

        Raises:
            ValueError: A batch without labelled images.
        """
        if batch.labels is None:
            raise ValueError("the batch has no labels: pass Batch(images, labelled, labels)")
        labelled, unlabelled, fake = self._judge(batch, generator)
        return semi_supervised_loss(labelled, batch.labels, unlabelled, fake, self.config.unlabelled_weight)

    def _judge(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of labelled, unlabelled and as many fake images, in one pass over the weights."""
        assert batch.labelled is not None
        parts = (
            self.check(batch.labelled),
            self.check(batch.images),
            self.fakes(len(batch.images), generator),
        )
        sizes = [len(part) for part in parts]
        labelled, unlabelled, fake = self.discriminator(torch.cat(parts), generator, sizes).split(sizes)
        return labelled, unlabelled, fake

    def generator_loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """See the class; the paper draws unlabelled images anew, other ones than the discriminator's."""
        fake = self.render(self.draw_codes(len(batch.images), generator))
        if self.config.objective == "minimax":
            return minimax_loss(self.discriminator(fake, generator).logsumexp(1))
        with torch.no_grad():
            real_features = self.discriminator.features(batch.images, generator)
        fake_features = self.discriminator.features(fake, generator)
        return feature_matching(real_features, fake_features, self.config.objective)

    @torch.no_grad()
    def logits(self, images: Tensor, *, averaged: bool = True) -> Tensor:
        """Images (B, C, H, W) -> logits (B, K) without noise, of the averaged parameters or the latest.

        With minibatch discrimination they depend on the whole batch: pass batches of `batch_size`.
        """
        return (self.average.module if averaged else self.discriminator)(self.check(images))

    def update_averages(self) -> None:
        """Take the classifier's parameters into their average."""
        self.average.update(self.discriminator)

    @torch.no_grad()
    def measure(self, batch: Batch, generator: torch.Generator) -> dict[str, float]:
        """Parts of the classifier's loss, the generator's loss, and errors under noise, as shares."""
        labelled, unlabelled, fake = self._judge(batch, generator)
        assert batch.labels is not None
        real, false = unlabelled.logsumexp(1), fake.logsumexp(1)
        return {
            "class_loss": F.cross_entropy(labelled, batch.labels).item(),
            "unlabelled_loss": 0.5 * discriminator_loss(real, false).item(),
            "generator_loss": self.generator_loss(batch, generator).item(),
            "train_error": (labelled.argmax(1) != batch.labels).float().mean().item(),
            "accuracy_real": (real > 0).float().mean().item(),
            "accuracy_fake": (false < 0).float().mean().item(),
        }


def _dense_generator(config: ImprovedGANConfig, generator: torch.Generator) -> nn.Module:
    return DenseGenerator(config.code_size, config.image_shape, config.generator_hidden, generator)


def _conv_generator(config: ImprovedGANConfig, generator: torch.Generator) -> nn.Module:
    fill = normal(0.05, generator)
    options = {"init_std": 0.1, "generator": generator}
    return ImageGenerator(
        config.code_size,
        config.image_shape,
        channels=config.channels,
        kernel=5,
        last=WeightNormConvTranspose2d(config.channels[-1], config.image_shape[0], 5, **options),
        squash=torch.tanh,
        normalise=lambda n: BatchNorm(n, gain=False, eps=1e-6),
        fill=fill,
    )


def _dense_classifier(config: ImprovedGANConfig, generator: torch.Generator) -> NoisyClassifier:
    return DenseClassifier(
        math.prod(config.image_shape),
        config.hidden,
        config.n_classes,
        input_noise=config.input_noise,
        hidden_noise=config.hidden_noise,
        generator=generator,
    )


def _conv_classifier(config: ImprovedGANConfig, generator: torch.Generator) -> NoisyClassifier:
    side = config.image_shape[1]
    if side < 9:
        raise ValueError(f"images of {side} x {side} are too small to convolve: choose network='dense'")
    return ConvClassifier(
        config.image_shape[0],
        config.widths,
        config.n_classes,
        input_noise=config.input_noise,
        input_dropout=config.input_dropout,
        minibatch_kernels=config.minibatch_kernels,
        minibatch_dims=config.minibatch_dims,
        generator=generator,
    )


NETWORKS = {
    "dense": (
        *(_dense_generator, _dense_classifier, "sigmoid"),
        ("channels", "widths", "input_dropout", "minibatch_kernels", "minibatch_dims"),
    ),
    "conv": (
        *(_conv_generator, _conv_classifier, "tanh"),
        ("hidden", "generator_hidden", "hidden_noise"),
    ),
}
"""What makes the generator and the classifier of each kind, what ends the generator, the other's settings."""
