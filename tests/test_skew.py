"""The order of pixels by diagonals, against the skewed map itself."""

import pytest
import torch
import torch.nn.functional as F

from rlgen.generative.skew import diagonals, reorder, skew_orders

CPU = torch.device("cpu")
shapes = pytest.mark.parametrize("shape", [(3, 4), (4, 3), (5, 5), (1, 4), (4, 1)])


@shapes
@pytest.mark.parametrize("mirrored", [False, True])
def test_diagonals_are_the_columns_of_the_skewed_map(shape, mirrored):
    height, width = shape
    pixels = torch.arange(height * width).view(shape)
    # Rows padded to H + W, read with one place less a row, are shifted by one place a row.
    padded = F.pad(pixels.flip(1) if mirrored else pixels, (0, height), value=-1).flatten()
    skewed = padded[: height * (height + width - 1)].view(height, -1)
    order, inverse = skew_orders(height, width, mirrored, CPU)
    assert order.tolist() == [p for column in skewed.T.tolist() for p in column if p >= 0]
    assert order[inverse].tolist() == list(range(height * width))
    for line, column in zip(diagonals(height, width), skewed.T, strict=True):
        places = (column >= 0).nonzero().flatten().tolist()
        assert places == list(range(line.low, line.high))
        assert order[line.start : line.stop].tolist() == column[column >= 0].tolist()


def test_reordering_and_its_gradient_are_those_of_indexing():
    order, inverse = skew_orders(3, 4, False, CPU)
    x = torch.randn(12, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    weight = torch.arange(24.0).view(12, 2)
    assert torch.equal(reorder(x, order, inverse), x[order])
    (mine,) = torch.autograd.grad((reorder(x, order, inverse) * weight).sum(), x)
    (oracle,) = torch.autograd.grad((x[order] * weight).sum(), x)
    assert torch.equal(mine, oracle)


def test_orders_made_in_inference_mode_can_be_trained_with():
    skew_orders.cache_clear()
    with torch.inference_mode():
        skew_orders(2, 3, False, CPU)
    x = torch.ones(6, 1, requires_grad=True)
    reorder(x, *skew_orders(2, 3, False, CPU)).sum().backward()
    assert x.grad is not None
