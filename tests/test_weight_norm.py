"""Weight normalisation and its initialisation from data."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from rlgen.generative.weight_norm import (
    WeightNormConv2d,
    WeightNormConvTranspose2d,
    WeightNormLinear,
    initialise_from_data,
)
from tests.draws import generator, normal


def pair(kind: str, **options) -> tuple[Any, Any, torch.Tensor]:
    """One of our layers, torch's plain one, and an input."""
    if kind == "linear":
        return WeightNormLinear(3, 4, **options), nn.Linear(3, 4), normal(6, 3)
    if kind == "conv":
        ours = WeightNormConv2d(3, 4, 3, stride=2, padding=1, **options)
        return ours, nn.Conv2d(3, 4, 3, stride=2, padding=1), normal(6, 3, 8, 8)
    ours = WeightNormConvTranspose2d(3, 4, 5, **options)
    theirs = nn.ConvTranspose2d(3, 4, 5, stride=2, padding=2, output_padding=1)
    return ours, theirs, normal(6, 3, 4, 4)


KINDS = ["linear", "conv", "up"]


@pytest.mark.parametrize("kind", KINDS)
def test_layers_are_torchs_with_its_parametrisation(kind):
    ours, theirs, x = pair(kind, generator=generator())
    theirs: Any = weight_norm(theirs, dim=1 if kind == "up" else 0).double()
    ours = ours.double()
    with torch.no_grad():
        ours.g.copy_(1 + 0.1 * normal(4, seed=1))
        ours.b.copy_(normal(4, seed=2))
        scale, direction = theirs.parametrizations.weight.original0, theirs.parametrizations.weight.original1
        scale.copy_(ours.g.view_as(scale))
        direction.copy_(ours.v)
        theirs.bias.copy_(ours.b)
    torch.testing.assert_close(ours(x), theirs(x))
    grads = torch.autograd.grad(ours(x).sin().sum(), [ours.v, ours.g, ours.b])
    oracle = torch.autograd.grad(theirs(x).sin().sum(), [direction, scale, theirs.bias])
    for mine, other in zip(grads, oracle, strict=True):
        torch.testing.assert_close(mine.flatten(), other.flatten())


@pytest.mark.parametrize("kind", KINDS)
def test_the_norm_of_a_weight_is_its_scale(kind):
    ours, _, _ = pair(kind, generator=generator())
    ours.g.data.fill_(2.5)
    weight = ours.weight().transpose(0, 1) if kind == "up" else ours.weight()
    torch.testing.assert_close(weight.flatten(1).norm(dim=1), torch.full((4,), 2.5))


@pytest.mark.parametrize("kind", KINDS)
def test_initialisation_standardises_the_outputs(kind):
    ours, _, x = pair(kind, init_std=0.1, generator=generator())
    ours, x = ours.double(), 5 + 3 * x
    initialise_from_data(ours, lambda: ours(x))
    y = ours(x).transpose(0, 1).flatten(1)
    torch.testing.assert_close(y.mean(1), torch.zeros(4, dtype=torch.float64))
    torch.testing.assert_close(y.std(1, correction=0), torch.full((4,), 0.1, dtype=torch.float64))
    ours.v.data.mul_(7.0)  # the length of v is of no consequence
    torch.testing.assert_close(ours(x).transpose(0, 1).flatten(1), y)


def test_initialisation_goes_layer_by_layer_and_leaves_nothing_behind():
    first, second = (WeightNormLinear(8, 8, generator=generator(seed)).double() for seed in (0, 1))
    net = nn.Sequential(first, nn.ReLU(), second)
    x = 4 + normal(50, 8)
    initialise_from_data(net, lambda: net(x))
    for y in (first(x), net(x)):
        torch.testing.assert_close(y.std(0, correction=0), torch.ones(8, dtype=torch.float64))
    scales = [first.g.clone(), second.g.clone()]
    net(100 * x)
    assert torch.equal(first.g, scales[0]) and torch.equal(second.g, scales[1])


def test_a_constant_output_keeps_its_scale():
    layer = WeightNormLinear(2, 3, generator=generator())
    initialise_from_data(layer, lambda: layer(torch.ones(5, 2)))
    assert torch.equal(layer.g, torch.ones(3))
    torch.testing.assert_close(layer(torch.ones(1, 2)), torch.zeros(1, 3), atol=1e-6, rtol=0)


def test_a_layer_can_do_without_initialisation():
    layer = WeightNormLinear(2, 3, init_std=None, generator=generator())
    initialise_from_data(layer, lambda: layer(torch.eye(2)))
    assert torch.equal(layer.g, torch.ones(3)) and torch.equal(layer.b, torch.zeros(3))


def test_a_fixed_scale_is_no_parameter_but_is_saved():
    layer = WeightNormLinear(2, 3, train_scale=False, generator=generator())
    assert {name for name, _ in layer.named_parameters()} == {"v", "b"}
    assert set(layer.state_dict()) == {"v", "b", "g"}


def test_directions_are_drawn_from_the_generator():
    before = torch.get_rng_state()
    layers = [WeightNormLinear(40, 50, direction_std=0.1, generator=generator(s)) for s in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(layers[0].v, layers[1].v) and not torch.equal(layers[0].v, layers[2].v)
    assert layers[0].v.std().item() == pytest.approx(0.1, rel=0.1)
