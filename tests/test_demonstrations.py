"""Demonstrations in memory and on disk: what is kept bit by bit, converted, taken and told."""

from __future__ import annotations

import warnings
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from rlgen import demonstrations
from rlgen.demonstrations import Demonstrations, Episode

BOX = spaces.Box(-np.inf, np.inf, (3,))
TORQUE = spaces.Box(-2.0, 2.0, (1,))


def episode(n: int, start: float = 0.0, terminated: bool = False) -> Episode:
    """Observations that count steps, actions that follow them, from -2 to 2."""
    obs = (start + np.arange(n + 1, dtype=np.float32))[:, None] * np.array([1, 10, 0], np.float32)
    actions = np.linspace(-2, 2, n, dtype=np.float32)[:, None]
    return Episode(obs, actions, np.ones(n, np.float32), terminated, not terminated)


def pendulum(*episodes: Episode) -> Demonstrations:
    return Demonstrations(episodes, "Pendulum-v1", None, "test")


def played(env_id: str, n: int = 2) -> Demonstrations:
    """Random episodes of a real environment."""
    env, episodes = gym.make(env_id), []
    env.action_space.seed(0)
    for seed in range(n):
        obs, actions, rewards, done = [env.reset(seed=seed)[0]], [], [], (False, False)
        while not any(done):
            actions.append(env.action_space.sample())
            step, reward, *done, _ = env.step(actions[-1])
            obs.append(step)
            rewards.append(float(reward))
        kind = np.int64 if isinstance(env.action_space, spaces.Discrete) else np.float32
        parts = np.stack(obs).astype(np.float32), np.array(actions, kind), np.array(rewards, np.float32)
        episodes.append(Episode(*parts, bool(done[0]), bool(done[1] and not done[0])))
    env.close()
    return Demonstrations(tuple(episodes), env_id, 3.5, "test")


def same(one: Demonstrations, other: Demonstrations) -> None:
    assert one.env_id == other.env_id and one.expert_return == other.expert_return
    for a, b in zip(one.episodes, other.episodes, strict=True):
        assert (a.terminated, a.truncated) == (b.terminated, b.truncated)
        for name in ("obs", "actions", "rewards"):
            mine, theirs = getattr(a, name), getattr(b, name)
            assert mine.dtype == theirs.dtype and mine.tobytes() == theirs.tobytes(), name


@pytest.mark.parametrize("env_id", ["Hopper-v5", "CartPole-v1"])
def test_npz_keeps_every_bit(env_id, tmp_path):
    demos = played(env_id)
    demonstrations.save(tmp_path / "demos.npz", demos)
    same(demonstrations.load(tmp_path / "demos.npz"), demos)
    assert [path.name for path in tmp_path.iterdir()] == ["demos.npz"]
    with np.load(tmp_path / "demos.npz", allow_pickle=False) as file:
        assert file["obs"].dtype == np.float32 and str(file["env_id"]) == env_id


@pytest.mark.parametrize("env_id", ["Hopper-v5", "CartPole-v1"])
def test_minari_keeps_every_bit(env_id, tmp_path, monkeypatch):
    minari = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    demos = played(env_id)
    where = demonstrations.save_minari("test/random-v0", demos, [0, 1])
    assert where == tmp_path / "test/random-v0"
    for name in ("test/random-v0", where, where / "data", where / "data" / "main_data.hdf5"):
        same(demonstrations.load(name), demos)
    theirs = minari.load_dataset("test/random-v0")
    assert theirs.total_episodes == 2 and theirs.total_steps == demos.n_steps
    with pytest.raises(ValueError, match="cannot write the Minari dataset"):
        demonstrations.save_minari("test/random-v0", demos)  # the id is taken


def test_fit_scales_actions_as_the_policy_speaks_them():
    fitted = pendulum(episode(5)).fit(BOX, TORQUE, "Pendulum-v1")
    actions = fitted.episodes[0].actions
    assert actions is not None and actions[:, 0].tolist() == [-1.0, -0.5, 0.0, 0.5, 1.0]
    with pytest.raises(ValueError, match="converted already"):
        fitted.fit(BOX, TORQUE, "Pendulum-v1")


def test_discrete_actions_become_one_hot():
    demos = played("CartPole-v1", 1)
    space = spaces.Discrete(2)
    steps = demos.fit(spaces.Box(-np.inf, np.inf, (4,)), space, "CartPole-v1").transitions()
    actions = demos.episodes[0].actions
    assert actions is not None
    assert steps.action.argmax(1).tolist() == actions.tolist() and (steps.action.sum(1) == 1).all()
    assert steps.terminated.tolist() == [0.0] * (len(actions) - 1) + [1.0]


