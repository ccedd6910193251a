"""Bonuses that information gain has to beat: random network distillation, prediction error, chance."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rlgen.rewards.bonus import Bonus, BonusSettings, override, rank_correlation
from rlgen.rewards.normalizer import RunningNorm
from rlgen.rewards.vime import VIME
from rlgen.transitions import Transitions

FEATURES = 64
"""Outputs of both networks of random network distillation."""


def mlp(sizes: Sequence[int], generator: torch.Generator) -> nn.Sequential:
    """ReLU network with weights and biases from N(0, 1 / fan in), drawn from `generator` alone."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in zip(sizes[:-1], sizes[1:], strict=True):
        linear = nn.utils.skip_init(nn.Linear, fan_in, fan_out)
        with torch.no_grad():
            for parameter in linear.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / fan_in**0.5)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class ErrorBonus(Bonus):
    """A bonus that is an error, which every gradient step lessens; `optimizer` holds what is trained."""

    optimizer: torch.optim.Optimizer

    def error(self, *rows: Tensor) -> Tensor:
        """What `prepare` gives -> errors (B,)."""
        raise NotImplementedError

    def step(self, *minibatch: Tensor) -> None:
        """One step on the mean error."""
        loss = self.error(*minibatch).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    @torch.no_grad()
    def raw_bonus(self, batch: Transitions) -> Tensor:
        """Errors (B,)."""
        return self.error(*self.prepare(batch))


class RND(ErrorBonus):
    """Random network distillation: how badly a network imitates a fixed random one at the next observation.

        bonus = mean_k (f_k(z) - target_k(z))^2,    z the normalised next_obs

    Settings, data, refits and scale are those of VIME's default, so that only the bonus differs. (The
    original divides by the running standard deviation of returns; here `normalise` decides, as for all.)

    Args:
        obs_dim: Size O of an observation.
        action_dim: Size A of an action.
        seed: Of everything random here.
        **overrides: Fields of `BonusSettings`.

    References:
        Burda et al. 2018 (arXiv 1810.12894).
    """

    name = "rnd"

    def __init__(self, obs_dim: int, action_dim: int, *, seed: int = 0, **overrides: object) -> None:
        super().__init__(obs_dim, action_dim, override(BonusSettings(), overrides), seed)
        self.next_norm = RunningNorm(obs_dim)
        sizes = (obs_dim, *self.settings.hidden, FEATURES)
        self.target = mlp(sizes, self.generator).requires_grad_(False)
        self.predictor = mlp(sizes, self.generator)
        self.optimizer = torch.optim.Adam(
            self.predictor.parameters(), lr=self.settings.learning_rate, fused=True
        )

    def absorb(self, batch: Transitions) -> None:
        """Take fresh data into the normalisers."""
        super().absorb(batch)
        self.renew(self.next_norm, lambda rows: rows.next_obs, batch)

    def prepare(self, rows: Transitions) -> tuple[Tensor, ...]:
        """Normalised next observations (B, O)."""
        return (self.next_norm(rows.next_obs),)

    def error(self, z: Tensor) -> Tensor:  # type: ignore[override]
        """Mean squared distance (B,) of the two networks."""
        return (self.predictor(z) - self.target(z)).square().mean(-1)


class PredictionError(ErrorBonus):
    """Plain surprise: squared error of a deterministic network of the same size that predicts the change.

        bonus = mean_d (f_d([obs, action]) - delta_d)^2,    all normalised

    Noise in the environment cannot be predicted and is paid for ever after.

    Args:
        obs_dim: Size O of an observation.
        action_dim: Size A of an action.
        seed: Of everything random here.
        **overrides: Fields of `BonusSettings`.
    """

    name = "prediction_error"

    def __init__(self, obs_dim: int, action_dim: int, *, seed: int = 0, **overrides: object) -> None:
        super().__init__(obs_dim, action_dim, override(BonusSettings(), overrides), seed)
        self.delta_norm = RunningNorm(obs_dim)
        self.network = mlp((obs_dim + action_dim, *self.settings.hidden, obs_dim), self.generator)
        self.optimizer = torch.optim.Adam(
            self.network.parameters(), lr=self.settings.learning_rate, fused=True
        )

    def absorb(self, batch: Transitions) -> None:
        """Take fresh data into the normalisers."""
        super().absorb(batch)
        self.renew(self.delta_norm, lambda rows: rows.next_obs - rows.obs, batch)

    def prepare(self, rows: Transitions) -> tuple[Tensor, ...]:
        """Inputs (B, O + A) and normalised changes (B, O)."""
        return self.inputs(rows), self.delta_norm(rows.next_obs - rows.obs)

    def error(self, x: Tensor, y: Tensor) -> Tensor:  # type: ignore[override]
        """Mean squared error (B,)."""
        return (self.network(x) - y).square().mean(-1)


class RandomBonus(VIME):
    """VIME's bonuses dealt to the wrong transitions: the same mean, variance and fading, no information.

    The bonuses of a batch are permuted. The permutation is drawn from the batch's own bits, so that the
    same batch earns the same twice. A batch of one keeps its bonus.
    """

    name = "random"

    def reward(self, batch: Transitions) -> Tensor:
        """A permutation of VIME's scaled bonuses (B,)."""
        bonus = super().reward(batch)
        bits = torch.cat([batch.obs, batch.action, batch.next_obs], 1).float().contiguous().view(torch.int32)
        seed = (int(bits.sum(dtype=torch.int64)) + self.seed) % 2**63
        order = torch.randperm(len(bonus), generator=torch.Generator().manual_seed(seed))
        return bonus[order.to(bonus.device)]

    def diagnose(self, sample: Transitions) -> dict[str, float]:
        """VIME's, but the correlation is that of the permuted bonuses, which are paid."""
        size = self.inputs(sample).norm(dim=1)
        return super().diagnose(sample) | {
            "rank_correlation_input_norm": rank_correlation(self.reward(sample), size)
        }
