"""Environments and algorithms from one description, and what it refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecNormalize

from rlgen.episode_log import EnvironmentNaN
from rlgen.recorder import TransitionRecorder
from rlgen.training import (
    ALGORITHMS,
    Setup,
    check_env_id,
    make_env,
    make_eval_env,
    make_model,
    replay_bytes,
)

ROOT = Path(__file__).parents[1]


class Odd(gym.Env):
    """Two numbers, whatever spaces are asked for; not finite from step `nan_at` on."""

    def __init__(self, obs: str = "flat", act: str = "box", nan_at: int = -1, bad: str = "obs") -> None:
        self.nan_at, self.bad = nan_at, bad
        flat = spaces.Box(-1, 1, (2,), np.float32)
        self.observation_space = {
            "flat": flat,
            "dict": spaces.Dict({"a": flat}),
            "bytes": spaces.Box(0, 255, (2,), np.uint8),
            "image": spaces.Box(0, 255, (8, 8, 3), np.uint8),
        }[obs]
        self.action_space = {
            "box": spaces.Box(-2, 2, (1,), np.float32),
            "unbounded": spaces.Box(-np.inf, np.inf, (1,), np.float32),
            "whole": spaces.Box(0, 10, (1,), np.int64),
            "multi": spaces.MultiDiscrete([2, 2]),
        }[act]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.t += 1
        broken = np.nan if self.t == self.nan_at else 0.0
        obs = np.array([0.0, broken if self.bad == "obs" else 0.0], np.float32)
        return obs, broken if self.bad == "reward" else 0.0, False, False, {}


@pytest.fixture(autouse=True)
def registered():
    gym.register("test/Odd-v0", lambda **kwargs: Odd(**kwargs), max_episode_steps=20)
    yield
    del gym.registry["test/Odd-v0"]


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ("Anf-v5", "did you mean Ant-v5"),
        ("rlgen/SparsAnt-v0", "did you mean rlgen/SparseAnt-v0"),
        ("no_such_module:Env-v0", "cannot import 'no_such_module'"),
        ("qqqqqqqqqqq", "pprint_registry"),
    ],
)
def test_an_unknown_id_names_the_nearest(env, said):
    with pytest.raises(ValueError, match=said):
        check_env_id(env)


def test_known_ids_pass():
    for env in ("Ant-v5", "rlgen/SparseAnt-v0", "envs:rlgen/SparseAnt-v0", "gymnasium:Ant-v5"):
        check_env_id(env)


@pytest.mark.parametrize("init", [True, False])
def test_a_users_own_envs_in_the_way_is_named(tmp_path, init):
    (tmp_path / "envs").mkdir()
    if init:
        (tmp_path / "envs" / "__init__.py").write_text("raise RuntimeError('it is not run')")
    else:
        (tmp_path / "envs" / "mine.py").write_text("")
    code = (
        "from rlgen.training import check_env_id\n"
        "check_env_id('HalfCheetah-v5')\n"  # no need of ours
        "import gymnasium; gymnasium.make('HalfCheetah-v5')\n"  # MuJoCo warns of this model
        "try: check_env_id('rlgen/SparseAnt-v0')\n"
        "except ValueError as error: print(error)"
    )
    # Before ours on the path, as the working directory of `python -m` is.
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    if init:
        assert f"{tmp_path / 'envs'} hides the package envs of rlgen: rename yours" in done.stdout
    else:  # a folder without __init__.py gives way to a package
        assert done.stdout == ""
    assert done.stderr == "" and not (tmp_path / "MUJOCO_LOG.TXT").exists()


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"obs": "dict"}, "test/Odd-v0: .*FlattenObservation"),
        ({"obs": "image"}, r"test/Odd-v0: .*\(8, 8, 3\).*FlattenObservation"),
        ({"act": "unbounded"}, "unbounded: give it the finite bounds"),
        ({"act": "whole"}, "holds whole numbers: .*TransformAction"),
        ({"act": "multi"}, "MultiDiscrete"),
        ({"wheels": 4}, "cannot make test/Odd-v0 with {'wheels': 4}"),
    ],
)
def test_unsupported_environments_are_refused(kwargs, said):
    with pytest.raises(ValueError, match=said):
        make_env(Setup("test/Odd-v0", kwargs))


def test_whole_observations_are_not_stored_rounded():
    setup = Setup("test/Odd-v0", {"obs": "bytes"}, normalize_obs=True, hyperparams={"n_steps": 64})
    model: Any = make_model(setup, make_env(setup))
    assert model.rollout_buffer.observations.dtype == np.float32


def test_actions_are_rescaled_and_environments_seeded_apart():
    setup = Setup("Humanoid-v5", n_envs=2, seed=3, normalize_obs=True)
    venv: Any = make_env(setup)
    assert isinstance(venv, VecNormalize)
    assert isinstance(venv.venv, TransitionRecorder)
    assert venv.norm_obs and not venv.norm_reward
    assert np.all(venv.action_space.high == 1.0)  # type: ignore[attr-defined]
    venv.reset()
    raw: Any = venv.get_original_obs()
    for k in range(2):
        expected, _ = gym.make("Humanoid-v5").reset(seed=3 + k)
        assert np.array_equal(raw[k], expected)
    venv.step(np.ones((2, 17), np.float32))
    assert np.allclose(venv.get_attr("data")[0].ctrl, 0.4)
    assert venv.env_is_wrapped(Monitor) == [True, True]


def test_reward_normalisation_takes_the_algorithms_discount():
    venv = make_env(Setup("Hopper-v5", normalize_reward=True, hyperparams={"gamma": 0.9}))
    assert isinstance(venv, VecNormalize)
    assert venv.gamma == 0.9 and venv.norm_reward and not venv.norm_obs


def test_the_evaluation_environment_shares_the_statistics():
    setup = Setup("Hopper-v5", n_envs=3, normalize_obs=True, normalize_reward=True)
    venv: Any = make_env(setup)
    venv.reset()
    evaluation: Any = make_eval_env(setup, venv)
    assert evaluation.num_envs == 1
    assert not evaluation.training and not evaluation.norm_reward
    assert np.array_equal(evaluation.obs_rms.mean, venv.obs_rms.mean)
    before = evaluation.obs_rms.mean.copy()
    evaluation.reset()
    assert np.array_equal(evaluation.obs_rms.mean, before)


@pytest.mark.parametrize(
    ("bad", "said"), [("obs", r"observation\[1\] is nan"), ("reward", "the reward is nan")]
)
def test_nan_stops_at_its_step(bad, said):
    venv = make_env(Setup("test/Odd-v0", {"nan_at": 7, "bad": bad}, n_envs=2))
    venv.reset()
    for _ in range(6):
        venv.step(np.zeros((2, 1)))
    with pytest.raises(EnvironmentNaN, match=f"{said} in environment 0 at step 14:"):
        venv.step(np.zeros((2, 1)))


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_every_algorithm_is_built(algo):
    setup = Setup("CartPole-v1" if algo == "dqn" else "Pendulum-v1", algo=algo)
    model = make_model(setup, make_env(setup))
    assert type(model).__name__.lower() == algo
    has_noise = getattr(model, "action_noise", None) is not None
    assert has_noise == (algo in ("td3", "ddpg"))


def test_plain_data_becomes_what_sb3_wants():
    hyperparams = {
        "learning_rate": "lin_1e-3",
        "train_freq": [2, "episode"],
        "action_noise": None,
        "buffer_size": 50,
        "policy_kwargs": {"net_arch": [8], "activation_fn": "elu"},
    }
    setup = Setup("Pendulum-v1", algo="td3", hyperparams=hyperparams)
    assert Setup.from_dict(json.loads(json.dumps(setup.to_dict()))) == setup
    model: Any = make_model(setup, make_env(setup))
    assert model.lr_schedule(0.5) == pytest.approx(5e-4)
    assert model.train_freq.frequency == 2
    assert model.action_noise is None
    assert "ELU" in str(model.actor)


@pytest.mark.parametrize(
    ("algo", "env", "hyperparams", "said"),
    [
        ("sac", "CartPole-v1", {}, "does not take the actions of CartPole-v1, .*ppo, trpo, a2c or dqn"),
        ("dqn", "Pendulum-v1", {}, "does not take the actions of Pendulum-v1"),
        ("pppo", "Pendulum-v1", {}, "unknown algorithm 'pppo'"),
        ("ppo", "Pendulum-v1", {"n_step": 5}, "did you mean 'n_steps'"),
        ("ppo", "Pendulum-v1", {"seed": 5}, "seed is no hyperparameter: pass --seed"),
        ("ppo", "Pendulum-v1", {"learning_rate": "fast"}, "learning_rate is 'fast'"),
        ("ppo", "Pendulum-v1", {"learning_rate": "lin_fast"}, "learning_rate is 'lin_fast'"),
        ("ppo", "Pendulum-v1", {"policy_kwargs": {"activation_fn": "rely"}}, "activation_fn is 'rely'"),
        ("ppo", "Pendulum-v1", {"policy_kwargs": 5}, "policy_kwargs is 5"),
        ("ppo", "Pendulum-v1", {"n_steps": "many"}, "n_steps is 'many': give a number, such as 2048"),
        ("ppo", "Pendulum-v1", {"gamma": "abc"}, "gamma is 'abc': give a number"),
        ("ppo", "Pendulum-v1", {"gamma": None}, "gamma is None: give a number"),
        ("ppo", "Pendulum-v1", {"target_kl": "abc"}, "target_kl is 'abc': give a number"),
        ("ppo", "Pendulum-v1", {"n_epochs": 0}, "n_epochs is 0: give 1 or more"),
        ("sac", "Pendulum-v1", {"train_freq": 0}, "train_freq is 0: give 1 or more"),
        ("td3", "Pendulum-v1", {"action_noise": -0.1}, "action_noise is -0.1: give a standard deviation"),
        ("ppo", "Pendulum-v1", {"n_steps": 1}, "ppo refuses"),
    ],
)
def test_bad_settings_are_refused(algo, env, hyperparams, said):
    setup = Setup(env, algo=algo, hyperparams=hyperparams)
    with pytest.raises(ValueError, match=said):
        make_model(setup, make_env(setup))


def test_the_replay_buffers_size_is_known():
    setup = Setup("Ant-v5", algo="sac", n_envs=2, hyperparams={"buffer_size": 1000})
    model = make_model(setup, make_env(setup))
    # two observations of 105 float64, an action of 8 float32, reward, done and timeout float32
    assert replay_bytes(model) == 1000 * (2 * 105 * 8 + 8 * 4 + 3 * 4)
    on_policy = Setup("Pendulum-v1")
    assert replay_bytes(make_model(on_policy, make_env(on_policy))) == 0


def test_mujoco_says_nothing_and_leaves_no_file(tmp_path):
    code = (
        "from rlgen.training import Setup, make_env\n"
        "for env in ('HalfCheetah-v5', 'rlgen/SparseHalfCheetah-v0'): make_env(Setup(env)).reset()"
    )
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""
    assert [line for line in done.stderr.splitlines() if "mujoco" in line.lower()] == []
    assert list(tmp_path.iterdir()) == []
