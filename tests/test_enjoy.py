"""Playing a run again: its returns, its record as demonstrations, its video."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from rlgen import cli, enjoy, runs, train_vime, video
from rlgen.enjoy import Config, main
from rlgen.files import atomic_write
from rlgen.folder import read_config


def trained(logs: Path, env: str, **flags) -> Path:
    """A run that is over at once: what is played matters here, not how well."""
    off = {"bonus": "none", "eval_freq": 0, "save_freq": 32, "n_envs": 1, "total_timesteps": 64}
    small = {"n_steps": 32, "batch_size": 32, "n_epochs": 1}
    return train_vime.main(
        train_vime.Config(env=env, log_folder=logs, **{"hyperparams": small, **off, **flags})
    )


@pytest.fixture(scope="module")
def pendulum(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("logs"), "Pendulum-v1")


@pytest.fixture(scope="module")
def humanoid(tmp_path_factory):
    """Its action limits are 0.4: an action in the wrong units shows."""
    small = {"width": 64, "height": 64}  # of a picture
    return trained(tmp_path_factory.mktemp("logs"), "Humanoid-v5", env_kwargs=small)


def test_it_prints_and_writes_what_it_returns(pendulum, capsys):
    result = main(Config(pendulum, episodes=3))
    assert len(result["returns"]) == 3 and result["seeds"] == [20_000, 20_001, 20_002]
    assert result["mean_return"] == pytest.approx(np.mean(result["returns"]))
    assert result["std_return"] == pytest.approx(np.std(result["returns"])) and result["std_return"] > 0
    assert result["lengths"] == [200] * 3 and result["terminated"] == [False] * 3
    assert result["checkpoint"] == str(pendulum / "final")
    assert json.loads((pendulum / "evaluation.json").read_text()) == result
    out = capsys.readouterr().out
    assert out.count("\n") == 1 and f"return {result['mean_return']:.4g} +- " in out and "length 200" in out


def test_the_same_seed_gives_the_same_episodes(pendulum):
    once, again, other = (main(Config(pendulum, episodes=1, seed=seed))["returns"] for seed in (5, 5, 6))
    assert once == again != other


@pytest.mark.parametrize("algo", ["ppo", "sac"])
def test_noise_that_depends_on_the_state_is_what_was_learned(algo, tmp_path):
    """gSDE draws a matrix from the deviations; the one drawn before they were loaded is not theirs."""
    small = {"use_sde": True, "learning_starts": 8, "batch_size": 8, "buffer_size": 100}
    if algo == "ppo":
        small = {"use_sde": True, "n_steps": 32, "batch_size": 32, "n_epochs": 1}
    run = trained(tmp_path, "Pendulum-v1", algo=algo, hyperparams=small)
    model, venv = runs.load(run)
    actor: Any = getattr(model, "actor", model.policy)
    with torch.no_grad():
        actor.log_std.fill_(-20.0)
    likely, sampled = (enjoy.play(model, venv, 0, deterministic).rewards for deterministic in (True, False))
    assert np.allclose(likely, sampled, atol=1e-4)
    with torch.no_grad():
        actor.log_std.fill_(0.0)
    first, second = (enjoy.play(model, venv, 0, deterministic=False).actions for _ in range(2))
    assert not np.allclose(first, second, atol=1e-2)
    model.sde_sample_freq = 50  # of 200 steps
    drawn = []
    reset_noise = actor.reset_noise
    actor.reset_noise = lambda: drawn.append(reset_noise())
    enjoy.play(model, venv, 0, deterministic=False)
    assert len(drawn) == 4


def test_actions_are_the_most_likely_ones_unless_sampled(pendulum):
    likely, sampled = (main(Config(pendulum, episodes=1, stochastic=on))["returns"] for on in (False, True))
    assert likely != sampled


def test_a_checkpoint_can_be_chosen(pendulum):
    checkpoint = pendulum / "checkpoints" / "step_32"
    early = main(Config(pendulum, episodes=1, checkpoint=checkpoint))
    assert early["checkpoint"] == str(checkpoint)
    assert early["returns"] != main(Config(pendulum, episodes=1))["returns"]


def test_a_record_replays_in_the_plain_environment(humanoid, tmp_path):
    """Observations, actions in the environment's own units, and rewards, step by step."""
    path = tmp_path / "new" / "demos.npz"
    result = main(Config(humanoid, episodes=2, record=path))
    with np.load(path, allow_pickle=False) as file:
        demos = dict(file)
    lengths = demos["episode_lengths"]
    assert str(demos["env_id"]) == "Humanoid-v5" and lengths.tolist() == result["lengths"]
    assert demos["obs"].shape == (lengths.sum() + 2, 348) and demos["acts"].shape == (lengths.sum(), 17)
    assert demos["obs"].dtype == demos["acts"].dtype == demos["rews"].dtype == np.float32
    assert np.flatnonzero(demos["terminated"]).tolist() == (np.cumsum(lengths) - 1).tolist()
    assert not demos["truncated"].any()
    env = gym.make("Humanoid-v5")
    assert np.all(np.abs(demos["acts"]) <= 0.4 + 1e-6) and np.abs(demos["acts"]).max() > 0
    obs, _ = env.reset(seed=int(demos["seeds"][1]))
    first = lengths[0]
    for t in range(lengths[1]):
        np.testing.assert_allclose(obs, demos["obs"][first + 1 + t], rtol=1e-3, atol=1e-3)
        obs, reward, terminated, _, _ = env.step(demos["acts"][first + t])
        assert reward == pytest.approx(demos["rews"][first + t], rel=1e-3)
    assert terminated
    env.close()


