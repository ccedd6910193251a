"""Masks that make a network autoregressive: what an output may see of what comes before it.

The order is by rows, then by columns, and at one position by groups of channels: the colours of a pixel, or
the channels of a latent map. Channels are dealt to the groups in blocks: with 3 groups the first third of a
layer's channels belongs to red, the second to green, the third to blue.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def channel_mask(out_channels: int, in_channels: int, groups: int, *, strict: bool) -> Tensor:
    """Which channels of the same position a channel may see (out_channels, in_channels), 0 or 1.

    Args:
        out_channels: J, at least `groups`, or exactly a block each.
        in_channels: I.
        groups: G.
        strict: Earlier groups alone (the papers' mask A), or the channel's own group as well (mask B).

    Raises:
        ValueError: Fewer channels than groups.
    """
    if min(out_channels, in_channels) < groups:
        raise ValueError(
            f"{in_channels} to {out_channels} channels cannot be dealt to {groups} groups: take one each "
            "at least"
        )
    out, into = (torch.arange(n) * groups // n for n in (out_channels, in_channels))
    return (out[:, None] > into if strict else out[:, None] >= into).float()


def convolution_mask(
    out_channels: int, in_channels: int, kernel: tuple[int, int], *, groups: int = 1, strict: bool
) -> Tensor:
    """Mask (J, I, height, width) of a convolution: rows above, columns to the left, and `channel_mask`.

    Args:
        out_channels: J.
        in_channels: I.
        kernel: Height and width, odd; its middle is the position itself.
        groups: Of channels.
        strict: As in `channel_mask`.

    Raises:
        ValueError: An even kernel, or fewer channels than groups.

    References:
        van den Oord et al. 2016 (arXiv 1601.06759), section 3.4.
    """
    height, width = kernel
    if height % 2 == 0 or width % 2 == 0:
        raise ValueError(f"kernel is {height} x {width}: choose odd numbers, so that it has a middle")
    mask = torch.zeros(out_channels, in_channels, height, width)
    mask[:, :, : height // 2] = 1
    mask[:, :, height // 2, : width // 2] = 1
    mask[:, :, height // 2, width // 2] = channel_mask(out_channels, in_channels, groups, strict=strict)
    return mask


def dense_masks(features: int, hidden: Sequence[int], outputs: int = 1) -> list[Tensor]:
    """Masks (J, I) of the layers of a masked autoencoder: output d sees inputs 0 to d - 1 alone.

    A hidden unit of degree m, 1 to D - 1, sees inputs 0 to m - 1; the degrees are dealt evenly and in order.
    The D outputs of one kind come before those of the next.

    Args:
        features: D, at least 2.
        hidden: Units of each hidden layer.
        outputs: Kinds of outputs, such as mean and scale.

    Raises:
        ValueError: Fewer than 2 features.

    References:
        Germain et al. 2015 (arXiv 1502.03509), equations 12 and 13.
    """
    if features < 2:
        raise ValueError(f"{features} feature: an autoregressive network needs at least 2")
    into = torch.arange(1, features + 1)
    masks = []
    for n in hidden:
        degrees = 1 + torch.arange(n) * (features - 1) // n
        masks.append((degrees[:, None] >= into).float())
        into = degrees
    order = torch.arange(1, features + 1).repeat(outputs)
    return [*masks, (order[:, None] > into).float()]
