"""Masked autoencoders: networks whose output d depends on the inputs before d alone.

`MADE` takes vectors, `ConvMADE` maps. Both take a context, which every output that sees an input depends on
as well, and give as many kinds of outputs as are asked for, such as a mean and a scale for each input.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlgen.generative.masks import convolution_mask, dense_masks
from rlgen.generative.networks import linear, normal
from rlgen.generative.weight_norm import WeightNormConv2d, WeightNormLinear


class MaskedLinear(nn.Module):
    """Linear layer (B, I) -> (B, J) whose weight is masked: y = x (M w) + b.

    Args:
        mask: M (J, I), 0 or 1.
        std: First weights are from N(0, std^2); None for the inverse root of the number of inputs seen.
        generator: Draws them.
    """

    mask: Tensor

    def __init__(self, mask: Tensor, *, std: float | None = None, generator: torch.Generator) -> None:
        super().__init__()
        self.register_buffer("mask", mask, persistent=False)
        scale = mask.sum(1, keepdim=True).clamp_min(1).rsqrt() if std is None else std
        self.weight = nn.Parameter(scale * torch.randn(mask.shape, generator=generator))
        self.bias = nn.Parameter(torch.zeros(len(mask)))

    def forward(self, x: Tensor) -> Tensor:
        """(B, I) -> (B, J)."""
        return F.linear(x, self.weight * self.mask, self.bias)


class MaskedWeightNormLinear(WeightNormLinear):
    """`WeightNormLinear` with a mask (J, I). The direction is 0 where it is masked, and stays so: see `hide`.

    Args:
        mask: 0 or 1.
        options: Those of `WeightNorm`.
    """

    mask: Tensor

    def __init__(self, mask: Tensor, **options) -> None:
        super().__init__(mask.shape[1], mask.shape[0], **options)
        self.register_buffer("mask", mask, persistent=False)
        hide(self.v, mask)

    def weight(self) -> Tensor:
        """M g v / ||v||, the shape of v."""
        return super().weight() * self.mask


class MaskedWeightNormConv2d(WeightNormConv2d):
    """The same for convolutions that keep height and width, with a mask (J, I, k, k), k odd."""

    mask: Tensor

    def __init__(self, mask: Tensor, **options) -> None:
        out_channels, in_channels, kernel, _ = mask.shape
        super().__init__(in_channels, out_channels, kernel, padding=kernel // 2, **options)
        self.register_buffer("mask", mask, persistent=False)
        hide(self.v, mask)

    def weight(self) -> Tensor:
        """M g v / ||v||, the shape of v."""
        return super().weight() * self.mask


@torch.no_grad()
def hide(v: Tensor, mask: Tensor) -> None:
    """Put a direction to 0 where it is masked, so that its norm is that of what is not.

    There the gradient of M g v / ||v|| is 0 as long as v is, so that no mask is needed before the norm. An
    output that sees nothing keeps its direction, which has no effect, as a direction must have a length.
    """
    seeing = mask.flatten(1).any(1).view(-1, *[1] * (mask.ndim - 1))
    v.mul_(torch.where(seeing, mask, 1.0))


def reverse(mask: Tensor) -> Tensor:
    """The mask of a layer for the order from last to first; every layer of a network must have it."""
    return mask.flip(tuple(range(mask.ndim)))


class MADE(nn.Module):
    """Masked autoencoder for vectors, of ELU units.

    Args:
        features: D, at least 2.
        hidden: Units of each hidden layer, one at least.
        outputs: Kinds of outputs.
        context: Size of the context, which is joined to the first hidden layer; 0 for none.
        backwards: Output d depends on the inputs after d instead.
        weight_norm: Whether layers are weight-normalised, and initialise themselves from data; the last
            then starts with outputs of deviation 0.1. Otherwise they have plain weights.
        generator: Draws the first weights.

    Raises:
        ValueError: No hidden layer, or fewer than 2 features.

    References:
        Germain et al. 2015 (arXiv 1502.03509), section 4; Kingma et al. 2016 (arXiv 1606.04934), section 4.
    """

    def __init__(
        self,
        features: int,
        hidden: Sequence[int],
        *,
        outputs: int = 1,
        context: int = 0,
        backwards: bool = False,
        weight_norm: bool = True,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        if not hidden:
            raise ValueError("hidden is empty: choose the units of one hidden layer at least")
        self.outputs = outputs
        masks = dense_masks(features, hidden, outputs)
        layers = []
        for i, mask in enumerate(masks):
            mask = reverse(mask) if backwards else mask
            last = i == len(masks) - 1
            if weight_norm:
                init_std = 0.1 if last else 1.0
                layers.append(MaskedWeightNormLinear(mask, init_std=init_std, generator=generator))
            else:
                std = 0.1 / math.sqrt(hidden[-1]) if last else None
                layers.append(MaskedLinear(mask, std=std, generator=generator))
        self.layers = nn.ModuleList(layers)
        fill = normal(1 / math.sqrt(context or 1), generator)
        self.context = linear(context, hidden[0], fill) if context else None

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, ...]:
        """Vectors (B, D) and context (B, context size) -> outputs (B, D) of each kind."""
        h = self.layers[0](z)
        if self.context is not None:
            h = h + self.context(context)
        for layer in self.layers[1:]:
            h = layer(F.elu(h))
        return h.chunk(self.outputs, 1)


class ConvMADE(nn.Module):
    """Masked autoencoder for maps, by rows, columns and channels, of 3x3 convolutions and ELU units.

    Layers are weight-normalised; the last starts with outputs of deviation 0.1.

    Args:
        channels: D of the maps.
        hidden: Channels of each hidden layer, one at least, no fewer than D.
        outputs: Kinds of outputs.
        backwards: An output depends on the inputs after it instead.
        init_std: Deviation of hidden units that initialisation from data brings about.
        generator: Draws the first weights.

    Raises:
        ValueError: No hidden layer, or one with fewer channels than the maps.

    References:
        Kingma et al. 2016 (arXiv 1606.04934), section 5.2, published code.
    """

    def __init__(
        self,
        channels: int,
        hidden: Sequence[int],
        *,
        outputs: int = 1,
        backwards: bool = False,
        init_std: float = 1.0,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        if not hidden:
            raise ValueError("hidden is empty: choose the channels of one hidden layer at least")
        self.outputs = outputs
        sizes = (channels, *hidden)
        masks = [
            convolution_mask(j, i, (3, 3), groups=channels, strict=False)
            for i, j in zip(sizes[:-1], sizes[1:], strict=True)
        ]
        last = convolution_mask(channels, sizes[-1], (3, 3), groups=channels, strict=True)
        masks.append(last.repeat(outputs, 1, 1, 1))
        stds = [init_std] * len(hidden) + [0.1]
        self.layers = nn.ModuleList(
            MaskedWeightNormConv2d(reverse(mask) if backwards else mask, init_std=std, generator=generator)
            for mask, std in zip(masks, stds, strict=True)
        )

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, ...]:
        """Maps (B, D, H, W) and context (B, hidden[0], H, W) -> outputs (B, D, H, W) of each kind."""
        h = self.layers[0](z)
        h = h if context is None else h + context
        for layer in self.layers[1:]:
            h = layer(F.elu(h))
        return h.chunk(self.outputs, 1)
