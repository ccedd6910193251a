"""Two hanging rods, driven at the elbow only, paid for only while the tip is near the top."""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

GRAVITY = 9.81  # m/s^2
MASS = 0.5  # kg, each rod
LENGTH = 1.0  # m, each rod
TORQUE = 2.0  # N m, at action 1
DT = 0.01  # s, a substep
SUBSTEPS = 2
MAX_SPEED = (4 * math.pi, 9 * math.pi)  # rad/s, upper and lower rod
GOAL_RADIUS = 1.0  # m

State = tuple[float, float, float, float]


class SparseDoublePendulumEnv(gym.Env[np.ndarray, np.ndarray]):
    """Swing the tip of a double pendulum up by a motor between its two rods.

    Observation (float32): 0 sine and 1 cosine of the upper rod's angle, 2 its angular velocity (rad/s), 3-5
    the same of the lower rod. Both angles are absolute, 0 hanging.
    Action: 1 number in [-1, 1], the torque of the upper on the lower rod in units of 2 N m.
    Reward: 1 for each step that ends with the tip within 1 m of the point 2 m above the hinge, else 0.
    Ends: never terminates; time limit 500 steps of 0.02 s.
    Start: hanging; angles N(0, 0.1 rad), angular velocities N(0, 0.01 rad/s).
    Random policies (uniform / normal) earn reward in 0 / 0 % of 2000 episodes.

    Source: rllab's DoublePendulum with the sparse reward of Houthooft et al. (2016), VIME: two rods of 0.5 kg
    and 1 m, no friction. Departures: the torque is 2 N m, not 50 (300 rad/s^2 on the lower rod), with which
    random actions earn reward in 58 % of 60 episodes; speeds are clipped at 4 pi and 9 pi rad/s, as in
    gymnasium's Acrobot, since without friction a spinning rod would gain speed for ever; the tip's x has its
    right sign; Runge-Kutta in place of Box2D.
    """

    metadata: dict[str, Any] = {"render_modes": [], "render_fps": 50}

    def __init__(self, torque: float = TORQUE, render_mode: str | None = None) -> None:
        high = np.array([1, 1, np.inf, 1, 1, np.inf], np.float32)
        self.observation_space = spaces.Box(-high, high)
        self.action_space = spaces.Box(-1.0, 1.0, (1,))
        self.torque = float(torque)
        self.render_mode = render_mode
        self.state: State = (0.0, 0.0, 0.0, 0.0)
        """Angles of the upper and the lower rod (rad, 0 hanging), then their angular velocities (rad/s)."""

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        """Start hanging, nearly at rest."""
        super().reset(seed=seed)
        a, b, u, w = self.np_random.standard_normal(4) * (0.1, 0.1, 0.01, 0.01)
        self.state = (float(a), float(b), float(u), float(w))
        return self._observe(), self._info()

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Apply the torque for 0.02 s."""
        torque = self.torque * clip(float(action[0]), 1.0)
        for _ in range(SUBSTEPS):
            a, b, u, w = runge_kutta(self.state, torque)
            self.state = (a, b, clip(u, MAX_SPEED[0]), clip(w, MAX_SPEED[1]))
        info = self._info()
        top = math.hypot(info["x_position"], info["y_position"] - 2 * LENGTH)
        return self._observe(), 1.0 if top < GOAL_RADIUS else 0.0, False, False, info

    def _info(self) -> dict[str, Any]:
        """The tip's place (m), the hinge being at (0, 0) and y pointing up."""
        a, b, _, _ = self.state
        return {
            "x_position": LENGTH * (math.sin(a) + math.sin(b)),
            "y_position": -LENGTH * (math.cos(a) + math.cos(b)),
        }

    def _observe(self) -> np.ndarray:
        a, b, u, w = self.state
        return np.array((math.sin(a), math.cos(a), u, math.sin(b), math.cos(b), w), np.float32)


def clip(value: float, limit: float) -> float:
    """`value` within +-`limit`."""
    return min(max(value, -limit), limit)


def accelerations(a: float, b: float, u: float, w: float, torque: float) -> tuple[float, float]:
    """Angular accelerations (rad/s^2) of two uniform rods with angles `a, b` and velocities `u, w`.

    Lagrange's equations in absolute angles, with I = m l^2:
        4/3 I a'' + 1/2 I cos(a - b) b'' = -torque - 1/2 I sin(a - b) w^2 - 3/2 m g l sin a
        1/2 I cos(a - b) a'' + 1/3 I b'' = +torque + 1/2 I sin(a - b) u^2 - 1/2 m g l sin b
    """
    inertia, weight = MASS * LENGTH * LENGTH, MASS * GRAVITY * LENGTH
    sin, cross = math.sin(a - b), 0.5 * inertia * math.cos(a - b)
    upper = -torque - 0.5 * inertia * sin * w * w - 1.5 * weight * math.sin(a)
    lower = torque + 0.5 * inertia * sin * u * u - 0.5 * weight * math.sin(b)
    determinant = 4 / 9 * inertia * inertia - cross * cross
    return (
        (inertia / 3 * upper - cross * lower) / determinant,
        (4 / 3 * inertia * lower - cross * upper) / determinant,
    )


def runge_kutta(state: State, torque: float, dt: float = DT) -> State:
    """The state after one classic fourth-order step of `dt` seconds, on floats: arrays are slower."""
    a, b, u, w = state
    half = dt / 2
    p1, q1 = accelerations(a, b, u, w, torque)
    u2, w2 = u + half * p1, w + half * q1
    p2, q2 = accelerations(a + half * u, b + half * w, u2, w2, torque)
    u3, w3 = u + half * p2, w + half * q2
    p3, q3 = accelerations(a + half * u2, b + half * w2, u3, w3, torque)
    u4, w4 = u + dt * p3, w + dt * q3
    p4, q4 = accelerations(a + dt * u3, b + dt * w3, u4, w4, torque)
    return (
        a + dt / 6 * (u + 2 * u2 + 2 * u3 + u4),
        b + dt / 6 * (w + 2 * w2 + 2 * w3 + w4),
        u + dt / 6 * (p1 + 2 * p2 + 2 * p3 + p4),
        w + dt / 6 * (q1 + 2 * q2 + 2 * q3 + q4),
    )
