"""Metrics of samples against closed forms and implementations written otherwise."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.linalg
import scipy.special
import torch
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance

from benchmarks.images.metrics import (
    Gaussian,
    fit_gaussian,
    frechet_distance,
    inception_score,
    kernel_distance,
)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def features(n: int, d: int, seed: int) -> np.ndarray:
    """Correlated, skewed and none below 0, as those of a network are."""
    return np.maximum(normal(n, d, seed=seed) @ normal(d, d, seed=99) + 0.3 * seed, 0)


def covariance(d: int, seed: int) -> np.ndarray:
    a = normal(d, d + 2, seed=seed)
    return a @ a.T / d


@pytest.mark.parametrize(("n", "m", "d"), [(300, 200, 16), (500, 500, 64), (130, 140, 128)])
def test_frechet_distance_as_published_with_the_root_of_a_product(n, m, d):
    x, y = features(n, d, 1), features(m, d, 2)
    s, t = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = np.real(np.asarray(scipy.linalg.sqrtm(s @ t)))
    oracle = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(s + t - 2 * root)
    assert frechet_distance(x, y) == pytest.approx(oracle, rel=1e-6, abs=1e-3)


@pytest.mark.parametrize(("n", "m"), [(20, 30), (200, 12), (2, 2), (64, 64)])
def test_frechet_distance_of_fewer_samples_than_features(n, m):
    """tr (S^1/2 T S^1/2)^1/2 is the nuclear norm of X Y^T of centred samples, which needs no covariance."""
    x, y = features(n, 64, 1), features(m, 64, 2)
    a, b = (z - z.mean(0) for z in (x, y))
    trace = np.linalg.svd(a @ b.T, compute_uv=False).sum() / math.sqrt((n - 1) * (m - 1))
    spread = (a**2).sum() / (n - 1) + (b**2).sum() / (m - 1)
    oracle = ((x.mean(0) - y.mean(0)) ** 2).sum() + spread - 2 * trace
    assert frechet_distance(x, y) == pytest.approx(oracle, rel=1e-6, abs=1e-3)


class Network(nn.Module):
    """Stands for the network of features: they are what it is given."""

    num_features = 32

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


@pytest.mark.filterwarnings("ignore:.*save all extracted features", "ignore:.*degrees of freedom")
def test_all_three_agree_with_torchmetrics():
    x, y = features(200, 32, 1), features(150, 32, 2)
    frechet, kernel = (
        FrechetInceptionDistance(Network()),
        KernelInceptionDistance(Network(), 1, subset_size=150),
    )
    for metric in (frechet, kernel):
        metric.update(torch.from_numpy(x[:150]), real=True)
        metric.update(torch.from_numpy(y), real=False)
    assert frechet_distance(x[:150], y) == pytest.approx(frechet.compute().item(), rel=1e-3)
    ours = kernel_distance(x[:150], y, subsets=1, subset_size=150).mean
    assert ours == pytest.approx(kernel.compute()[0].item(), rel=1e-3)
    logits = 3 * normal(200, 10)
    score = InceptionScore(Network(), splits=1)
    score.update(torch.from_numpy(logits))
    p = scipy.special.softmax(logits, axis=1)
    assert inception_score(p, 1).mean == pytest.approx(score.compute()[0].item(), rel=1e-3)


def test_frechet_distance_between_gaussians_that_commute():
    """Sum of (sigma - tau)^2, turned by any rotation, and the squared shift of the mean."""
    turn = np.linalg.qr(normal(6, 6))[0]
    sigma, tau, shift = np.arange(6.0), np.array([3.0, 1, 0, 2, 5, 4]), normal(6, seed=3)
    x = Gaussian(np.zeros(6), turn @ np.diag(sigma**2) @ turn.T)
    y = Gaussian(shift, turn @ np.diag(tau**2) @ turn.T)
    assert frechet_distance(x, y) == pytest.approx(((sigma - tau) ** 2).sum() + (shift**2).sum())


def test_frechet_distance_between_gaussians_of_two_dimensions():
    """There tr (S T)^1/2 = (tr S T + 2 sqrt det S T)^1/2."""
    s, t = covariance(2, 0), covariance(2, 1)
    product = s @ t
    trace = math.sqrt(np.trace(product) + 2 * math.sqrt(np.linalg.det(product)))
    found = frechet_distance(Gaussian(np.zeros(2), s), Gaussian(np.zeros(2), t))
    assert found == pytest.approx(np.trace(s) + np.trace(t) - 2 * trace)


def test_frechet_distance_is_symmetric_and_does_not_see_rotation_or_order():
    x, y, turn = features(90, 24, 1), features(80, 24, 2), np.linalg.qr(normal(24, 24))[0]
    distance = frechet_distance(x, y)
    assert frechet_distance(y, x) == pytest.approx(distance)
    assert frechet_distance(x @ turn + 7, y[::-1] @ turn + 7) == pytest.approx(distance)
    assert frechet_distance(3 * x, 3 * y) == pytest.approx(9 * distance)


@pytest.mark.parametrize(("n", "d"), [(400, 32), (20, 64), (2, 5), (50, 1)])
def test_identical_sets_are_no_distance_apart(n, d):
    x = features(n, d, 1)
    assert 0 <= frechet_distance(x, x) < 1e-5 * (1 + np.trace(np.atleast_2d(np.cov(x, rowvar=False))))
    assert kernel_distance(x, x, subsets=20).mean < 1e-9


def test_constant_features_of_a_collapsed_model():
    x, y = np.ones((5, 3)), features(50, 3, 1)
    spread = np.trace(np.cov(y, rowvar=False)) + ((1 - y.mean(0)) ** 2).sum()
    assert frechet_distance(x, y) == pytest.approx(spread)
    assert kernel_distance(x, y, subset_size=5).mean > 0


def test_more_samples_of_the_same_are_nearer():
    distances = [frechet_distance(normal(n, 32, seed=1), normal(n, 32, seed=2)) for n in (50, 500, 5000)]
    assert distances[0] > distances[1] > distances[2] > 0


def test_kernel_distance_as_sums_over_pairs():
    x, y = features(9, 4, 1), features(9, 4, 2)

    def k(a, b):
        return (a @ b / 4 + 1) ** 3

    pairs = list(itertools.permutations(range(9), 2))
    oracle = sum(k(x[i], x[j]) + k(y[i], y[j]) for i, j in pairs) / len(pairs)
    oracle -= 2 * sum(k(x[i], y[j]) for i in range(9) for j in range(9)) / 81
    mean, std = kernel_distance(x, y, subsets=3)
    assert mean == pytest.approx(oracle, rel=1e-9) and std < 1e-9 * abs(mean)


def test_kernel_distance_by_explicit_features_of_the_kernel():
    """(a.b + 1)^2 is the inner product of all products of two coordinates of (a, 1)."""
    x, y = normal(200, 3), 0.5 + normal(200, 3, seed=1)

    def embed(z):
        z = np.hstack([z, np.ones((len(z), 1))])
        return np.einsum("ni,nj->nij", z, z).reshape(len(z), -1)

    a, b = embed(x), embed(y)
    within = sum(((z.sum(0) ** 2).sum() - (z**2).sum()) / (200 * 199) for z in (a, b))
    oracle = within - 2 * a.mean(0) @ b.mean(0)
    mean, _ = kernel_distance(x, y, subsets=1, degree=2, gamma=1.0)
    assert mean == pytest.approx(oracle)


def test_kernel_distance_is_unbiased_and_seeded():
    same = [
        kernel_distance(normal(60, 5, seed=k), normal(60, 5, seed=1000 + k), subsets=1).mean
        for k in range(300)
    ]
    assert abs(np.mean(same)) < 3 * np.std(same) / math.sqrt(300)
    x, y = features(80, 5, 1), features(70, 5, 2)
    one, two, other = (kernel_distance(x, y, subset_size=30, subsets=10, seed=seed) for seed in (0, 0, 1))
    assert one == two != other and one.std > 0


@pytest.mark.parametrize("splits", [1, 4, 7])
def test_inception_score_by_relative_entropy(splits):
    p = scipy.special.softmax(3 * normal(70, 10), axis=1)
    parts = np.split(p[: 70 // splits * splits], splits)
    scores = [np.exp(scipy.special.rel_entr(q, q.mean(0)).sum(1).mean()) for q in parts]
    mean, std = inception_score(p, splits)
    assert mean == pytest.approx(np.mean(scores), abs=1e-9) and std == pytest.approx(np.std(scores), abs=1e-9)


def test_inception_score_is_the_exponential_of_the_mutual_information():
    """H(mean) - mean H, by torch's entropies."""
    p = torch.softmax(2 * torch.from_numpy(normal(50, 6)), 1)
    entropy = (
        torch.distributions.Categorical(p.mean(0)).entropy()
        - torch.distributions.Categorical(p).entropy().mean()
    )
    assert inception_score(p, 1).mean == pytest.approx(math.exp(entropy.item()))


