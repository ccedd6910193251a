"""What each task pays for and when it ends, and the mechanics of the two that are ours."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from envs import cartpole_swingup as cartpole
from envs import double_pendulum as pendulum
from tests.test_envs import make


def start(name: str, **kwargs: Any) -> Any:
    env = make(name, **kwargs).unwrapped
    env.reset(seed=0)
    return env


def rest(env: Any) -> tuple[np.ndarray, float, bool]:
    """One step without action: observation, reward, terminated."""
    obs, reward, terminated, truncated, _ = env.step(np.zeros(env.action_space.shape, np.float32))
    assert not truncated
    return obs, float(reward), terminated


def teleport(env: Any, **places: float) -> Any:
    """Set x, y or z of the body's root, at rest."""
    qpos = env.data.qpos.copy()
    for axis, value in places.items():
        qpos["xyz".index(axis)] = value
    env.set_state(qpos, np.zeros_like(env.data.qvel))
    return env


def cartpole_energy(state: cartpole.State) -> float:
    """J; the pole's middle is at (x + l sin, l cos), its moment about it m l^2 / 3."""
    _, v, angle, omega = state
    m, length = cartpole.POLE_MASS, cartpole.HALF_LENGTH
    vx, vy = v + length * omega * math.cos(angle), -length * omega * math.sin(angle)
    kinetic = cartpole.CART_MASS * v**2 / 2 + m * (vx**2 + vy**2) / 2 + m * length**2 / 3 * omega**2 / 2
    return kinetic + m * cartpole.GRAVITY * length * math.cos(angle)


def cartpole_momentum(state: cartpole.State) -> float:
    _, v, angle, omega = state
    pole = v + cartpole.HALF_LENGTH * omega * math.cos(angle)
    return cartpole.CART_MASS * v + cartpole.POLE_MASS * pole


def pendulum_energy(state: pendulum.State) -> float:
    """J; each rod's own motion about its middle and that of its middle, from first principles."""
    a, b, u, w = state
    m, length = pendulum.MASS, pendulum.LENGTH
    elbow = np.array([math.cos(a), math.sin(a)]) * length * u
    middles = elbow / 2, elbow + np.array([math.cos(b), math.sin(b)]) * length / 2 * w
    kinetic = sum(m * v @ v / 2 for v in middles) + m * length**2 / 12 * (u**2 + w**2) / 2
    heights = -length / 2 * math.cos(a), -length * math.cos(a) - length / 2 * math.cos(b)
    return float(kinetic + m * pendulum.GRAVITY * sum(heights))


def test_cartpole_keeps_energy_and_momentum_without_force():
    state = (0.3, -1.0, 2.0, 3.0)
    energy, momentum = cartpole_energy(state), cartpole_momentum(state)
    for _ in range(500):
        state = cartpole.runge_kutta(state, force=0.0)
        assert cartpole_energy(state) == pytest.approx(energy, abs=1e-5)
        assert cartpole_momentum(state) == pytest.approx(momentum, abs=1e-5)


def test_cartpole_force_is_momentum_per_second():
    state = (0.0, 0.0, 2.0, 1.0)
    after = cartpole.runge_kutta(state, force=10.0)
    assert cartpole_momentum(after) - cartpole_momentum(state) == pytest.approx(10.0 * cartpole.DT, rel=1e-4)


def test_pendulum_keeps_energy_without_torque():
    state = (1.5, 0.5, 0.0, 0.0)
    energy = pendulum_energy(state)
    for _ in range(1000):
        state = pendulum.runge_kutta(state, torque=0.0)
        assert pendulum_energy(state) == pytest.approx(energy, abs=1e-3)


def test_pendulum_torque_does_work_on_the_elbow():
    state, work = (1.0, 0.5, 0.2, -0.3), 0.0
    before = pendulum_energy(state)
    for _ in range(1000):
        turned = state[1] - state[0]
        state = pendulum.runge_kutta(state, torque=2.0, dt=1e-3)
        work += 2.0 * (state[1] - state[0] - turned)
    assert abs(work) > 0.1
    assert pendulum_energy(state) - before == pytest.approx(work, abs=1e-6)


def test_mountain_car_pays_once_at_the_top_to_one_who_swings():
    env = start("SparseMountainCar")
    obs, rewards, terminated = env.reset(seed=0)[0], [], False
    while not terminated and len(rewards) < 500:
        obs, reward, terminated, _, _ = env.step(np.sign(obs[1:] + 1e-9))
        rewards.append(reward)
    assert terminated and obs[0] >= 0.45
    assert rewards[-1] == 1 and sum(rewards) == 1


