"""Networks that give the outputs of every pixel, on whole images or walked pixel by pixel.

Naive sampling passes the whole image through the network for every pixel. A walk keeps what earlier pixels
left behind in each layer, and computes one position alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlgen.generative.masked_convolution import ConvolutionWalk, MaskedConv2d, causal_mask
from rlgen.generative.pixels import Pixels


class Walk:
    """A layer on n maps, row after row, and in a row column after column.

    A position may be computed several times, as a pixel's channels become known: the last time counts.
    """

    def begin_row(self) -> None:
        """Go to the next row; called before the first one, too."""
        raise NotImplementedError

    def step(self, x: Tensor, j: int) -> Tensor:
        """Input (n, I) at column j -> output (n, J) there."""
        raise NotImplementedError


class PixelLayer(nn.Module):
    """Maps (B, I, H, W) to maps (B, I, H, W); an output sees its own position and earlier ones."""

    def walk(self, n: int, width: int) -> Walk:
        """Position by position, of n maps of a width, with the parameters as they are now."""
        raise NotImplementedError


class Head(nn.Module):
    """ReLU, 1x1, ReLU, 1x1.

    Args:
        in_channels: I.
        hidden: Maps between.
        pixels: What the J outputs are of.
        generator: Draws the first weights.
    """

    def __init__(self, in_channels: int, hidden: int, pixels: Pixels, generator: torch.Generator) -> None:
        super().__init__()
        sizes = ((in_channels, hidden), (hidden, pixels.n_outputs))
        masks = [causal_mask(j, i, (1, 1), groups=pixels.groups) for i, j in sizes]
        self.hidden = MaskedConv2d(masks[0], generator=generator)
        self.last = MaskedConv2d(masks[1], gain=0.1, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """(B, I, H, W) -> (B, J, H, W)."""
        return self.last(F.relu_(self.hidden(F.relu(x))))


class HeadWalk(Walk):
    """A `Head`, position by position."""

    def __init__(self, head: Head, n: int, width: int) -> None:
        self.hidden, self.last = (ConvolutionWalk(layer, n, width) for layer in (head.hidden, head.last))

    def begin_row(self) -> None:
        """A head sees no other position."""

    def step(self, x: Tensor, j: int) -> Tensor:
        """See the base class."""
        return self.last.step(self.hidden.step(x.relu(), j).relu_(), j)


class PixelNetwork(nn.Module):
    """Images (B, C, H, W) from -1 to 1 -> outputs (B, J, H, W); no pixel's see itself or later ones."""

    head: Head

    def walk(self, n: int, width: int) -> NetworkWalk:
        """Pixel by pixel, of n images of a width, with the parameters as they are now."""
        raise NotImplementedError


class NetworkWalk(Walk):
    """A whole network: `step` takes what is known of a pixel, 0 for the rest, and `put` the pixel itself."""

    def put(self, x: Tensor, j: int) -> None:
        """Set the pixel (n, C), from -1 to 1, at column j, once all its channels are known."""
        raise NotImplementedError


class StackedNetwork(PixelNetwork):
    """A masked convolution of the image, layers, and a head.

    Args:
        layers: One after the other.
        pixels: What the outputs are of.
        width: Maps of the layers.
        kernel: Width of the first convolution, odd.
        head: Maps in the head.
        generator: Draws the first weights.
    """

    def __init__(
        self,
        layers: Sequence[PixelLayer],
        pixels: Pixels,
        *,
        width: int,
        kernel: int,
        head: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        mask = causal_mask(width, pixels.channels, (kernel, kernel), groups=pixels.groups, strict=True)
        self.first = MaskedConv2d(mask, gain=1.0, generator=generator)
        self.layers = nn.ModuleList(layers)
        self.head = Head(width, head, pixels, generator)

    def forward(self, x: Tensor) -> Tensor:
        """See the base class."""
        x = self.first(x).contiguous(memory_format=torch.channels_last)
        for layer in self.layers:
            x = layer(x)
        return self.head(x)

    def walk(self, n: int, width: int) -> NetworkWalk:
        """See the base class."""
        return StackedWalk(self, n, width)


class StackedWalk(NetworkWalk):
    """A `StackedNetwork`, pixel by pixel."""

    def __init__(self, network: StackedNetwork, n: int, width: int) -> None:
        self.first = ConvolutionWalk(network.first, n, width)
        layers: list[PixelLayer] = list(network.layers)  # type: ignore[arg-type]
        self.layers = [layer.walk(n, width) for layer in layers]
        self.head = HeadWalk(network.head, n, width)

    def begin_row(self) -> None:
        """See the base class."""
        for layer in (self.first, *self.layers):
            layer.begin_row()

    def put(self, x: Tensor, j: int) -> None:
        """See the base class."""
        self.first.put(x, j)

    def step(self, x: Tensor, j: int) -> Tensor:
        """See the base class."""
        x = self.first.step(x, j)
        for layer in self.layers:
            x = layer.step(x, j)
        return self.head.step(x, j)
