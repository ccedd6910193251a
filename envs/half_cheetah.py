"""A half cheetah that is paid only far from where it starts."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import utils
from gymnasium.envs.mujoco.half_cheetah_v5 import HalfCheetahEnv

from envs.mujoco_log import quiet


class SparseHalfCheetahEnv(HalfCheetahEnv):
    """gymnasium's HalfCheetah-v5, paid for being beyond `goal_x`.

    Observation (float64, 18): 0 x (m), 1 z (m), 2 pitch (rad), 3-8 joint angles (rad), then the velocities of
    the same nine (m/s, rad/s). x is in it, unlike in HalfCheetah-v5: the reward depends on x.
    Action: 6 torques in [-1, 1].
    Reward: 1 for each step that ends with x > goal_x, else 0; gymnasium's dense terms stay in `info`.
    Ends: never terminates.
    Random policies (uniform / normal) earn reward in 0 / 0 % of 200 episodes, in both tasks.

    Two tasks. `rlgen/SparseHalfCheetah-v0`, the one of Houthooft et al. (2016), VIME: frame_skip 1, so steps
    of 0.01 s, goal_x 5 m, time limit 500 steps, so that a body slower than 1 m/s never arrives. Departure:
    gymnasium's x is that of the torso's frame, rllab's that of its centre of mass.
    `rlgen/SparseHalfCheetahFar-v0`: gymnasium's frame_skip 5 (steps of 0.05 s) and time limit of 1000 steps,
    goal_x 10 m, because random policies reach 5 m at this pace in 3 % of their episodes.
    """

    def __init__(
        self,
        goal_x: float = 5.0,
        frame_skip: int = 1,
        exclude_current_positions_from_observation: bool = False,
        **kwargs: Any,
    ) -> None:
        quiet()
        kwargs |= {
            "frame_skip": frame_skip,
            "exclude_current_positions_from_observation": exclude_current_positions_from_observation,
        }
        super().__init__(**kwargs)
        utils.EzPickle.__init__(self, goal_x, **kwargs)
        self.goal_x = float(goal_x)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One step of HalfCheetah-v5 with the sparse reward."""
        obs, _, terminated, truncated, info = super().step(action)
        return obs, float(info["x_position"] > self.goal_x), terminated, truncated, info
