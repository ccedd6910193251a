"""Adversarial losses and regularisers, each against its equation."""

import math

import pytest
import torch
import torch.nn.functional as F

from rlgen.generative.gan import (
    MLPDiscriminator,
    bernoulli_entropy,
    discriminator_loss,
    feature_matching,
    gradient_penalty,
    historical_penalty,
    interpolate,
    minimax_loss,
    nonsaturating_loss,
    semi_supervised_loss,
    spectrally_normalised,
)
from tests.draws import generator, normal


@pytest.mark.parametrize("smoothing", [0.0, 0.25])
def test_loss_is_cross_entropy_with_means_of_each_side(smoothing):
    real, fake = normal(5), normal(8, seed=1)
    label = torch.full_like(real, 1 - smoothing)
    oracle = F.binary_cross_entropy_with_logits(real, label) + F.binary_cross_entropy_with_logits(
        fake, torch.zeros_like(fake)
    )
    torch.testing.assert_close(discriminator_loss(real, fake, smoothing), oracle)


def test_loss_is_two_log_two_at_chance_and_finite_far_out():
    assert discriminator_loss(torch.zeros(3), torch.zeros(4)).item() == pytest.approx(2 * math.log(2))
    assert discriminator_loss(torch.tensor([-500.0]), torch.tensor([500.0])).item() == pytest.approx(1000)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_optimal_logit_is_the_log_density_ratio(smoothing):
    """On a table of four states a free logit for each finds log (1 - s) p / (q + s p)."""
    p, q = torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.tensor([0.4, 0.3, 0.25, 0.05])
    counts = [(1000 * x).round().long() for x in (p, q)]
    logits = torch.zeros(4, requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], line_search_fn="strong_wolfe", max_iter=100)

    def closure():
        optimizer.zero_grad()
        real, fake = (logits.repeat_interleave(n) for n in counts)
        loss = discriminator_loss(real, fake, smoothing)
        loss.backward()
        return loss

    optimizer.step(closure)
    torch.testing.assert_close(
        logits.detach(), ((1 - smoothing) * p / (q + smoothing * p)).log(), atol=2e-3, rtol=0
    )


def test_generator_losses_are_their_logarithms():
    logits = normal(6)
    d = logits.sigmoid()
    torch.testing.assert_close(nonsaturating_loss(logits), -d.log().mean())
    torch.testing.assert_close(minimax_loss(logits), (1 - d).log().mean())


def test_only_the_minimax_loss_saturates_where_the_discriminator_wins():
    logits = torch.full((4,), -20.0, requires_grad=True)
    (saturated,) = torch.autograd.grad(minimax_loss(logits), logits)
    (steady,) = torch.autograd.grad(nonsaturating_loss(logits), logits)
    assert saturated.abs().max() < 1e-8
    torch.testing.assert_close(steady, torch.full((4,), -0.25))


def test_feature_matching_compares_mean_features():
    real = torch.tensor([[1.0, 2.0], [3.0, 6.0]])  # means 2, 4
    fake = torch.tensor([[1.0, 1.0]])
    assert feature_matching(real, fake, "l2").item() == pytest.approx((1 + 9) / 2)
    assert feature_matching(real, fake, "l1").item() == pytest.approx((1 + 3) / 2)
    with pytest.raises(ValueError, match="'max'.*'l1' or 'l2'"):
        feature_matching(real, fake, "max")


@pytest.mark.parametrize("weight", [1.0, 2.0])
def test_semi_supervised_loss_is_that_of_k_plus_one_classes(weight):
    """A softmax over K + 1 logits, the last one 0; weight 2 is the paper's equation, without halves."""
    labelled, unlabelled, fake = normal(4, 3), normal(5, 3, seed=1), normal(6, 3, seed=2)
    labels = torch.tensor([0, 2, 1, 1])

    def log_fake(logits):
        return F.pad(logits, (0, 1)).log_softmax(1)[:, -1]

    def log_real(logits):
        return (-log_fake(logits).expm1()).log()

    classes = -labelled.log_softmax(1).gather(1, labels[:, None]).mean()
    adversarial = -log_real(unlabelled).mean() - log_fake(fake).mean()
    loss = semi_supervised_loss(labelled, labels, unlabelled, fake, weight)
    torch.testing.assert_close(loss, classes + weight / 2 * adversarial)


def test_semi_supervised_loss_is_finite_far_out():
    far = torch.full((2, 3), 300.0)
    assert semi_supervised_loss(far, torch.tensor([0, 1]), far, -far).isfinite()


def test_historical_penalty_pulls_towards_the_past():
    theta, past = (
        [normal(2, 2).requires_grad_(), normal(3).requires_grad_()],
        [normal(2, 2, seed=1), normal(3, seed=2)],
    )
    penalty = historical_penalty(theta, past)
    torch.testing.assert_close(penalty, sum((t - p).square().sum() for t, p in zip(theta, past, strict=True)))
    gradient, _ = torch.autograd.grad(penalty, theta)
    torch.testing.assert_close(gradient, 2 * (theta[0] - past[0]).detach())