def test_subsampling_takes_every_kth_transition_from_a_start_of_its_own():
    demos = pendulum(*(episode(100, 1000.0 * k, terminated=True) for k in range(50)))
    demos = demos.fit(BOX, TORQUE, "Pendulum-v1")
    steps = demos.transitions(20, seed=3)
    assert len(steps.obs) == 250
    starts = set()
    for k in range(50):
        own = steps.obs[5 * k : 5 * k + 5, 0] - 1000.0 * k
        assert (own.diff() == 20).all() and 0 <= own[0] < 20
        starts.add(own[0].item())
    assert len(starts) > 10
    assert (steps.next_obs[:, 0] - steps.obs[:, 0] == 1).all()
    assert steps.terminated.tolist() == [float(x % 1000 == 99) for x in steps.obs[:, 0].tolist()]
    again, other = demos.transitions(20, seed=3), demos.transitions(20, seed=4)
    assert (steps.obs == again.obs).all() and not (steps.obs == other.obs).all()
    assert steps.action.shape == (250, 1)


def test_an_episode_shorter_than_the_subsampling_gives_one_transition():
    demos = pendulum(episode(5), episode(40, 1000.0)).fit(BOX, TORQUE, "Pendulum-v1")
    for seed in range(20):
        short, long = demos.transitions(50, seed=seed).obs[:, 0].tolist()
        assert 0 <= short < 5 and 1000 <= long < 1040


def test_take_gives_the_first_episodes_and_no_more_than_there_are():
    demos = pendulum(episode(3), episode(4), episode(5))
    assert [len(e) for e in demos.take(2).episodes] == [3, 4]
    with pytest.raises(ValueError, match=r"has 3 episodes: 4 cannot be taken, give 1 to 3"):
        demos.take(4)


@pytest.mark.parametrize(("limit", "terminated"), [(None, True), (50, False)])
def test_a_time_limit_of_ones_own_is_no_true_end(tmp_path, limit, terminated):
    """imitation's format says that an episode is whole, not why it ended."""
    path = tmp_path / "demos.npz"
    arrays = {"obs": np.zeros((51, 3)), "acts": np.zeros((50, 1)), "infos": np.zeros(50)}
    np.savez(path, **arrays, indices=np.zeros(0, np.int64), terminal=np.array([True]))
    (found,) = demonstrations.load(path, env_id="Pendulum-v1", time_limit=limit).episodes
    assert found.terminated == terminated and found.truncated != terminated


def test_states_alone(tmp_path):
    states = pendulum(replace(episode(10), actions=None))
    demonstrations.save(tmp_path / "states.npz", states)
    fitted = demonstrations.load(tmp_path / "states.npz").fit(BOX, TORQUE, "Pendulum-v1")
    assert fitted.transitions().action.shape == (10, 0) and not fitted.has_actions
    assert "actions       unknown" in demonstrations.report(fitted)


def test_the_report_tells_what_is_there():
    demos = replace(pendulum(episode(5), episode(5, terminated=True)), expert_return=4.0)
    told = demonstrations.report(demos.fit(BOX, TORQUE, "Pendulum-v1"))
    assert "2, 5 steps each, 10 steps in all" in told and "5 +- 0" in told
    assert "expert        4" in told and "1 terminated, 1 at a time limit" in told
    assert "3 features, 1 constant (2)" in told and "40.0% of them at a bound" in told


@pytest.mark.parametrize(
    ("size", "told"),
    [
        (348, "pass --env Humanoid-v5"),
        (111, "--env Ant-v4 --env-kwargs use_contact_forces:True"),
        (27, "include_cfrc_ext_in_observation:False"),
        (5, "pass the --env that they were recorded in"),
    ],
)
def test_a_wrong_size_names_the_task_that_it_fits(size, told):
    states = replace(episode(3), obs=np.zeros((4, size), np.float32), actions=None)
    env = gym.make("Ant-v5")
    with pytest.raises(ValueError) as error:
        replace(pendulum(states), env_id=None).fit(env.observation_space, env.action_space, "Ant-v5")
    assert f"demos have {size} observation features, Ant-v5 has 105" in str(error.value)
    assert told in str(error.value)
    env.close()


@pytest.mark.parametrize(
    ("env_id", "obs", "told"),
    [
        ("Hopper-v2", 11, "plays no more: pass --env Hopper-v5"),
        ("Ant-v2", 111, "plays no more: .*pass --env Ant-v4 --env-kwargs use_contact_forces:True"),
    ],
)
def test_a_version_that_cannot_be_made_names_the_one_that_fits(tmp_path, env_id, obs, told):
    actions = {11: 3, 111: 8}[obs]
    old = Episode(np.zeros((4, obs), np.float32), np.zeros((3, actions), np.float32), None, True, False)
    demonstrations.save(tmp_path / "old.npz", Demonstrations((old,), env_id, None, "test"))
    with pytest.raises(ValueError, match=f"demonstrations of {env_id}, which gymnasium {told}"):
        demonstrations.load(tmp_path / "old.npz")
    now = env_id.replace("v2", "v5")
    with pytest.warns(UserWarning, match=f"demonstrations of {env_id} are taken for {now}"):
        demos = demonstrations.load(tmp_path / "old.npz", env_id=now)
    assert demos.env_id == now
    env = gym.make(now)
    if obs == 11:
        demos.fit(env.observation_space, env.action_space, now)
    else:
        with pytest.raises(
            ValueError, match="111 observation features, Ant-v5 has 105: .*use_contact_forces"
        ):
            demos.fit(env.observation_space, env.action_space, now)
    with pytest.raises(ValueError, match=f"demonstrations of {env_id}, not of Walker2d-v5"):
        demonstrations.load(tmp_path / "old.npz", env_id="Walker2d-v5")
    env.close()


