"""The Bayesian network against torch.distributions, autograd, Monte Carlo and the linear-Gaussian model."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import softplus

from rlgen.generative.bayes import BayesianMLP, relu_moments
from rlgen.rewards.information_gain import expected_gain, realised_gain

SIZES = (7, 6, 5, 4)


def network(sizes=SIZES, dtype=torch.float64, **kwargs) -> BayesianMLP:
    net = BayesianMLP(sizes, generator=torch.Generator().manual_seed(0), **kwargs).to(dtype)
    g = torch.Generator().manual_seed(1)
    for rho in net.rho:  # widths that differ, between about 0.05 and 0.9
        rho.data = torch.randn(rho.shape, generator=g, dtype=dtype) - 1.5
    return net


def data(rows=9, sizes=SIZES, dtype=torch.float64, seed=2):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, sizes[0], generator=g, dtype=dtype)
    y = torch.randn(rows, sizes[-1], generator=g, dtype=dtype)
    return x, y, 0.2 + torch.rand(sizes[-1], generator=g, dtype=dtype), g


@pytest.mark.parametrize("sigma", [1e-3, 0.5, 200.0])
def test_widths_come_back_as_they_were_set(sigma):
    net = network()
    wanted = [torch.full_like(part, sigma**2) for part in net.mu]
    net.set_variances(wanted)
    torch.testing.assert_close(net.variances(), wanted)


def test_kl_equals_torch_distributions():
    net = network(prior_sigma=0.7)
    zero = torch.zeros((), dtype=torch.float64)
    prior = Normal(zero, zero + 0.7)
    exact = sum(
        kl_divergence(Normal(mu, softplus(rho)), prior).sum() for mu, rho in zip(net.mu, net.rho, strict=True)
    )
    torch.testing.assert_close(net.kl(), exact, rtol=1e-12, atol=0)


def test_construction_is_seeded_and_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    a, b = (BayesianMLP((50, 40), generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(a.mu[0], b.mu[0])
    assert a.mu[0].std().item() == pytest.approx(1 / math.sqrt(50), rel=0.05)
    torch.testing.assert_close(a.variances()[0], torch.full((51, 40), 0.02**2))


def test_set_variances_round_trip_over_six_orders_of_magnitude():
    net = BayesianMLP((6, 1))
    wanted = [torch.logspace(-10, 1, 7)[:, None]]
    net.set_variances(wanted)
    torch.testing.assert_close(net.variances()[0], wanted[0], rtol=1e-5, atol=0)


@pytest.mark.parametrize("mean", [-300.0, -3.0, 0.0, 0.4, 300.0])
@pytest.mark.parametrize("sd", [1e-3, 1.0])
def test_relu_moments_equal_quadrature(mean, sd):
    grid = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    weight = torch.exp(-0.5 * grid**2) / math.sqrt(2 * math.pi) * (grid[1] - grid[0])
    h = (mean + sd * grid).relu()
    first = (weight * h).sum()
    second = (weight * (h - first) ** 2).sum()
    got = relu_moments(torch.tensor(mean), torch.tensor(sd**2))
    assert got[0].item() == pytest.approx(first.item(), rel=1e-5, abs=1e-6)
    assert got[1].item() == pytest.approx(second.item(), rel=1e-4, abs=1e-6 * sd**2)


@pytest.mark.parametrize("sizes", [(7, 4), (7, 6, 4)])
def test_moments_equal_those_of_weights_drawn_from_the_posterior(sizes):
    net, (x, _, _, g) = network(sizes), data(3, sizes)
    mean, var = net.moments(x)
    h, n = x.expand(40_000, -1, -1), 40_000
    for i, mu in enumerate(net.mu):
        w = mu + softplus(net.rho[i]) * torch.randn(n, *mu.shape, generator=g, dtype=mu.dtype)
        h = torch.baddbmm(w[:, -1:], h, w[:, :-1])
        h = h.relu() if i < len(net.mu) - 1 else h
    assert ((h.mean(0) - mean).abs() < 5 * (var / n).sqrt()).all()
    torch.testing.assert_close(h.var(0), var, rtol=0.06, atol=0)


def test_local_reparametrisation_has_the_moments_and_fresh_noise_for_every_row():
    net, (x, _, _, g) = network((7, 6, 4)), data(1, (7, 6, 4))
    mean, var = net.moments(x)
    rows = x.expand(40_000, -1)
    out = net(rows, net.draw_noise(len(rows), g))
    torch.testing.assert_close(out.mean(0), mean[0], rtol=0, atol=0.05)
    torch.testing.assert_close(out.var(0), var[0], rtol=0.06, atol=0)
    shared = net(rows[:5], net.draw_noise(5, g, shared=True))
    assert (shared == shared[0]).all()
    assert net.draw_noise(3, g, hidden_only=True)[-1].shape == (3, 6)


@pytest.mark.parametrize("train_rho", [True, False])
def test_gradients_equal_autograd(train_rho):
    net, (x, y, s, g) = network(), data()
    net.rho.requires_grad_(train_rho)
    noise = net.draw_noise(len(x), g, hidden_only=True)
    run = net.run(x, noise, net.variances())
    loss = (0.5 * ((y - run.mean) ** 2 + run.spreads[-1]) / s**2).sum(1).mean() + 0.03 * net.kl()
    trained = [p for p in net.parameters() if p.requires_grad]
    exact = torch.autograd.grad(loss, trained)
    variances = [v.detach() for v in net.variances()]
    gradients = net.backward(run, variances, (run.mean - y) / s**2, s[None] ** -2)
    net.set_gradients(run, variances, gradients, 0.03)
    for p, wanted in zip(trained, exact, strict=True):
        torch.testing.assert_close(p.grad, wanted, rtol=1e-10, atol=1e-12)


def test_gauss_newton_equals_squared_jacobians_for_one_hidden_layer():
    net, (x, _, s, _) = network((7, 6, 4)), data(5, (7, 6, 4))
    run = net.run(x, None, net.variances())
    got = net.gauss_newton(run.inputs, s**-2)
    wanted = [torch.zeros_like(mu) for mu in net.mu]
    for row in x:
        out = net(row[None])[0]
        for d in range(4):
            grads = torch.autograd.grad(out[d], list(net.mu), retain_graph=True)
            for total, grad in zip(wanted, grads, strict=True):
                total += grad**2 / s[d] ** 2 / len(x)
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=0)


def oracle(net, x, y, s, draws, step_size=1.0):
    """One backward pass a transition: 1/2 lambda^2 g^T H^-1 g in (mu, rho), g averaged over draws first."""
    gains = []
    for b in range(len(x)):
        loss = torch.zeros((), dtype=x.dtype)
        for noise in draws:
            out = net(x[b : b + 1], [eps[b : b + 1] for eps in noise])
            loss = loss - Normal(out, s).log_prob(y[b : b + 1]).sum() / len(draws)
        g_mu = torch.autograd.grad(loss, list(net.mu), retain_graph=True)
        g_rho = torch.autograd.grad(loss, list(net.rho))
        gain = torch.zeros((), dtype=x.dtype)
        for gm, gr, rho in zip(g_mu, g_rho, net.rho, strict=True):
            sigma = softplus(rho)
            h_rho = 2 * torch.exp(2 * rho) / (1 + torch.exp(rho)) ** 2 / sigma**2
            gain = gain + (gm**2 * sigma**2).sum() + (gr**2 / h_rho).sum()
        gains.append(0.5 * step_size**2 * gain.detach())
    return torch.stack(gains)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize("draws", [1, 10])
@pytest.mark.parametrize("sizes", [(7, 4), (7, 6, 4), SIZES])
def test_realised_gain_equals_one_backward_pass_a_transition(sizes, draws, dtype, tolerance):
    net, (x, y, s, g) = network(sizes, dtype), data(9, sizes, dtype)
    noise = [net.draw_noise(len(x), g) for _ in range(draws)]
    got = realised_gain(net, x, y, s, noise, step_size=0.3)
    torch.testing.assert_close(got, oracle(net, x, y, s, noise, 0.3), rtol=tolerance, atol=0)


def test_realised_gain_at_the_mean_weights_is_the_gain_of_zero_noise():
    net, (x, y, s, _) = network(), data()
    zero = [torch.zeros(len(x), n, dtype=x.dtype) for n in SIZES[1:]]
    torch.testing.assert_close(realised_gain(net, x, y, s), oracle(net, x, y, s, [zero]), rtol=1e-9, atol=0)


def test_draws_are_averaged_before_squaring():
    net, (x, y, s, g) = network(), data()
    noise = [net.draw_noise(len(x), g) for _ in range(10)]
    apart = torch.stack([realised_gain(net, x, y, s, [one]) for one in noise]).mean(0)
    assert (realised_gain(net, x, y, s, noise) < 0.9 * apart).all()


@pytest.mark.parametrize("outputs", [1, 3])
def test_expected_gain_is_exact_for_a_linear_gaussian_model(outputs):
    """1/2 log det(Sigma) - 1/2 log det(Sigma after seeing y) of the conjugate posterior of each output."""
    net, (x, _, s, _) = network((7, outputs)), data(5, (7, outputs))
    for b, row in enumerate(torch.cat([x, torch.ones(5, 1, dtype=x.dtype)], 1)):
        gain = 0.0
        for d in range(outputs):
            prior = torch.diag(net.variances()[0][:, d])
            after = torch.linalg.inv(torch.linalg.inv(prior) + torch.outer(row, row) / s[d] ** 2)
            gain += 0.5 * (torch.logdet(prior) - torch.logdet(after)).item()
        assert expected_gain(net, x[b : b + 1], s).item() == pytest.approx(gain, rel=1e-9)
