"""VIME: a bonus for what a transition tells about the environment's dynamics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from rlgen.generative.bayes import BayesianMLP
from rlgen.rewards.bonus import Bonus, BonusSettings, override
from rlgen.rewards.information_gain import expected_gain, realised_gain
from rlgen.rewards.normalizer import RunningNorm
from rlgen.rewards.settings import Count, CountOrZero, NonNegative, Positive
from rlgen.transitions import Transitions


@dataclass(frozen=True)
class VIMESettings(BonusSettings):
    """Everything that sets VIME's two settings apart; any field can be passed to `VIME` by name."""

    target: Literal["delta", "next"] = "delta"
    """Predict next_obs - obs, by its own statistics, or next_obs, by those of obs."""
    likelihood_sd: Positive | None = None
    """Standard deviation of the likelihood, in normalised units; None to fit one for each output."""
    noise_floor: NonNegative = 0.01
    """Least fitted standard deviation."""
    prior_sigma: Positive = 0.5
    """Standard deviation of the prior."""
    init_sigma: Positive = 0.02
    """Initial standard deviation of the posterior."""
    init_mu_sigma: NonNegative | None = None
    """Spread of the initial means; None for 1 / sqrt(fan in)."""
    sigma_update: Literal["natural", "adam"] = "natural"
    """Posterior widths by natural gradient (they count data), or by Adam (they count gradient steps)."""
    curvature_rate: NonNegative = 0.05
    """Step of the moving averages of curvature and noise, per gradient step."""
    max_data: Count | None = None
    """Cap on the number of data points that the posterior counts; None for no cap."""
    kl_weight: NonNegative | None = None
    """Weight of the KL beside a minibatch's summed log-likelihood; None for batch size over data size."""
    draws: Count = 1
    """Draws of the noise in a gradient step."""
    bonus_draws: CountOrZero = 0
    """Draws over which the realised gain averages gradients; 0 for the gradient at the mean weights."""
    step_size: Positive = 1.0
    """lambda of the realised gain."""
    shared_noise: bool = False
    """Give all rows of a minibatch the same noise."""


DEFAULT = VIMESettings()

PAPER = VIMESettings(
    hidden=(32,),
    learning_rate=1e-4,
    batch_size=10,
    updates_per_transition=500 / 5000,
    first_refit=1.0,
    pool_statistics=True,
    normalise="window",
    statistic="median",
    clip=1000.0,
    target="next",
    likelihood_sd=5.0,
    init_sigma=0.5,
    init_mu_sigma=1.0,
    sigma_update="adam",
    kl_weight=1 / 5,
    draws=10,
    bonus_draws=10,
    step_size=0.01,
)


