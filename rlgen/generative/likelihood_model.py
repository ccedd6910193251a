"""What the image models with a likelihood share: their settings, levels of grey, and a step of training.

    model = PixelCNN(config, seed=0).to(device)
    optimizer = make_optimizer(model)
    model.initialise(x, generator)                            # once, from data
    for epoch in range(config.epochs):
        set_learning_rate(optimizer, config, epoch)
        for x in batches:
            descend(model.loss(x, generator), optimizer, config.gradient_norm)
            average.update(model)                             # a ParameterAverage, if there is a decay

Images are levels: uint8 (B, C, H, W) from 0 to levels - 1, so that their probabilities are those of a
discrete distribution. Losses change nothing but the state of the `torch.Generator` that is passed, which may
live on the CPU (the same noise on every device) or on the model's device (faster).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rlgen.generative.noise import uniform
from rlgen.generative.settings import ImageConfig
from rlgen.generative.weight_norm import initialise_from_data

OPTIMIZERS = {"adam": torch.optim.Adam, "adamax": torch.optim.Adamax}


@dataclass(frozen=True)
class LikelihoodConfig(ImageConfig):
    """Settings that every model has; the models' own configs add theirs and set the published values."""

    levels: int = 2
    """Values that a channel of a pixel can have: 2 for binary images, 256 for bytes."""
    optimizer: str = "adam"
    """adam or adamax."""
    learning_rate: float = 1e-3
    """The optimizer's step size."""
    gradient_norm: float = 0.0
    """Longest gradient of all parameters together; longer ones are shortened; 0 for any length."""
    average_decay: float = 0.0
    """Decay of the averages of the parameters that are evaluated; 0 to evaluate the parameters themselves."""

    def from_bytes(self, images: Tensor) -> Tensor:
        """uint8 (..., C, H, W) from 0 to 255 -> level floor(b L / 256): L bins of equal width."""
        return images if self.levels == 256 else (images.int() * self.levels // 256).to(torch.uint8)

    def to_bytes(self, x: Tensor) -> Tensor:
        """Levels -> uint8, the lowest 0 and the highest 255."""
        return x if self.levels == 256 else (x.int() * 255 // (self.levels - 1)).to(torch.uint8)


def binarize(images: Tensor, generator: torch.Generator) -> Tensor:
    """Bytes (..., C, H, W) -> levels 0 and 1, 1 with the brightness as probability (dynamic MNIST)."""
    u = uniform(*images.shape, generator=generator, device=images.device)
    return (images.float() / 255 > u).to(torch.uint8)


class LikelihoodModel(nn.Module):
    """A model of p(x). Subclasses set `loss`, `sample`, and `log_prob` or what bounds it.

    Args:
        config: Settings.

    Raises:
        ValueError: Levels other than 2 to 256, an unknown optimizer, or a decay of averages from 1 on.
    """

    exact = False
    """Whether `log_likelihood` is exact; if not, it is an estimate that is low on average."""

    def __init__(self, config: LikelihoodConfig) -> None:
        super().__init__()
        if not 2 <= config.levels <= 256:
            raise ValueError(f"levels is {config.levels}: choose 2 for binary images, up to 256 for bytes")
        if config.optimizer not in OPTIMIZERS:
            raise ValueError(
                f"optimizer is {config.optimizer!r}: choose one of {', '.join(sorted(OPTIMIZERS))}"
            )
        if not 0 <= config.average_decay < 1:
            raise ValueError(
                f"average_decay is {config.average_decay}: choose one below 1, or 0 for no averages"
            )
        self.config = config

    @property
    def device(self) -> torch.device:
        """Where the parameters live."""
        return next(self.parameters()).device

    def check(self, x: Tensor) -> Tensor:
        """The images (B, C, H, W), if they fit the model.

        Raises:
            ValueError: They do not. Levels that there are not are told on the CPU alone: on a GPU apply
                `from_bytes` without being asked to.
        """
        shape, levels = tuple(self.config.image_shape), self.config.levels
        if tuple(x.shape[1:]) != shape or x.dtype != torch.uint8:
            raise ValueError(
                f"images are {x.dtype} of shape {tuple(x.shape)}, the model's are uint8 of shape "
                f"(B, {', '.join(map(str, shape))}) from 0 to {levels - 1}: set image_shape, and apply "
                "from_bytes"
            )
        if not x.is_cuda and len(x) and int(x.max()) >= levels:  # a GPU would wait for the answer
            raise ValueError(f"images go up to {int(x.max())}, the model's to {levels - 1}: apply from_bytes")
        return x

    def centred(self, x: Tensor) -> Tensor:
        """Levels -> float32 from -1 to 1, for networks."""
        return x.float() * (2 / (self.config.levels - 1)) - 1

    def initialise(self, x: Tensor, generator: torch.Generator) -> None:
        """Let layers that take their first scales from data do so: once, before training.

        Args:
            x: Training images (B, C, H, W), levels.
            generator: Draws noise.
        """
        initialise_from_data(self, lambda: self.loss(x, generator))

    def loss(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """What training minimises, a scalar in nats an image."""
        raise NotImplementedError

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n images (n, C, H, W), levels."""
        raise NotImplementedError

    def log_likelihood(self, x: Tensor, generator: torch.Generator, n_samples: int = 1) -> Tensor:
        """log p(x) (B,) in nats, exact, or estimated from `n_samples` draws: see `exact`."""
        raise NotImplementedError


def make_optimizer(model: LikelihoodModel) -> torch.optim.Optimizer:
    """As the config has it; call it when the model is on its device."""
    config = model.config
    kind, rate = OPTIMIZERS[config.optimizer], config.learning_rate
    capturable = model.device.type == "cuda"  # as part of a CUDA graph, too
    if kind is torch.optim.Adamax:
        return torch.optim.Adamax(model.parameters(), rate, capturable=capturable)
    return torch.optim.Adam(model.parameters(), rate, fused=True, capturable=capturable)


def set_learning_rate(optimizer: torch.optim.Optimizer, config: LikelihoodConfig, epoch: int) -> None:
    """Put the rate of an epoch, counted from 0, in place."""
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate * config.rate_factor(epoch)


def descend(loss: Tensor, optimizer: torch.optim.Optimizer, gradient_norm: float = 0.0) -> None:
    """One step down the loss, its gradient shortened to `gradient_norm` if that is above 0."""
    optimizer.zero_grad()
    loss.backward()
    if gradient_norm:
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        nn.utils.clip_grad_norm_(parameters, gradient_norm)
    optimizer.step()
