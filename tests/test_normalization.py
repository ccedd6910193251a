"""Batch normalisation by batch, by reference and virtual, against the equations written out."""

from typing import Any

import pytest
import torch
from torch import nn

from rlgen.generative.normalization import BatchNorm, VirtualBatchNorm
from tests.draws import normal

SHAPES = [(6, 4), (6, 4, 3, 3)]


def column(values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """(..., C) -> (..., C, 1, 1) as x needs it."""
    return values.reshape(*values.shape, *[1] * (x.ndim - 2))


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_is_torchs(shape):
    x = 3 * normal(*shape) + 1
    ours: Any = BatchNorm(4, generator=torch.Generator().manual_seed(1)).double()
    theirs: Any = (nn.BatchNorm1d(4) if len(shape) == 2 else nn.BatchNorm2d(4)).double()
    theirs.weight.data = ours.gain.data
    torch.testing.assert_close(ours(x), theirs(x))
    assert ours.gain.std() > 0.005


@pytest.mark.parametrize("shape", SHAPES)
def test_without_gain_it_shifts_only(shape):
    norm: Any = BatchNorm(4, gain=False, eps=1e-6).double()
    assert [name for name, _ in norm.named_parameters()] == ["shift"]
    norm.shift.data = normal(4, seed=1)
    x = 3 * normal(*shape)
    axes = [0, *range(2, x.ndim)]
    y = norm(x)
    torch.testing.assert_close(y.mean(axes), norm.shift)
    torch.testing.assert_close(y.std(axes, correction=0), torch.ones(4, dtype=torch.float64))
    y.square().sum().backward()
    torch.testing.assert_close(norm.shift.grad, 2 * y.detach().sum(axes))
    assert not list(BatchNorm(4, gain=False, shift=False).parameters())


@pytest.mark.parametrize("shape", SHAPES)
def test_a_reference_sets_the_statistics_of_every_row(shape):
    """Its own rows come out as from a batch of them alone; no row moves another's output."""
    norm: Any = BatchNorm(4, generator=torch.Generator().manual_seed(1)).double()
    x = normal(*shape)
    y = norm(x, 3)
    torch.testing.assert_close(y[:3], norm(x[:3]))
    torch.testing.assert_close(norm(torch.cat([x[:3], x[4:]]), 3)[3:], y[4:])
    twin = norm(torch.cat([x[:3], x[:3]]), 3)
    torch.testing.assert_close(twin[3:], y[:3])


@pytest.mark.parametrize("gain", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_virtual_normalisation_mixes_reference_and_example(shape, gain):
    norm: Any = VirtualBatchNorm(4, gain=gain, generator=torch.Generator().manual_seed(1)).double()
    norm.shift.data = normal(4, seed=1)
    x, n = normal(*shape), 4
    y = norm(x, n)
    axes = [0, *range(2, x.ndim)]
    m_ref, q_ref = x[:n].mean(axes), (x[:n] ** 2).mean(axes)
    for row in (4, 5):
        m_x, q_x = x[row : row + 1].mean(axes), (x[row : row + 1] ** 2).mean(axes)
        m, q = (m_x + n * m_ref) / (n + 1), (q_x + n * q_ref) / (n + 1)
        scale = (norm.gain if gain else 1.0) / (q - m**2 + norm.eps).sqrt()
        expected = (x[row] - column(m, x)) * column(scale, x) + column(norm.shift, x)
        torch.testing.assert_close(y[row], expected)
    plain = BatchNorm(4).double()
    plain.shift = norm.shift
    if gain:
        plain.gain = norm.gain
    torch.testing.assert_close(y[:n], plain(x[:n]))


def test_gradients_of_virtual_normalisation_pass_through_the_statistics():
    norm: Any = VirtualBatchNorm(2).double()
    x = normal(4, 2, 2, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: norm(x, 2), x)


@pytest.mark.parametrize("n", [0, 3])
def test_virtual_normalisation_needs_reference_and_examples(n):
    with pytest.raises(ValueError, match=r"of 3 rows .*\[reference, examples\]"):
        VirtualBatchNorm(2)(torch.zeros(3, 2), n)


def test_nothing_is_kept():
    norm: Any = BatchNorm(3)
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    norm(torch.randn(5, 3, generator=torch.Generator().manual_seed(0)))
    assert list(before) == ["gain", "shift"]
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())
