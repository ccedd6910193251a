"""Noise in networks, drawn from a generator that is passed; without one a layer passes its input on."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def uniform(
    *shape: int,
    generator: torch.Generator,
    low: float = 0.0,
    dtype: torch.dtype | None = None,
    device: torch.device | None = None,
) -> Tensor:
    """Noise from U(low, 1), on the device asked for whatever the generator's own."""
    u = torch.rand(shape, generator=generator, dtype=dtype, device=generator.device)
    return u.mul_(1 - low).add_(low).to(device)


def gaussian(
    *shape: int,
    generator: torch.Generator,
    dtype: torch.dtype | None = None,
    device: torch.device | None = None,
) -> Tensor:
    """Noise from N(0, 1), on the device asked for whatever the generator's own."""
    return torch.randn(shape, generator=generator, dtype=dtype, device=generator.device).to(device)


def instance_noise(x: Tensor, std: float, generator: torch.Generator) -> Tensor:
    """x (B, ...) + std eps, eps ~ N(0, 1).

    On real and fake data alike it makes their supports overlap.

    References:
        Arjovsky and Bottou 2017 (arXiv 1701.04862), section 3; Soenderby et al. 2017 (arXiv 1610.04490).
    """
    noise = gaussian(*x.shape, generator=generator, dtype=x.dtype, device=x.device)
    return torch.add(x, noise, alpha=std)


class GaussianNoise(nn.Module):
    """x + std eps, eps ~ N(0, 1).

    Args:
        std: Standard deviation of the noise.
    """

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """x (B, ...) with noise, or x itself if there is no generator or no noise to draw."""
        return x if generator is None or self.std == 0 else instance_noise(x, self.std, generator)


class Dropout(nn.Module):
    """x eps / (1 - p), eps ~ Bernoulli(1 - p).

    Args:
        p: Share of entries that become 0.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """x (B, ...) with gaps, or x itself if there is no generator or no noise to draw."""
        if generator is None or self.p == 0:
            return x
        # In the memory format of x: which entries go depends on it, as on the generator's device.
        keep = torch.empty_like(x, device=generator.device).bernoulli_(1 - self.p, generator=generator)
        keep = keep.to(x.device)
        return x * keep.div_(1 - self.p)
