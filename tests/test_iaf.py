"""Inverse autoregressive flow: its determinant, its inverse, and its density, against autograd."""

from typing import Any

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from rlgen.generative.iaf import IAF, IAFStep
from rlgen.generative.masked import MADE, ConvMADE
from rlgen.generative.posterior import Gaussian, draw_posterior
from tests.draws import generator, normal


def make(kind: str, steps: int) -> tuple[IAF, torch.Tensor, torch.Tensor]:
    """A flow of strong steps in double precision, with a z and a context."""
    if kind == "dense":
        networks: list[Any] = [
            MADE(5, (16,), outputs=2, context=3, backwards=t % 2 == 1, generator=generator(t))
            for t in range(steps)
        ]
        return IAF(networks).double(), normal(4, 5), normal(4, 3, seed=9)
    networks = [
        ConvMADE(2, (6,), outputs=2, backwards=t % 2 == 1, generator=generator(t)) for t in range(steps)
    ]
    return IAF(networks).double(), normal(3, 2, 3, 4), normal(3, 6, 3, 4, seed=9)


def jacobian(flow: Any, z: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
    """(D, D) of the first example, in the order rows, columns, channels."""
    entries = z[:1].movedim(1, -1).flatten()

    def run(entries: torch.Tensor) -> torch.Tensor:
        maps = entries.view(1, *z.shape[2:], z.shape[1]).movedim(-1, 1)
        return flow(maps, context[:1])[0].movedim(1, -1).flatten()

    return torch.autograd.functional.jacobian(run, entries)  # type: ignore


@pytest.mark.parametrize("kind", ["dense", "conv"])
@pytest.mark.parametrize("steps", [1, 3])
def test_log_determinant_is_that_of_the_jacobian(kind, steps):
    flow, z, context = make(kind, steps)
    _, log_det = flow(z, context)
    oracle = torch.linalg.slogdet(jacobian(flow, z, context))
    torch.testing.assert_close(log_det[0].sum(), oracle.logabsdet)
    assert oracle.sign == 1 and log_det.shape == z.shape


@pytest.mark.parametrize("kind", ["dense", "conv"])
def test_a_step_is_triangular_and_the_next_one_the_other_way_round(kind):
    flow, z, context = make(kind, 2)
    first, second = (jacobian(step, z, context) for step in flow.steps)
    assert not first.triu(1).any() and first.tril(-1).any()
    assert not second.tril(-1).any() and second.triu(1).any()
    assert (first.diagonal() > 0).all() and (first.diagonal() < 1).all()


@pytest.mark.parametrize("kind", ["dense", "conv"])
@pytest.mark.parametrize("steps", [1, 3])
def test_inverse_of_forward_is_the_identity(kind, steps):
    flow, z, context = make(kind, steps)
    torch.testing.assert_close(flow.inverse(flow(z, context)[0], context), z)


def test_the_forget_bias_keeps_a_fresh_step_near_the_identity():
    network = MADE(5, (16,), outputs=2, context=3, generator=generator()).double()
    z, context = normal(4, 5), normal(4, 3, seed=9)
    (near, _), (far, _) = IAFStep(network, 8.0)(z, context), IAFStep(network, 0.0)(z, context)
    assert (near - z).abs().max() < 0.02 < 0.2 < (far - z).abs().max()


def test_a_wild_step_still_has_an_inverse():
    """Entries that are not found yet are divided by tiny gates again and again, and must not overflow."""
    network: Any = MADE(64, (64,), outputs=2, generator=generator()).double()
    network.layers[1].g.data.mul_(2.0)
    step, z = IAFStep(network), normal(8, 64)
    assert step(z)[1].min() < -5
    torch.testing.assert_close(step.inverse(step(z)[0]), z, atol=1e-5, rtol=0)


def test_gradients_reach_every_parameter():
    flow, z, context = make("conv", 2)
    y, log_det = flow(z, context)
    (y.square().sum() - log_det.sum()).backward()
    assert all(p.grad is not None and p.grad.any() for p in flow.parameters())


def test_without_a_flow_the_divergence_is_that_of_gaussians_and_estimates_it_if_sampled():
    q, p = (Gaussian(normal(4, 3, seed=seed), 0.5 * normal(4, 3, seed=seed + 1)) for seed in (1, 3))
    oracle = [Normal(mean, log_sigma.exp()) for mean, log_sigma in (q, p)]
    noise = normal(20_000, 4, 3, seed=5)
    z, kl = draw_posterior(q, noise[0], p)
    torch.testing.assert_close(kl, kl_divergence(*oracle))
    torch.testing.assert_close(z, q.mean + q.log_sigma.exp() * noise[0])
    z, ratio = draw_posterior(q, noise, p, sampled=True)
    torch.testing.assert_close(ratio, oracle[0].log_prob(z) - oracle[1].log_prob(z))
    assert ((ratio.mean(0) - kl).abs() < 5 * ratio.std(0) / 20_000**0.5).all()
    standard = draw_posterior(q, noise, sampled=True)[1]
    torch.testing.assert_close(standard, oracle[0].log_prob(z) - Normal(0.0, 1.0).log_prob(z))


def test_the_density_of_a_flow_adds_up_to_one():
    """By importance sampling: the mean of p(z) / q(z) for z ~ q is 1, for a normal p."""
    flow = IAF([MADE(2, (8,), outputs=2, generator=generator(t)) for t in range(2)], forget_bias=1.0)
    noise = torch.randn(40_000, 2, generator=generator())
    with torch.no_grad():
        _, ratio = draw_posterior(Gaussian(torch.zeros(1, 2), torch.full((1, 2), 1.2)), noise, flow=flow)
        weights = (-ratio).sum(1).exp()
    assert weights.std() > 0.3
    assert abs(weights.mean().item() - 1) < 4 * weights.std().item() / 200