def test_inception_score_at_its_ends():
    assert inception_score(np.tile(np.eye(10), (20, 1)), 10) == pytest.approx((10, 0))
    assert inception_score(np.full((30, 10), 0.1), 3) == pytest.approx((1, 0))
    assert inception_score(np.eye(10)[[3] * 20], 2) == pytest.approx((1, 0))


def test_tensors_and_float32_will_do():
    x, y = features(60, 8, 1), features(50, 8, 2)
    tensors = [torch.from_numpy(z).float() for z in (x, y)]
    assert frechet_distance(*tensors) == pytest.approx(frechet_distance(x, y), rel=1e-5)
    assert kernel_distance(*tensors, subsets=2).mean == pytest.approx(
        kernel_distance(x, y, subsets=2).mean, rel=1e-4
    )


def test_large_means_do_not_spoil_the_covariance():
    x = features(100, 8, 1)
    np.testing.assert_allclose(
        fit_gaussian(x + 1e6).covariance, np.cov(x, rowvar=False), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: frechet_distance(np.ones((1, 3)), np.ones((5, 3))),
            "features of 1 samples: give at least 2",
        ),
        (
            lambda: frechet_distance(np.ones((5, 3)), np.ones((5, 4))),
            "3 features against 4: take both from the same",
        ),
        (lambda: frechet_distance(np.ones(5), np.ones((5, 4))), r"shape \(5,\): give \(N, D\)"),
        (
            lambda: frechet_distance(np.full((5, 2), np.nan), np.ones((5, 2))),
            "NaN or infinity: the network or the",
        ),
        (lambda: kernel_distance(np.ones((5, 3)), np.ones((5, 4))), "3 features against 4"),
        (lambda: kernel_distance(np.ones((5, 3)), np.ones((1, 3))), "features of 1 samples"),
        (
            lambda: kernel_distance(np.ones((5, 3)), np.ones((5, 3)), subsets=0),
            "0 subsets of 1000: pass at least 1",
        ),
        (lambda: inception_score(np.ones((5, 3))), "do not sum to 1: pass a softmax, not logits"),
        (lambda: inception_score(np.array([[1.5, -0.5]])), "negative or do not sum to 1"),
        (
            lambda: inception_score(np.eye(3), 10),
            "3 samples cannot be split into 10 parts: pass splits from 1",
        ),
        (lambda: inception_score(np.eye(3), 0), "cannot be split into 0 parts"),
        (lambda: inception_score(np.zeros((0, 3))), "probabilities of 0 samples: give at least 1"),
    ],
)
def test_what_cannot_be_measured_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
