"""How good samples are, by the features or class probabilities that a network gives them; numpy, float64.

Any (N, D) features will do, and no figure means anything without saying whose they are: published ones are of
Inception's, those of the benchmarks are of a small classifier's (`classifier`), and the two do not compare.
Print the floor beside a distance: that of test images from training images.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Estimate(NamedTuple):
    """A figure over splits or subsets."""

    mean: float
    std: float
    """Over splits or subsets, as published; not the error of the mean."""


class Gaussian(NamedTuple):
    """Mean (D,) and covariance (D, D) of features."""

    mean: np.ndarray
    covariance: np.ndarray


def inception_score(probabilities: Any, splits: int = 10) -> Estimate:
    """exp(E_x KL(p(y|x) || p(y))) in each of `splits` parts of equal size, in the order given: 1 to K.

    Args:
        probabilities: (N, K), rows sum to 1. Shuffle what is sorted by class.
        splits: Parts; what is left over by division is dropped.

    Raises:
        ValueError: Not probabilities, or fewer than one a split.

    References:
        Salimans et al. 2016, section 4; their code's split and standard deviation.
    """
    p = _matrix(probabilities, "probabilities", least=1)
    if p.min() < 0 or np.abs(p.sum(1) - 1).max() > 1e-3:
        raise ValueError("probabilities are negative or do not sum to 1: pass a softmax, not logits")
    if not 1 <= splits <= len(p):
        raise ValueError(f"{len(p)} samples cannot be split into {splits} parts: pass splits from 1 to that")
    size = len(p) // splits
    scores = [_score(p[k * size : (k + 1) * size]) for k in range(splits)]
    return Estimate(float(np.mean(scores)), float(np.std(scores)))


def frechet_distance(x: Any, y: Any) -> float:
    """|mu_x - mu_y|^2 + tr(S_x + S_y - 2 (S_x^1/2 S_y S_x^1/2)^1/2), in squared units of the features.

    The trace of the root is the sum of the square roots of the eigenvalues of a symmetric matrix, so that no
    root of S_x S_y is needed, and covariances of fewer samples than features do no harm. The estimate is
    biased upwards, the more the fewer samples: compare at equal numbers.

    Args:
        x: (N, D) features, or a `Gaussian`.
        y: The same of the other set.

    Raises:
        ValueError: Fewer than two samples, another number of features, NaN or infinity.

    References:
        Heusel et al. 2017, eq. 6; Dowson and Landau 1982.
    """
    a, b = (z if isinstance(z, Gaussian) else fit_gaussian(z) for z in (x, y))
    if a.mean.shape != b.mean.shape:
        raise ValueError(f"{len(a.mean)} features against {len(b.mean)}: take both from the same network")
    root = _root(a.covariance)
    inner = np.linalg.eigvalsh(_symmetric(root @ b.covariance @ root))
    shift = a.mean - b.mean
    distance = shift @ shift + np.trace(a.covariance) + np.trace(b.covariance)
    return max(float(distance - 2 * np.sqrt(np.clip(inner, 0, None)).sum()), 0.0)


def fit_gaussian(features: Any) -> Gaussian:
    """Mean and covariance (divided by N - 1) of features (N, D).

    Raises:
        ValueError: Fewer than two samples, NaN or infinity.
    """
    x = _matrix(features, "features", least=2)
    mean = x.mean(0)
    centred = x - mean
    return Gaussian(mean, centred.T @ centred / (len(x) - 1))


def kernel_distance(
    x: Any,
    y: Any,
    *,
    subsets: int = 100,
    subset_size: int = 1000,
    degree: int = 3,
    gamma: float | None = None,
    seed: int = 0,
) -> Estimate:
    """Squared maximum mean discrepancy under k(a, b) = (gamma a.b + 1)^degree, averaged over subsets.

    Each subset's estimate is unbiased, and so below 0 about half of the time where the sets are alike.

    Args:
        x: (N, D) features.
        y: (M, D) features.
        subsets: How many pairs of subsets are drawn.
        subset_size: Samples of each side, at most N and M.
        degree: Of the polynomial.
        gamma: 1 / D unless given.
        seed: Of the draw.

    Raises:
        ValueError: Fewer than two samples, another number of features, no subset, NaN or infinity.

    References:
        Binkowski et al. 2018, section 4; Gretton et al. 2012, eq. 3.
    """
    a, b = _matrix(x, "features", least=2), _matrix(y, "features", least=2)
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"{a.shape[1]} features against {b.shape[1]}: take both from the same network")
    if subsets < 1 or subset_size < 2:
        raise ValueError(f"{subsets} subsets of {subset_size}: pass at least 1 of at least 2")
    size, gamma = min(subset_size, len(a), len(b)), 1 / a.shape[1] if gamma is None else gamma
    generator = np.random.default_rng(seed)

    def kernel(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        return (gamma * (u @ v.T) + 1) ** degree

    def estimate() -> float:
        u, v = (z[generator.choice(len(z), size, replace=False)] for z in (a, b))
        within = sum((k.sum() - np.trace(k)) / (size * (size - 1)) for k in (kernel(u, u), kernel(v, v)))
        return float(within - 2 * kernel(u, v).mean())

    values = [estimate() for _ in range(subsets)]
    return Estimate(float(np.mean(values)), float(np.std(values)))


def _score(p: np.ndarray) -> float:
    """Of one split; 0 log 0 is 0."""
    tiny = np.finfo(np.float64).tiny
    log_ratio = np.log(np.maximum(p, tiny)) - np.log(np.maximum(p.mean(0), tiny))
    return float(np.exp((p * log_ratio).sum(1).mean()))


def _root(matrix: np.ndarray) -> np.ndarray:
    """The symmetric square root of a covariance; eigenvalues that rounding made negative count as 0."""
    values, vectors = np.linalg.eigh(_symmetric(matrix))
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T


def _symmetric(matrix: np.ndarray) -> np.ndarray:
    return (matrix + matrix.T) / 2


def _matrix(values: Any, name: str, least: int) -> np.ndarray:
    """An array, or a tensor on the CPU, as float64 (N, D)."""
    x = np.asarray(values, np.float64)
    if x.ndim != 2 or x.shape[1] == 0:
        raise ValueError(f"{name} have shape {x.shape}: give (N, D)")
    if len(x) < least:
        raise ValueError(f"{name} of {len(x)} samples: give at least {least}")
    if not np.isfinite(x).all():
        raise ValueError(f"{name} hold NaN or infinity: the network or the samples have diverged")
    return x
