"""The order of an image's pixels by diagonals: what the columns of the skewed map hold, without its gaps.

A skewed map has each row shifted one column further to the right than the row above, so that a pixel's left
and upper neighbours both stand in the column before its own. Such a column is a diagonal of the image, from
upper right to lower left. Laid end to end, the H + W - 1 diagonals are the H W pixels in another order, where
the map has H (H + W - 1) places, about half of them empty.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor


class Line(NamedTuple):
    """Pixels that can be computed at once: a row, or a diagonal."""

    start: int
    """Number of pixels on the lines before."""
    low: int
    """Place of its first pixel on the line."""
    high: int
    """Place behind its last pixel."""

    @property
    def stop(self) -> int:
        """Number of pixels up to its end."""
        return self.start + self.high - self.low


@cache
def diagonals(height: int, width: int) -> tuple[Line, ...]:
    """The diagonals of an image; a pixel's place on one is its row."""
    lines, start = [], 0
    for d in range(height + width - 1):
        line = Line(start, max(0, d - width + 1), min(height, d + 1))
        lines.append(line)
        start = line.stop
    return tuple(lines)


@cache
def skew_orders(height: int, width: int, mirrored: bool, device: torch.device) -> tuple[Tensor, Tensor]:
    """Pixels, as i W + j, in the order of the diagonals (H W,), and the place in it of each pixel (H W,).

    Args:
        height: H.
        width: W.
        mirrored: Whether diagonals run from upper left to lower right, those of the mirrored image.
        device: Where to put them.
    """
    with torch.inference_mode(False):  # they are kept, and later calls may train
        rows = [torch.arange(line.low, line.high) for line in diagonals(height, width)]
        columns = torch.cat([d - row for d, row in enumerate(rows)])
        order = torch.cat(rows) * width + (width - 1 - columns if mirrored else columns)
        return order.to(device), order.argsort().to(device)


def reorder(x: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
    """Rows of x (N, ...) by a permutation (N,); that the inverse is known makes the gradient cheap."""
    return _Reorder.apply(x, order, inverse)  # type: ignore


class _Reorder(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, order: Tensor, inverse: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(inverse)
        return x.index_select(0, order)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        (inverse,) = ctx.saved_tensors
        return gradient.index_select(0, inverse), None, None
