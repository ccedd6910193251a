"""What holds for every registered task: gymnasium's rules, determinism, time limit, a quiet MuJoCo."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

ROOT = Path(__file__).parents[1]
PLANE = {"x_position", "y_position"}
# Time limit (steps), length of observation and action, dt (s), and the places that `info` must hold.
TASKS: dict[str, tuple[int, int, int, float | None, set[str]]] = {
    "SparseMountainCar": (500, 2, 1, None, {"x_position"}),
    "SparseCartPoleSwingup": (500, 5, 1, None, {"x_position"}),
    "SparseDoublePendulum": (500, 6, 1, None, PLANE),
    "SparseHalfCheetah": (500, 18, 6, 0.01, {"x_position"}),
    "SparseHalfCheetahFar": (1000, 18, 6, 0.05, {"x_position"}),
    "SparseAnt": (1000, 29, 8, 0.05, PLANE),
    "SparseHumanoid": (1000, 350, 17, 0.015, PLANE),
    "SparseHumanoidStandup": (1000, 348, 17, 0.015, PLANE),
    "SwimmerGather": (500, 33, 2, 0.05, PLANE),
    "NoisyTVSparseCartPoleSwingup": (500, 9, 2, None, {"x_position"}),
    "NoisyTVSparseHalfCheetahFar": (1000, 22, 7, 0.05, {"x_position"}),
}
every_task = pytest.mark.parametrize("name", TASKS)


def make(name: str, **kwargs: Any) -> Any:
    return gym.make(f"envs:rlgen/{name}-v0", **kwargs)


def play(env: Any, seed: int, n: int = 20) -> list[np.ndarray]:
    """Observation and reward of the first steps, with actions that depend on the seed alone."""
    rng = np.random.default_rng(seed)
    out = [env.reset(seed=seed)[0]]
    for _ in range(n):
        action = rng.uniform(env.action_space.low, env.action_space.high)
        obs, reward, *_ = env.step(action.astype(np.float32))
        out.append(np.append(obs, float(reward)))
    return out


def same(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_all_tasks_are_listed_here():
    make("SparseMountainCar")
    assert {name for name in gym.registry if name.startswith("rlgen/")} == {f"rlgen/{n}-v0" for n in TASKS}


@every_task
@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version")
@pytest.mark.filterwarnings("ignore:.*A Box observation space (minimum|maximum) value is -?infinity")
def test_keeps_gymnasiums_rules(name):
    env = make(name)
    bare = env if name.startswith("NoisyTV") else env.unwrapped
    # Gymnasium's own MuJoCo classes render; that needs a display and is tested with the video.
    check_env(bare, skip_render_check=True)


@every_task
def test_spaces_and_time_step(name):
    env, (_, n_obs, n_actions, dt, _) = make(name), TASKS[name]
    assert env.observation_space.shape == (n_obs,) and env.action_space.shape == (n_actions,)
    assert dt is None or env.unwrapped.dt == pytest.approx(dt)


@every_task
def test_the_seed_decides_everything(name):
    env, other = make(name), make(name)
    first = play(env, seed=3)
    assert same(first, play(other, seed=3))
    assert not np.array_equal(first[0], play(env, seed=4)[0])
    assert same(first, play(env, seed=3))  # nothing is left of the episode between


@every_task
def test_a_restored_generator_gives_the_same_episode(name):
    """As a resumed run does it: no seed, but the state of `np_random` before the reset."""
    env = make(name)
    play(env, seed=5)
    state = env.unwrapped.np_random.bit_generator.state
    first, _ = env.reset()
    env.step(np.zeros(env.action_space.shape, np.float32))
    env.unwrapped.np_random.bit_generator.state = state
    assert np.array_equal(first, env.reset()[0])


@every_task
def test_copies_by_pickle(name):
    env = make(name)
    env = env if name.startswith("NoisyTV") else env.unwrapped
    copy = pickle.loads(pickle.dumps(env))
    assert same(play(env, seed=1, n=3), play(copy, seed=1, n=3))


def test_a_copy_keeps_its_arguments():
    for name, kwargs in {
        "SparseAnt": {"goal_distance": 3.0},
        "SparseHalfCheetahFar": {"goal_x": 7.0},
        "SparseHumanoid": {"goal_x": 1.0},
        "SparseHumanoidStandup": {"goal_z": 1.0},
    }.items():
        copy = pickle.loads(pickle.dumps(make(name, **kwargs).unwrapped))
        assert {key: getattr(copy, key) for key in kwargs} == kwargs
    copy = pickle.loads(pickle.dumps(make("SwimmerGather", n_apples=2, n_bombs=1).unwrapped))
    copy.reset(seed=0)
    assert copy.is_apple.tolist() == [True, True, False]


@every_task
def test_info_says_where_the_body_is(name):
    env, places = make(name), TASKS[name][-1]
    _, start = env.reset(seed=0)
    *_, info = env.step(env.action_space.high)
    assert places <= start.keys() and places <= info.keys()
    assert all(info[place] != start[place] for place in places)
    if hasattr(env.unwrapped, "data"):
        assert [info[k] for k in sorted(places)] == list(env.unwrapped.data.qpos[: len(places)])


@every_task
def test_time_limit(name):
    env, limit = make(name), TASKS[name][0]
    assert env.spec.max_episode_steps == limit
    if name == "SparseHumanoid":  # falls long before
        return
    env.reset(seed=0)
    if "CartPole" in name:
        env.unwrapped.state = (0.0, 0.0, np.pi, 0.0)
    action = np.zeros(env.action_space.shape, np.float32)
    for step in range(1, limit + 1):
        _, reward, terminated, truncated, _ = env.step(action)
        assert not terminated and reward == 0, step
        assert truncated == (step == limit), step


def test_a_fresh_process_makes_them_all_in_silence(tmp_path):
    """No import of `envs` needed, nothing printed, no MUJOCO_LOG.TXT, no warning."""
    code = f"""if True:
        import gymnasium as gym
        for name in {list(TASKS)}:
            env = gym.make(f"envs:rlgen/{{name}}-v0")
            env.reset(seed=0)
            env.step(env.action_space.high)
            env.close()
        """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_a_real_warning_of_mujoco_is_logged(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    mujoco.set_mju_user_warning(None)  # pyright: ignore[reportAttributeAccessIssue]  # others' handlers stay
    body = make("SparseHalfCheetah").unwrapped
    body.reset(seed=0)
    body.data.qpos[1] = np.nan
    body.step(np.zeros(6, np.float32))
    assert "MuJoCo: Nan" in caplog.text
    assert list(tmp_path.iterdir()) == []
