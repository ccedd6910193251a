"""Likelihoods of images and codes, and what bounds are made of; pure functions, in nats.

Images are levels, uint8 from 0 to levels - 1. A log probability is never above 0 where it is of something
discrete; a log density can be.
"""

from __future__ import annotations

import math
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

Number = TypeVar("Number", float, Tensor)


def bernoulli_log_prob(x: Tensor, logits: Tensor) -> Tensor:
    """log p(x) of binary images, the sum over all pixels.

        sum_i x_i log sigmoid(logits_i) + (1 - x_i) log sigmoid(-logits_i)

    Args:
        x: (B, ...), 0 and 1, of any type.
        logits: (B, ...), high where a 1 is likely.

    Returns:
        (B,).
    """
    return (x * logits - F.softplus(logits)).flatten(1).sum(1)


def gaussian_log_prob(x: Tensor, mean: Tensor | float = 0.0, log_sigma: Tensor | float = 0.0) -> Tensor:
    """log N(x; mean, sigma^2), of each entry; the arguments broadcast.

    Args:
        x: Values.
        mean: Means.
        log_sigma: Logs of the standard deviations.

    Returns:
        The shape of all together.
    """
    scale = (-log_sigma).exp() if isinstance(log_sigma, Tensor) else math.exp(-log_sigma)
    return -0.5 * ((x - mean) * scale) ** 2 - log_sigma - 0.5 * math.log(2 * math.pi)


def gaussian_kl(
    mean: Tensor,
    log_sigma: Tensor,
    prior_mean: Tensor | float = 0.0,
    prior_log_sigma: Tensor | float = 0.0,
) -> Tensor:
    """KL(q || p) of two Gaussians, of each entry; the arguments broadcast.

        log sigma_p - log sigma_q + (sigma_q^2 + (mu_q - mu_p)^2) / (2 sigma_p^2) - 1/2

    Args:
        mean: Of q.
        log_sigma: Log of q's standard deviation.
        prior_mean: Of p.
        prior_log_sigma: Log of p's standard deviation.

    Returns:
        The shape of all together, at least 0.

    References:
        Kingma and Welling 2013 (arXiv 1312.6114), appendix B, for the standard normal p.
    """
    log_ratio = log_sigma - prior_log_sigma
    known = not isinstance(prior_log_sigma, Tensor)
    scale = math.exp(-prior_log_sigma) if known else (-prior_log_sigma).exp()
    return 0.5 * ((2 * log_ratio).exp() + ((mean - prior_mean) * scale) ** 2 - 1) - log_ratio


def free_bits(kl: Tensor, least: float) -> Tensor:
    """The penalty for a posterior's information, of which the first `least` nats of each part are free.

        sum_m max(least, mean_b kl_bm)

    A part whose mean is below `least` has no gradient, so that it is not driven out early in training. For
    the objective alone: what is reported is the mean of the divergence itself, which `least` = 0 gives.

    Args:
        kl: (B, M), the divergence of each part of the code, such as a map, or an estimate of it.
        least: Nats.

    Returns:
        A scalar, nats an image.

    References:
        Kingma et al. 2016 (arXiv 1606.04934), equation 15.
    """
    means = kl.mean(0)
    return (means.clamp_min(least) if least else means).sum()


def discretized_logistic_log_prob(x: Tensor, mean: Tensor, log_scale: Tensor, levels: int) -> Tensor:
    """log P(x) of a logistic variable in bins, of each entry; the arguments broadcast.

    Bins have a width of 2 / (levels - 1) and lie around the levels brought to the range from -1 to 1, a and b
    being the edges of a bin, standardised. The outermost bins reach to infinity, so that all add up to 1.

        P = sigmoid(b) - sigmoid(a) = sigmoid(b) sigmoid(-a) (1 - exp(a - b))

    The product has no cancellation however far in the tails x is.

    Args:
        x: Levels, uint8.
        mean: Of the logistic density, where black is -1 and white is 1.
        log_scale: Log of its scale, in the same unit.
        levels: Number of bins.

    Returns:
        The shape of all together, at most 0.

    References:
        Kingma et al. 2016 (arXiv 1606.04934), appendix C.1; Salimans et al. 2017 (arXiv 1701.05517), eq. 2.
    """
    half = 1 / (levels - 1)
    inverse = (-log_scale).exp()
    offset = x.to(mean.dtype) * (2 * half) - 1 - mean
    lower, upper = (offset - half) * inverse, (offset + half) * inverse
    width = (-torch.expm1(-2 * half * inverse)).log()
    first, last = x == 0, x == levels - 1
    return (
        F.logsigmoid(upper).masked_fill(last, 0.0)
        + F.logsigmoid(-lower).masked_fill(first, 0.0)
        + width.masked_fill(first | last, 0.0)
    )


def importance_weighted(log_w: Tensor) -> Tensor:
    """An estimate of log p(x) from K draws of a posterior; low on average, less so the more there are.

        log (1/K) sum_k w_k,    w_k = p(x, z_k) / q(z_k | x),    z_k ~ q(z | x)

    Args:
        log_w: (K, B); with K = 1 the terms are those of the evidence lower bound.

    Returns:
        (B,).

    References:
        Burda et al. 2015 (arXiv 1509.00519), equation 8.
    """
    return log_w.logsumexp(0) - math.log(len(log_w))


def bits_per_dim(nats: Number, image_shape: tuple[int, int, int]) -> Number:
    """Nats an image, (C, H, W), as bits for each of its C H W values."""
    return nats / (math.log(2) * math.prod(image_shape))
