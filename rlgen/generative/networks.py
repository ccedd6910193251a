"""Layers of image models with their first weights, and the networks that adversarial ones have in common."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlgen.generative.normalization import BatchNorm
from rlgen.generative.weight_norm import WeightNormLinear

Fill = Callable[[Tensor], object]
"""Fills a weight with its first values, in place."""

Normalise = Callable[[int], BatchNorm]
"""Makes the normalisation of so many features."""


def normal(std: float, generator: torch.Generator, *, cut: float | None = None) -> Fill:
    """First weights from N(0, std^2), drawn again beyond `cut` standard deviations."""
    if cut is None:
        return lambda weight: nn.init.normal_(weight, 0.0, std, generator=generator)
    a = cut * std
    return lambda weight: nn.init.trunc_normal_(weight, 0.0, std, -a, a, generator=generator)


def glorot(generator: torch.Generator) -> Fill:
    """First weights from U(-a, a), a^2 = 6 / (inputs + outputs)."""
    return lambda weight: nn.init.xavier_uniform_(weight, generator=generator)


def linear(in_features: int, out_features: int, fill: Fill, *, bias: bool = False) -> nn.Linear:
    """Linear layer, its bias 0."""
    return _filled(nn.Linear, fill, in_features, out_features, bias=bias)


def down(in_channels: int, out_channels: int, kernel: int, fill: Fill, *, bias: bool = False) -> nn.Conv2d:
    """Convolution that halves height and width, its bias 0."""
    options = {"stride": 2, "padding": (kernel - 1) // 2, "bias": bias}
    return _filled(nn.Conv2d, fill, in_channels, out_channels, kernel, **options)


def up(
    in_channels: int, out_channels: int, kernel: int, fill: Fill, *, bias: bool = False
) -> nn.ConvTranspose2d:
    """Transposed convolution that doubles height and width, its bias 0."""
    options = {"stride": 2, "padding": (kernel - 1) // 2, "output_padding": kernel % 2, "bias": bias}
    return _filled(nn.ConvTranspose2d, fill, in_channels, out_channels, kernel, **options)


def _filled(kind: type[nn.Module], fill: Fill, *arguments, **options) -> Any:
    """A layer with first values; the global generator is not drawn from."""
    layer: Any = nn.utils.skip_init(kind, *arguments, **options)
    fill(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def base_side(image_shape: tuple[int, int, int], channels: Sequence[int]) -> int:
    """Height and width of the smallest maps: the image's, halved once for each entry of `channels`.

    Raises:
        ValueError: The image is not square, or cannot be halved so often.
    """
    _, height, width = image_shape
    side, rest = divmod(height, 2 ** len(channels))
    if height != width or rest or side == 0:
        raise ValueError(
            f"images of {height} x {width} cannot be halved {len(channels)} times, once for each of channels "
            f"{tuple(channels)}: crop them to a square and choose the number of channels to fit"
        )
    return side


class ImageGenerator(nn.Module):
    """Codes to images: linear layers, then transposed convolutions, each but the last normalised.

    Args:
        code_size: Z.
        image_shape: (C, H, W).
        hidden: Units of linear layers ahead of the maps.
        channels: Of the maps, smallest maps first.
        kernel: Width of the transposed convolutions.
        last: From the last maps to the image.
        squash: Brings the image into its range.
        normalise: Makes the normalisations; the linear layers' are by unit, not by channel.
        fill: First weights.
    """

    def __init__(
        self,
        code_size: int,
        image_shape: tuple[int, int, int],
        *,
        hidden: Sequence[int] = (),
        channels: Sequence[int],
        kernel: int,
        last: nn.Module,
        squash: Callable[[Tensor], Tensor],
        normalise: Normalise,
        fill: Fill,
    ) -> None:
        super().__init__()
        side = base_side(image_shape, channels)
        self.base, self.squash = (channels[0], side, side), squash
        sizes = (code_size, *hidden, channels[0] * side * side)
        pairs = list(zip(sizes[:-1], sizes[1:], strict=True))
        self.linears = nn.ModuleList(linear(i, j, fill) for i, j in pairs)
        self.linear_norms = nn.ModuleList(normalise(j) for _, j in pairs)
        pairs = list(zip(channels[:-1], channels[1:], strict=True))
        self.ups = nn.ModuleList(up(i, j, kernel, fill) for i, j in pairs)
        self.norms = nn.ModuleList(normalise(j) for _, j in pairs)
        self.last = last

    def forward(self, z: Tensor, n_reference: int = 0) -> Tensor:
        """Codes (B, Z), the first `n_reference` a reference batch -> images (B - n_reference, C, H, W)."""
        h = z
        for layer, norm in zip(self.linears, self.linear_norms, strict=True):
            h = norm(layer(h), n_reference).relu_()
        h = h.unflatten(1, self.base)
        for layer, norm in zip(self.ups, self.norms, strict=True):
            h = norm(layer(h), n_reference).relu_()
        return self.squash(self.last(h[n_reference:]))


class ImageTrunk(nn.Module):
    """Images to features: convolutions of stride 2, then linear layers, each but the first normalised.

    Args:
        image_shape: (C, H, W).
        channels: Of the maps, largest maps first.
        hidden: Units of linear layers behind the maps.
        kernel: Width of the convolutions.
        slope: Of the leaky ReLUs below 0.
        first_bias: Whether the first convolution has a bias; the others' normalisation has it.
        normalise: Makes the normalisations.
        fill: First weights of linear layers.
        fill_maps: First weights of convolutions.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        channels: Sequence[int],
        hidden: Sequence[int] = (),
        kernel: int,
        slope: float,
        first_bias: bool,
        normalise: Normalise,
        fill: Fill,
        fill_maps: Fill,
    ) -> None:
        super().__init__()
        self.slope = slope
        self.first = down(image_shape[0], channels[0], kernel, fill_maps, bias=first_bias)
        pairs = list(zip(channels[:-1], channels[1:], strict=True))
        self.downs = nn.ModuleList(down(i, j, kernel, fill_maps) for i, j in pairs)
        self.norms = nn.ModuleList(normalise(j) for _, j in pairs)
        sizes = (channels[-1] * base_side(image_shape, channels) ** 2, *hidden)
        pairs = list(zip(sizes[:-1], sizes[1:], strict=True))
        self.linears = nn.ModuleList(linear(i, j, fill) for i, j in pairs)
        self.linear_norms = nn.ModuleList(normalise(j) for _, j in pairs)
        self.out_features = sizes[-1]

    def forward(self, x: Tensor, n_reference: int = 0) -> Tensor:
        """Images (B, C, H, W), the first `n_reference` setting the statistics of all -> features (B, F)."""
        h = F.leaky_relu_(self.first(x), self.slope)
        for layer, norm in zip(self.downs, self.norms, strict=True):
            h = F.leaky_relu_(norm(layer(h), n_reference), self.slope)
        h = h.flatten(1)
        for layer, norm in zip(self.linears, self.linear_norms, strict=True):
            h = F.leaky_relu_(norm(layer(h), n_reference), self.slope)
        return h