def test_mountain_car_full_force_alone_does_not_reach_it():
    env = start("SparseMountainCar")
    assert not any(env.step(np.ones(1, np.float32))[1] for _ in range(500))


@pytest.mark.parametrize(("cosine", "pay"), [(1.0, 1), (0.85, 1), (0.75, 0), (-1.0, 0)])
def test_cartpole_pays_while_upright(cosine, pay):
    env = start("SparseCartPoleSwingup")
    env.state = (0.0, 0.0, math.acos(cosine), 0.0)
    obs, reward, terminated = rest(env)
    assert (reward, terminated) == (pay, False)
    assert obs[2] == pytest.approx(cosine, abs=0.01)


def test_cartpole_counts_turns_alike():
    env = start("SparseCartPoleSwingup")
    env.state = (0.0, 0.0, 2 * math.pi, 0.0)
    assert rest(env)[1] == 1


@pytest.mark.parametrize(("x", "ends"), [(2.95, False), (3.05, True), (-3.05, True)])
def test_cartpole_ends_off_the_track(x, ends):
    env = start("SparseCartPoleSwingup")
    env.state = (x, 0.0, math.pi, 0.0)
    assert rest(env)[2] == ends


@pytest.mark.parametrize(
    ("a", "b", "pay"),
    [
        (math.pi, math.pi, 1),
        (math.pi - 1, math.pi + 1, 1),  # tip at (0, 1.08)
        (math.pi - 1.1, math.pi + 1.1, 0),  # tip at (0, 0.91)
        (math.pi, 0.0, 0),  # tip at the hinge
        (0.0, 0.0, 0),
    ],
)
def test_pendulum_pays_near_the_top(a, b, pay):
    env = start("SparseDoublePendulum")
    env.state = (a, b, 0.0, 0.0)
    assert rest(env)[1:] == (pay, False)


def test_pendulum_motor_is_strong_enough():
    """Pushing the upper rod the way it moves swings the tip up to the top."""
    env = start("SparseDoublePendulum")
    obs, earned = env.reset(seed=0)[0], 0.0
    for _ in range(500):
        obs, reward, *_ = env.step(-np.sign(obs[2:3]))
        earned += reward
    assert earned > 0


@pytest.mark.parametrize(
    ("name", "place", "pay"),
    [
        ("SparseHalfCheetah", {"x": 4.9}, 0),
        ("SparseHalfCheetah", {"x": 5.1}, 1),
        ("SparseHalfCheetah", {"x": -5.1}, 0),
        ("SparseHalfCheetahFar", {"x": 9.5}, 0),
        ("SparseHalfCheetahFar", {"x": 10.5}, 1),
        ("SparseAnt", {"x": 9.5}, 0),
        ("SparseAnt", {"x": -10.5}, 1),
        ("SparseAnt", {"x": 7.5, "y": -7.5}, 1),
        ("SparseHumanoid", {"x": 0.5}, 0),
        ("SparseHumanoid", {"x": 0.7}, 1),
        ("SparseHumanoid", {"x": -0.7}, 0),
        ("SparseHumanoidStandup", {"z": 0.5}, 0),
        ("SparseHumanoidStandup", {"z": 1.4}, 1),
    ],
)
def test_body_pays_beyond_its_goal(name, place, pay):
    env = teleport(start(name), **place)
    obs, reward, terminated = rest(env)
    assert (reward, terminated) == (pay, False)
    axes = {"SparseHumanoidStandup": "z"}.get(name, "xy" if "y" in place else "x")
    assert [obs[i] for i in range(len(axes))] == pytest.approx([place[axis] for axis in axes], abs=0.1)


def test_humanoid_counts_from_its_own_start():
    env = start("SparseHumanoid")
    env._start_x = 1.0
    assert rest(teleport(env, x=1.5))[1] == 0
    assert rest(teleport(env, x=1.7))[1] == 1


@pytest.mark.parametrize(
    ("name", "z", "ends"),
    [
        ("SparseAnt", 0.6, False),
        ("SparseAnt", 1.2, True),
        ("SparseHumanoid", 0.9, True),
        ("SparseHumanoid", 1.4, False),
        ("SparseHumanoidStandup", 0.9, False),
        ("SparseHumanoidStandup", 2.5, False),
    ],
)
def test_body_ends_when_it_falls_or_flies(name, z, ends):
    assert rest(teleport(start(name), z=z))[2] == ends


def test_dense_terms_stay_in_info():
    for name in ("SparseHalfCheetah", "SparseAnt", "SparseHumanoid", "SparseHumanoidStandup"):
        env = start(name)
        info = env.step(np.zeros(env.action_space.shape, np.float32))[-1]
        assert any(key.startswith("reward_") for key in info), name
