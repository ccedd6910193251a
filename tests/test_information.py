"""The information bound, against torch.distributions and a case where it is tight."""

import math

import pytest
import torch
from torch.distributions import Categorical, Normal

from rlgen.generative.information import categorical_information, gaussian_information
from tests.draws import normal


def test_categorical_terms_are_entropy_plus_log_posterior():
    logits, classes = normal(6, 4), torch.tensor([0, 1, 2, 3, 3, 0])
    code = torch.eye(4, dtype=torch.float64)[classes]
    oracle = math.log(4) + Categorical(logits=logits).log_prob(classes)
    torch.testing.assert_close(categorical_information(logits, code), oracle)


@pytest.mark.parametrize("learned", [False, True])
def test_gaussian_terms_are_entropy_plus_log_posterior(learned):
    mean, code = normal(6, 2), 0.5 * normal(6, 2, seed=1)
    log_sigma = normal(6, 2, seed=2) if learned else 0.0
    sigma = log_sigma.exp() if isinstance(log_sigma, torch.Tensor) else 1.0
    oracle = (math.log(2) + Normal(mean, sigma).log_prob(code)).sum(1)
    torch.testing.assert_close(gaussian_information(mean, code, log_sigma), oracle)
    if not learned:
        torch.testing.assert_close(gaussian_information(mean, code), oracle)


def test_knowing_the_class_gives_all_there_is_and_guessing_nothing():
    code = torch.eye(10)
    assert categorical_information(100 * code, code).mean().item() == pytest.approx(math.log(10))
    assert categorical_information(torch.zeros(10, 10), code).mean().item() == pytest.approx(0, abs=1e-6)


def test_the_bound_is_tight_for_the_true_posterior():
    """x is c or, with probability 1/4, another class: I = H(c) - H(c | x), and Q = p(c | x) reaches it."""
    p = torch.full((3, 3), 0.125).fill_diagonal_(0.75)  # p(x | c), and p(c | x)
    exact = math.log(3) + (p[0] * p[0].log()).sum().item()
    code, logits = torch.eye(3).repeat_interleave(3, 0), p.log().repeat(3, 1)  # all pairs (c, x)
    bound = (p.flatten() / 3 * categorical_information(logits, code)).sum().item()
    worse = (p.flatten() / 3 * categorical_information(0.5 * logits, code)).sum().item()
    assert bound == pytest.approx(exact, abs=1e-6)
    assert worse < bound - 0.01


def test_a_fixed_deviation_is_half_the_squared_error_and_never_above_its_ceiling():
    code = torch.zeros(1, 1)
    best = gaussian_information(code, code).item()
    assert best == pytest.approx(math.log(2) - 0.5 * math.log(2 * math.pi))
    assert best - gaussian_information(code + 0.6, code).item() == pytest.approx(0.18)
