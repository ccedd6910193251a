"""The learned-reward interface: transitions in, one number per transition out."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn


class Transitions(NamedTuple):
    """A batch of B transitions, raw: as the environment gave them, before any VecNormalize."""

    obs: Tensor
    """(B, O) float32, or (B, C, H, W) uint8."""
    action: Tensor
    """(B, A) float32 as executed by the environment, every Box scaled to [-1, 1]; one-hot if discrete."""
    next_obs: Tensor
    """(B, O) the true successor: the terminal observation, never the one after the reset."""
    terminated: Tensor
    """(B,) float32, 1 where the MDP ended, 0 elsewhere and at a time limit."""


class LearnedReward(nn.Module):
    """A reward fitted to the policy's own data, whatever the algorithm that consumes it.

    `state_dict()` of a subclass is complete: parameters, optimisers, generators, normalisers and data, so
    that a restored reward goes on bit for bit. A subclass draws from generators of its own, never from the
    global ones.
    """

    name: str = "reward"
    """Prefix of the logged metrics."""

    def reward(self, batch: Transitions) -> Tensor:
        """Rewards (B,), detached. Pure: the same batch gives the same numbers until the next `update`."""
        raise NotImplementedError

    def update(self, batch: Transitions) -> dict[str, float]:
        """Refit on fresh transitions of the policy and return the metrics to log."""
        raise NotImplementedError

    def absorbing_reward(self) -> float:
        """The reward of each step in the absorbing state behind a true end of the episode."""
        return 0.0
