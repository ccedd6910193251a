"""Seeded random numbers for tests."""

from __future__ import annotations

import torch


def generator(seed: int = 0) -> torch.Generator:
    """At its start."""
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    """Standard normal, float64."""
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)
