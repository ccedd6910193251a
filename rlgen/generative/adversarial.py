"""What the adversarial image models share: their settings, codes to images, and a step of training.

    model = DCGAN(config, seed=0).to(device)
    optimizers = make_optimizers(model)
    model.initialise(images, generator)                       # once, from data
    for epoch in range(config.epochs):
        set_learning_rates(optimizers, config, epoch)
        for batch in batches:
            descend(model.discriminator_loss(batch, generator), optimizers.discriminator)
            for _ in range(config.generator_steps):
                descend(model.generator_loss(batch, generator), optimizers.generator)
            model.update_averages()

Losses change nothing but the state of the `torch.Generator` that is passed. It may live on the CPU (the same
noise on every device) or on the model's device (faster).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rlgen.generative.noise import uniform
from rlgen.generative.settings import ImageConfig
from rlgen.generative.weight_norm import initialise_from_data

SAMPLE_ROWS = 512
"""Images that `sample` and `generate` make at a time."""


@dataclass(frozen=True)
class AdversarialConfig(ImageConfig):
    """Settings that every model has; the models' own configs add theirs and set the published values."""

    image_shape: tuple[int, int, int] = (3, 64, 64)
    """(C, H, W)."""
    noise_size: int = 100
    """Uniform random numbers in a code."""
    pixel_offset: float = 127.5
    """The byte that becomes 0."""
    pixel_scale: float = 127.5
    """Bytes to a unit: images are (bytes - offset) / scale."""
    discriminator_rate: float = 2e-4
    """Adam's step size of the discriminator."""
    generator_rate: float = 2e-4
    """Adam's step size of the generator."""
    generator_steps: int = 1
    """Steps of the generator for each of the discriminator."""
    beta1: float = 0.5
    """Adam's decay of the gradient's mean."""
    beta2: float = 0.999
    """Adam's decay of the gradient's mean square."""
    adam_eps: float = 1e-8
    """Added to the root of the mean square."""
    weight_decay: float = 0.0
    """L2 penalty's gradient, added to the loss's: weight_decay times the parameter."""

    @property
    def code_size(self) -> int:
        """Size Z of a code."""
        return self.noise_size

    def from_bytes(self, images: Tensor) -> Tensor:
        """uint8 (..., C, H, W) -> float32 in the model's range."""
        return (images.float() - self.pixel_offset) / self.pixel_scale

    def to_bytes(self, images: Tensor) -> Tensor:
        """The inverse, rounded and cut to [0, 255]."""
        return (images * self.pixel_scale + self.pixel_offset).round_().clamp_(0, 255).to(torch.uint8)


def check_range(config: AdversarialConfig, squash: str) -> None:
    """Refuse pixels in a range that a generator ending in `squash`, tanh or sigmoid, cannot fill.

    Raises:
        ValueError: It cannot.
    """
    if config.pixel_scale <= 0:
        raise ValueError(f"pixel_scale is {config.pixel_scale}: give what pixels are divided by, above 0")
    black, white = -config.pixel_offset / config.pixel_scale, (255 - config.pixel_offset) / config.pixel_scale
    low, offset, scale = (-1, 127.5, 127.5) if squash == "tanh" else (0, 0, 255)
    if abs(black - low) > 0.01 or abs(white - 1) > 0.01:
        raise ValueError(
            f"pixels are from {black:.3g} to {white:.3g}, but the generator's {squash} gives {low} to 1: set "
            f"pixel_offset:{offset} pixel_scale:{scale}"
        )


class Batch(NamedTuple):
    """Data of one step, in the model's range."""

    images: Tensor
    """(B, C, H, W), without labels."""
    labelled: Tensor | None = None
    """(B', C, H, W), for semi-supervised models."""
    labels: Tensor | None = None
    """(B',) their classes, int64."""


