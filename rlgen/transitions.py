"""Transitions, raw: what learned rewards take, and what demonstrations are made into."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Transitions(NamedTuple):
    """A batch of B transitions, raw: as the environment gave them, before any VecNormalize."""

    obs: Tensor
    """(B, O) float32."""
    action: Tensor
    """(B, A) float32 as executed by the environment, every Box scaled to [-1, 1]; one-hot if discrete; (B, 0)
    of demonstrations whose actions are unknown."""
    next_obs: Tensor
    """(B, O) the true successor: the terminal observation, never the one after the reset."""
    terminated: Tensor
    """(B,) float32, 1 where the MDP ended, 0 elsewhere and at a time limit."""
