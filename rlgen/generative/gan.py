"""Losses and regularisers of adversarial training, and a discriminator for vectors.

The discriminator gives one logit a sample, high for real (or expert) data: D(x) = sigmoid(logit). At the
optimum of its loss the logit is the log density ratio log p_real(x) / p_fake(x).

Everything random is drawn from the generator that is passed; the global one is never touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Losses


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor, smoothing: float = 0.0) -> Tensor:
    """Binary cross-entropy with logits, in nats; 2 log 2 = 1.386 at chance.

        E_real[-t log D - (1 - t) log(1 - D)] + E_fake[-log(1 - D)],    t = 1 - smoothing

    Each side is a mean, so that unequal batches weigh the same. With one-sided label smoothing the optimal
    logit is log (1 - smoothing) p_real / (p_fake + smoothing p_real): it cannot grow without bound.

    Args:
        real_logits: (B,).
        fake_logits: (B',).
        smoothing: What the label of real data lacks to 1.

    Returns:
        A scalar.

    References:
        Goodfellow et al. 2014 (arXiv 1406.2661), equation 1; Salimans et al. 2016 (arXiv 1606.03498), 3.4.
    """
    # softplus(-l) = -log D and softplus(l) = -log(1 - D) differ by l.
    real = F.softplus(-real_logits) + smoothing * real_logits
    return real.mean() + F.softplus(fake_logits).mean()


def nonsaturating_loss(fake_logits: Tensor) -> Tensor:
    """The generator's loss that does not saturate, E_fake[-log D], in nats; log 2 at chance.

    Where the discriminator wins, its gradient by the logits goes to -1, that of `minimax_loss` to 0.

    Args:
        fake_logits: (B,).

    Returns:
        A scalar.

    References:
        Goodfellow et al. 2014 (arXiv 1406.2661), section 3.
    """
    return F.softplus(-fake_logits).mean()


def minimax_loss(fake_logits: Tensor) -> Tensor:
    """The generator's side of the zero-sum game, E_fake[log(1 - D)], in nats; -log 2 at chance.

    Args:
        fake_logits: (B,).

    Returns:
        A scalar.

    References:
        Goodfellow et al. 2014 (arXiv 1406.2661), equation 1.
    """
    return -F.softplus(fake_logits).mean()


def feature_matching(real: Tensor, fake: Tensor, norm: str = "l2") -> Tensor:
    """Distance of the mean features of real and fake data: a generator's loss without a verdict.

        l2    mean_k (E_real f_k - E_fake f_k)^2        l1    mean_k |E_real f_k - E_fake f_k|

    Means over the features, as in the reference code; the paper's squared norm is their sum.

    Args:
        real: (B, F) features, usually of a hidden layer of the discriminator.
        fake: (B', F).
        norm: "l2" or "l1".

    Returns:
        A scalar.

    Raises:
        ValueError: An unknown norm.

    References:
        Salimans et al. 2016 (arXiv 1606.03498), 3.1.
    """
    gap = real.mean(0) - fake.mean(0)
    if norm == "l2":
        return gap.square().mean()
    if norm == "l1":
        return gap.abs().mean()
    raise ValueError(f"norm is {norm!r}: choose 'l1' or 'l2'")


def semi_supervised_loss(
    labelled_logits: Tensor,
    labels: Tensor,
    unlabelled_logits: Tensor,
    fake_logits: Tensor,
    unlabelled_weight: float = 1.0,
) -> Tensor:
    """Loss of a classifier of K classes that is a discriminator as well, in nats.

    A fake is a class K + 1 whose logit is 0. With lse(x) = log sum_k exp l_k(x), "real" has the logit lse:
    D = Z / (Z + 1), Z = exp lse. No output is spent on it.

        E_labelled[lse - l_y]  +  unlabelled_weight / 2  (E_unlabelled[-log D] + E_fake[-log(1 - D)])

    The half is the reference code's, the paper has none: weight 2 gives the paper's equation. Its recipes'
    results were made with weight 1.

    Args:
        labelled_logits: (B, K).
        labels: (B,) classes, int64.
        unlabelled_logits: (B', K).
        fake_logits: (B'', K).
        unlabelled_weight: Of the unsupervised half.

    Returns:
        A scalar.

    References:
        Salimans et al. 2016 (arXiv 1606.03498), section 5.
    """
    adversarial = discriminator_loss(unlabelled_logits.logsumexp(1), fake_logits.logsumexp(1))
    return F.cross_entropy(labelled_logits, labels) + 0.5 * unlabelled_weight * adversarial


def bernoulli_entropy(logits: Tensor) -> Tensor:
    """Entropy of the discriminator's verdicts in nats, the shape of `logits`: softplus(l) - l sigmoid(l)."""
    return F.softplus(logits) - logits * logits.sigmoid()


# Regularisers


def interpolate(real: Tensor, fake: Tensor, generator: torch.Generator) -> Tensor:
    """A random point (B, ...) on the line between each pair of rows, uniform on it."""
    shape = (len(real), *[1] * (real.ndim - 1))
    share = torch.rand(shape, generator=generator, dtype=real.dtype, device=generator.device)
    return torch.lerp(fake, real, share.to(real.device))


def gradient_penalty(
    function: Callable[[Tensor], Tensor],
    real: Tensor,
    fake: Tensor,
    generator: torch.Generator,
    target: float = 1.0,
) -> Tensor:
    """How far the slope of the logit is from `target` between real and fake data.

        (||grad_x f(x)||_2 - target)^2,    x uniform on the line between a real and a fake sample

    The slope is differentiable in the parameters of f; a slope of exactly 0 counts as constant.

    Args:
        function: (B, ...) -> logits (B,), each of its own sample alone: no batch normalisation.
        real: (B, ...).
        fake: (B, ...).
        generator: Draws the interpolates.
        target: 1 as in the paper; 0 asks for a flat function.

    Returns:
        (B,), a value for each pair; its mean is the paper's term, without the weight.

    References:
        Gulrajani et al. 2017 (arXiv 1704.00028), equation 3.
    """
    x = interpolate(real, fake, generator).requires_grad_()
    (slope,) = torch.autograd.grad(function(x).sum(), x, create_graph=True)
    return (slope.flatten(1).norm(dim=1) - target).square()


def historical_penalty(parameters: Iterable[Tensor], averages: Iterable[Tensor]) -> Tensor:
    """Squared distance ||theta - mean_t theta_t||^2 of a player from its past; the means are constants.

    It damps the two players' circling around their equilibrium. `ParameterAverage` keeps the means.

    Args:
        parameters: A player's, of any shapes.
        averages: Their means over the steps so far, of the same shapes in the same order.

    Returns:
        A scalar, differentiable in the parameters.

    References:
        Salimans et al. 2016 (arXiv 1606.03498), 3.3; in none of the published scripts.
    """
    pairs = zip(parameters, averages, strict=True)
    return torch.stack([(theta - mean).square().sum() for theta, mean in pairs]).sum()


def spectrally_normalised(layer: nn.Module, generator: torch.Generator) -> nn.Module:
    """The layer, its weight divided by its largest singular value at each use: torch's parametrisation.

    In training mode each use makes a step of power iteration, which changes buffers; call `eval()` before
    uses that must not. torch starts the iteration from its global generator, here from `generator`.

    References:
        Miyato et al. 2018 (arXiv 1802.05957).
    """
    seed = int(torch.randint(2**31, (), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return nn.utils.parametrizations.spectral_norm(layer)


# Networks


ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU}


class MLPDiscriminator(nn.Module):
    """Multi-layer perceptron from vectors to logits.

    Args:
        in_features: Size D of an input.
        hidden: Units of each hidden layer.
        activation: One of `ACTIVATIONS`.
        spectral_norm: Whether every layer is spectrally normalised.
        generator: Draws weights and biases, from U(-1, 1) / sqrt(fan in) as torch does.

    Raises:
        ValueError: An unknown activation.
    """

    def __init__(
        self,
        in_features: int,
        hidden: Sequence[int] = (100, 100),
        *,
        activation: str = "tanh",
        spectral_norm: bool = False,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation is {activation!r}: choose one of {', '.join(ACTIVATIONS)}")
        sizes = (in_features, *hidden, 1)
        layers: list[nn.Module] = []
        for fan_in, fan_out in zip(sizes[:-1], sizes[1:], strict=True):
            linear = nn.utils.skip_init(nn.Linear, fan_in, fan_out)
            for parameter in linear.parameters():
                nn.init.uniform_(parameter, -(fan_in**-0.5), fan_in**-0.5, generator=generator)
            layers.append(spectrally_normalised(linear, generator) if spectral_norm else linear)
            layers.append(ACTIVATIONS[activation]())
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """(B, D) -> logits (B,)."""
        return self.layers(x).squeeze(1)
