"""Batch normalisation whose statistics are always of a batch at hand, and virtual batch normalisation.

Neither keeps running statistics: a forward pass changes nothing, averages of parameters need no second
estimate, and there is no training mode. Where an output must not depend on its neighbours, as in sampling,
the first rows of the batch are a fixed reference batch that the statistics are taken from.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BatchNorm(nn.Module):
    """Each feature standardised over batch and space, then scaled and shifted.

        y = gain (x - mean) / sqrt(var + eps) + shift,    var biased

    Args:
        features: Size F or C.
        gain: Whether a gain is learned; without, as in Improved GAN, a layer that follows has to set scales.
        shift: Whether a shift is learned.
        eps: Added to the variance.
        generator: Draws the gains from N(1, 0.02^2), as DCGAN has it; None for gains of 1.

    References:
        Ioffe and Szegedy 2015 (arXiv 1502.03167), algorithm 1.
    """

    def __init__(
        self,
        features: int,
        *,
        gain: bool = True,
        shift: bool = True,
        eps: float = 1e-5,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.eps = eps
        start = torch.ones(features)
        if gain and generator is not None:
            start += 0.02 * torch.randn(features, generator=generator)
        self.gain = nn.Parameter(start) if gain else None
        self.shift = nn.Parameter(torch.zeros(features)) if shift else None

    def forward(self, x: Tensor, n_reference: int = 0) -> Tensor:
        """x (B, F) or (B, C, H, W) by its own statistics, or all of it by those of its first rows."""
        if n_reference == 0:
            gain = self.gain
            if gain is None and self.shift is not None:
                gain = torch.ones_like(self.shift)  # CUDA's gradient of a shift without a gain is empty
            return F.batch_norm(x, None, None, gain, self.shift, training=True, eps=self.eps)
        axes = [0, *range(2, x.ndim)]
        var, mean = torch.var_mean(x[:n_reference], axes, correction=0)
        return self._rescale(x, mean[None], var[None])

    def _rescale(self, x: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        """The equation with statistics (B, C) or (1, C), as one multiplication and one addition."""
        scale = (var + self.eps).rsqrt()
        if self.gain is not None:
            scale = scale * self.gain
        offset = -mean * scale if self.shift is None else self.shift - mean * scale
        shape = (*scale.shape, *[1] * (x.ndim - 2))
        return torch.addcmul(offset.view(shape), x, scale.view(shape))


class VirtualBatchNorm(BatchNorm):
    """Batch normalisation of each example by a fixed reference batch of n examples and by itself.

        mean = (mean_x + n mean_ref) / (n + 1),    E[x^2] likewise,    var = E[x^2] - mean^2

    Examples no longer depend on their neighbours. Without the example's own share a unit could leave the
    reference's range unchecked. The reference itself, which runs along as the first rows, is normalised by
    its own statistics; they carry gradients.

    References:
        Salimans et al. 2016 (arXiv 1606.03498), 3.5.
    """

    def forward(self, x: Tensor, n_reference: int = 0) -> Tensor:
        """x (B, F) or (B, C, H, W), the first `n_reference` rows being the reference.

        Raises:
            ValueError: No reference, or nothing but the reference.
        """
        if not 0 < n_reference < len(x):
            raise ValueError(f"{n_reference} of {len(x)} rows are the reference: pass [reference, examples]")
        mean = x.flatten(2).mean(2) if x.ndim > 2 else x  # (B, C)
        square = x.square().flatten(2).mean(2) if x.ndim > 2 else x.square()
        n = n_reference
        mean, square = self._mix(mean, n), self._mix(square, n)
        return self._rescale(x, mean, (square - mean**2).clamp_min(0.0))

    @staticmethod
    def _mix(moment: Tensor, n: int) -> Tensor:
        """A moment of every row (B, C), mixed with that of the n reference rows."""
        reference = moment[:n].mean(0, keepdim=True)
        return torch.cat([reference.expand(n, -1), torch.lerp(reference, moment[n:], 1 / (n + 1))])
