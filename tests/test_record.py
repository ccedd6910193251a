"""Recording demonstrations: from a run of ours, and from what SB3 saved."""

from __future__ import annotations

import base64
import json
import math
import pickle
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize, unwrap_vec_wrapper

from benchmarks.gail_mujoco import FINAL_SEED
from demos.record import Config, main
from rlgen import GAIL, cli, demonstrations, enjoy, gail, runs, train_vime
from rlgen.recorder import TransitionRecorder, stack
from rlgen.training import EVAL_SEED


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    config = train_vime.Config(
        env="Pendulum-v1",
        bonus="none",
        total_timesteps=128,
        n_envs=1,
        eval_freq=0,
        hyperparams={"n_steps": 64, "batch_size": 64, "n_epochs": 1},
        log_folder=tmp_path_factory.mktemp("logs"),
    )
    return train_vime.main(config)


@pytest.fixture(scope="module")
def agent(tmp_path_factory) -> tuple[Path, Path]:
    """An agent as rl-zoo3 leaves it: a zip and the statistics that it needs."""
    folder = tmp_path_factory.mktemp("zoo")
    venv = VecNormalize(make_vec_env("InvertedPendulum-v5", n_envs=1, seed=0))
    model = PPO("MlpPolicy", venv, n_steps=256, batch_size=64, n_epochs=1, seed=0, device="cpu").learn(256)
    model.save(folder / "model.zip")
    venv.save(str(folder / "vecnormalize.pkl"))
    return folder / "model.zip", folder / "vecnormalize.pkl"


def replayed(path: Path) -> None:
    """What the file says happened happens again, in the units of `gymnasium.make`."""
    demos, seeds = demonstrations.load(path), np.load(path)["seeds"]
    assert demos.env_id is not None
    for episode, seed in zip(demos.episodes, seeds, strict=True):
        env = gym.make(demos.env_id)
        obs, _ = env.reset(seed=int(seed))
        assert episode.actions is not None and episode.rewards is not None
        np.testing.assert_allclose(obs, episode.obs[0], rtol=1e-6)
        terminated = truncated = False
        for t, action in enumerate(episode.actions):
            obs, reward, terminated, truncated, _ = env.step(action)
            np.testing.assert_allclose(obs, episode.obs[t + 1], rtol=1e-4, atol=1e-4)
            assert reward == pytest.approx(episode.rewards[t], rel=1e-4, abs=1e-4)
        assert terminated == episode.terminated and (terminated or truncated)


def test_a_run_is_recorded_as_it_would_be_played(run, tmp_path, capsys):
    out = tmp_path / "demos.npz"
    main(Config(run, out=out, episodes=2, seed=7))
    replayed(out)
    assert capsys.readouterr().out.splitlines()[-1] == str(out)
    with np.load(out, allow_pickle=False) as file:
        assert file["seeds"].tolist() == [7, 8] and file["attempt_lengths"].tolist() == [200, 200]


def test_only_episodes_that_earn_enough_are_kept_and_the_file_tells_of_all(run, tmp_path):
    out = tmp_path / "demos.npz"
    main(Config(run, out=out, episodes=8, seed=7))
    with np.load(out, allow_pickle=False) as file:
        bar = float(np.median(file["attempt_returns"]))
    main(Config(run, out=out, episodes=4, seed=7, min_return=bar))
    demos = demonstrations.load(out)
    with np.load(out, allow_pickle=False) as file:
        tried = file["attempt_returns"]
    assert demos.returns is not None
    assert demos.returns.min() >= bar > tried.min() and len(demos.returns) == 4
    assert demos.expert_return == pytest.approx(tried.mean())
    with pytest.raises(ValueError, match="0 of 10 episodes are kept: .* lower --min-return"):
        main(Config(run, out=out, episodes=1, min_return=1.0))


