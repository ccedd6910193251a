"""Masked autoencoders: what each output may see it sees, and nothing else."""

from typing import Any

import pytest
import torch
from torch import nn

from rlgen.generative.masked import MADE, ConvMADE, MaskedLinear, MaskedWeightNormLinear
from rlgen.generative.masks import convolution_mask, dense_masks
from rlgen.generative.weight_norm import initialise_from_data
from tests.draws import generator, normal


def jacobian(network: nn.Module, z: torch.Tensor, *rest: torch.Tensor) -> list[torch.Tensor]:
    """d output / d input of one example, of each kind, in the order rows, columns, channels."""

    def flat(x: torch.Tensor) -> torch.Tensor:
        return x.movedim(1, -1).flatten()

    def run(entries: torch.Tensor) -> torch.Tensor:
        maps = entries.view(1, *z.shape[2:], z.shape[1]).movedim(-1, 1)
        return torch.stack([flat(kind) for kind in network(maps, *rest)])

    return list(torch.autograd.functional.jacobian(run, flat(z)))


@pytest.mark.parametrize("weight_norm", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
def test_a_dense_output_sees_all_entries_before_it_and_no_other(weight_norm, backwards):
    options = {"weight_norm": weight_norm, "backwards": backwards, "generator": generator()}
    network = MADE(5, (32, 32), outputs=2, context=3, **options).double()
    before = torch.ones(5, 5).tril(-1).bool()
    for J in jacobian(network, normal(1, 5), normal(1, 3, seed=1)):
        assert torch.equal(J != 0, before.T if backwards else before)


@pytest.mark.parametrize("backwards", [False, True])
def test_a_map_sees_rows_above_columns_left_and_earlier_channels(backwards):
    network = ConvMADE(2, (5, 5), outputs=2, backwards=backwards, generator=generator()).double()
    for J in jacobian(network, normal(1, 2, 4, 4), normal(1, 5, 4, 4, seed=1)):
        seen = J.T != 0 if backwards else J != 0
        assert not seen.triu().any()  # neither itself nor what is after it
        assert all(seen[2 * p + 1, 2 * p] for p in range(16))  # the channel before, at the same position
        assert all(seen[2 * p, 2 * p - 1] for p in range(1, 16) if p % 4)  # the position to the left
        assert all(seen[2 * p, 2 * (p - 4)] for p in range(4, 16))  # the position above


def test_a_masked_layer_is_a_linear_one_with_zeros():
    mask = dense_masks(4, [6])[0]
    layer = MaskedLinear(mask, generator=generator()).double()
    layer.bias.data.copy_(normal(6))
    x = normal(3, 4, seed=1)
    torch.testing.assert_close(layer(x), x @ (layer.weight * mask).T + layer.bias)


def test_the_norm_is_that_of_what_is_not_masked_and_stays_so():
    mask = dense_masks(4, [6])[1]  # the first output sees nothing
    layer = MaskedWeightNormLinear(mask, generator=generator())
    layer.g.data.fill_(2.5)
    optimizer = torch.optim.Adamax([layer.v], 0.1)
    for _ in range(3):
        layer(normal(2, 6).float()).square().sum().backward()
        optimizer.step()
    assert layer.v[1:].any() and not layer.v[1:][mask[1:] == 0].any()
    torch.testing.assert_close(layer.weight().norm(dim=1), torch.tensor([0.0, 2.5, 2.5, 2.5]))


@pytest.mark.parametrize("kind", ["dense", "conv"])
def test_initialisation_standardises_hidden_units_and_makes_outputs_small(kind):
    network, z, context = pair(kind)
    initialise_from_data(network, lambda: network(z, context))
    first = network.layers[0](z)
    std = first.movedim(1, 0).flatten(1).std(1, correction=0)
    torch.testing.assert_close(std, torch.ones_like(std), rtol=1e-5, atol=0)
    for output in network(z, context):
        seen = output.movedim(1, 0).flatten(1).std(1, correction=0)[1:]  # the first entry sees but context
        assert ((seen - 0.1).abs() < 1e-5).all()


def pair(kind: str) -> tuple[Any, torch.Tensor, torch.Tensor]:
    """A network with an input and a context."""
    z, context, maps = normal(64, 5).float(), normal(64, 3, seed=1).float(), normal(8, 6, 5, 5).float()
    if kind == "dense":
        return MADE(5, (12, 12), outputs=2, context=3, generator=generator()), z, context
    return ConvMADE(2, (6, 6), outputs=2, generator=generator()), normal(8, 2, 5, 5, seed=1).float(), maps


@pytest.mark.parametrize("kind", ["dense", "conv"])
def test_gradients_reach_every_parameter_that_is_not_masked(kind):
    network, z, context = pair(kind)
    torch.stack(network(z, context)).add(1).square().sum().backward()
    for layer in network.layers:
        gradient = layer.v.grad.flatten(1)
        seen = layer.mask.flatten(1).sum(1) > 1  # a direction of one entry has nothing to turn to
        assert (gradient[seen] != 0).any(1).all() and (layer.b.grad != 0).all()
        assert (layer.g.grad[layer.mask.flatten(1).any(1)] != 0).all()
    if kind == "dense":
        assert (network.context.weight.grad != 0).all()


def test_first_values_come_from_the_generator():
    before = torch.get_rng_state()
    nets = [
        MADE(4, (8,), context=2, weight_norm=w, generator=generator(s))
        for w in (True, False)
        for s in (0, 0, 1)
    ]
    assert torch.equal(torch.get_rng_state(), before)
    for one, same, other in (nets[:3], nets[3:]):
        first, second, third = (
            torch.cat([p.flatten() for p in net.parameters()]) for net in (one, same, other)
        )
        assert torch.equal(first, second) and not torch.equal(first, third)


def test_what_is_not_autoregressive_is_refused():
    with pytest.raises(ValueError, match="hidden is empty"):
        MADE(4, (), generator=generator())
    with pytest.raises(ValueError, match="hidden is empty"):
        ConvMADE(4, (), generator=generator())
    with pytest.raises(ValueError, match="at least 2"):
        MADE(1, (4,), generator=generator())
    with pytest.raises(ValueError, match="3 groups|4 groups"):
        ConvMADE(4, (3,), generator=generator())


def test_masks_of_maps_are_those_of_the_layer_groups():
    layer: Any = ConvMADE(3, (6,), generator=generator()).layers[0]
    assert torch.equal(layer.mask, convolution_mask(6, 3, (3, 3), groups=3, strict=False))
