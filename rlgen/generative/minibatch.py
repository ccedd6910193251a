"""Minibatch discrimination: features that tell how near a sample lies to the others of its batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rlgen.generative.weight_norm import DataDependent, normalised


class MinibatchDiscrimination(DataDependent):
    """Appends to each sample's features, for K kernels, its closeness to the other samples of the batch.

        M_i = f_i T,    T_kd = exp(log_scale_kd) theta_kd / ||theta_kd||                (K, D) each sample
        o_ik = sum_{j != i} exp(-||M_ik - M_jk||_1) + b_k

    A generator that gives the same image again and again gives itself away. Real and fake data go through
    in batches of their own, equally large. The paper has neither the scale, nor the normalisation, nor b.

    Args:
        features: Size F.
        kernels: K.
        dims: D of each kernel.
        generator: Draws theta from N(0, 0.05^2).

    Raises:
        ValueError: No kernels, or kernels without dimensions.

    References:
        Salimans et al. 2016 (arXiv 1606.03498), 3.2.
    """

    def __init__(
        self, features: int, kernels: int = 100, dims: int = 5, *, generator: torch.Generator
    ) -> None:
        super().__init__()
        if kernels < 1 or dims < 1:
            raise ValueError(f"{kernels} kernels of {dims} dimensions: give at least one of each")
        self.kernels, self.out_features = kernels, features + kernels
        self.theta = nn.Parameter(0.05 * torch.randn(kernels * dims, features, generator=generator))
        self.log_scale = nn.Parameter(torch.zeros(kernels, dims))
        self.b = nn.Parameter(torch.full((kernels,), -1.0))

    def distances(self, features: Tensor) -> Tensor:
        """(B, F) -> ||M_ik - M_jk||_1 of every pair (K, B, B)."""
        m = features @ normalised(self.theta, self.log_scale.exp(), 0).T  # (B, K D)
        m = m.view(len(m), self.kernels, -1).transpose(0, 1).contiguous()  # (K, B, D)
        return torch.cdist(m, m, p=1.0)

    def forward(self, features: Tensor, sizes: Sequence[int] | None = None) -> Tensor:
        """(B, F) -> (B, F + K); `sizes` are those of the batches that make up B, if several."""
        parts = features.split(list(sizes)) if sizes else [features]
        # The 1 is the sample's closeness to itself.
        closeness = [(-self.distances(part)).exp().sum(2).T - 1 for part in parts]
        return torch.cat([features, torch.cat(closeness) + self.b], 1)

    @torch.no_grad()
    def calibrate(self, x: Tensor) -> None:
        """Make a sample's nearest neighbour 2 away on average, and the mean of o 0 in batches as large.

        Raises:
            ValueError: Fewer than two samples.
        """
        if len(x) < 2:
            raise ValueError(f"{len(x)} samples have no neighbours: initialise with at least 2")
        distances = self.distances(x)
        distances.diagonal(dim1=1, dim2=2).fill_(torch.inf)
        half = (0.5 * distances.min(2).values.mean(1)).clamp_min(1e-6)  # (K,)
        self.log_scale.sub_(half.log()[:, None])
        self.b.copy_(-(-distances / half[:, None, None]).exp().sum(2).mean(1))
