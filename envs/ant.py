"""An ant that is paid only far from where it starts."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import utils
from gymnasium.envs.mujoco.ant_v5 import AntEnv

from envs.mujoco_log import quiet


class SparseAntEnv(AntEnv):
    """gymnasium's Ant-v5, paid for being `goal_distance` away from the origin, in any direction.

    Observation (float64, 29): 0-1 x, y (m), 2 z (m), 3-6 orientation of the torso (quaternion), 7-14 joint
    angles (rad), 15-20 velocities of the torso (m/s, rad/s), 21-28 of the joints (rad/s). x and y are in it,
    unlike in Ant-v5: the reward depends on them. The 78 contact forces are not: neither reward nor end
    depends on them, most are constantly 0, and a bonus for new observations would pay for their jumps.
    Action: 8 torques in [-1, 1].
    Reward: 1 for each step that ends at a distance > goal_distance from the origin, else 0; gymnasium's dense
    terms stay in `info`.
    Ends: terminates when the torso's z leaves [0.2, 1] m, as Ant-v5 does; time limit 1000 steps of 0.05 s.
    Random policies (uniform / normal) earn reward in 0 / 0 % of 200 episodes.

    Source: the sparse MuJoCo tasks that followed Houthooft et al. (2016), which pay Ant for x > 1. Departure:
    random policies of Ant-v5 pass x > 1 in 20 to 28 % of episodes, and PPO's first thousand steps reach 5 m.
    """

    def __init__(
        self,
        goal_distance: float = 10.0,
        exclude_current_positions_from_observation: bool = False,
        include_cfrc_ext_in_observation: bool = False,
        **kwargs: Any,
    ) -> None:
        quiet()
        kwargs |= {
            "exclude_current_positions_from_observation": exclude_current_positions_from_observation,
            "include_cfrc_ext_in_observation": include_cfrc_ext_in_observation,
        }
        super().__init__(**kwargs)
        utils.EzPickle.__init__(self, goal_distance, **kwargs)
        self.goal_distance = float(goal_distance)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One step of Ant-v5 with the sparse reward."""
        obs, _, terminated, truncated, info = super().step(action)
        return obs, float(info["distance_from_origin"] > self.goal_distance), terminated, truncated, info