class AdversarialModel(nn.Module):
    """A generator and a discriminator. Subclasses set `generator`, `discriminator`, and the losses.

    The generator is called with codes (B, Z) and the number of reference codes among them, the discriminator
    with images and a `torch.Generator` for its noise.

    Args:
        config: Settings.
    """

    generator: nn.Module
    discriminator: nn.Module
    reference: Tensor
    virtual = False
    """Whether the generator needs the reference batch in training as well."""

    def __init__(self, config: AdversarialConfig) -> None:
        super().__init__()
        self.config = config

    def _finish(self, generator: torch.Generator) -> None:
        """Draw the reference codes, and lay the weights out as convolutions like them best."""
        self.register_buffer("reference", self.draw_codes(self.config.batch_size, generator))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def device(self) -> torch.device:
        """Where the parameters live."""
        return next(self.generator.parameters()).device

    def check(self, images: Tensor) -> Tensor:
        """The images (B, C, H, W), if they fit the model.

        Raises:
            ValueError: They do not.
        """
        if tuple(images.shape[1:]) != tuple(self.config.image_shape) or not images.is_floating_point():
            raise ValueError(
                f"images are {images.dtype} of shape {tuple(images.shape)}, the model's are floats of shape "
                f"(B, {', '.join(map(str, self.config.image_shape))}): set image_shape, and apply from_bytes"
            )
        return images

    def draw_codes(self, n: int, generator: torch.Generator) -> Tensor:
        """n codes (n, Z) from the prior, here U(-1, 1)."""
        return uniform(n, self.config.code_size, generator=generator, low=-1.0, device=self.device)

    def render(self, z: Tensor) -> Tensor:
        """Codes (B, Z) -> images (B, C, H, W) as in training.

        By the statistics of the batch itself, or under virtual batch normalisation of the reference codes.
        """
        if not self.virtual:
            return self.generator(z)
        return self.generator(torch.cat([self.reference, z]), len(self.reference))

    @torch.no_grad()
    def fakes(self, n: int, generator: torch.Generator) -> Tensor:
        """n images for the discriminator's loss, without a graph."""
        return self.render(self.draw_codes(n, generator))

    @torch.no_grad()
    def generate(self, z: Tensor) -> Tensor:
        """Images (B, C, H, W) of codes (B, Z), each a function of its own code alone.

        Statistics are those of a reference batch of codes, drawn when the model was made, as large as a
        batch in training.
        """
        n = len(self.reference)
        parts = [self.generator(torch.cat([self.reference, part]), n) for part in z.split(SAMPLE_ROWS)]
        return torch.cat(parts)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n images (n, C, H, W) in the model's range."""
        return self.generate(self.draw_codes(n, generator))

    def initialise(self, images: Tensor, generator: torch.Generator) -> None:
        """Let layers that take their first scales from data do so: once, before training.

        Args:
            images: (B, C, H, W) of the training data, 500 in Improved GAN.
            generator: Draws codes and noise.

        Raises:
            ValueError: Images of another shape than the model's.
        """
        self.check(images)
        codes = self.draw_codes(self.config.batch_size, generator)
        initialise_from_data(self.generator, lambda: self.render(codes))
        initialise_from_data(self.discriminator, lambda: self.discriminator(images, generator))

    def discriminator_loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """What the discriminator minimises, a scalar; it depends on the generator's parameters no more."""
        raise NotImplementedError

    def generator_loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """What the generator minimises, a scalar; take its gradient by the generator's parameters alone."""
        raise NotImplementedError

    def measure(self, batch: Batch, generator: torch.Generator) -> dict[str, float]:
        """Both losses and the figures that explain them, on a batch, without a trace in the model."""
        raise NotImplementedError

    def update_averages(self) -> None:
        """Take the parameters into running averages, if the model keeps any: after each round of steps."""


class Optimizers(NamedTuple):
    """One for each player."""

    discriminator: torch.optim.Optimizer
    generator: torch.optim.Optimizer


def make_optimizers(model: AdversarialModel) -> Optimizers:
    """Adam for both players, as the config has it; call it when the model is on its device."""
    config = model.config
    options = {
        "betas": (config.beta1, config.beta2),
        "eps": config.adam_eps,
        "weight_decay": config.weight_decay,
        "fused": True,
        "capturable": model.device.type == "cuda",  # as part of a CUDA graph, too
    }
    return Optimizers(
        torch.optim.Adam(model.discriminator.parameters(), lr=config.discriminator_rate, **options),
        torch.optim.Adam(model.generator.parameters(), lr=config.generator_rate, **options),
    )


def set_learning_rates(optimizers: Optimizers, config: AdversarialConfig, epoch: int) -> None:
    """Put the rates of an epoch, counted from 0, in place."""
    rates = (config.discriminator_rate, config.generator_rate)
    for optimizer, rate in zip(optimizers, rates, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate * config.rate_factor(epoch)


def descend(loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
    """One step of a player down its loss; no gradient is computed by the other's parameters."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    optimizer.zero_grad()
    loss.backward(inputs=parameters)
    optimizer.step()
