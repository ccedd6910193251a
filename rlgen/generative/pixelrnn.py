"""PixelRNN: the distribution of each pixel by LSTMs that run over the image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch

from rlgen.generative.diagonal_lstm import DiagonalLSTM
from rlgen.generative.pixel_model import PixelConfig, PixelModel
from rlgen.generative.pixel_network import StackedNetwork
from rlgen.generative.row_lstm import RowLSTM

LAYERS = {"row": RowLSTM, "diagonal": DiagonalLSTM}


@dataclass(frozen=True)
class PixelRNNConfig(PixelConfig):
    """Settings of PixelRNN; those for data sets stand below."""

    layer: Literal["row", "diagonal"] = "diagonal"
    """Row LSTM, which sees a triangle above a pixel, or Diagonal BiLSTM, which sees all that came before."""


class PixelRNN(PixelModel):
    """PixelRNN of van den Oord et al.

    A convolution of the image that does not see the pixel itself, residual layers of LSTMs, and two 1x1
    convolutions.

    Unlike the paper's, the presets train with Adam, a rate that falls to zero, averaged parameters and
    gradients of one length, as nearly all are longer than `gradient_norm` (there: RMSProp at a rate tuned by
    hand).

    Args:
        config: Settings.
        seed: Of the first parameters.

    Raises:
        ValueError: An unknown kind of layer, an even kernel, or fewer maps than colours.

    References:
        van den Oord et al. 2016 (arXiv 1601.06759), sections 3.1 to 3.4.
    """

    config: PixelRNNConfig

    def __init__(self, config: PixelRNNConfig | None = None, *, seed: int = 0) -> None:
        config = config or DIAGONAL_BILSTM_MNIST
        super().__init__(config)
        generator = torch.Generator().manual_seed(seed)
        if config.layer not in LAYERS:
            raise ValueError(f"layer is {config.layer!r}: choose one of {', '.join(LAYERS)}")
        make = LAYERS[config.layer]
        layers = [make(config.width, self.pixels.groups, generator) for _ in range(config.depth)]
        self.network = StackedNetwork(
            layers,
            self.pixels,
            width=2 * config.width,
            kernel=config.first_kernel,
            head=config.head,
            generator=generator,
        )


DIAGONAL_BILSTM_MNIST = PixelRNNConfig(
    depth=1, learning_rate=3e-3, epochs=24, constant_epochs=6, gradient_norm=5.0, average_decay=0.999
)
"""Binary images of 28 x 28; 1 layer of 32 maps, 80.75 nats on static MNIST in the paper. For a CPU core."""

DIAGONAL_BILSTM_MNIST_DEEP = replace(DIAGONAL_BILSTM_MNIST, depth=7, width=16, epochs=60, constant_epochs=20)
"""The paper's best, 7 layers of 16 maps: 79.20 nats. A step takes three times as long."""

ROW_LSTM_MNIST = replace(DIAGONAL_BILSTM_MNIST, layer="row")
"""The same with Row LSTMs."""

DIAGONAL_BILSTM_CIFAR10 = replace(
    DIAGONAL_BILSTM_MNIST,
    image_shape=(3, 32, 32),
    levels=256,
    width=128,
    depth=12,
    head=1024,
    learning_rate=1e-3,
    epochs=60,
    constant_epochs=20,
)
"""Colour images of 32 x 32, a probability of each level: 3.00 bits for each value in the paper. For a GPU."""

DIAGONAL_BILSTM_CIFAR10_SMALL = replace(
    DIAGONAL_BILSTM_CIFAR10,
    components=10,
    width=24,
    depth=2,
    head=48,
    learning_rate=2e-3,
    epochs=20,
    constant_epochs=10,
)
"""For two cores and a part of the data; a mixture of logistics a pixel."""
