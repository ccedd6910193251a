"""How DRAW reads from an image and writes to its canvas: as a whole, or through a grid of Gaussian filters.

An N x N grid lies over the image, at a place and with a stride, a width and a strength that the decoder sets.
Rows and columns of pixels are counted from 0, so that the middle of an image of A columns is at (A - 1) / 2.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rlgen.generative.networks import Fill, linear

PARAMETERS = 5
"""Numbers that a grid is made of."""


class Filters(NamedTuple):
    """A grid over each of B images."""

    rows: Tensor
    """F_Y (B, N, H), each row adding up to 1."""
    columns: Tensor
    """F_X (B, N, W), the same."""
    strength: Tensor
    """gamma (B, 1, 1, 1)."""

    def read(self, image: Tensor) -> Tensor:
        """gamma F_Y x F_X^T: images (B, C, H, W) -> patches (B, C, N, N)."""
        rows, columns = self.rows[:, None], self.columns[:, None]
        return self.strength * (rows @ image @ columns.mT)

    def write(self, patch: Tensor) -> Tensor:
        """F_Y^T w F_X / gamma: patches (B, C, N, N) -> images (B, C, H, W)."""
        rows, columns = self.rows[:, None], self.columns[:, None]
        return rows.mT @ patch @ columns / self.strength


def make_filters(parameters: Tensor, size: int, height: int, width: int) -> Filters:
    """The grid that a network's outputs stand for.

        (g_x, g_y, log sigma^2, log delta, log gamma) = parameters
        centre_x = (W - 1) / 2 + g_x (W + 1) / 2              stride = delta (max(H, W) - 1) / (N - 1)
        F_X[i, a] ~ exp(-(a - mu_i)^2 / (2 sigma^2)),         mu_i = centre_x + (i - (N - 1) / 2) stride

    The same for rows. With all parameters 0 the grid spans the image, and a filter is about a pixel wide.

    Args:
        parameters: (B, 5).
        size: N, 2 or more.
        height: H.
        width: W.

    Returns:
        Filters, each normalised over the pixels of the image, however far outside it its middle is.

    References:
        Gregor et al. 2015 (arXiv 1502.04623), equations 19 to 29, where pixels are counted from 1.
    """
    g_x, g_y, log_variance, log_stride, log_strength = parameters.unsqueeze(2).unbind(1)  # (B, 1) each
    stride = log_stride.exp() * ((max(height, width) - 1) / (size - 1))
    offsets = torch.arange(size, device=parameters.device, dtype=parameters.dtype) - (size - 1) / 2
    precision = (0.5 * (-log_variance).exp()).unsqueeze(2)  # (B, 1, 1)

    def bank(g: Tensor, length: int) -> Tensor:
        mu = (length - 1) / 2 + g * ((length + 1) / 2) + offsets * stride  # (B, N)
        pixels = torch.arange(length, device=mu.device, dtype=mu.dtype)
        return (-((pixels - mu.unsqueeze(2)) ** 2) * precision).softmax(2)  # (B, N, length)

    return Filters(bank(g_y, height), bank(g_x, width), log_strength.exp()[:, :, None, None])


class WholeRead(nn.Module):
    """The encoder's look at the whole image and at what is missing: W [x, x - mean(canvas)].

    Args:
        image_shape: (C, H, W).
        outputs: Size J of what it makes of them.
        fill: First weights.
    """

    def __init__(self, image_shape: tuple[int, int, int], outputs: int, fill: Fill) -> None:
        super().__init__()
        pixels = math.prod(image_shape)
        self.image, self.error = (linear(pixels, outputs, fill) for _ in range(2))

    def prepare(self, x: Tensor) -> Tensor:
        """What is the same in all steps, (B, J), of images (B, C, H, W) from 0 to 1."""
        return self.image(x.flatten(1))

    def forward(self, prepared: Tensor, error: Tensor, h: Tensor) -> Tensor:
        """(B, J).

        Args:
            prepared: Of the images.
            error: x - mean(canvas), (B, C, H, W).
            h: The decoder's (B, hidden).
        """
        return torch.addmm(prepared, error.flatten(1), self.error.weight.T)


class AttentiveRead(nn.Module):
    """The same through an N x N grid that the decoder lays over both.

    Args:
        image_shape: (C, H, W).
        size: N.
        hidden: Units of the decoder.
        outputs: J.
        fill: First weights.
    """

    def __init__(
        self, image_shape: tuple[int, int, int], size: int, hidden: int, outputs: int, fill: Fill
    ) -> None:
        super().__init__()
        self.size = size
        self.grid = linear(hidden, PARAMETERS, fill, bias=True)
        self.patches = linear(2 * image_shape[0] * size**2, outputs, fill)

    def prepare(self, x: Tensor) -> Tensor:
        """The images themselves, (B, C, H, W), as the grid moves."""
        return x

    def forward(self, prepared: Tensor, error: Tensor, h: Tensor) -> Tensor:
        """See `WholeRead`."""
        filters = make_filters(self.grid(h), self.size, *error.shape[2:])
        both = filters.read(torch.cat([prepared, error], 1))  # (B, 2 C, N, N)
        return self.patches(both.flatten(1))


class WholeWrite(nn.Module):
    """What the decoder adds to the canvas, everywhere.

    Args:
        image_shape: (C, H, W).
        hidden: Units of the decoder.
        fill: First weights.
    """

    def __init__(self, image_shape: tuple[int, int, int], hidden: int, fill: Fill) -> None:
        super().__init__()
        self.image_shape = image_shape
        self.image = linear(hidden, math.prod(image_shape), fill, bias=True)

    def forward(self, h: Tensor) -> Tensor:
        """The decoder's (B, hidden) -> (B, C, H, W)."""
        return self.image(h).unflatten(1, self.image_shape)


class AttentiveWrite(nn.Module):
    """What the decoder adds to the canvas through an N x N grid.

    Args:
        image_shape: (C, H, W).
        size: N.
        hidden: Units of the decoder.
        fill: First weights.
    """

    def __init__(self, image_shape: tuple[int, int, int], size: int, hidden: int, fill: Fill) -> None:
        super().__init__()
        self.image_shape, self.size = image_shape, size
        self.grid = linear(hidden, PARAMETERS, fill, bias=True)
        self.patch = linear(hidden, image_shape[0] * size**2, fill, bias=True)

    def forward(self, h: Tensor) -> Tensor:
        """The decoder's (B, hidden) -> (B, C, H, W)."""
        channels, height, width = self.image_shape
        filters = make_filters(self.grid(h), self.size, height, width)
        return filters.write(self.patch(h).view(len(h), channels, self.size, self.size))
