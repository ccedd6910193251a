"""Convolution that sees rows above and columns to the left alone, on whole maps or position by position."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlgen.generative.masks import convolution_mask


def causal_mask(
    out_channels: int, in_channels: int, kernel: tuple[int, int], *, groups: int = 1, strict: bool = False
) -> Tensor:
    """`masks.convolution_mask` without what it hides altogether: rows below, columns right of a single row.

    Returns:
        (J, I, R, S): the last row is the position's own; of a single row the last column is, too.
    """
    mask = convolution_mask(out_channels, in_channels, kernel, groups=groups, strict=strict)
    height, width = kernel
    mask = mask[:, :, : height // 2 + 1]
    return mask[..., : width // 2 + 1] if height == 1 else mask


class MaskedConv2d(nn.Module):
    """Convolution (B, I, H, W) -> (B, J, H, W) with a mask on its weight; zeros stand beyond the edges.

    Args:
        mask: (J, I, R, S), 0 or 1. The last row is the position's own. With several rows the middle column
            is; with a single one, the last.
        bias: Whether there is one; it starts at 0.
        gain: First weights of an output are from N(0, gain^2 / n), n the inputs that it sees.
        generator: Draws them.
    """

    mask: Tensor

    def __init__(
        self, mask: Tensor, *, bias: bool = True, gain: float = math.sqrt(2), generator: torch.Generator
    ) -> None:
        super().__init__()
        self.register_buffer("mask", mask, persistent=False)
        std = gain / mask.sum([1, 2, 3], keepdim=True).clamp(min=1).sqrt()
        self.weight = nn.Parameter(mask * std * torch.randn(mask.shape, generator=generator))
        self.bias = nn.Parameter(torch.zeros(len(mask))) if bias else None

    @property
    def margins(self) -> tuple[int, int, int]:
        """Columns to the left and to the right, and rows above, that an output may see."""
        rows, columns = self.mask.shape[2:]
        left = columns // 2 if rows > 1 else columns - 1
        return left, columns - 1 - left, rows - 1

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, I, H, W), channels last for speed, -> (B, J, H, W)."""
        left, right, above = self.margins
        if left or right or above:
            x = F.pad(x, (left, right, above, 0))
        return F.conv2d(x, self.weight * self.mask, self.bias)


class ConvolutionWalk:
    """A `MaskedConv2d` on n maps of a width, position by position, row after row.

    What the rows above give is found for a whole row at once; a position then costs one matrix product with
    what stands to its left.

    Args:
        layer: Its parameters as they are now.
        n: Maps.
        width: W.
    """

    def __init__(self, layer: MaskedConv2d, n: int, width: int) -> None:
        weight = (layer.weight * layer.mask).detach()  # (J, I, R, S)
        left, right, above = layer.margins
        out_channels, in_channels = weight.shape[:2]
        bias = weight.new_zeros(out_channels) if layer.bias is None else layer.bias.detach()
        self.bias, self.above = bias, weight[:, :, :-1] if above else None
        self.weight = weight[:, :, -1, : left + 1].permute(2, 1, 0).flatten(0, 1).contiguous()  # (S' I, J)
        self.rows = weight.new_zeros(n, above + 1, width + left + right, in_channels)
        self.base = bias.repeat(width, n, 1)  # (W, n, J)
        row = self.rows[:, above]
        self.here = [row[:, j + left] for j in range(width)]  # (n, I) each
        self.seen = [row[:, j : j + left + 1].flatten(1) for j in range(width)]  # (n, S' I) each, views
        self.bases = list(self.base)

    def begin_row(self) -> None:
        """Go to the next row; before the first it changes nothing."""
        if self.above is None:
            return
        self.rows[:, :-1] = self.rows[:, 1:].clone()
        self.rows[:, -1] = 0
        maps = self.rows[:, :-1].permute(0, 3, 1, 2)  # (n, I, R - 1, W + S - 1)
        self.base.copy_(F.conv2d(maps, self.above, self.bias).squeeze(2).permute(2, 0, 1))

    def put(self, x: Tensor, j: int) -> None:
        """Set the input (n, I) at column j."""
        self.here[j].copy_(x)

    def step(self, x: Tensor, j: int) -> Tensor:
        """The input (n, I) at column j -> the output (n, J) there."""
        self.here[j].copy_(x)
        return torch.addmm(self.bases[j], self.seen[j], self.weight)
