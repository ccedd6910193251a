"""The Row LSTM layer of PixelRNN: each row's states from those of the row above, three pixels of it each."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlgen.generative.line_lstm import advance, line_lstm, to_maps
from rlgen.generative.masked_convolution import ConvolutionWalk, MaskedConv2d, causal_mask
from rlgen.generative.pixel_network import PixelLayer, Walk
from rlgen.generative.skew import Line

SHIFTS = (-1, 0, 1)


class RowLSTM(PixelLayer):
    """x + K_1x1 LSTM(x): 2 h maps to h, and back to 2 h.

    Input-to-state is a masked 3x1 convolution, state-to-state a 3x1 convolution of the row above. A pixel
    sees a triangle above it.

    Args:
        width: h.
        groups: Of channels.
        generator: Draws the first weights.

    References:
        van den Oord et al. 2016 (arXiv 1601.06759), section 3.1 and figure 5, right.
    """

    def __init__(self, width: int, groups: int, generator: torch.Generator) -> None:
        super().__init__()
        mask = causal_mask(width, 2 * width, (1, 3), groups=groups).repeat(4, 1, 1, 1)
        self.input = MaskedConv2d(mask, gain=1.0, generator=generator)
        std = (3 * width) ** -0.5
        self.state = nn.Parameter(std * torch.randn(3, 1, width, 4 * width, generator=generator))
        self.up = MaskedConv2d(
            causal_mask(2 * width, width, (1, 1), groups=groups), gain=1.0, generator=generator
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2 h, H, W) -> (B, 2 h, H, W)."""
        n, _, height, width = x.shape
        maps = x.permute(2, 3, 0, 1)  # (H, W, B, 2 h)
        pairs = torch.cat([F.pad(maps, (0, 0, 0, 0, 1, 0))[:, :-1], maps], 3).view(1, height * width, n, -1)
        weight = (self.input.weight * self.input.mask).squeeze(2).permute(2, 1, 0).flatten(0, 1)  # (4 h, 4 h)
        lines = [Line(i * width, 0, width) for i in range(height)]
        bias = self.input.bias
        assert bias is not None
        h = line_lstm(pairs, weight[None], bias[None], self.state, lines, SHIFTS)
        return x + self.up(to_maps(h[0], height, width))

    def walk(self, n: int, width: int) -> Walk:
        """See the base class."""
        return _RowWalk(self, n, width)


class _RowWalk(Walk):
    def __init__(self, layer: RowLSTM, n: int, width: int) -> None:
        self.input, self.up = ConvolutionWalk(layer.input, n, width), ConvolutionWalk(layer.up, n, width)
        self.weight = layer.state.detach()[:, 0].flatten(0, 1)  # (3 h, 4 h)
        size = layer.state.shape[2]
        self.h = self.weight.new_zeros(width + 2, n, size)  # of this row, zeros beyond its ends
        self.c, self.c_above = (self.weight.new_zeros(width, n, size) for _ in range(2))
        self.base = self.weight.new_zeros(width, n, 4 * size)

    def begin_row(self) -> None:
        """What the finished row gives to the next."""
        h = torch.cat([self.h[:-2], self.h[1:-1], self.h[2:]], 2)  # (W, n, 3 h)
        self.base = h @ self.weight
        self.c, self.c_above = self.c_above, self.c

    def step(self, x: Tensor, j: int) -> Tensor:
        """See the base class."""
        gates, h = self.input.step(x, j).add_(self.base[j]), self.h[j + 1]
        advance(gates, self.c_above[j], self.c[j], h)
        return self.up.step(h, j).add_(x)
