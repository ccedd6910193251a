"""A plain version of the Diagonal BiLSTM, as one writes it down at first: by rows, columns and directions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from rlgen.generative.diagonal_lstm import DiagonalLSTM
from rlgen.generative.pixel_network import StackedNetwork


def skew(x: Tensor) -> Tensor:
    """Maps (B, C, H, W) with row i moved i places to the right (B, C, H, H + W - 1)."""
    n, channels, height, width = x.shape
    skewed = x.new_zeros(n, channels, height, height + width - 1)
    for i in range(height):
        skewed[:, :, i, i : i + width] = x[:, :, i]
    return skewed


def unskew(skewed: Tensor) -> Tensor:
    """What `skew` was given."""
    height = skewed.shape[2]
    width = skewed.shape[3] - height + 1
    return torch.stack([skewed[:, :, i, i : i + width] for i in range(height)], 2)


def plain_lstm(layer: DiagonalLSTM, x: Tensor, direction: int) -> Tensor:
    """One LSTM of the layer, from the left, of maps (B, 2 h, H, W) -> (B, h, H, W)."""
    input_weight = (layer.input[direction] * layer.mask).T[:, :, None, None]
    state_weight = layer.state[:, direction].flip(0).permute(2, 1, 0)  # (4 h, h, 2)
    inside = skew(torch.ones_like(x[:1, :1]))  # (1, 1, H, H + W - 1)
    maps = skew(F.conv2d(x, input_weight, layer.bias[direction]))
    h = c = maps.new_zeros(len(x), maps.shape[1] // 4, maps.shape[2])
    states = []
    for d in range(maps.shape[3]):
        gates = maps[..., d] + F.conv1d(F.pad(h, (1, 0)), state_weight)
        o, f, i, g = gates.chunk(4, 1)
        c = (f.sigmoid() * c + i.sigmoid() * g.tanh()) * inside[..., d]
        h = o.sigmoid() * c.tanh()
        states.append(h)
    return unskew(torch.stack(states, 3))


def plain_outputs(network: StackedNetwork, x: Tensor) -> Tensor:
    """What the network of Diagonal BiLSTM layers, with its own parameters, gives for images (B, C, H, W)."""
    first = network.first
    below = (0, 0, 0, first.mask.shape[3] - first.mask.shape[2])
    weight = F.pad(first.weight, below) * F.pad(first.mask, below)
    x = F.conv2d(x, weight, first.bias, padding=weight.shape[3] // 2)
    for layer in network.layers:
        assert isinstance(layer, DiagonalLSTM)
        left, right = plain_lstm(layer, x, 0), plain_lstm(layer, x.flip(3), 1).flip(3)
        states = left + F.pad(right[:, :, :-1], (0, 0, 1, 0))
        x = x + F.conv2d(states, layer.up.weight * layer.up.mask, layer.up.bias)
    for part in (network.head.hidden, network.head.last):
        x = F.conv2d(F.relu(x), part.weight * part.mask, part.bias)
    return x
