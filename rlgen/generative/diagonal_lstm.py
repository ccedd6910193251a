"""The Diagonal BiLSTM layer of PixelRNN: states from both sides, that have seen all earlier pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlgen.generative.line_lstm import advance, line_lstm, to_maps
from rlgen.generative.masked_convolution import ConvolutionWalk, MaskedConv2d, causal_mask
from rlgen.generative.masks import channel_mask
from rlgen.generative.pixel_network import PixelLayer, Walk
from rlgen.generative.skew import diagonals, reorder, skew_orders

SHIFTS = (0, -1)
"""On the diagonal before, the neighbour in the same row, and the one in the row above."""


class DiagonalLSTM(PixelLayer):
    """x + K_1x1 (left LSTM(x) + right LSTM(x) one row further down): 2 h maps to h, and back to 2 h.

    Each LSTM takes the states of the neighbour in its row and of the one above, with a 2x1 convolution of the
    skewed map; its c comes from the neighbour in its row. The right one reads rows from right to left, so at
    a pixel it has seen what comes after; moved down by a row, it has seen earlier rows alone. So one layer
    sees all earlier pixels, with one exception at the edge: a row's last pixel is in no feature of its row,
    and so a pixel of the next row sees it by the network's first convolution, if that reaches so far.

    Args:
        width: h.
        groups: Of channels.
        generator: Draws the first weights.

    References:
        van den Oord et al. 2016 (arXiv 1601.06759), section 3.2 and figure 5, right.
    """

    mask: Tensor

    def __init__(self, width: int, groups: int, generator: torch.Generator) -> None:
        super().__init__()
        mask = channel_mask(width, 2 * width, groups, strict=False).repeat(4, 1).T  # (2 h, 4 h)
        self.register_buffer("mask", mask.contiguous(), persistent=False)
        std, shape = mask.sum(0).rsqrt(), (2, 2 * width, 4 * width)
        self.input = nn.Parameter(mask * std * torch.randn(shape, generator=generator))
        self.bias = nn.Parameter(torch.zeros(2, 4 * width))
        std = (2 * width) ** -0.5
        self.state = nn.Parameter(std * torch.randn(2, 2, width, 4 * width, generator=generator))
        self.up = MaskedConv2d(
            causal_mask(2 * width, width, (1, 1), groups=groups), gain=1.0, generator=generator
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2 h, H, W) -> (B, 2 h, H, W)."""
        n, channels, height, width = x.shape
        orders = [skew_orders(height, width, mirrored, x.device) for mirrored in (False, True)]
        pixels = x.permute(2, 3, 0, 1).reshape(height * width, n, channels)
        skewed = torch.stack([reorder(pixels, *order) for order in orders])  # (2, N, B, 2 h)
        lines = diagonals(height, width)
        states = line_lstm(skewed, self.input * self.mask, self.bias, self.state, lines, SHIFTS)
        left, right = (reorder(h, *order[::-1]) for h, order in zip(states, orders, strict=True))
        h = left + F.pad(right[:-width], (0, 0, 0, 0, width, 0))  # (N, B, h)
        return x + self.up(to_maps(h, height, width))

    def walk(self, n: int, width: int) -> Walk:
        """See the base class."""
        return _DiagonalWalk(self, n, width)


class _DiagonalWalk(Walk):
    """The left LSTM by position; the right one over a whole row, once the row is finished."""

    def __init__(self, layer: DiagonalLSTM, n: int, width: int) -> None:
        weight, bias, state = (p.detach() for p in (layer.input * layer.mask, layer.bias, layer.state))
        size, self.width = state.shape[2], width
        self.up = ConvolutionWalk(layer.up, n, width)
        self.bias, self.above = bias, state[1]  # (2, 4 h), (2, h, 4 h)
        self.beside = torch.cat([weight[0], state[0, 0]])  # (3 h, 4 h), of the left LSTM
        self.right_input, self.right_beside = weight[1], state[0, 1]
        # A row of the left LSTM: its input at j, with its state at j - 1.
        self.row = weight.new_zeros(width + 1, n, 3 * size)
        self.x, self.h = self.row[:-1, :, : 2 * size], self.row[1:, :, 2 * size :]
        self.c = weight.new_zeros(width + 1, n, size)
        self.right = weight.new_zeros(width, n, size)
        self.base = weight.new_zeros(width, n, 4 * size)
        self.started = False

    def begin_row(self) -> None:
        """What the finished row gives to the next: left states to go on from, and right ones to add."""
        if self.started:
            self._sweep()
        self.started = True
        self.base = self.bias[0] + self.h @ self.above[0]

    def _sweep(self) -> None:
        """States of the right LSTM in the finished row, from those of the row above it."""
        base = self.bias[1] + self.x @ self.right_input + self.right @ self.above[1]  # (W, n, 4 h)
        h = c = torch.zeros_like(self.right[0])
        for j in reversed(range(self.width)):
            gates, c_new = torch.addmm(base[j], h, self.right_beside), torch.empty_like(c)
            advance(gates, c, c_new, self.right[j])
            h, c = self.right[j], c_new

    def step(self, x: Tensor, j: int) -> Tensor:
        """See the base class."""
        self.x[j].copy_(x)
        gates = torch.addmm(self.base[j], self.row[j], self.beside)
        advance(gates, self.c[j], self.c[j + 1], self.h[j])
        return self.up.step(self.h[j] + self.right[j], j).add_(x)
