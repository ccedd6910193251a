"""The noisy television: fresh noise with the remote on, a still picture with it off, the task untouched."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from envs.noisy_tv import NoisyTV
from tests.test_envs import make


def zap(env: gym.Env, remote: float, n: int) -> np.ndarray:
    """The pictures (n, 4) of n steps at a constant remote, the task at rest."""
    action = np.array([0.0, remote], np.float32)
    return np.stack([env.step(action)[0][-4:] for _ in range(n)])


def test_remote_on_shows_fresh_standard_noise():
    env = NoisyTV(make("SparseMountainCar").unwrapped, 4)
    env.reset(seed=0)
    pictures = zap(env, 1.0, 4000)
    z = np.sqrt(len(pictures))
    assert np.abs(pictures.mean(0)).max() < 4 / z
    assert np.abs(pictures.std(0) - 1).max() < 4 / z
    together = np.corrcoef(np.concatenate([pictures[1:], pictures[:-1]], 1).T)  # (8, 8)
    assert np.abs(together - np.eye(8)).max() < 5 / z  # between pixels, and from one step to the next


@pytest.mark.parametrize("remote", [0.0, -1.0])
def test_remote_off_keeps_the_last_picture(remote):
    env = make("NoisyTVSparseCartPoleSwingup")
    first = env.reset(seed=0)[0][-4:]
    assert np.ptp(first) > 0
    assert (zap(env, remote, 5) == first).all()
    last = zap(env, 1.0, 3)[-1]
    assert not np.array_equal(last, first)
    assert (zap(env, remote, 5) == last).all()
    assert not np.array_equal(env.reset()[0][-4:], last)


@pytest.mark.parametrize("task", ["SparseCartPoleSwingup", "SparseHalfCheetahFar"])
@pytest.mark.parametrize("remote", [-1.0, 1.0])
def test_the_task_goes_on_beside_it_at_rest_while_zapping(task, remote):
    watched, bare = make(f"NoisyTV{task}"), make(task)
    assert watched.spec.max_episode_steps == bare.spec.max_episode_steps
    rng = np.random.default_rng(0)
    both = watched.reset(seed=7)[0], bare.reset(seed=7)[0]
    for _ in range(30):
        assert np.array_equal(both[0][:-4], both[1])
        assert both[0].dtype == both[1].dtype
        action = rng.uniform(-1, 1, bare.action_space.shape).astype(np.float32)
        obs, *end, _ = watched.step(np.append(action, np.float32(remote)))
        expected, *bare_end, _ = bare.step(action if remote < 0 else np.zeros_like(action))
        both = obs, expected
        assert end == bare_end


def test_reward_passes():
    env = make("NoisyTVSparseCartPoleSwingup")
    env.reset(seed=0)
    for angle, pay in ((0.0, 1), (np.pi, 0)):
        env.unwrapped.state = (0.0, 0.0, angle, 0.0)
        assert env.step(np.zeros(2, np.float32))[1] == pay


def test_spaces_grow_and_keep_their_kind():
    env = make("NoisyTVSparseHalfCheetahFar")
    task = env.unwrapped
    assert env.observation_space.dtype == task.observation_space.dtype
    assert env.action_space.dtype == task.action_space.dtype
    assert np.array_equal(env.action_space.high, np.ones(7))
    assert np.isinf(env.observation_space.high[-4:]).all()


def test_refuses_what_is_no_vector():
    with pytest.raises(ValueError, match=r"actions that are vectors.*Discrete\(2\)"):
        NoisyTV(gym.make("CartPole-v1"))
    with pytest.raises(ValueError, match="n_pixels is 0"):
        NoisyTV(make("SparseMountainCar"), n_pixels=0)
