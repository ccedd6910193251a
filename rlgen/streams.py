"""The bonus as an advantage stream of its own: generalised advantages, a value network, a weight in the sum.

Added to the environment's reward, a bonus that is positive everywhere pays for not finishing and its size
decides whether a solved task stays solved. Kept apart, its advantage can be weighed against the other one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.rewards.normalizer import RunningNorm

STREAM_UNIT = 4096
"""Transitions in which the remembered peak falls by 1 %; a stream looks back on five times as many."""
SETTLING = 500_000
"""Transitions after which the peak falls no more."""


class Rollout(NamedTuple):
    """What a value function of the bonus needs of one rollout; T steps, N environments, time first."""

    obs: Tensor  # (T * N, O) raw
    next_obs: Tensor  # (T * N, O) true successors
    following_obs: Tensor  # (T * N, O) what the policy saw next: the reset observation after an end
    terminated: np.ndarray  # (T, N) 1 where the MDP ended
    done: np.ndarray  # (T, N) 1 where the episode ended, time limits included


def gae(
    rewards: np.ndarray,
    values: np.ndarray,
    next_values: np.ndarray,
    continues: np.ndarray,
    gamma: float,
    gae_lambda: float,
) -> np.ndarray:
    """Generalised advantage estimates, A_t = delta_t + gamma lambda c_t A_{t+1}.

    delta_t = r_t + gamma V(s_{t+1}) - V(s_t), where the caller has already set V(s_{t+1}) to 0 at a true end.

    Args:
        rewards: (T, N).
        values: (T, N) V(s_t).
        next_values: (T, N) V(s_{t+1}).
        continues: (T, N) c_t, 0 where the trace is cut after step t.
        gamma: discount per step.
        gae_lambda: trace decay per step.

    Returns:
        (T, N) float32 advantages.

    References:
        Schulman et al. 2016, arXiv:1506.02438, equation 16.
    """
    deltas = rewards + gamma * next_values - values
    advantages = np.zeros_like(deltas, dtype=np.float32)
    trace = np.zeros(deltas.shape[1], dtype=np.float32)
    for t in range(len(deltas) - 1, -1, -1):
        trace = deltas[t] + gamma * gae_lambda * continues[t] * trace
        advantages[t] = trace
    return advantages


class SeparateValue(nn.Module):
    """A value function of the bonus alone, and the rule that adds its advantage to the environment's.

    A = A_env + eta (sigma_env / sigma_bonus) A_bonus, with sigma_env the standard deviation of A_env, mean
    of the last `memory` rollouts, and sigma_bonus the largest that A_bonus has shown. Dividing by a peak lets
    the bonus fade in the sum as it fades in itself. The peak falls by `peak_decay` a rollout for the first
    `settling` ones, whose values know little, and never after: a bonus that fades as 1 / sqrt(steps) falls
    by less than any rate a rollout in the end, and would be scaled up for good.

    If the last `memory` rollouts have paid nothing, A_env is only its critic's noise: then A = A_bonus, and a
    reward that was met once and lost again is sought again.

    Args:
        obs_dim: size O of the flattened observation.
        episodic: True ends the bonus's return at a true end (dying costs the bonus to come); False lets it
            run on through the reset (an end costs nothing).
        hidden: widths of the value network's layers, tanh.
        learning_rate: of Adam.
        n_epochs: passes over the rollout a fit.
        batch_size: rows a gradient step.
        memory: rollouts that are looked back on for the environment's reward.
        peak_decay: factor a rollout by which the remembered peak falls at first.
        settling: rollouts for which it falls.
        seed: of the network's own generator; nothing global is drawn from.
    """

    env_stds: Tensor
    unpaid: Tensor
    peak_bonus: Tensor
    rollouts: Tensor

    def __init__(
        self,
        obs_dim: int,
        *,
        episodic: bool = True,
        hidden: tuple[int, ...] = (64, 64),
        learning_rate: float = 1e-3,
        n_epochs: int = 3,
        batch_size: int = 512,
        memory: int = 5,
        peak_decay: float = 0.99,
        settling: int = 122,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.episodic = episodic
        self.n_epochs = n_epochs
        self.batch_size = batch_size
        self.peak_decay, self.settling = peak_decay, settling
        self.norm = RunningNorm(obs_dim)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would reach other devices too
            self.net = _value_network(obs_dim, hidden)
        self.generator = torch.Generator().manual_seed(seed)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=learning_rate, fused=True)
        self.register_buffer("env_stds", torch.zeros(memory))  # newest first
        self.register_buffer("unpaid", torch.tensor(memory))  # rollouts since the environment paid
        self.register_buffer("peak_bonus", torch.zeros(()))
        self.register_buffer("rollouts", torch.tensor(0))

    @torch.no_grad()
    def value(self, obs: Tensor) -> Tensor:
        """V of the bonus, (B, O) raw -> (B,)."""
        return self.net(self.norm(obs.flatten(1))).squeeze(-1)

    def advantages(self, rollout: Rollout, bonus: np.ndarray, gamma: float, gae_lambda: float) -> np.ndarray:
        """Advantages of the bonus, and a fit of the value network to their returns.

        The values used are those from before the fit.

        Args:
            rollout: the rollout, raw.
            bonus: (T, N).
            gamma: discount per step.
            gae_lambda: trace decay per step.

        Returns:
            (T, N) float32.
        """
        shape = bonus.shape
        self.norm.update(rollout.obs.flatten(1))
        successor = rollout.next_obs if self.episodic else rollout.following_obs
        values = self.value(rollout.obs).numpy().reshape(shape)
        next_values = self.value(successor).numpy().reshape(shape)
        continues = np.ones(shape, dtype=np.float32)
        if self.episodic:
            next_values = next_values * (1.0 - rollout.terminated)
            continues = continues - rollout.done
        advantages = gae(bonus, values, next_values, continues, gamma, gae_lambda)
        self._fit(rollout.obs, torch.from_numpy((advantages + values).reshape(-1)))
        return advantages

    def combine(
        self, env_advantages: np.ndarray, bonus_advantages: np.ndarray, env_rewards: np.ndarray, eta: float
    ) -> tuple[np.ndarray, dict[str, float]]:
        """The sum of both streams, (T, N), and what to log of it (see the class for the rule)."""
        env_std, bonus_std = float(env_advantages.std()), float(bonus_advantages.std())
        self.unpaid.add_(1)
        if np.any(env_rewards != 0.0):
            self.unpaid.zero_()
        self.env_stds.copy_(torch.cat([torch.tensor([env_std]), self.env_stds[:-1]]))
        decay = self.peak_decay if self.rollouts < self.settling else 1.0
        self.rollouts.add_(1)
        self.peak_bonus.copy_(torch.as_tensor(max(bonus_std, decay * float(self.peak_bonus))))
        if bonus_std == 0.0 or eta == 0.0:
            return env_advantages, {"advantage_share": 0.0}
        if self.unpaid >= len(self.env_stds):
            return bonus_advantages, {"advantage_share": 1.0}
        known = self.env_stds[self.env_stds > 0]
        weight = eta * float(known.mean()) / float(self.peak_bonus)
        total = (env_advantages + weight * bonus_advantages).astype(np.float32)
        share = weight * bonus_std / (weight * bonus_std + env_std)
        return total, {"advantage_share": share, "advantage_weight": weight}

    def _fit(self, obs: Tensor, returns: Tensor) -> None:
        inputs = self.norm(obs.flatten(1))
        rows = len(inputs)
        for _ in range(self.n_epochs):
            for index in torch.randperm(rows, generator=self.generator).split(self.batch_size):
                loss = F.mse_loss(self.net(inputs.index_select(0, index)).squeeze(-1), returns[index])
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()

    def get_extra_state(self) -> dict[str, Any]:
        """Optimiser and generator, which `state_dict` would leave out."""
        return {"optimizer": self.optimizer.state_dict(), "generator": self.generator.get_state()}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Inverse of `get_extra_state`."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])


def make_value(obs_dim: int, horizon: int, episodic: bool, seed: int) -> SeparateValue:
    """One that looks back on as many transitions whatever a rollout holds: A2C's are short.

    Args:
        obs_dim: size O of an observation.
        horizon: transitions of a rollout, all environments together.
        episodic: whether the bonus's return ends with the episode.
        seed: of the network.
    """
    rollouts = STREAM_UNIT / horizon
    return SeparateValue(
        obs_dim,
        episodic=episodic,
        memory=max(1, round(5 * rollouts)),
        peak_decay=0.99 ** (1 / rollouts),
        settling=round(SETTLING / STREAM_UNIT * rollouts),
        seed=seed,
    )


def _value_network(obs_dim: int, hidden: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width_in, width_out in zip((obs_dim, *hidden), hidden, strict=False):
        layers += [nn.Linear(width_in, width_out), nn.Tanh()]
    head = nn.Linear(hidden[-1], 1)
    # A value function that starts at zero adds no noise of its own to the first bonuses.
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return nn.Sequential(*layers, head)
