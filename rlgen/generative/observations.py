"""The distribution of an image given what a decoder puts out: one number for each value of the image."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rlgen.generative.likelihoods import bernoulli_log_prob, discretized_logistic_log_prob
from rlgen.generative.noise import uniform


class BernoulliObservation(nn.Module):
    """Binary images; the decoder's outputs are logits."""

    def log_prob(self, x: Tensor, outputs: Tensor) -> Tensor:
        """log p(x) (B,) of levels x (B, C, H, W) given outputs of the same shape."""
        return bernoulli_log_prob(x, outputs)

    def mean(self, outputs: Tensor) -> Tensor:
        """The image that is expected (B, C, H, W), from 0 to 1."""
        return outputs.sigmoid()

    def draw(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        """Levels (B, C, H, W)."""
        u = uniform(*outputs.shape, generator=generator, device=outputs.device)
        return (u < outputs.sigmoid()).to(torch.uint8)


LOG_SCALE = -2.0
"""First value of the log scales, where black is -1 and white is 1."""


class LogisticObservation(nn.Module):
    """Images of several levels; the decoder's outputs are means, a channel's scale is a parameter.

    Args:
        channels: C.
        levels: Number of levels.

    References:
        Kingma et al. 2016 (arXiv 1606.04934), appendix C.1; their published code has one scale for all.
    """

    def __init__(self, channels: int, levels: int) -> None:
        super().__init__()
        self.levels = levels
        self.log_scale = nn.Parameter(torch.full((channels, 1, 1), LOG_SCALE))

    def log_prob(self, x: Tensor, outputs: Tensor) -> Tensor:
        """log p(x) (B,) of levels x (B, C, H, W) given outputs of the same shape."""
        log_prob = discretized_logistic_log_prob(x, outputs, self.log_scale, self.levels)
        return log_prob.flatten(1).sum(1)

    def mean(self, outputs: Tensor) -> Tensor:
        """The middle of the distribution (B, C, H, W), from 0 to 1."""
        return outputs.add(1).mul(0.5).clamp(0, 1)

    def draw(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        """Levels (B, C, H, W)."""
        u = uniform(*outputs.shape, generator=generator, device=outputs.device)
        x = outputs + self.log_scale.exp() * u.logit(eps=1e-6)
        top = self.levels - 1
        return ((x + 1) * (top / 2)).round().clamp(0, top).to(torch.uint8)


def make_observation(channels: int, levels: int) -> BernoulliObservation | LogisticObservation:
    """The one that suits the number of levels."""
    return BernoulliObservation() if levels == 2 else LogisticObservation(channels, levels)
