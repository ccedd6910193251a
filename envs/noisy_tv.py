"""A television beside any task: noise that an agent can watch for ever and never learn to predict."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs


class NoisyTV(gym.Wrapper[np.ndarray, np.ndarray, np.ndarray, np.ndarray], RecordConstructorArgs):
    """Append a picture of noise to the observation and a remote control to the action.

    Each step with the remote above 0 shows a fresh picture of independent N(0, 1) numbers; otherwise the last
    picture stays. Zapping takes the hands: with the remote above 0 the task's part of the action is zero, as
    in the source, where the remote is one of the discrete actions. So the agent can choose, in place of its
    task, transitions that no model will ever predict: what a bonus for prediction error pays for, while there
    is nothing to learn from them. Reward and end are the task's.

    Observation: that of the task, then `n_pixels` numbers, in the dtype of the task.
    Action: that of the task, then the remote in [-1, 1].
    Start: a fresh picture, drawn like all others from the task's `np_random`.
    Random policies (uniform / normal) earn reward in 0 / 0 % of 2000 episodes of SparseCartPoleSwingup and
    0 / 0 % of 200 of SparseHalfCheetahFar with it, as `rlgen/NoisyTV...-v0`.

    Args:
        env: a task with vector observations and vector actions (Box).
        n_pixels: the size of the picture.

    Raises:
        ValueError: when the spaces of `env` are not vectors.

    References:
        Burda et al. (2019), Large-Scale Study of Curiosity-Driven Learning, section 5: the TV and its remote.
    """

    def __init__(self, env: gym.Env[np.ndarray, np.ndarray], n_pixels: int = 4) -> None:
        RecordConstructorArgs.__init__(self, n_pixels=n_pixels)
        super().__init__(env)
        if n_pixels < 1:
            raise ValueError(f"n_pixels is {n_pixels}: a picture needs at least 1")
        obs, action = _vector(env.observation_space, "observations"), _vector(env.action_space, "actions")
        self.n_pixels = n_pixels
        self.observation_space = _extend(obs, n_pixels, np.inf)
        self.action_space = _extend(action, 1, 1.0)
        self.picture = np.zeros(n_pixels, obs.dtype)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict]:
        """Reset the task and switch the TV on."""
        obs, info = self.env.reset(seed=seed, options=options)
        self._redraw()
        return np.concatenate([obs, self.picture]), info

    def step(self, action: np.ndarray) -> tuple[np.ndarray, Any, bool, bool, dict[str, Any]]:
        """Step the task, at rest if the remote is above 0, which also changes the picture."""
        zap = bool(action[-1] > 0)
        obs, reward, terminated, truncated, info = self.env.step(action[:-1] * (not zap))
        if zap:
            self._redraw()
        return np.concatenate([obs, self.picture]), reward, terminated, truncated, info

    def _redraw(self) -> None:
        self.picture = self.np_random.standard_normal(self.n_pixels).astype(self.picture.dtype)


def _vector(space: gym.Space, what: str) -> spaces.Box:
    if not isinstance(space, spaces.Box) or len(space.shape) != 1:
        raise ValueError(f"NoisyTV needs {what} that are vectors (a Box of shape (n,)), not {space}")
    return space


def _extend(space: spaces.Box, n: int, limit: float) -> spaces.Box:
    low = np.concatenate([space.low, np.full(n, -limit, space.dtype)])
    high = np.concatenate([space.high, np.full(n, limit, space.dtype)])
    return spaces.Box(low, high, dtype=space.dtype.type)
