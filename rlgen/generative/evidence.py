"""What is known of binary images that were seen through noise, in part, or too small: likelihoods of logits.

Each function is log p(y | logits) up to a constant, (B,), of what was seen, y, if the pixels x are
independent with these logits (B, C, H, W). Their gradients tell what the pixels then are:

    d log p(y | logits) / d logits_i = P(x_i = 1 | y) - P(x_i = 1)
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Evidence = Callable[[Tensor], Tensor]
"""Logits (B, C, H, W) -> log p(y | logits) (B,)."""


def noisy(y: Tensor, std: float) -> Evidence:
    """Images were seen with Gaussian noise: y = x + std eps.

    Args:
        y: (B, C, H, W).
        std: Standard deviation of the noise, where pixels are 0 and 1.
    """
    ratio = (y - 0.5) / std**2  # log p(y | 1) - log p(y | 0)
    return lambda logits: (F.softplus(logits + ratio) - F.softplus(logits)).flatten(1).sum(1)


def partial(x: Tensor, known: Tensor) -> Evidence:
    """Some pixels were seen.

    Args:
        x: Images (B, C, H, W), 0 and 1; only known pixels matter.
        known: Bool, (B, C, H, W) or what broadcasts to it.
    """
    return lambda logits: ((x * logits - F.softplus(logits)) * known).flatten(1).sum(1)


def downsampled(y: Tensor) -> Evidence:
    """Images of twice the height and width were seen as the means of their blocks of 2 x 2.

    The number of ones in a block is the sum of four independent pixels, whose distribution is a product of
    four polynomials.

    Args:
        y: (B, C, H / 2, W / 2), multiples of 1 / 4.
    """
    ones = (4 * y).round().long().unsqueeze(1)  # (B, 1, C, H / 2, W / 2)

    def log_prob(logits: Tensor) -> Tensor:
        blocks = logits.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))  # (B, C, H / 2, 2, W / 2, 2)
        pixels = blocks.permute(0, 3, 5, 1, 2, 4).flatten(1, 2)  # (B, 4, C, H / 2, W / 2)
        off, on = F.logsigmoid(-pixels).unbind(1), F.logsigmoid(pixels).unbind(1)
        counts = torch.stack([off[0], on[0]], 1)  # log P of 0 ... k ones, (B, k + 1, ...)
        for k in range(1, 4):
            fewer, more = counts + off[k].unsqueeze(1), counts + on[k].unsqueeze(1)
            middle = torch.logaddexp(fewer[:, 1:], more[:, :-1])
            counts = torch.cat([fewer[:, :1], middle, more[:, -1:]], 1)
        return counts.gather(1, ones).flatten(1).sum(1)

    return log_prob


def expected_pixels(evidence: Evidence, logits: Tensor) -> Tensor:
    """P(x_i = 1 | y) (B, C, H, W), by the identity above."""
    with torch.enable_grad():
        logits = logits.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(evidence(logits).sum(), logits)
    return (logits.detach().sigmoid() + gradient).clamp_(0, 1)