class VIME(Bonus):
    """Information gain about the dynamics as a reward (variational information maximising exploration).

    A Bayesian network predicts the next observation from [obs, action]. The bonus of a transition is

        expected:  sum_d 1/2 log(1 + v_d / s_d^2),     what its outcome will tell on average
        realised:  1/2 lambda^2 g^T H^-1 g,            what a step on this outcome would change (the paper's)

    with v the variance of output d under the posterior and s the noise (`rewards/information_gain.py`),
    divided by a reference (`BonusScale`).

    **default** maximises the evidence lower bound of all data, per transition: mean log-likelihood minus
    KL / N. The means follow Adam; the widths follow the natural gradient, whose fixed point is

        1 / sigma^2 = 1 / prior_sigma^2 + N H,         H the mean Gauss-Newton diagonal, in 1 / s^2

    N counts every transition ever seen, so that v / s^2 falls as 1 / N wherever the data went, whatever
    the fitted noise does (H carries the same 1 / s^2), and stays at the prior where it never went. The noise
    is the bound's optimum, the mean squared residual under the posterior.

    **paper** is the algorithm as published. Where the published code slips, it is kept if the published
    numbers hang on it, else mended:

    ===================================================  ======  ============================================
    published code                                       here    why
    ===================================================  ======  ============================================
    KL weight 1/5 beside a sum over 10 points, so that   kept    the posterior that earned the paper's
      the data count as 50 points however many there are             results; `kl_weight=None` mends it
    likelihood sd 5 on targets of unit variance          kept    the same; `likelihood_sd=None` fits it
    means start from N(0, 1)                             kept    the same; `init_mu_sigma=None` mends it
    predicts next_obs, not the change                    kept    as the paper says
    normalises by the pool, anew at every refit          kept    without the row of zeros counted by mistake
    one noise vector for a whole minibatch               mended  same expectation, needless variance;
                                                                   `shared_noise=True` brings it back
    output layer drawn in training                       mended  its expectation is exact and cheaper
    1/2 missing from the gain                            mended  cancels when normalised
    divides by medians that include the batch's own      mended  the paper says previous ones, and a reward
                                                                   may not depend on its neighbours
    trains on pairs across episode ends; copies the      mended  wrong targets; the true successor is known
      gain of the last step from the one before
    standardised inputs and targets have no bound        mended  clipped to +-10: one outlier is no lesson
    raw gain clipped to 1000                             mended  the normalised one is
    reward r + eta gain, one value function, whose       mended  `LearnReward` has a stream of its own:
      baseline is fitted to returns without the gain               added to r, the gain pays for surviving;
                                                                   stream="one" is the published sum
    ===================================================  ======  ============================================

    Args:
        obs_dim: Size O of an observation.
        action_dim: Size A of an action.
        bonus: "expected" or "realised".
        setting: "default" or "paper".
        seed: Of everything random here.
        **overrides: Fields of `VIMESettings`.

    Raises:
        ValueError: An unknown bonus, setting or override.

    References:
        Houthooft et al. 2016 (arXiv 1605.09674); Khan et al. 2018 (arXiv 1806.04854), for the widths.
    """

    name = "vime"
    noise_var: Tensor
    nll: Tensor

    def __init__(
        self,
        obs_dim: int,
        action_dim: int,
        *,
        bonus: str = "expected",
        setting: str = "default",
        seed: int = 0,
        **overrides: object,
    ) -> None:
        choices = {"default": DEFAULT, "paper": PAPER}
        if setting not in choices:
            raise ValueError(f"setting is {setting!r}: choose 'default' or 'paper'")
        if bonus not in ("expected", "realised"):
            raise ValueError(f"bonus is {bonus!r}: choose 'expected' or 'realised'")
        settings = override(choices[setting], overrides)
        super().__init__(obs_dim, action_dim, settings, seed)
        self.settings: VIMESettings = settings
        self.bonus = bonus
        self.output_norm = RunningNorm(obs_dim)
        self.network = BayesianMLP(
            (obs_dim + action_dim, *settings.hidden, obs_dim),
            prior_sigma=settings.prior_sigma,
            init_sigma=settings.init_sigma,
            init_mu_sigma=settings.init_mu_sigma,
            generator=self.generator,
        )
        self.register_buffer("noise_var", torch.full((obs_dim,), (settings.likelihood_sd or 1.0) ** 2))
        self.register_buffer("nll", torch.zeros(()))
        for i, mu in enumerate(self.network.mu):
            self.register_buffer(f"curvature_{i}", torch.zeros_like(mu))
        self.network.rho.requires_grad_(settings.sigma_update == "adam")
        trained = [p for p in self.network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(trained, lr=settings.learning_rate, fused=True)

    @property
    def data_count(self) -> float:
        """N, the transitions that the posterior counts."""
        return min(max(self.input_norm.count.item(), 1.0), self.settings.max_data or float("inf"))

    def target(self, obs: Tensor, next_obs: Tensor) -> Tensor:
        """What the network predicts (B, O), normalised."""
        return self.output_norm(next_obs - obs if self.settings.target == "delta" else next_obs)

    @torch.no_grad()
    def raw_bonus(self, batch: Transitions) -> Tensor:
        """Information gain (B,) in nats."""
        x, noise_sd = self.inputs(batch), self.noise_var.sqrt()
        if self.bonus == "expected":
            return expected_gain(self.network, x, noise_sd)
        # Fixed between refits and the same for all rows: a reward depends neither on when nor on where in a
        # batch it is asked for.
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + int(self.updates))
        draws = [self.network.draw_noise(1, generator, shared=True) for _ in range(self.settings.bonus_draws)]
        target = self.target(batch.obs, batch.next_obs)
        return realised_gain(self.network, x, target, noise_sd, draws, self.settings.step_size)

    def absorb(self, batch: Transitions) -> None:
        """Take fresh data into the normalisers of inputs and targets."""
        super().absorb(batch)
        delta = self.settings.target == "delta"
        self.renew(self.output_norm, lambda rows: rows.next_obs - rows.obs if delta else rows.obs, batch)

    def prepare(self, rows: Transitions) -> tuple[Tensor, ...]:
        """Inputs (B, O + A) and targets (B, O)."""
        return self.inputs(rows), self.target(rows.obs, rows.next_obs)

    @torch.no_grad()
    def step(self, *minibatch: Tensor) -> None:
        """One step on the bound, for a minibatch of inputs (B, O + A) and targets (B, O)."""
        settings, network = self.settings, self.network
        x, y = (part.repeat(settings.draws, 1) for part in minibatch) if settings.draws > 1 else minibatch
        rows = settings.draws if settings.shared_noise else len(x)
        noise = network.draw_noise(rows, self.generator, hidden_only=True)
        if settings.shared_noise:
            noise = [part.repeat_interleave(len(minibatch[0]), 0) for part in noise]
        variances = self._variances()
        run = network.run(x, noise, variances)
        error = run.mean - y  # (S B, O)
        # The bound's likelihood term, in expectation over the output layer's weights.
        square = (error**2).add_(run.spreads[-1]).mean(0)
        self._follow(run.inputs, square)
        precision = self.noise_var.reciprocal()
        gradients = network.backward(run, variances, error * precision, precision[None])
        weight = 1 / self.data_count if settings.kl_weight is None else settings.kl_weight / len(minibatch[0])
        network.set_gradients(run, variances, gradients, weight)
        self.optimizer.step()
        nll = 0.5 * (square * precision + (2 * torch.pi * self.noise_var).log()).sum()
        self.nll.lerp_(nll, self._rate)

    @property
    def _rate(self) -> float:
        """Weight of the newest value in the moving averages: a plain average first."""
        return max(self.settings.curvature_rate, 1 / (1 + int(self.updates)))

    def _curvatures(self) -> list[Tensor]:
        return [self.get_buffer(f"curvature_{i}") for i in range(len(self.network.mu))]

    def _variances(self) -> list[Tensor]:
        """sigma^2 of each layer: the natural gradient's fixed point, once there is a curvature."""
        if self.settings.sigma_update == "adam" or self.updates == 0:
            return self.network.variances()
        prior, n = self.settings.prior_sigma**-2, self.data_count
        return [(prior + n * curvature).reciprocal_() for curvature in self._curvatures()]

    @torch.no_grad()
    def _follow(self, inputs: list[Tensor], square: Tensor) -> None:
        """Move the noise towards the mean squared residual (O,), the curvature towards the minibatch's."""
        if self.settings.likelihood_sd is None:
            self.noise_var.lerp_(square, self._rate).clamp_min_(self.settings.noise_floor**2)
        if self.settings.sigma_update == "natural":
            newest = self.network.gauss_newton(inputs, 1 / self.noise_var)
            for average, new in zip(self._curvatures(), newest, strict=True):
                average.lerp_(new, self._rate)

    def finish(self) -> None:
        """Hand the widths over to the network, which holds them between refits."""
        if self.settings.sigma_update == "natural":
            self.network.set_variances(self._variances())

    @torch.no_grad()
    def diagnose(self, sample: Transitions) -> dict[str, float]:
        """Adds the model's error over that of predicting no change, and of predicting the mean."""
        y = self.target(sample.obs, sample.next_obs)
        error = (self.network(self.inputs(sample)) - y).square().mean()
        still = (self.target(sample.obs, sample.obs) - y).square().mean()
        spread = y.var(0, unbiased=False).mean()
        return super().diagnose(sample) | {
            "error_over_persistence": (error / still.clamp_min(1e-12)).item(),
            "error_over_mean": (error / spread.clamp_min(1e-12)).item(),
        }

    def update(self, batch: Transitions) -> dict[str, float]:
        """Adds the posterior's width, the noise and the bound (nats a transition, higher is better)."""
        metrics = super().update(batch)
        kl = self.network.kl().item()
        width = torch.cat([var.flatten() for var in self.network.variances()]).sqrt().mean().item()
        return metrics | {
            "width_over_prior": width / self.settings.prior_sigma,
            "noise_mean": self.noise_var.sqrt().mean().item(),
            "kl": kl,
            "elbo": -self.nll.item() - kl / self.data_count,
        }
