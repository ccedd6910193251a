"""The gated PixelCNN's network: two stacks, of which one sees all rows above, the other the row itself."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlgen.generative.masked_convolution import ConvolutionWalk, MaskedConv2d, causal_mask
from rlgen.generative.pixel_network import Head, HeadWalk, NetworkWalk, PixelNetwork
from rlgen.generative.pixels import Pixels


def gate(maps: Tensor) -> Tensor:
    """tanh(a) sigmoid(b) of maps [a, b] (B, 2 p, ...)."""
    a, b = maps.chunk(2, 1)
    return a.tanh() * b.sigmoid()


class GatedLayer(nn.Module):
    """One layer of both stacks.

        v' = gate(K_v v)        h' = [h +] K_1x1 gate(K_h h + K_link K_v v)

    K_v sees rows above and the row itself; as the first layer's sees rows above alone, v never holds anything
    of the row that it stands in. K_h sees the position's left, and in all layers but the first the position.

    Args:
        in_channels: I.
        width: p.
        kernel: Width of K_v and, to the left, of K_h.
        groups: Of channels.
        first: Whether this is the first layer, which sees the image and has no residual connection.
        generator: Draws the first weights.

    References:
        van den Oord et al. 2016 (arXiv 1606.05328), equation 2 and figure 2.
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        kernel: int,
        groups: int,
        *,
        first: bool,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.first = first
        rows = torch.ones(2 * width, in_channels, kernel // 2 + 1, kernel)
        if first:
            rows[:, :, -1] = 0
        row = causal_mask(width, in_channels, (1, kernel), groups=groups, strict=first).repeat(2, 1, 1, 1)
        self.vertical = MaskedConv2d(rows, gain=1.0, generator=generator)
        self.horizontal = MaskedConv2d(row, gain=0.7, generator=generator)
        self.link = MaskedConv2d(
            torch.ones(2 * width, 2 * width, 1, 1), bias=False, gain=0.7, generator=generator
        )
        self.out = MaskedConv2d(
            causal_mask(width, width, (1, 1), groups=groups), gain=1.0, generator=generator
        )

    def forward(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """(B, I, H, W) each -> (B, p, H, W) each."""
        maps = self.vertical(v)
        out = self.out(gate(self.horizontal(h) + self.link(maps)))
        return gate(maps), out if self.first else h + out


class GatedNetwork(PixelNetwork):
    """Gated layers and a head on the horizontal stack.

    Args:
        pixels: What the outputs are of.
        depth: Layers.
        width: p.
        kernels: Widths in the first layer and in the others, odd.
        head: Maps in the head.
        generator: Draws the first weights.
    """

    def __init__(
        self,
        pixels: Pixels,
        *,
        depth: int,
        width: int,
        kernels: tuple[int, int],
        head: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        options = {"groups": pixels.groups, "generator": generator}
        layers = [GatedLayer(pixels.channels, width, kernels[0], first=True, **options)]
        layers += [GatedLayer(width, width, kernels[1], first=False, **options) for _ in range(depth - 1)]
        self.layers = nn.ModuleList(layers)
        self.head = Head(width, head, pixels, generator)

    def forward(self, x: Tensor) -> Tensor:
        """See the base class."""
        v = h = x
        for layer in self.layers:
            v, h = (maps.contiguous(memory_format=torch.channels_last) for maps in layer(v, h))
        return self.head(h)

    def walk(self, n: int, width: int) -> NetworkWalk:
        """See the base class."""
        return _GatedWalk(self, n, width)


class _GatedWalk(NetworkWalk):
    def __init__(self, network: GatedNetwork, n: int, width: int) -> None:
        layers: list[GatedLayer] = list(network.layers)  # type: ignore[arg-type]
        self.layers = [_LayerWalk(layer, n, width) for layer in layers]
        self.head = HeadWalk(network.head, n, width)
        channels = layers[0].vertical.mask.shape[1]
        self.above = layers[0].vertical.weight.new_zeros(n, channels, 1, width)  # the row that was finished
        self.row = torch.zeros_like(self.above)

    def begin_row(self) -> None:
        self.above.copy_(self.row)
        v = self.above
        for layer in self.layers:
            v = layer.begin_row(v)

    def put(self, x: Tensor, j: int) -> None:
        self.row[:, :, 0, j] = x
        self.layers[0].horizontal.put(x, j)

    def step(self, x: Tensor, j: int) -> Tensor:
        for layer in self.layers:
            x = layer.step(x, j)
        return self.head.step(x, j)


class _LayerWalk:
    """A `GatedLayer`: its vertical stack a row at a time, its horizontal one by position."""

    def __init__(self, layer: GatedLayer, n: int, width: int) -> None:
        vertical = layer.vertical
        weight = (vertical.weight * vertical.mask).detach()
        if layer.first:
            weight = weight[:, :, :-1]  # the row given is the one above
        self.weight, self.bias, self.link = weight, vertical.bias, layer.link
        self.padding = weight.shape[3] // 2
        self.v = weight.new_zeros(n, weight.shape[1], weight.shape[2], width)  # the last rows of its input
        self.horizontal, self.out = (
            ConvolutionWalk(part, n, width) for part in (layer.horizontal, layer.out)
        )
        self.residual = not layer.first
        self.linked: list[Tensor] = []

    def begin_row(self, v: Tensor) -> Tensor:
        """The vertical stack's input (n, I, 1, W) in this row -> its output (n, p, 1, W)."""
        self.v = torch.cat([self.v[:, :, 1:], v], 2)
        maps = F.conv2d(self.v, self.weight, self.bias, padding=(0, self.padding))  # (n, 2 p, 1, W)
        self.linked = list(self.link(maps).squeeze(2).permute(2, 0, 1).contiguous())
        return gate(maps)

    def step(self, x: Tensor, j: int) -> Tensor:
        """The horizontal stack's (n, I) at column j -> (n, p)."""
        out = self.out.step(gate(self.horizontal.step(x, j).add_(self.linked[j])), j)
        return out.add_(x) if self.residual else out
