"""A Bayesian multi-layer perceptron with a mean-field Gaussian posterior."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def affine(x: Tensor, matrix: Tensor) -> Tensor:
    """x (B, I) times a weight matrix (I + 1, J) whose last row is the bias -> (B, J)."""
    return torch.addmm(matrix[-1], x, matrix[:-1])


def relu_moments(mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
    """Exact mean and variance of max(0, a) for a ~ N(mean, var).

    With s = sqrt(var), alpha = mean / s, and the unit normal loss L(z) = phi(z) - z Phi(-z):

        E = mean Phi(alpha) + s phi(alpha),    Var = s^2 (Phi(alpha) - L(alpha) L(-alpha))

    This form of the variance, unlike E[a^2] - E[a]^2, keeps its digits where s is far below the mean.
    """
    s = var.sqrt().clamp_min(1e-12)
    alpha = (mean / s).clamp(-30.0, 30.0)
    density = torch.exp(-0.5 * alpha**2) / math.sqrt(2 * math.pi)
    below = torch.special.ndtr(alpha)
    loss = density - alpha * (1 - below)
    return mean * below + s * density, (var * (below - loss * (loss + alpha))).clamp_min(0.0)


Gradients = list[tuple[Tensor, Tensor | None]]


class ForwardPass(NamedTuple):
    """A batch on its way through the network under one draw of the noise."""

    inputs: list[Tensor]
    """(B, I) of each layer."""
    spreads: list[Tensor]
    """(B, J) of each layer, variance of its pre-activation given its input."""
    noise: Sequence[Tensor] | None
    """Standard normal (B, J) of the hidden layers at least; None at the mean weights."""
    mean: Tensor
    """(B, J) outputs of the mean weights of the last layer."""


class BayesianMLP(nn.Module):
    """ReLU network whose weights and biases are all independent Gaussians.

        q(W_ij) = N(mu_ij, sigma_ij^2),   sigma = log(1 + exp(rho)),   p(W_ij) = N(0, prior_sigma^2)

    Given its input x, a layer's pre-activation is Gaussian, and is drawn as such instead of its weights
    (local reparametrisation), with noise eps of its own for every row:

        a = x mu + sqrt(x^2 sigma^2) eps

    Each layer is one matrix (I + 1, J): I rows of weights, then the bias.

    Args:
        sizes: Units of each layer, input and output included.
        prior_sigma: Standard deviation of the prior.
        init_sigma: Initial standard deviation of the posterior.
        init_mu_sigma: The means start from N(0, init_mu_sigma^2); None for 1 / sqrt(fan in).
        generator: Source of the initial means; the global generator is never touched.

    References:
        Blundell et al. 2015 (arXiv 1505.05424); Kingma, Salimans and Welling 2015 (arXiv 1506.02557), eq. 6.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        prior_sigma: float = 0.5,
        init_sigma: float = 0.02,
        init_mu_sigma: float | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.sizes, self.prior_sigma = tuple(sizes), prior_sigma
        generator = generator or torch.Generator().manual_seed(0)
        self.mu, self.rho = nn.ParameterList(), nn.ParameterList()
        for fan_in, fan_out in zip(sizes[:-1], sizes[1:], strict=True):
            scale = 1 / math.sqrt(fan_in) if init_mu_sigma is None else init_mu_sigma
            self.mu.append(nn.Parameter(scale * torch.randn(fan_in + 1, fan_out, generator=generator)))
            self.rho.append(nn.Parameter(torch.full((fan_in + 1, fan_out), math.log(math.expm1(init_sigma)))))

    def variances(self) -> list[Tensor]:
        """sigma^2 of every layer, each (I + 1, J)."""
        return [F.softplus(rho) ** 2 for rho in self.rho]

    @torch.no_grad()
    def set_variances(self, variances: Sequence[Tensor]) -> None:
        """Put the posterior's sigma^2 in place, each (I + 1, J)."""
        for rho, var in zip(self.rho, variances, strict=True):
            sigma = var.sqrt()
            rho.copy_(sigma + (-sigma).expm1().neg().log())  # log(e^sigma - 1), which overflows beyond 88

    def kl(self) -> Tensor:
        """KL(q || p) in nats: sum of log(p/sigma) + (sigma^2 + mu^2) / (2 p^2) - 1/2, p the prior's sigma."""
        total = torch.zeros((), dtype=self.mu[0].dtype, device=self.mu[0].device)
        for mu, var in zip(self.mu, self.variances(), strict=True):
            ratio = var / self.prior_sigma**2
            total = total + 0.5 * (ratio - 1 - ratio.log() + mu**2 / self.prior_sigma**2).sum()
        return total

    def draw_noise(
        self, rows: int, generator: torch.Generator, *, hidden_only: bool = False, shared: bool = False
    ) -> list[Tensor]:
        """Standard normal noise for `forward`, one (B, J) a layer; (1, J) for all rows if shared."""
        kind = {"dtype": self.mu[0].dtype, "device": generator.device}
        sizes = self.sizes[1:-1] if hidden_only else self.sizes[1:]
        noise = [torch.randn(1 if shared else rows, n, generator=generator, **kind) for n in sizes]
        return [eps.to(self.mu[0].device) for eps in noise]

    def run(self, x: Tensor, noise: Sequence[Tensor] | None, variances: Sequence[Tensor]) -> ForwardPass:
        """Forward pass of x (B, I) under `noise` for the hidden layers (None: at the mean weights)."""
        inputs, spreads, mean = [x], [], x
        for i, mu in enumerate(self.mu):
            mean = affine(inputs[i], mu)
            spreads.append(affine(inputs[i] ** 2, variances[i]))
            if i < len(self.mu) - 1:
                a = mean if noise is None else mean + spreads[i].sqrt() * noise[i]
                inputs.append(a.relu())
        return ForwardPass(inputs, spreads, noise, mean)

    def forward(self, x: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        """Outputs (B, J) at x (B, I): of the mean weights, or of a draw if `noise` is given."""
        run = self.run(x, noise, self.variances())
        return run.mean if noise is None else run.mean + run.spreads[-1].sqrt() * noise[-1]

    @torch.no_grad()
    def backward(
        self, run: ForwardPass, variances: Sequence[Tensor], d: Tensor, q: Tensor | None
    ) -> Gradients:
        """Gradients of a loss of each row by every layer's pre-activation, from those of the output layer.

        With d the gradient by the mean and q twice the gradient by the variance of a pre-activation, the
        gradient by mu_ij is x_i d_j and that by sigma_ij is x_i^2 sigma_ij q_j.

        Args:
            run: The forward pass.
            variances: The sigma^2 it was made with.
            d: (B, J), of the output layer.
            q: (B, J) or (1, J), of the output layer; None at the mean weights.

        Returns:
            (d, q) of each layer, first layer first.
        """
        gradients = [(d, q)]
        for i in reversed(range(1, len(run.inputs))):
            d = d @ self.mu[i][:-1].T
            if q is not None:
                d.addcmul_(run.inputs[i], q @ variances[i][:-1].T)
            d.mul_(run.inputs[i] > 0)
            q = None if run.noise is None else (d * run.noise[i - 1]).mul_(run.spreads[i - 1].rsqrt())
            gradients.append((d, q))
        return gradients[::-1]

    @torch.no_grad()
    def set_gradients(
        self, run: ForwardPass, variances: Sequence[Tensor], gradients: Gradients, kl_weight: float
    ) -> None:
        """Set `.grad` of mu, and of rho if trained, for the rows' mean loss + kl_weight KL(q || p)."""
        share, precision = 1 / len(run.mean), self.prior_sigma**-2
        for i, (x, (d, q)) in enumerate(zip(run.inputs, gradients, strict=True)):
            grad = self.mu[i] * (kl_weight * precision)
            grad[:-1].addmm_(x.T, d, alpha=share)
            grad[-1].add_(d.sum(0), alpha=share)
            self.mu[i].grad = grad
            if self.rho[i].requires_grad and q is not None:
                q, sigma = q.expand_as(d), variances[i].sqrt()
                slope = torch.cat([(x**2).T @ q, q.sum(0, keepdim=True)]) * share
                slope = slope * sigma + kl_weight * (sigma * precision - 1 / sigma)
                self.rho[i].grad = slope * self.rho[i].sigmoid()

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (B, J) of the outputs under the posterior, by propagation layer by layer.

        Exact for up to one hidden layer; with more, hidden units are taken as independent and Gaussian.
        """
        mean, var = x, torch.zeros((), dtype=x.dtype, device=x.device)
        for i, (mu, sigma2) in enumerate(zip(self.mu, self.variances(), strict=True)):
            spread = affine(mean**2 + var, sigma2)
            if i > 0:
                spread = spread + var @ mu[:-1] ** 2
            mean, var = affine(mean, mu), spread
            if i < len(self.mu) - 1:
                mean, var = relu_moments(mean, var)
        return mean, var

    @torch.no_grad()
    def gauss_newton(self, inputs: Sequence[Tensor], output_precision: Tensor) -> list[Tensor]:
        """Diagonal of the negative log-likelihood's Gauss-Newton Hessian, mean over rows, (I + 1, J) a layer.

            H_ij = E[x_i^2 g_j],   g_out = 1 / s^2,   g_hidden = 1[a > 0] (W_next^2 g_next)

        Args:
            inputs: Those of a `ForwardPass` of B rows.
            output_precision: (J,), 1 / s_d^2 of each output.
        """
        g, diagonals = output_precision.expand(len(inputs[0]), -1), []
        for i in reversed(range(len(inputs))):
            x2 = inputs[i] ** 2
            # In the last layer g is the same for every row: an outer product of means.
            inner = torch.outer(x2.mean(0), g[0]) if i == len(inputs) - 1 else x2.T @ g / len(g)
            diagonals.append(torch.cat([inner, g.mean(0, keepdim=True)]))
            if i > 0:
                g = (inputs[i] > 0) * (g[:1] if i == len(inputs) - 1 else g).matmul(self.mu[i][:-1].T ** 2)
        return diagonals[::-1]
