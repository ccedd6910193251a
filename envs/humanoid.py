"""Humanoids that are paid only for a first step, or for getting up from the floor."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import utils
from gymnasium.envs.mujoco.humanoid_v5 import HumanoidEnv
from gymnasium.envs.mujoco.humanoidstandup_v5 import HumanoidStandupEnv

from envs.mujoco_log import quiet


class SparseHumanoidEnv(HumanoidEnv):
    """gymnasium's Humanoid-v5, paid for being `goal_x` ahead of where it started.

    Observation (float64, 350): 0-1 x, y (m), both relative to the origin, then Humanoid-v5's 348 numbers: z,
    orientation, joint angles, velocities, body inertias and velocities, actuator and contact forces. x is in
    it, unlike in Humanoid-v5: the reward depends on x. (The start's x is within 0.01 m of the origin.)
    Action: 17 torques in [-0.4, 0.4].
    Reward: 1 for each step that ends with x - x0 > goal_x, x0 being the start, else 0; gymnasium's dense
    terms stay in `info`.
    Ends: terminates when the torso's z leaves (1, 2) m, as Humanoid-v5 does; time limit 1000 steps (0.015 s).
    Random policies (uniform / normal) earn reward in 0 / 0 % of 200 episodes.

    Source: the sparse Humanoids of SAC-NF, abs(x) > 0.6, and DAC, x - x0 > 1. Departure: forwards, 0.6 m.
    """

    def __init__(
        self,
        goal_x: float = 0.6,
        exclude_current_positions_from_observation: bool = False,
        **kwargs: Any,
    ) -> None:
        quiet()
        kwargs |= {"exclude_current_positions_from_observation": exclude_current_positions_from_observation}
        super().__init__(**kwargs)
        utils.EzPickle.__init__(self, goal_x, **kwargs)
        self.goal_x = float(goal_x)
        self._start_x = 0.0

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        """Start standing; remember where."""
        obs, info = super().reset(seed=seed, options=options)
        self._start_x = info["x_position"]
        return obs, info

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One step of Humanoid-v5 with the sparse reward."""
        obs, _, terminated, truncated, info = super().step(action)
        return obs, float(info["x_position"] - self._start_x > self.goal_x), terminated, truncated, info


class SparseHumanoidStandupEnv(HumanoidStandupEnv):
    """gymnasium's HumanoidStandup-v5, paid while the torso is higher than `goal_z`.

    Observation (float64, 348): that of HumanoidStandup-v5; 0 is the torso's z (m), so that the reward is in
    it. x and y, which do not matter, are in `info` only.
    Action: 17 torques in [-0.4, 0.4].
    Reward: 1 for each step that ends with the torso's z > goal_z, else 0; gymnasium's dense terms stay in
    `info`.
    Ends: never terminates; time limit 1000 steps of 0.015 s.
    Start: on its back, z 0.1 m.
    Random policies (uniform / normal) earn reward in 0 / 0 % of 200 episodes.

    Source: ours, no paper's.
    """

    def __init__(self, goal_z: float = 0.6, **kwargs: Any) -> None:
        quiet()
        super().__init__(**kwargs)
        utils.EzPickle.__init__(self, goal_z, **kwargs)
        self.goal_z = float(goal_z)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One step of HumanoidStandup-v5 with the sparse reward."""
        obs, _, terminated, truncated, info = super().step(action)
        return obs, float(self.data.qpos[2] > self.goal_z), terminated, truncated, info