def test_full_only_keeps_what_reaches_the_time_limit(agent, tmp_path):
    model, statistics = agent
    flags = {"env": "InvertedPendulum-v5", "algo": "ppo", "vecnormalize": statistics, "trust": True}
    main(Config(model, out=tmp_path / "all.npz", episodes=8, **flags))
    with np.load(tmp_path / "all.npz", allow_pickle=False) as file:
        lengths = file["attempt_lengths"].tolist()
    first = int(np.argmin(lengths[:-1]))
    kept = next(k for k in range(first, 8) if lengths[k] > lengths[first])
    limit = lengths[kept] - 1
    flags |= {"env_kwargs": {"max_episode_steps": limit}, "seed": Config.seed + first}
    main(Config(model, out=tmp_path / "full.npz", episodes=1, full_only=True, **flags))
    (full,) = demonstrations.load(tmp_path / "full.npz").episodes
    assert (len(full), full.terminated, full.truncated) == (limit, False, True)
    with np.load(tmp_path / "full.npz", allow_pickle=False) as file:
        assert file["attempt_lengths"].tolist() == [*lengths[first:kept], limit]


def test_sampled_actions_differ_from_the_most_likely_ones_and_the_seed_decides(run, tmp_path):
    paths = [tmp_path / f"{k}.npz" for k in range(3)]
    for path, sampled in zip(paths, (True, True, False), strict=True):
        main(Config(run, out=path, episodes=1, stochastic=sampled))
    once, again, likely = (demonstrations.load(path).episodes[0].actions for path in paths)
    assert once is not None and again is not None and likely is not None
    assert np.array_equal(once, again) and not np.allclose(once, likely)


def test_the_expert_replayed_live_stays_at_chance(run, tmp_path):
    """Played again through the training environments, where precision or scaling could give it away."""
    out = tmp_path / "demos.npz"
    main(Config(run, out=out, episodes=5, seed=7))
    model, venv = runs.load(run)
    recorder = unwrap_vec_wrapper(venv, TransitionRecorder)
    assert recorder is not None
    native = demonstrations.native_spaces(venv)
    demos = demonstrations.load(out).fit(*native, "Pendulum-v1")
    steps = []
    for seed in range(7, 12):
        venv.seed(seed)
        obs, done = venv.reset(), False
        while not done:
            action, _ = model.predict(obs, deterministic=True)  # type: ignore[arg-type]
            obs, _, (done,), _ = venv.step(action)
            steps.append(recorder.last)
    live = stack(steps, venv.action_space)
    for there, here in zip(demos.transitions(), live, strict=True):
        assert torch.allclose(there, here, rtol=0, atol=1e-6)
    expert = demos.transitions(subsample=2, seed=0)
    reward = GAIL(expert, seed=0, gradient_penalty=0.0, learning_rate=1e-2)
    for _ in range(100):
        metrics = reward.update(live)
    assert abs(metrics["accuracy_expert"] + metrics["accuracy_policy"] - 1) < 0.1
    assert metrics["loss"] == pytest.approx(2 * math.log(2), abs=0.05)


def test_both_formats_hold_the_same(run, tmp_path, monkeypatch):
    pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    main(Config(run, out=tmp_path / "demos.npz", minari="test/pendulum-v0", episodes=2))
    one, other = demonstrations.load(tmp_path / "demos.npz"), demonstrations.load("test/pendulum-v0")
    for a, b in zip(one.episodes, other.episodes, strict=True):
        assert a.obs.tobytes() == b.obs.tobytes() and a.rewards.tobytes() == b.rewards.tobytes()  # type: ignore[union-attr]
        assert a.actions.tobytes() == b.actions.tobytes()  # type: ignore[union-attr]


def test_an_agent_of_sb3_is_recorded_behind_trust(agent, tmp_path, capsys):
    out = tmp_path / "demos.npz"
    flags = [str(agent[0]), "--vecnormalize", str(agent[1]), "--env", "InvertedPendulum-v5", "--algo", "ppo"]
    flags += ["--out", str(out), "-n", "3"]
    assert cli.run(main, Config, flags) == 2 and not out.exists()
    assert "pass --trust" in capsys.readouterr().err
    assert cli.run(main, Config, [*flags, "--trust"]) == 0
    replayed(out)