class DenseGenerator(nn.Module):
    """Codes to images by linear layers: softplus units behind a normalisation without gain, sigmoid pixels.

    Args:
        code_size: Z.
        image_shape: (C, H, W).
        hidden: Units of each hidden layer.
        generator: Draws the first weights, Glorot's.
    """

    def __init__(
        self,
        code_size: int,
        image_shape: tuple[int, int, int],
        hidden: Sequence[int],
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.image_shape = image_shape
        sizes = (code_size, *hidden)
        self.layers = nn.ModuleList(
            linear(i, j, glorot(generator)) for i, j in zip(sizes[:-1], sizes[1:], strict=True)
        )
        self.norms = nn.ModuleList(BatchNorm(j, gain=False, eps=1e-6) for j in hidden)
        pixels = math.prod(image_shape)
        std = math.sqrt(2 / (sizes[-1] + pixels))
        # The published code leaves the scales of this layer at 1.
        self.last = WeightNormLinear(sizes[-1], pixels, init_std=None, direction_std=std, generator=generator)

    def forward(self, z: Tensor, n_reference: int = 0) -> Tensor:
        """Codes (B, Z), the first `n_reference` a reference batch -> images (B - n_reference, C, H, W)."""
        h = z
        for layer, norm in zip(self.layers, self.norms, strict=True):
            h = F.softplus(norm(layer(h), n_reference))
        return self.last(h[n_reference:]).sigmoid().unflatten(1, self.image_shape)
