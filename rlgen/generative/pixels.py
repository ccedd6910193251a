"""The distribution of one pixel, given what a network puts out for it.

A network has J outputs a pixel. They come in as many groups as the pixel's channels are drawn in: with a
probability for every level, each channel waits for those before it (red, green, blue) to pass through the
network; a mixture of logistics sees to that by itself, so that one pass gives all channels.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from rlgen.generative.likelihoods import bernoulli_log_prob, discretized_logistic_log_prob


class Draw(NamedTuple):
    """N pixels, drawn."""

    levels: Tensor
    """(N, C), uint8."""
    margin: Tensor
    """(N, C) how far the network's part in each draw is from where the level would be another."""


class Pixels:
    """A family of distributions of a pixel's C channels.

    Args:
        channels: C.
        levels: L.
    """

    n_outputs: int
    """J, outputs of the network a pixel, in `groups` blocks."""
    n_uniforms: int
    """U, uniform numbers that a pixel is drawn from."""
    groups: int
    """Passes of the network that a pixel takes, each for as many channels."""

    def __init__(self, channels: int, levels: int) -> None:
        self.channels, self.levels, self.groups = channels, levels, channels

    def log_prob(self, x: Tensor, outputs: Tensor) -> Tensor:
        """Log probabilities (B,) in nats of images (B, C, H, W), levels, given (B, J, H, W)."""
        raise NotImplementedError

    def draw(self, outputs: Tensor, u: Tensor) -> Draw:
        """Pixels of outputs (N, J) and uniforms (N, U), by inverse distribution functions in float64."""
        raise NotImplementedError


class BernoulliPixels(Pixels):
    """Two levels. Outputs are the C logits of level 1, which is drawn where u < sigmoid(logit)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 2)
        self.n_outputs = self.n_uniforms = channels

    def log_prob(self, x: Tensor, outputs: Tensor) -> Tensor:
        """See the base class."""
        return bernoulli_log_prob(x, outputs)

    def draw(self, outputs: Tensor, u: Tensor) -> Draw:
        """See the base class."""
        gap = outputs.double().sigmoid() - u
        return Draw((gap > 0).to(torch.uint8), gap.abs())


class CategoricalPixels(Pixels):
    """A probability for each level. Outputs are C blocks of L logits, one for each channel."""

    def __init__(self, channels: int, levels: int) -> None:
        super().__init__(channels, levels)
        self.n_outputs, self.n_uniforms = channels * levels, channels

    def log_prob(self, x: Tensor, outputs: Tensor) -> Tensor:
        """See the base class."""
        logits = outputs.unflatten(1, (self.channels, self.levels)).transpose(1, 2)  # (B, L, C, H, W)
        return -F.cross_entropy(logits, x.long(), reduction="none").flatten(1).sum(1)

    def draw(self, outputs: Tensor, u: Tensor) -> Draw:
        """See the base class."""
        logits = outputs.double().unflatten(1, (self.channels, self.levels))  # (N, C, L)
        level, margin = _draw_category(logits, u)
        return Draw(level.to(torch.uint8), margin)


class LogisticMixturePixels(Pixels):
    """A mixture of K discretized logistics, whose means shift linearly with the channels drawn before.

        p(x) = sum_k pi_k prod_c P(x_c | m_kc + sum_{d<c} a_kcd x_d, s_kc),      x_d from -1 to 1

    Outputs are, for each component, its logit, C means, C log scales, and C (C - 1) / 2 numbers whose tanh is
    a. The first uniform draws the component, the others the channels.

    Args:
        channels: C.
        levels: L.
        components: K.

    References:
        Salimans et al. 2017 (arXiv 1701.05517), sections 2.1 and 2.2; the least log scale is the code's.
    """

    LEAST_LOG_SCALE = -7.0

    def __init__(self, channels: int, levels: int, components: int) -> None:
        super().__init__(channels, levels)
        self.components = components
        self.sizes = (1, channels, channels, channels * (channels - 1) // 2)
        self.n_outputs, self.n_uniforms = components * sum(self.sizes), channels + 1
        self.groups = 1

    def _split(self, outputs: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(N, J, ...) -> logits (N, K, ...), means and log scales (N, K, C, ...), a (N, K, C', ...)."""
        parts = outputs.unflatten(1, (self.components, sum(self.sizes))).split(self.sizes, 2)
        logits, mean, log_scale, mixing = parts
        return logits.squeeze(2), mean, log_scale.clamp(min=self.LEAST_LOG_SCALE), mixing.tanh()

    def _shift(self, before: Tensor, mixing: Tensor) -> Tensor:
        """What the c channels before (N, K or 1, c, ...), from -1 to 1, add to the means (N, K, ...)."""
        c = before.shape[2]
        return (mixing[:, :, c * (c - 1) // 2 : c * (c + 1) // 2] * before).sum(2)

    def log_prob(self, x: Tensor, outputs: Tensor) -> Tensor:
        """See the base class."""
        logits, mean, log_scale, mixing = self._split(outputs)
        centred = (x.to(mean.dtype) * (2 / (self.levels - 1)) - 1).unsqueeze(1)  # (B, 1, C, H, W)
        shifts = [self._shift(centred[:, :, :c], mixing) for c in range(self.channels)]
        means = mean + torch.stack(shifts, 2)
        x = x.unsqueeze(1).expand_as(means)
        terms = discretized_logistic_log_prob(x, means, log_scale, self.levels).sum(2)  # (B, K, H, W)
        return (logits.log_softmax(1) + terms).logsumexp(1).flatten(1).sum(1)

    def draw(self, outputs: Tensor, u: Tensor) -> Draw:
        """See the base class."""
        logits, mean, log_scale, mixing = self._split(outputs.double())
        k, margin = _draw_category(logits, u[:, 0])  # (N,)
        rows = torch.arange(len(u), device=u.device)
        mean, scale, mixing = mean[rows, k], log_scale[rows, k].exp(), mixing[rows, k].unsqueeze(1)
        noise = scale * u[:, 1:].logit(eps=1e-12)  # (N, C)
        step = 2 / (self.levels - 1)
        drawn, margins = noise.new_zeros(len(u), 1, 0), []
        for c in range(self.channels):
            value = mean[:, c] + self._shift(drawn, mixing).squeeze(1) + noise[:, c]
            at = ((value + 1) / step).clamp(0, self.levels - 1)
            level = at.round()
            drawn = torch.cat([drawn, (level * step - 1).view(-1, 1, 1)], 2)
            margins.append(torch.minimum(margin, (0.5 - (at - level).abs()) * step))
        levels = ((drawn.squeeze(1) + 1) / step).round().to(torch.uint8)
        return Draw(levels, torch.stack(margins, 1))


def make_pixels(channels: int, levels: int, components: int = 0) -> Pixels:
    """A mixture of so many logistics, or if there are none, a probability for each level.

    Raises:
        ValueError: Fewer than none.
    """
    if components < 0:
        raise ValueError(f"components is {components}: choose 1 or more, or 0 for a probability a level")
    if components:
        return LogisticMixturePixels(channels, levels, components)
    return BernoulliPixels(channels) if levels == 2 else CategoricalPixels(channels, levels)


def _draw_category(logits: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """Categories (...,) of logits (..., L) and uniforms (...,), and how far u is from another one."""
    gap = logits.softmax(-1).cumsum(-1)[..., :-1] - u.unsqueeze(-1)
    margin = F.pad(gap.abs(), (0, 1), value=torch.inf).amin(-1)  # of one category there is no other
    return (gap <= 0).sum(-1), margin
