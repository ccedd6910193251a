"""Averages of parameters over training."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn


class ParameterAverage(nn.Module):
    """A copy of a module whose parameters are averages of the original's, one term an update.

        decay d     a_t = d a_{t-1} + (1 - d) theta_t,  divided by 1 - d^t: weights that add up to 1
        None        the arithmetic mean of theta_1 ... theta_t

    Improved GAN's code lets a start at 0 and never divides. Its evaluation in the first ~1 / (1 - d) updates
    is that of parameters near 0, so its printed test errors mean nothing until then; after many more the
    two agree.

    Buffers are copied, not averaged. Before the first update the copy is the original as it was.

    Args:
        module: The original; it is not kept.
        decay: d, or None.

    Raises:
        ValueError: A decay outside (0, 1).

    References:
        Salimans et al. 2016 (arXiv 1606.03498), published code; Kingma and Ba 2015 (arXiv 1412.6980), 3.
    """

    updates: Tensor

    def __init__(self, module: nn.Module, decay: float | None = None) -> None:
        super().__init__()
        if decay is not None and not 0 < decay < 1:
            raise ValueError(f"decay is {decay}: choose one between 0 and 1, or None for the plain mean")
        self.decay = decay
        self.module = copy.deepcopy(module).requires_grad_(False)
        device = next(module.parameters()).device  # beside them: a CUDA graph counts only what is on the GPU
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64, device=device))

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Take in the parameters as they are now."""
        self.updates += 1
        rate = self._rate()
        for mean, theta in zip(self.module.parameters(), module.parameters(), strict=True):
            mean.lerp_(theta, rate)
        for mine, theirs in zip(self.module.buffers(), module.buffers(), strict=True):
            mine.copy_(theirs)

    def _rate(self) -> Any:
        """Share of the newest parameters in the average: a number, on a GPU, which would wait, a tensor."""
        t: Any = int(self.updates) if self.updates.device.type == "cpu" else self.updates.double()
        rate = 1 / t if self.decay is None else (1 - self.decay) / (1 - self.decay**t)
        return rate.float() if isinstance(rate, Tensor) else rate

    def averages(self) -> list[Tensor]:
        """In the order of the original's `parameters()`."""
        return list(self.module.parameters())
