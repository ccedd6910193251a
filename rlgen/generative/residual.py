"""Images to features and back by residual blocks, weight-normalised, of ELU units."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlgen.generative.weight_norm import WeightNormConv2d, WeightNormConvTranspose2d, WeightNormLinear


class ResidualBlock(nn.Module):
    """elu(shortcut(x) + conv(elu(conv(x)))), of 3x3 convolutions.

    Args:
        in_channels: I.
        out_channels: J.
        stride: 2 to halve height and width, rounded up; 1 to keep them, the shortcut then being x itself.
        generator: Draws the first weights.

    References:
        He et al. 2015 (arXiv 1512.03385), figure 2; Kingma et al. 2016 (arXiv 1606.04934), appendix B.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, *, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.first = WeightNormConv2d(in_channels, out_channels, 3, stride, 1, generator=generator)
        self.second = WeightNormConv2d(out_channels, out_channels, 3, 1, 1, generator=generator)
        self.shortcut = nn.Identity()
        if stride > 1 or in_channels != out_channels:
            self.shortcut = WeightNormConv2d(in_channels, out_channels, 3, stride, 1, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """(B, I, H, W) -> (B, J, H', W')."""
        return F.elu(self.shortcut(x) + self.second(F.elu(self.first(x))))


class ResidualUp(nn.Module):
    """The same with transposed convolutions, which double height and width.

    Args:
        in_channels: I.
        out_channels: J.
        side: Height and width of the result, 2 H or 2 H - 1: what is beyond is cut off.
        generator: Draws the first weights.
    """

    def __init__(
        self, in_channels: int, out_channels: int, side: tuple[int, int], *, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.side = side
        self.first = WeightNormConvTranspose2d(in_channels, out_channels, 3, generator=generator)
        self.second = WeightNormConv2d(out_channels, out_channels, 3, 1, 1, generator=generator)
        self.shortcut = WeightNormConvTranspose2d(in_channels, out_channels, 3, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """(B, I, H, W) -> (B, J, *side)."""
        h = self.shortcut(x) + self.second(F.elu(self.first(x)))
        return F.elu(h[..., : self.side[0], : self.side[1]])


class ResidualEncoder(nn.Module):
    """Images to features: blocks of stride 2, one of stride 1 between each two, and linear layers.

    Args:
        image_shape: (C, H, W).
        channels: Of the blocks of stride 2, largest maps first.
        hidden: Units of the linear layers.
        generator: Draws the first weights.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        channels: Sequence[int],
        hidden: Sequence[int],
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for i, (before, after) in enumerate(zip((image_shape[0], *channels), channels, strict=False)):
            if i:
                blocks.append(ResidualBlock(before, before, generator=generator))
            blocks.append(ResidualBlock(before, after, 2, generator=generator))
        self.blocks = nn.Sequential(*blocks)
        height, width = sides(image_shape, len(channels))[-1]
        sizes = (channels[-1] * height * width, *hidden)
        self.linears = nn.ModuleList(
            WeightNormLinear(i, j, generator=generator) for i, j in zip(sizes[:-1], sizes[1:], strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, F)."""
        h = self.blocks(x).flatten(1)
        for layer in self.linears:
            h = F.elu(layer(h))
        return h


class ResidualDecoder(nn.Module):
    """Codes to what an image's distribution depends on: a `ResidualEncoder` the other way round.

    Args:
        code_size: Z.
        image_shape: (C, H, W).
        channels: As in the encoder.
        hidden: As in the encoder.
        generator: Draws the first weights.
    """

    def __init__(
        self,
        code_size: int,
        image_shape: tuple[int, int, int],
        channels: Sequence[int],
        hidden: Sequence[int],
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        *larger, smallest = sides(image_shape, len(channels))
        self.base = (channels[-1], *smallest)
        sizes = (code_size, *hidden[::-1], math.prod(self.base))
        self.linears = nn.ModuleList(
            WeightNormLinear(i, j, generator=generator) for i, j in zip(sizes[:-1], sizes[1:], strict=True)
        )
        blocks: list[nn.Module] = []
        outgoing = (*channels[-2::-1], channels[0])
        for i, (before, after, side) in enumerate(zip(channels[::-1], outgoing, larger[::-1], strict=True)):
            if i:
                blocks.append(ResidualBlock(before, before, generator=generator))
            blocks.append(ResidualUp(before, after, side, generator=generator))
        self.blocks = nn.Sequential(*blocks)
        self.last = WeightNormConv2d(channels[0], image_shape[0], 3, 1, 1, generator=generator)

    def forward(self, z: Tensor) -> Tensor:
        """(B, Z) -> (B, C, H, W)."""
        h = z
        for layer in self.linears:
            h = F.elu(layer(h))
        return self.last(self.blocks(h.unflatten(1, self.base)))


def sides(image_shape: tuple[int, int, int], halvings: int) -> list[tuple[int, int]]:
    """Heights and widths, from the image's on, halved and rounded up so often."""
    _, height, width = image_shape
    return [(-(-height // 2**i), -(-width // 2**i)) for i in range(halvings + 1)]
