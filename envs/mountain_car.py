"""A car in a valley that is paid only for reaching the hilltop."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.envs.classic_control.continuous_mountain_car import Continuous_MountainCarEnv


class SparseMountainCarEnv(Continuous_MountainCarEnv):
    """An underpowered car swings itself up a hill.

    Observation (float32): 0 position (-1.2 to 0.6), 1 velocity (-0.07 to 0.07, a step).
    Action: force in [-1, 1].
    Reward: 1 on the step that reaches the goal (position >= 0.45, velocity >= 0), else 0; no cost of action.
    Ends: terminates at the goal; time limit 500 steps.
    Start: position uniform in [-0.6, -0.4], velocity 0.
    Random policies (uniform / normal) earn reward in 0 / 0.15 % of 2000 episodes.

    Source: the sparse MountainCar of Houthooft et al. (2016), VIME. Departure: the dynamics are those of
    gymnasium's MountainCarContinuous-v0 instead of rllab's Box2D track, whose other end pays as well.
    """

    metadata: dict[str, Any] = {"render_modes": [], "render_fps": 30}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One step of gymnasium's dynamics, with the sparse reward."""
        obs, _, terminated, truncated, _ = super().step(action)
        return obs, float(terminated), terminated, truncated, {"x_position": float(obs[0])}

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        """Start in the valley."""
        obs, _ = super().reset(seed=seed, options=options)
        return obs, {"x_position": float(obs[0])}