def test_discrete_actions_are_recorded_as_they_are(tmp_path):
    run = trained(tmp_path, "CartPole-v1")
    main(Config(run, episodes=2, record=tmp_path / "demos.npz"))
    with np.load(tmp_path / "demos.npz", allow_pickle=False) as file:
        assert set(np.unique(file["acts"])) <= {0, 1} and file["acts"].ndim == 1
        assert np.issubdtype(file["acts"].dtype, np.integer)
        assert file["rews"].sum() == file["episode_lengths"].sum()


def test_returns_are_the_environments_own_under_normalisation(tmp_path):
    """Pendulum loses hundreds, which a normalised reward would not."""
    run = trained(tmp_path, "Pendulum-v1")
    plan = read_config(run)
    plan["setup"]["normalize_reward"] = True
    atomic_write(run / "config.json", json.dumps(plan))
    assert main(Config(run, episodes=1))["returns"][0] < -100


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "RUN"),
        (["nowhere"], "nowhere is not a run folder"),
        (["{run}", "--record", "demos.csv"], "give a path that ends in .npz"),
        (["{run}", "--record", "/dev/null/x.npz"], "--record /dev/null/x.npz cannot be written"),
        (["{run}", "--checkpoint", "{run}/tensorboard"], "tensorboard is none; {run} has step_"),
        (["{run}", "-n", "0"], "not a whole number of at least 1"),
        (["{run}", "--vdeo"], "did you mean --video?"),
    ],
)
def test_bad_input_is_one_line_and_status_2(pendulum, argv, message, capsys):
    assert cli.run(main, Config, [part.format(run=pendulum) for part in argv]) == 2
    err = capsys.readouterr().err
    assert message.format(run=pendulum) in err and err.startswith("error: ") and err.count("\n") == 1


def test_a_checkpoint_is_found_by_its_name(pendulum):
    (name, *_) = sorted(path.name for path in (pendulum / "checkpoints").glob("step_*"))
    result = main(Config(pendulum, episodes=1, checkpoint=Path(name)))
    assert result["checkpoint"] == str(pendulum / "checkpoints" / name)


def test_the_backends_that_are_tried(monkeypatch):
    assert video.backends({}, "linux") == ["egl", "osmesa"]
    assert video.backends({"DISPLAY": ":0"}, "linux") == [None, "egl", "osmesa"]
    assert video.backends({"MUJOCO_GL": "glfw", "DISPLAY": ":0"}, "linux") == ["glfw"]
    assert video.backends({}, "darwin") == [None]


