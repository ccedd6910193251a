"""What PixelCNN and PixelRNN share: a distribution of each pixel given those before it.

log p(x) = sum_i log p(x_i | x_1 ... x_{i-1}),      rows from above, each from the left
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rlgen.generative.likelihood_model import LikelihoodConfig, LikelihoodModel
from rlgen.generative.pixel_network import PixelNetwork
from rlgen.generative.pixel_sampling import Given, draw_uniforms, sample_cached
from rlgen.generative.pixels import make_pixels


@dataclass(frozen=True)
class PixelConfig(LikelihoodConfig):
    """Settings of both; their own configs add theirs."""

    batch_size: int = 16
    components: int = 0
    """Logistics in the mixture that a pixel is from; 0 for a probability of every level."""
    first_kernel: int = 7
    """Width of the convolution that sees the image, odd."""
    width: int = 32
    """Maps h of a layer's inside; between layers there are 2 h."""
    depth: int = 7
    """Layers."""
    head: int = 32
    """Maps between the two 1x1 convolutions at the end."""


class PixelModel(LikelihoodModel):
    """A model of images pixel by pixel. Subclasses set `network`.

    Args:
        config: Settings.

    Raises:
        ValueError: An even kernel, or fewer than no components.
    """

    exact = True
    config: PixelConfig
    network: PixelNetwork

    def __init__(self, config: PixelConfig) -> None:
        super().__init__(config)
        for name in ("first_kernel", "kernel"):
            if getattr(config, name, 1) % 2 == 0:
                raise ValueError(f"{name} is {getattr(config, name)}: choose an odd one, which has a middle")
        self.pixels = make_pixels(config.image_shape[0], config.levels, config.components)

    def outputs(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W), levels -> what the network says of every pixel (B, J, H, W)."""
        return self.network(self.centred(self.check(x)).contiguous(memory_format=torch.channels_last))

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) (B,) in nats of images (B, C, H, W), levels."""
        return self.pixels.log_prob(x, self.outputs(x))

    def loss(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Mean of -log p(x) in nats an image; nothing is drawn."""
        return -self.log_prob(x).mean()

    @torch.no_grad()
    def log_likelihood(self, x: Tensor, generator: torch.Generator, n_samples: int = 1) -> Tensor:
        """log p(x) (B,) in nats, exact; nothing is drawn."""
        return self.log_prob(x)

    def sample(self, n: int, generator: torch.Generator, given: Given | None = None) -> Tensor:
        """n images (n, C, H, W), levels, drawn with the cache.

        Args:
            n: Images.
            generator: Draws them.
            given: Pixels that stay as they are. They steer those behind them in the order alone.
        """
        return sample_cached(self, draw_uniforms(self, n, generator), given)
