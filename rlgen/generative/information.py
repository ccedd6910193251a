"""Lower bounds on the mutual information of a code and what is generated from it.

    I(c; x) >= H(c) + E[log Q(c | x)]

with equality where Q is the true posterior. Each function gives the bound's terms, one a sample, in nats.

References:
    Chen et al. 2016 (arXiv 1606.03657), equation 4.
"""

from __future__ import annotations

import math

from torch import Tensor

from rlgen.generative.likelihoods import gaussian_log_prob


def categorical_information(logits: Tensor, code: Tensor) -> Tensor:
    """Terms of the bound for a code uniform over K classes: log K + log softmax(logits)_c; at most log K.

    Args:
        logits: (B, K) of Q.
        code: (B, K), one-hot.

    Returns:
        (B,).
    """
    return math.log(logits.shape[1]) + (logits.log_softmax(1) * code).sum(1)


def gaussian_information(mean: Tensor, code: Tensor, log_sigma: Tensor | float = 0.0) -> Tensor:
    """Terms of the bound for J codes from U(-1, 1), whose posterior is approximated by a Gaussian.

        sum_j log 2 + log N(c_j; mean_j, sigma_j^2)

    With sigma held at 1 this is half a squared error and a constant, never above -0.23 a code: then it
    trains the code, but is no estimate of the information. (The reference code takes the entropy of a
    standard Gaussian in place of log 2, which makes its figure no bound.) With sigma learned it is one.

    Args:
        mean: (B, J) of Q.
        code: (B, J).
        log_sigma: (B, J), log of the standard deviation; or a number for all.

    Returns:
        (B,).
    """
    return (math.log(2) + gaussian_log_prob(code, mean, log_sigma)).sum(1)
