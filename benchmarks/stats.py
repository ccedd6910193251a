"""Aggregates over seeds and tasks with bootstrap intervals; seeded.

Scores are arrays (S, T): S seeds of T tasks; one task may be given as (S,). The bootstrap is stratified: each
task's seeds are resampled on their own, so that every replicate holds all tasks.

References:
    Agarwal et al. 2021, Deep Reinforcement Learning at the Edge of the Statistical Precipice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.stats import trim_mean

Statistic = Callable[..., np.ndarray]  # like np.mean: (array, axis=...) -> array without that axis


class Estimate(NamedTuple):
    """A statistic with its bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


def iqm(scores: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Interquartile mean: the mean of what is left when floor(n / 4) scores are cut off at each end."""
    return trim_mean(scores, 0.25, axis=axis)  # type: ignore[arg-type]


def bootstrap(
    scores: np.ndarray, statistic: Statistic = iqm, confidence: float = 0.95, reps: int = 2000, seed: int = 0
) -> Estimate:
    """A statistic of all scores with its stratified bootstrap percentile interval.

    Args:
        scores: (S, T) or (S,).
        statistic: `iqm`, `np.median`, `np.mean` or another function of (array, axis).
        confidence: coverage aimed at, in (0, 1).
        reps: bootstrap replicates.
        seed: seed of the resampling.

    Raises:
        ValueError: a score is missing, NaN, or the array has neither of the two shapes.
    """
    table = _table(scores)
    drawn = _resample(table, reps, np.random.default_rng(seed)).reshape(reps, -1)  # (R, S * T)
    return _estimate(float(statistic(table.ravel(), axis=0)), statistic(drawn, axis=1), confidence)


def bootstrap_curve(
    curves: np.ndarray, statistic: Statistic = iqm, confidence: float = 0.95, reps: int = 2000, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The statistic over seeds at each of G grid points, with a pointwise band.

    A replicate resamples whole curves, so that the band is as smooth as the curves are.

    Args:
        curves: (S, G), one row a seed.
        statistic, confidence, reps, seed: as in `bootstrap`.

    Returns:
        value, low, high, each (G,).
    """
    curves = _table(curves)
    rng = np.random.default_rng(seed)
    rows = rng.integers(len(curves), size=(reps, len(curves)))  # (R, S)
    drawn = np.stack([statistic(curves[r], axis=0) for r in rows])  # (R, G)
    low, high = np.quantile(drawn, _tails(confidence), axis=0)
    return statistic(curves, axis=0), low, high


def probability_of_improvement(
    x: np.ndarray, y: np.ndarray, confidence: float = 0.95, reps: int = 2000, seed: int = 0
) -> Estimate:
    """How probable it is that a seed of x beats a seed of y: the mean over tasks of P(x > y) + P(x = y) / 2.

    Args:
        x: (S, T) or (S,) scores, higher is better.
        y: (S', T) or (S',) scores on the same tasks in the same order.
        confidence, reps, seed: as in `bootstrap`.

    Raises:
        ValueError: x and y differ in their number of tasks.
    """
    x, y = _table(x), _table(y)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"x has {x.shape[1]} tasks, y has {y.shape[1]}: give both the same tasks")
    rng = np.random.default_rng(seed)
    drawn = _wins(_resample(x, reps, rng), _resample(y, reps, rng))  # (R,)
    return _estimate(float(_wins(x[None], y[None])[0]), drawn, confidence)


def _wins(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(R, S, T), (R, S', T) -> (R,): the share of pairs that x wins, a tie counting half."""
    difference = x[:, :, None] - y[:, None]  # (R, S, S', T)
    return ((np.sign(difference) + 1) / 2).mean(axis=(1, 2, 3))


def _resample(table: np.ndarray, reps: int, rng: np.random.Generator) -> np.ndarray:
    """(S, T) -> (R, S, T): each task's seeds drawn with replacement, apart from the other tasks'."""
    rows = rng.integers(len(table), size=(reps, *table.shape))
    return np.take_along_axis(table[None], rows, axis=1)


def _estimate(value: float, drawn: np.ndarray, confidence: float) -> Estimate:
    low, high = np.quantile(drawn, _tails(confidence))
    return Estimate(value, float(low), float(high))


def _tails(confidence: float) -> tuple[float, float]:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}: give a share between 0 and 1, such as 0.95")
    return (1 - confidence) / 2, (1 + confidence) / 2


def _table(scores: np.ndarray) -> np.ndarray:
    table = np.asarray(scores, dtype=float)
    if table.ndim == 1:
        table = table[:, None]
    if table.ndim != 2 or table.size == 0:
        raise ValueError(f"scores have shape {table.shape}: give (seeds, tasks), or (seeds,) for one task")
    if np.isnan(table).any():
        raise ValueError(f"{int(np.isnan(table).sum())} scores are NaN: leave unfinished seeds out")
    return table
