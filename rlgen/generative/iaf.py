"""Inverse autoregressive flow: a Gaussian posterior made flexible by steps that are cheap to draw through.

    z_0 = mean + sigma eps,    eps ~ N(0, I)
    m, s = network(z_t, context)                     # autoregressive: entry d sees the entries before d
    z_{t+1} = gate z_t + (1 - gate) m,    gate = sigmoid(s + forget bias)
    log q(z_T | x) = log N(z_0; mean, sigma^2) - sum_t sum_d log gate_td

Each step's Jacobian is triangular, with the gates on its diagonal. The order is reversed between steps.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FARTHEST = 1e6
"""Entries of a code that are not yet found stay within this, so that none becomes infinite."""


class IAFStep(nn.Module):
    """One step of the flow.

    Args:
        network: z and a context -> m and s, each the shape of z: `MADE` or `ConvMADE` with two outputs.
        forget_bias: Added to s: the step starts near the identity if it is large.

    References:
        Kingma et al. 2016 (arXiv 1606.04934), equations 11 to 14 and algorithm 1.
    """

    def __init__(self, network: nn.Module, forget_bias: float = 1.5) -> None:
        super().__init__()
        self.network, self.forget_bias = network, forget_bias

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z (B, ...) -> its image, and the log gates, the same shape, whose sum is the log-determinant."""
        m, s = self.network(z, context)
        s = s + self.forget_bias
        return torch.lerp(m, z, s.sigmoid()), F.logsigmoid(s)

    @torch.no_grad()
    def inverse(self, y: Tensor, context: Tensor | None = None) -> Tensor:
        """The z (B, ...) whose image is y: entry after entry, as many passes as z has entries at most.

        A pass that changes nothing is the last: what follows from the entries found is then found as well.
        """
        z = torch.zeros_like(y)
        for _ in range(y[0].numel()):
            m, s = self.network(z, context)
            before, z = z, m + (y - m) / (s + self.forget_bias).sigmoid()
            z = z.clamp(-FARTHEST, FARTHEST)
            if torch.equal(before, z):
                break
        return z


class IAF(nn.Module):
    """Steps of the flow, one after the other.

    Args:
        networks: Of the steps, their orders alternating.
        forget_bias: As in `IAFStep`.
    """

    def __init__(self, networks: Iterable[nn.Module], forget_bias: float = 1.5) -> None:
        super().__init__()
        self.steps = nn.ModuleList(IAFStep(network, forget_bias) for network in networks)

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z_0 (B, ...) -> z_T, and log gates, summed over the steps: the log-determinant by entry."""
        log_det = torch.zeros_like(z)
        for step in self.steps:
            z, log_gate = step(z, context)
            log_det = log_det + log_gate
        return z, log_det

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """z_T (B, ...) -> z_0."""
        for step in reversed(self.steps):
            z = cast(IAFStep, step).inverse(z, context)
        return z
