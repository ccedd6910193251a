"""A pole that hangs from a cart and is paid for only while it stands upright."""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

GRAVITY = 9.81  # m/s^2
CART_MASS = 1.0  # kg
POLE_MASS = 0.1  # kg
HALF_LENGTH = 0.5  # m, from the hinge to the middle of a uniform pole
FORCE = 10.0  # N, at action 1
DT = 0.02  # s
UPRIGHT = 0.8  # cosine of the angle from which the pole counts as upright
MAX_X = 3.0  # m

State = tuple[float, float, float, float]


class SparseCartPoleSwingupEnv(gym.Env[np.ndarray, np.ndarray]):
    """Swing a hanging pole up by moving its cart, and hold it there.

    Observation (float32): 0 cart position x (m), 1 its velocity (m/s), 2 cosine and 3 sine of the pole's
    angle (0 upright, pi hanging), 4 angular velocity (rad/s).
    Action: 1 number in [-1, 1], the force on the cart in units of 10 N.
    Reward: 1 for each step that ends with cos(angle) > 0.8, else 0.
    Ends: terminates when abs(x) > 3 m; time limit 500 steps of 0.02 s.
    Start: uniform in x +-1 m, velocity +-2 m/s, angle pi +-1 rad, angular velocity +-3 rad/s.
    Random policies (uniform / normal) earn reward in 0.35 / 0.8 % of 2000 episodes.

    Source: rllab's CartpoleSwingup with the sparse reward of Houthooft et al. (2016), VIME: 1 kg cart, 0.1 kg
    pole of 1 m, no friction. Departures: a step of 0.02 s, not 0.05 s, where plain PPO meets the reward
    within its first rollout; cosine and sine of the angle in place of the angle, so that a pole that has
    turned round is not seen as a new place; Runge-Kutta in place of Box2D.
    """

    metadata: dict[str, Any] = {"render_modes": [], "render_fps": 50}

    def __init__(self, render_mode: str | None = None) -> None:
        high = np.array([np.inf, np.inf, 1, 1, np.inf], np.float32)
        self.observation_space = spaces.Box(-high, high)
        self.action_space = spaces.Box(-1.0, 1.0, (1,))
        self.render_mode = render_mode
        self.state: State = (0.0, 0.0, math.pi, 0.0)
        """x (m), velocity (m/s), angle (rad, 0 upright), angular velocity (rad/s)."""

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        """Start with the pole hanging, at a random place and speed."""
        super().reset(seed=seed)
        x, v, angle, omega = self.np_random.uniform([-1, -2, math.pi - 1, -3], [1, 2, math.pi + 1, 3])
        self.state = (float(x), float(v), float(angle), float(omega))
        return self._observe(), {"x_position": self.state[0]}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Push the cart for 0.02 s."""
        force = FORCE * min(max(float(action[0]), -1.0), 1.0)
        self.state = runge_kutta(self.state, force)
        x, _, angle, _ = self.state
        reward = 1.0 if math.cos(angle) > UPRIGHT else 0.0
        return self._observe(), reward, abs(x) > MAX_X, False, {"x_position": x}

    def _observe(self) -> np.ndarray:
        x, v, angle, omega = self.state
        return np.array((x, v, math.cos(angle), math.sin(angle), omega), np.float32)


def accelerations(angle: float, omega: float, force: float) -> tuple[float, float]:
    """Accelerations of the cart (m/s^2) and of the pole's angle (rad/s^2), without friction.

    References: Barto, Sutton, Anderson (1983), Neuronlike adaptive elements; its appendix.
    """
    sin, cos = math.sin(angle), math.cos(angle)
    total = CART_MASS + POLE_MASS
    push = (force + POLE_MASS * HALF_LENGTH * omega * omega * sin) / total
    alpha = (GRAVITY * sin - cos * push) / (HALF_LENGTH * (4 / 3 - POLE_MASS * cos * cos / total))
    return push - POLE_MASS * HALF_LENGTH * alpha * cos / total, alpha


def runge_kutta(state: State, force: float, dt: float = DT) -> State:
    """The state after one classic fourth-order step of `dt` seconds, on floats: arrays are slower."""
    x, v, angle, omega = state
    half = dt / 2
    a1, b1 = accelerations(angle, omega, force)
    v2, w2 = v + half * a1, omega + half * b1
    a2, b2 = accelerations(angle + half * omega, w2, force)
    v3, w3 = v + half * a2, omega + half * b2
    a3, b3 = accelerations(angle + half * w2, w3, force)
    v4, w4 = v + dt * a3, omega + dt * b3
    a4, b4 = accelerations(angle + dt * w3, w4, force)
    return (
        x + dt / 6 * (v + 2 * v2 + 2 * v3 + v4),
        v + dt / 6 * (a1 + 2 * a2 + 2 * a3 + a4),
        angle + dt / 6 * (omega + 2 * w2 + 2 * w3 + w4),
        omega + dt / 6 * (b1 + 2 * b2 + 2 * b3 + b4),
    )
