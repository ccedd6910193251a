"""Running mean and variance of vectors, for the inputs of learned rewards."""

from __future__ import annotations

import torch
from torch import Tensor, nn

EPS = 1e-8
"""Added to the variance."""


class RunningNorm(nn.Module):
    """Standardises features by the mean and variance of all rows ever seen.

    Two sets of n and m rows with means a, b and variances u, v combine exactly (delta = b - a):

        mean = a + delta m / (n + m),    var = (n u + m v) / (n + m) + delta^2 n m / (n + m)^2

    The statistics are float64 buffers, so that a long run neither loses digits nor stops counting.

    Args:
        size: Number of features D.
        clip: Bound on the absolute standardised value; None for no bound.
        std_floor: Least standard deviation to divide by.

    References:
        Chan, Golub and LeVeque 1983, equation 2.1.
    """

    mean: Tensor
    var: Tensor
    count: Tensor

    def __init__(self, size: int, clip: float | None = 10.0, std_floor: float = 0.0) -> None:
        super().__init__()
        self.clip, self.std_floor = clip, std_floor
        self.register_buffer("mean", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("var", torch.ones(size, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    @torch.no_grad()
    def update(self, x: Tensor) -> None:
        """Take in the rows of x (B, D), B >= 1."""
        rows = x.double()
        m, n = float(len(rows)), self.count
        total = n + m
        delta = rows.mean(0) - self.mean
        self.var.copy_(
            (n * self.var + m * rows.var(0, unbiased=False)) / total + delta**2 * (n * m / total**2)
        )
        self.mean.add_(delta * (m / total))
        self.count.copy_(total)

    @property
    def std(self) -> Tensor:
        """Standard deviation of each feature (D,), float64, at least `std_floor`."""
        return (self.var + EPS).sqrt().clamp_min(self.std_floor)

    def forward(self, x: Tensor) -> Tensor:
        """(B, D) raw -> (B, D) standardised, in the type of x."""
        z = (x - self.mean.to(x.dtype)).div_(self.std.to(x.dtype))
        return z if self.clip is None else z.clamp_(-self.clip, self.clip)
