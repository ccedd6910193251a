"""Masked convolution: what it sees, and the same by position."""

import pytest
import torch
import torch.nn.functional as F

from rlgen.generative.masked_convolution import ConvolutionWalk, MaskedConv2d, causal_mask
from rlgen.generative.masks import convolution_mask

KERNELS = [(1, 1), (1, 3), (3, 3), (5, 3)]
kernels = pytest.mark.parametrize("kernel", KERNELS)


def layer(kernel: tuple[int, int], *, strict: bool = False, bias: bool = True) -> MaskedConv2d:
    generator = torch.Generator().manual_seed(0)
    made = MaskedConv2d(
        causal_mask(6, 3, kernel, groups=3, strict=strict), bias=bias, generator=generator
    ).double()
    made.weight.data.add_(torch.randn(made.weight.shape, generator=generator))  # hidden ones, too
    if made.bias is not None:
        made.bias.data.normal_(generator=generator)
    return made


def maps(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@kernels
@pytest.mark.parametrize("strict", [False, True])
def test_it_is_the_convolution_with_the_whole_mask(kernel, strict):
    conv, x = layer(kernel, strict=strict), maps(2, 3, 4, 5)
    height, width = kernel
    below = (0, width - conv.mask.shape[3], 0, height - conv.mask.shape[2])
    weight = F.pad(conv.weight, below) * convolution_mask(6, 3, kernel, groups=3, strict=strict)
    oracle = F.conv2d(x, weight, conv.bias, padding=(height // 2, width // 2))
    torch.testing.assert_close(conv(x), oracle)


@kernels
@pytest.mark.parametrize("bias", [False, True])
def test_a_walk_gives_the_same(kernel, bias):
    conv, x = layer(kernel, bias=bias), maps(2, 3, 4, 5)
    walk = ConvolutionWalk(conv, 2, 5)
    with torch.no_grad():
        y = conv(x)
    for i in range(4):
        walk.begin_row()
        for j in range(5):
            walk.step(torch.zeros(2, 3, dtype=torch.float64), j)  # the last time counts
            torch.testing.assert_close(walk.step(x[:, :, i, j], j), y[:, :, i, j])


def test_first_weights_have_the_gain_over_the_inputs_seen():
    mask = causal_mask(2000, 4, (3, 3))
    weight = MaskedConv2d(mask, gain=3.0, generator=torch.Generator().manual_seed(0)).weight
    assert (weight[mask == 0] == 0).all()
    assert weight[mask == 1].std().item() == pytest.approx(3 / (4 * 5) ** 0.5, rel=0.02)
