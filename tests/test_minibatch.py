"""Minibatch discrimination, against its equation in loops."""

import pytest
import torch

from rlgen.generative.minibatch import MinibatchDiscrimination
from rlgen.generative.weight_norm import initialise_from_data
from tests.draws import generator


def layer(kernels: int = 3, dims: int = 2) -> MinibatchDiscrimination:
    return MinibatchDiscrimination(4, kernels, dims, generator=generator()).double()


def features(rows: int = 5) -> torch.Tensor:
    return torch.randn(rows, 4, generator=generator(1), dtype=torch.float64)


def test_output_is_the_equation():
    net, f = layer(), features()
    net.log_scale.data = 0.5 * torch.randn(3, 2, generator=generator(2), dtype=torch.float64)
    y = net(f)
    assert y.shape == (5, 7) and net.out_features == 7
    torch.testing.assert_close(y[:, :4], f)
    theta = net.theta.view(3, 2, 4)
    t = net.log_scale.exp()[:, :, None] * theta / theta.norm(dim=2, keepdim=True)
    m = torch.einsum("bf,kdf->bkd", f, t)
    for i in range(5):
        for k in range(3):
            closeness = sum((-(m[i, k] - m[j, k]).abs().sum()).exp() for j in range(5) if j != i)
            torch.testing.assert_close(y[i, 4 + k], closeness + net.b[k])


def test_gradients_are_right_by_finite_differences():
    net, f = layer(2, 2), features(3).requires_grad_()

    def function(f, theta, log_scale, b):
        parameters = {"theta": theta, "log_scale": log_scale, "b": b}
        return torch.func.functional_call(net, parameters, (f,))

    assert torch.autograd.gradcheck(function, (f, net.theta, net.log_scale, net.b))


def test_equal_samples_are_as_close_as_can_be():
    y = layer()(features(1).expand(6, 4))
    torch.testing.assert_close(y[:, 4:], torch.full((6, 3), 5.0 - 1.0, dtype=torch.float64))


def test_initialisation_puts_the_nearest_neighbour_two_away():
    net, f = layer(), 10 * features(20)
    initialise_from_data(net, lambda: net(f))
    distances = net.distances(f).detach()
    distances.diagonal(dim1=1, dim2=2).fill_(torch.inf)
    torch.testing.assert_close(distances.min(2).values.mean(1), torch.full((3,), 2.0, dtype=torch.float64))
    torch.testing.assert_close(net(f)[:, 4:].mean(0), torch.zeros(3, dtype=torch.float64))


def test_one_sample_has_no_neighbours():
    with pytest.raises(ValueError, match="at least 2"):
        layer().calibrate(features(1))