def test_an_agent_saved_with_gym_is_recorded(agent, tmp_path):
    """Its spaces are classes of a module that is not installed, in the zip and in the statistics."""

    def as_gym(thing: object) -> bytes:
        data = pickle.dumps(thing, 0)
        assert b"cgymnasium." in data
        return data.replace(b"cgymnasium.", b"cgym.")

    zipped, statistics = agent
    model = PPO.load(zipped, device="cpu")
    old = tmp_path / "old.zip"
    with zipfile.ZipFile(zipped) as archive, zipfile.ZipFile(old, "w") as out:
        data = json.loads(archive.read("data"))
        for name in ("observation_space", "action_space"):
            data[name][":serialized:"] = base64.b64encode(as_gym(getattr(model, name))).decode()
        for name in archive.namelist():
            out.writestr(name, json.dumps(data) if name == "data" else archive.read(name))
    normalized = VecNormalize.load(str(statistics), make_vec_env("InvertedPendulum-v5", n_envs=1))
    (tmp_path / "old.pkl").write_bytes(as_gym(normalized))
    files = {}
    for name, (zipped, statistics) in {"new": agent, "old": (old, tmp_path / "old.pkl")}.items():
        files[name] = tmp_path / f"{name}.npz"
        config = Config(zipped, files[name], episodes=1, env="InvertedPendulum-v5", algo="ppo", trust=True)
        main(replace(config, vecnormalize=statistics))
    (new,), (played,) = (demonstrations.load(file).episodes for file in files.values())
    assert played.obs.tobytes() == new.obs.tobytes() and "gym" not in sys.modules


def test_arguments_of_the_environment_are_kept_and_an_id_is_checked_first(tmp_path, monkeypatch, capsys):
    minari = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    for wrong in ("pendulum", "a pendulum-v0"):
        with pytest.raises(ValueError, match=f"'{wrong}' is no id .* such as mujoco/hopper/expert-v0"):
            main(Config(tmp_path / "nowhere", minari=wrong))
    config = train_vime.Config(
        env="Pendulum-v1",
        env_kwargs={"g": 5.0, "max_episode_steps": 50},
        bonus="none",
        total_timesteps=64,
        n_envs=1,
        eval_freq=0,
        hyperparams={"n_steps": 64, "batch_size": 64, "n_epochs": 1},
        log_folder=tmp_path,
    )
    out = tmp_path / "light.npz"
    record = Config(train_vime.main(config), out, minari="test/light-v0", episodes=1)
    main(record)
    for file in ("test/light-v0", str(out)):
        assert demonstrations.load(file).env_kwargs == config.env_kwargs
        imitate = gail.Config(demos=file)
        assert gail.new_plan(imitate)["setup"]["env_kwargs"] == config.env_kwargs
        assert "environment as recorded: g:5.0, max_episode_steps:50" in capsys.readouterr().out
        heavy = replace(imitate, env_kwargs={"g": 20.0})
        assert gail.new_plan(heavy)["setup"]["env_kwargs"] == {"g": 20.0}
    assert minari.load_dataset("test/light-v0").env_spec.kwargs["g"] == 5.0
    with pytest.raises(ValueError, match="there is one in"):
        main(replace(record, agent=tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["RUN"], "pass --out FILE.npz or --minari ID"),
        (["RUN", "--out", "demos.csv"], "--out is 'demos.csv': give a path that ends in .npz"),
        (["RUN", "--out", "OUT", "--env", "Ant-v5"], "leave --env out"),
        (["nowhere", "--out", "OUT"], "neither a run folder nor a zip"),
        (["ZIP", "--out", "OUT", "--trust"], "pass --env ID and --algo NAME"),
        (["ZIP", "--out", "OUT", "--trust", "--algo", "sac", "--env", "InvertedPendulum-v5"], "cannot load"),
        (
            ["ZIP", "--out", "OUT", "--trust", "--algo", "ppo", "--env", "Hopper-v5"],
            "pass the --env it was trained in",
        ),
    ],
)
def test_bad_input_is_one_line(run, agent, tmp_path, capsys, flags, message):
    known = {"RUN": str(run), "ZIP": str(agent[0]), "OUT": str(tmp_path / "out.npz")}
    assert cli.run(main, Config, [known.get(flag) or flag for flag in flags]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and message in line
    assert not list(tmp_path.iterdir())


def test_no_evaluation_starts_where_a_demonstration_did():
    firsts = sorted([Config(Path()).seed, enjoy.Config(Path()).seed, FINAL_SEED, EVAL_SEED])
    assert min(np.diff(firsts)) >= 10_000
