"""PixelCNN: the distribution of each pixel by convolutions that see earlier ones alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from rlgen.generative.gated_pixelcnn import GatedNetwork
from rlgen.generative.masked_convolution import ConvolutionWalk, MaskedConv2d, causal_mask
from rlgen.generative.pixel_model import PixelConfig, PixelModel
from rlgen.generative.pixel_network import PixelLayer, StackedNetwork, Walk


@dataclass(frozen=True)
class PixelCNNConfig(PixelConfig):
    """Settings of PixelCNN; those for data sets stand below."""

    layer: Literal["residual", "gated"] = "residual"
    """The first paper's residual blocks, or the second's two stacks with gates, which have no blind spot."""
    kernel: int = 3
    """Width of the convolutions in layers, odd."""
    width: int = 32
    """Maps h inside a residual block, with 2 h between blocks; in gated layers h between them."""


class ResidualBlock(PixelLayer):
    """x + K_1x1 relu(K_3x3 relu(K_1x1 relu(x))): 2 h maps to h, h, and 2 h.

    Args:
        width: h.
        kernel: Width of the middle convolution, odd.
        groups: Of channels.
        generator: Draws the first weights.

    References:
        van den Oord et al. 2016 (arXiv 1601.06759), figure 5, left.
    """

    def __init__(self, width: int, kernel: int, groups: int, generator: torch.Generator) -> None:
        super().__init__()
        masks = [
            causal_mask(width, 2 * width, (1, 1), groups=groups),
            causal_mask(width, width, (kernel, kernel), groups=groups),
            causal_mask(2 * width, width, (1, 1), groups=groups),
        ]
        self.down, self.middle = (MaskedConv2d(mask, generator=generator) for mask in masks[:2])
        self.up = MaskedConv2d(masks[2], gain=0.5, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2 h, H, W) -> (B, 2 h, H, W)."""
        return x + self.up(F.relu_(self.middle(F.relu_(self.down(F.relu(x))))))

    def walk(self, n: int, width: int) -> Walk:
        """See the base class."""
        return _BlockWalk(self, n, width)


class _BlockWalk(Walk):
    def __init__(self, block: ResidualBlock, n: int, width: int) -> None:
        parts = (block.down, block.middle, block.up)
        self.down, self.middle, self.up = (ConvolutionWalk(part, n, width) for part in parts)

    def begin_row(self) -> None:
        self.middle.begin_row()

    def step(self, x: Tensor, j: int) -> Tensor:
        h = self.middle.step(self.down.step(x.relu(), j).relu_(), j).relu_()
        return self.up.step(h, j).add_(x)


class PixelCNN(PixelModel):
    """PixelCNN of van den Oord et al., plain or gated.

    A convolution of the image that does not see the pixel itself, layers, and two 1x1 convolutions. With a
    probability for every level, maps are in three groups, so that green sees red, and blue sees both; with
    `components`, pixels are from a mixture of logistics as in PixelCNN++. The plain form cannot see a wedge
    to the upper right of a pixel, where its kernels do not reach.

    Unlike the papers', the presets train with Adam, a rate that falls to zero and averaged parameters
    (there: RMSProp at a rate tuned by hand).

    Args:
        config: Settings.
        seed: Of the first parameters.

    Raises:
        ValueError: An unknown kind of layer, even kernels, or fewer maps than colours.

    References:
        van den Oord et al. 2016 (arXiv 1601.06759), section 3.5; van den Oord et al. 2016 (arXiv 1606.05328),
        the gated form; Salimans et al. 2017 (arXiv 1701.05517), the mixture.
    """

    config: PixelCNNConfig

    def __init__(self, config: PixelCNNConfig | None = None, *, seed: int = 0) -> None:
        config = config or PIXELCNN_MNIST
        super().__init__(config)
        generator = torch.Generator().manual_seed(seed)
        options = {"head": config.head, "generator": generator}
        if config.layer == "residual":
            blocks = [
                ResidualBlock(config.width, config.kernel, self.pixels.groups, generator)
                for _ in range(config.depth)
            ]
            self.network = StackedNetwork(
                blocks, self.pixels, width=2 * config.width, kernel=config.first_kernel, **options
            )
        elif config.layer == "gated":
            kernels = (config.first_kernel, config.kernel)
            self.network = GatedNetwork(
                self.pixels, depth=config.depth, width=config.width, kernels=kernels, **options
            )
        else:
            raise ValueError(f"layer is {config.layer!r}: choose residual or gated")


PIXELCNN_MNIST = PixelCNNConfig(learning_rate=2e-3, epochs=60, constant_epochs=20, average_decay=0.999)
"""Binary images of 28 x 28; 81.30 nats on static MNIST in the paper, which leaves the sizes out."""

PIXELCNN_MNIST_SMALL = replace(
    PIXELCNN_MNIST,
    first_kernel=27,
    kernel=5,
    width=24,
    depth=4,
    learning_rate=5e-3,
    epochs=14,
    constant_epochs=4,
    gradient_norm=1.0,
)
"""The same for a CPU core and an hour and a half. The first kernel reaches 13 rows up: with little depth that
is the cheapest way to see far (1,200 steps of 7 layers lead to 94.7 nats with a kernel of 7, to 90.9 with
27)."""

PIXELCNN_MNIST_WIDE = replace(
    PIXELCNN_MNIST_SMALL, width=48, depth=6, learning_rate=2e-3, epochs=60, constant_epochs=20
)
"""The same for a GPU: 600 steps lead to 91.1 nats, those of the small one to 93.5."""

GATED_PIXELCNN_MNIST = replace(PIXELCNN_MNIST, layer="gated")
"""The same with gated layers, at nearly twice the cost of a step."""

PIXELCNN_CIFAR10 = PixelCNNConfig(
    image_shape=(3, 32, 32),
    levels=256,
    layer="gated",
    components=10,
    width=128,
    depth=15,
    head=256,
    batch_size=64,
    learning_rate=4e-4,
    epochs=150,
    constant_epochs=75,
    average_decay=0.9995,
)
"""Colour images of 32 x 32, a mixture of logistics a pixel: for a GPU."""

PIXELCNN_CIFAR10_SMALL = replace(
    PIXELCNN_CIFAR10,
    width=24,
    depth=6,
    head=48,
    batch_size=16,
    learning_rate=2e-3,
    epochs=20,
    constant_epochs=10,
)
"""For two cores and a part of the data."""