def test_entropy_is_that_of_torch_distributions():
    logits = 3 * normal(20)
    torch.testing.assert_close(
        bernoulli_entropy(logits), torch.distributions.Bernoulli(logits=logits).entropy()
    )
    assert bernoulli_entropy(torch.zeros(())).item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("shape", [(6, 3), (6, 2, 4, 4)])
def test_interpolates_lie_on_the_line_between_their_own_pair(shape):
    real, fake = normal(*shape), normal(*shape, seed=1)
    share = ((interpolate(real, fake, generator(2)) - fake) / (real - fake)).flatten(1)
    torch.testing.assert_close(share, share[:, :1].expand_as(share))
    assert (share > 0).all() and (share < 1).all() and share[:, 0].std() > 0.1


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_penalty_of_a_network_is_the_chain_rule_written_out(activation):
    """A layer's slope is f'(a) W: for tanh f' = 1 - h^2, for a ReLU 1[h > 0]."""
    net = MLPDiscriminator(3, (5, 4), activation=activation, generator=generator()).double()
    real, fake = normal(7, 3), normal(7, 3, seed=1)
    penalty = gradient_penalty(net, real, fake, generator(2), target=0.5)
    h = interpolate(real, fake, generator(2))
    slope = torch.eye(3, dtype=torch.float64).expand(7, 3, 3)
    for layer in net.layers:
        h = layer(h)
        if isinstance(layer, torch.nn.Linear):
            slope = layer.weight @ slope
        else:
            slope = (1 - h**2 if activation == "tanh" else (h > 0).double())[:, :, None] * slope
    torch.testing.assert_close(penalty, (slope[:, 0].norm(dim=1) - 0.5) ** 2)


def test_penalty_of_a_plane_and_its_gradient():
    """f(x) = w x has slope |w| everywhere: the penalty is (|w| - 1)^2, its gradient 2 (|w| - 1) w / |w|."""
    w = torch.tensor([3.0, 4.0], dtype=torch.float64, requires_grad=True)
    penalty = gradient_penalty(lambda x: x @ w, normal(5, 2), normal(5, 2, seed=1), generator())
    torch.testing.assert_close(penalty.detach(), torch.full((5,), 16.0, dtype=torch.float64))
    (gradient,) = torch.autograd.grad(penalty.mean(), w)
    torch.testing.assert_close(gradient, 8 * w.detach() / 5)


def test_gradient_of_the_penalty_is_right_by_finite_differences():
    net = MLPDiscriminator(2, (4,), generator=generator()).double()
    real, fake = normal(3, 2), normal(3, 2, seed=1)
    names, values = zip(*net.named_parameters(), strict=True)

    def penalty(*parameters):
        def function(x):
            return torch.func.functional_call(net, dict(zip(names, parameters, strict=True)), (x,))

        return gradient_penalty(function, real, fake, generator(2)).mean()

    assert torch.autograd.gradcheck(penalty, values)


def test_a_flat_function_has_a_finite_gradient():
    w = torch.zeros(2, requires_grad=True)
    gradient_penalty(lambda x: x @ w, torch.ones(4, 2), torch.zeros(4, 2), generator()).mean().backward()
    assert w.grad is not None and not w.grad.any()


def test_spectral_norm_bounds_every_layer_and_rests_in_evaluation():
    net = MLPDiscriminator(6, (16, 16), spectral_norm=True, generator=generator())
    for _ in range(50):
        net(torch.zeros(1, 6))
    net.eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    net(torch.ones(2, 6))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    linears = [layer for layer in net.layers if isinstance(layer, torch.nn.Linear)]
    norms = [torch.linalg.matrix_norm(layer.weight, 2).item() for layer in linears]
    assert norms == pytest.approx([1.0, 1.0, 1.0], abs=1e-3)


@pytest.mark.parametrize("spectral_norm", [False, True])
def test_networks_are_drawn_from_their_own_generator(spectral_norm):
    before = torch.get_rng_state()
    first, same, other = (
        MLPDiscriminator(4, (8,), spectral_norm=spectral_norm, generator=generator(seed))
        for seed in (3, 3, 4)
    )
    x = torch.ones(2, 4)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first(x), same(x)) and not torch.equal(first(x), other(x))
    assert first(x).shape == (2,)


def test_power_iteration_starts_from_the_generator():
    def start(seed: int) -> torch.Tensor:
        layer = torch.nn.Linear(4, 4)
        torch.nn.init.eye_(layer.weight)  # every vector is singular: the start stays
        return spectrally_normalised(layer, generator(seed)).parametrizations.weight[0]._u  # type: ignore

    assert torch.equal(start(0), start(0)) and not torch.equal(start(0), start(1))


def test_an_unknown_activation_names_the_known():
    with pytest.raises(ValueError, match="'gelu'.*tanh, relu"):
        MLPDiscriminator(2, activation="gelu", generator=generator())