def test_somebodys_own_old_version_is_no_mujoco_task(tmp_path):
    steps = Episode(np.zeros((4, 2), np.float32), np.zeros((3, 1), np.float32), None, True, False)
    demonstrations.save(tmp_path / "own.npz", Demonstrations((steps,), "Own-v3", None, "test"))
    gym.register("Own-v5", "gymnasium.envs.classic_control:PendulumEnv")
    assert demonstrations.load(tmp_path / "own.npz").env_id == "Own-v3"
    del gym.registry["Own-v5"]


def test_a_size_that_arguments_brought_about_asks_to_leave_them_out():
    states = replace(episode(3), obs=np.zeros((4, 11), np.float32), actions=None)
    env = gym.make("Hopper-v5", exclude_current_positions_from_observation=False)
    with pytest.raises(ValueError, match="11 observation features, Hopper-v5 has 12: leave --env-kwargs out"):
        replace(pendulum(states), env_id=None).fit(env.observation_space, env.action_space, "Hopper-v5")
    env.close()


def test_a_file_without_an_environment_asks_for_one(tmp_path):
    demonstrations.save(tmp_path / "demos.npz", replace(pendulum(episode(3)), env_id=None))
    with pytest.raises(ValueError, match="--env"):
        demonstrations.load(tmp_path / "demos.npz")
    assert demonstrations.load(tmp_path / "demos.npz", env_id="Pendulum-v1").env_id == "Pendulum-v1"


def test_what_is_not_there_is_not_downloaded_unasked(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    with pytest.raises(ValueError, match="pass --download"):
        demonstrations.load("mujoco/hopper/expert-v0")


@pytest.mark.parametrize(
    ("episodes", "told"),
    [
        ([episode(200)], None),
        (
            [episode(3), episode(7)],
            "reach from 0 to 70 in feature 1, those of Pendulum-v1 from -5 to 60: store",
        ),
        ([episode(201)], "an episode has 201 steps, Pendulum-v1 ends after 200"),
    ],
)
def test_what_the_environment_would_not_do_is_warned_of(episodes, told):
    bounded = spaces.Box(np.array([-np.inf, -5, 0], np.float32), np.array([np.inf, 60, 0], np.float32))
    space = bounded if told and "reach" in told else BOX
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        pendulum(*episodes).fit(space, TORQUE, "Pendulum-v1")
    assert len(seen) == (told is not None)
    assert told is None or told in str(seen[0].message)


def test_a_time_limit_that_is_not_the_registered_one_is_gone_by():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pendulum(episode(400)).fit(BOX, TORQUE, "Pendulum-v1", 400)
    with pytest.warns(UserWarning, match="an episode has 60 steps, Pendulum-v1 ends after 50"):
        pendulum(episode(60)).fit(BOX, TORQUE, "Pendulum-v1", 50)


def test_a_d4rl_file_of_whole_episodes_keeps_the_last_without_a_flag(tmp_path):
    obs = np.arange(24, dtype=np.float32).reshape(8, 3)  # two episodes of 4 observations
    steps = {"observations": np.delete(obs, [3, 7], 0), "next_observations": np.delete(obs, [0, 4], 0)}
    rest = {"actions": np.zeros((6, 1), np.float32), "rewards": np.ones(6), "terminals": np.zeros(6, bool)}
    np.savez(tmp_path / "whole.npz", **steps, **rest)
    found = demonstrations.load(tmp_path / "whole.npz", env_id="Pendulum-v1").episodes
    assert [len(one) for one in found] == [3, 3] and all(one.truncated for one in found)
    np.testing.assert_array_equal(np.concatenate([one.obs for one in found]), obs)
    np.savez(tmp_path / "part.npz", **steps, **rest, timeouts=np.arange(6) == 2)
    assert len(demonstrations.load(tmp_path / "part.npz", env_id="Pendulum-v1").episodes) == 1


def test_a_folder_of_hugging_face_is_told_what_to_become(tmp_path):
    (tmp_path / "dataset_info.json").write_text("{}")
    with pytest.raises(ValueError, match="write an npz, as demos/README.md describes"):
        demonstrations.load(tmp_path)