def test_no_opengl_is_a_warning(pendulum, capsys, monkeypatch):
    monkeypatch.setattr(video, "_run_child", lambda job, out, backend: f"{backend}: broken")
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    main(Config(pendulum, episodes=1, video=True))
    out, err = capsys.readouterr()
    assert err.startswith("warning: no video (osmesa: broken)") and err.count("\n") == 1
    assert out.count("\n") == 1 and (pendulum / "evaluation.json").exists()


@pytest.mark.skipif(bool(find_spec("pygame")), reason="pygame is installed")
def test_a_renderer_that_is_missing_is_named_and_opengl_is_not_blamed(tmp_path, capsys):
    episode = video.Episode("CartPole-v1", {}, 0, np.ones(3, int))
    assert video.render(episode, tmp_path / "pole.gif") is None
    err = capsys.readouterr().err
    assert "pygame is not installed" in err and "OSMesa" not in err


def test_an_environment_without_pictures_is_said_to_have_none(tmp_path, capsys):
    run = trained(tmp_path, "rlgen/SparseMountainCar-v0")
    main(Config(run, episodes=1, video=True))
    err = capsys.readouterr().err
    assert (
        err.startswith("warning: no video (rlgen/SparseMountainCar-v0 has no pictures")
        and err.count("\n") == 1
    )
    assert not (run / "videos").exists()


def test_a_child_that_fails_says_why(tmp_path):
    assert "no-such.npz" in video._run_child(tmp_path / "no-such.npz", tmp_path / "out.gif", None)
    assert list(tmp_path.iterdir()) == []


def test_the_replay_is_the_episode(humanoid, tmp_path, monkeypatch):
    """The frames come from the seed and actions alone: the replay ends when the episode did."""
    model, venv = runs.load(humanoid)
    played = enjoy.play(model, venv, seed=7)
    seen = []
    monkeypatch.setattr(gym, "make", lambda *args, make=gym.make, **kwargs: Watched(make(args[0]), seen))
    job = tmp_path / "job.npz"
    np.savez(job, env="Humanoid-v5", env_kwargs="{}", seed=7, actions=played.actions)
    frames, fps = video.replay(job)
    assert len(frames) == len(played.actions) + 1 and fps > 0
    np.testing.assert_allclose(np.array(seen), played.obs, rtol=1e-5, atol=1e-5)


class Watched(gym.Wrapper):
    """Keeps observations; its picture is a black pixel."""

    def __init__(self, env, seen):
        super().__init__(env)
        self.seen = seen

    def reset(self, **kwargs):
        obs, info = self.env.reset(**kwargs)
        self.seen.append(obs)
        return obs, info

    def step(self, action):
        obs, *rest = self.env.step(action)
        self.seen.append(obs)
        return obs, *rest

    def render(self):  # type: ignore[override]
        return np.zeros((1, 1, 3), np.uint8)


@pytest.fixture(scope="module")
def opengl():
    """Skips where MuJoCo finds no way to draw."""
    probe = "import mujoco; mujoco.GLContext(8, 8)"
    for backend in video.backends({}):
        environ = {"MUJOCO_GL": backend, "PYOPENGL_PLATFORM": backend} if backend else {}
        done = subprocess.run([sys.executable, "-c", probe], env=environ, capture_output=True)
        if done.returncode == 0:
            return backend
    pytest.skip("no OpenGL without a display")


def test_a_video_is_written(opengl, humanoid, capsys):
    main(Config(humanoid, episodes=1, seed=3, video=True))
    out, err = capsys.readouterr()
    path = Path(out.splitlines()[-1])
    assert path.parent == humanoid / "videos" and path.stem == "seed3" and path.suffix in (".gif", ".mp4")
    assert path.stat().st_size > 1000 and err == ""
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # no half-written file


def test_the_setup_of_a_run_is_enough(pendulum, tmp_path):
    """Nothing of the training process is needed: a copy elsewhere plays the same episodes."""
    copy = tmp_path / "copy"
    for name in ("config.json", "final/manifest.json", "final/state.pt", "final/generators.pt"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((pendulum / name).read_bytes())
    played = Config(pendulum, episodes=1)
    assert main(replace(played, run=copy))["returns"] == main(played)["returns"]
