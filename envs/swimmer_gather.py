"""A swimmer that collects apples and avoids bombs, both seen only by short-range sensors."""

from __future__ import annotations

import math
from typing import Any

import mujoco
import numpy as np
from gymnasium import utils
from gymnasium.envs.mujoco.swimmer_v5 import SwimmerEnv
from gymnasium.spaces import Box

from envs.mujoco_log import quiet

ACTIVITY_RANGE = 6  # m, objects lie on the even points of [-6, 6)^2
SPACING = 2.0  # m, no object starts nearer to the origin
CATCH_RANGE = 1.0  # m
N_BINS = 10
SENSOR_RANGE = 6.0  # m
SENSOR_SPAN = math.pi  # rad, centred on the direction of the head

_axis = np.arange(-ACTIVITY_RANGE, ACTIVITY_RANGE, 2)
PLACES = np.stack(np.meshgrid(_axis, _axis, indexing="ij"), -1).reshape(-1, 2)
PLACES = PLACES[np.hypot(*PLACES.T) >= SPACING]  # (P, 2) m, where objects may lie


class SwimmerGatherEnv(SwimmerEnv):
    """gymnasium's Swimmer-v5 among 8 apples and 8 bombs, which are points that nothing collides with.

    Observation (float64, 33): 0-1 x, y of the first link's frame (m), 2 its angle (rad), 3-4 joint angles
    (rad), 5-9 velocities of the same five (m/s, rad/s), 10-12 centre of mass of the whole body (m; the last
    is 0), 13-22 apple sensors, 23-32 bomb sensors. A sensor looks into one of 10 equal sectors of the half
    circle in front, from right to left, and reads 1 - distance / 6 m for the nearest object of its kind in
    there, 0 for none within 6 m.
    Action: 2 joint torques in [-1, 1].
    Reward: +1 for each apple and -1 for each bomb within 1 m of the centre of mass, which is then gone.
    Ends: terminates when no object is left; time limit 500 steps of 0.05 s. (The source pays -10 when the
    robot dies; a swimmer cannot.)
    Start: the swimmer as in Swimmer-v5, objects on distinct even points of [-6, 6)^2 but the origin, at
    random.
    Random policies (uniform / normal) catch an apple in 0 / 0 % of 200 episodes.

    Source: rllab's SwimmerGather (Duan et al., 2016), the hardest task of Houthooft et al. (2016), VIME.
    Departures: gymnasium's model of the swimmer (5 simulation steps of 0.01 s, stronger motors, joint
    armature); the walls, which the source's swimmer passes through, are left out. The positions of objects
    out of sight are hidden, as in the source.

    Args:
        n_apples: 0 or more, at most 35 together with the bombs.
        n_bombs: 0 or more.
        frame_skip: Simulation steps of 0.01 s in a step.
        **kwargs: Of gymnasium's SwimmerEnv.

    Raises:
        ValueError: A number of objects below 0, or more of them than there are places; positions excluded.
    """

    def __init__(self, n_apples: int = 8, n_bombs: int = 8, frame_skip: int = 5, **kwargs: Any) -> None:
        quiet()
        if min(n_apples, n_bombs) < 0 or n_apples + n_bombs > len(PLACES):
            raise ValueError(
                f"n_apples is {n_apples}, n_bombs {n_bombs}: give 0 or more, at most {len(PLACES)} together"
            )
        exclude = "exclude_current_positions_from_observation"
        if exclude in kwargs:
            raise ValueError(
                f"{exclude} is {kwargs[exclude]}: leave it out, observations are as in the source"
            )
        self.is_apple = np.arange(n_apples + n_bombs) < n_apples  # (K,)
        self.objects = np.zeros((n_apples + n_bombs, 2))  # (K, 2), m
        self._kinds = self.is_apple
        super().__init__(frame_skip=frame_skip, **{exclude: False}, **kwargs)
        utils.EzPickle.__init__(self, n_apples, n_bombs, frame_skip, **kwargs)
        self.observation_space = Box(-np.inf, np.inf, (13 + 2 * N_BINS,), np.float64)

    def reset_model(self) -> np.ndarray:
        """Place the objects and the swimmer."""
        self.is_apple = self._kinds
        self.objects = self.np_random.choice(PLACES, len(self.is_apple), replace=False).astype(float)
        return super().reset_model()

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Swim for 0.05 s and collect what is near."""
        _, _, _, truncated, info = super().step(action)
        reward = self._collect()
        return self._get_obs(), reward, len(self.objects) == 0, truncated, info

    def _collect(self) -> float:
        near = np.hypot(*(self.objects - self._centre()[:2]).T) < CATCH_RANGE
        reward = float(np.where(self.is_apple, 1, -1)[near].sum())
        self.objects, self.is_apple = self.objects[~near], self.is_apple[~near]
        return reward

    def _centre(self) -> np.ndarray:
        """The centre of mass (3,) now: after a step, MuJoCo still holds that of the last substep."""
        mujoco.mj_kinematics(self.model, self.data)  # pyright: ignore[reportAttributeAccessIssue]
        mujoco.mj_comPos(self.model, self.data)  # pyright: ignore[reportAttributeAccessIssue]
        return self.data.subtree_com[self.model.body("torso").id].copy()

    def _get_obs(self) -> np.ndarray:
        centre, heading = self._centre(), self.data.qpos[2]
        apples = readings(self.objects[self.is_apple] - centre[:2], heading)
        bombs = readings(self.objects[~self.is_apple] - centre[:2], heading)
        return np.concatenate([self.data.qpos, self.data.qvel, centre, apples, bombs])


def readings(offsets: np.ndarray, heading: float) -> np.ndarray:
    """What the sensors of one kind of object read.

    Args:
        offsets: (K, 2), the objects' places relative to the robot, m.
        heading: the robot's direction, rad.

    Returns:
        (N_BINS,), 1 - distance / SENSOR_RANGE of the nearest object of each sector, 0 for none.
    """
    distance = np.hypot(offsets[:, 0], offsets[:, 1])
    angle = np.arctan2(offsets[:, 1], offsets[:, 0]) - heading
    angle = (angle + np.pi) % (2 * np.pi) - np.pi
    seen = (distance <= SENSOR_RANGE) & (np.abs(angle) <= SENSOR_SPAN / 2)
    bins = ((angle[seen] + SENSOR_SPAN / 2) / (SENSOR_SPAN / N_BINS)).astype(int)
    out = np.zeros(N_BINS)
    np.maximum.at(out, np.minimum(bins, N_BINS - 1), 1 - distance[seen] / SENSOR_RANGE)
    return out
