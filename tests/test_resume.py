"""A resumed run is the uninterrupted one, bit for bit: parameters, optimisers, learned reward, records."""

from __future__ import annotations

import csv
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback

from rlgen import VIME, LearnReward
from rlgen.folder import new_run, write_config
from rlgen.recorder import TransitionRecorder
from rlgen.runs import check_resume, load, train
from rlgen.training import Setup, make_env, make_eval_env, make_model
from tests.states import same

SHORT = {"max_episode_steps": 200}
SMALL = {"policy_kwargs": {"net_arch": [16, 16]}}
ON_POLICY = {"n_steps": 64, **SMALL}
OFF_POLICY = {"learning_starts": 60, "batch_size": 16, "buffer_size": 400, **SMALL}


class Killed(Exception):
    """Stands for kill -9: nothing of ours catches it."""


def state(run: Path) -> dict[str, Any]:
    """All that `final/` holds, but for wall-clock times."""
    found = torch.load(run / "final" / "state.pt", weights_only=True)
    for episode in found["ep_info"]:
        del episode["t"]
    for key in [key for key in found["logged"]["value"] if key.startswith("time/")]:
        del found["logged"]["value"][key]
    found["generators"] = torch.load(run / "final" / "generators.pt", weights_only=True)
    replay = run / "final" / "replay.npz"
    if replay.exists():
        with np.load(replay) as arrays:
            found["replay"] = {name: arrays[name].tolist() for name in arrays}
    return found


def rows(run: Path, name: str) -> list[dict[str, str]]:
    with open(run / name) as file:
        found = list(csv.DictReader(file))
    clock = ("t", "time/fps", "time/time_elapsed")
    return [{key: value for key, value in row.items() if key not in clock} for row in found]


def build(setup: Setup, learned: bool) -> tuple[Any, LearnReward | None]:
    """As a process that has just begun: its generators are anywhere."""
    random.seed()
    np.random.seed()
    torch.seed()
    venv = make_env(setup)
    model = make_model(setup, venv)
    if not learned:
        return model, None
    recorder = venv if isinstance(venv, TransitionRecorder) else venv.venv  # type: ignore[attr-defined]
    bonus = VIME(recorder.obs_size, recorder.action_size, hidden=(16,), seed=setup.seed)
    return model, LearnReward(bonus, refit_every=100)


def run_to(
    setup: Setup,
    folder: Path,
    n: int,
    save_freq: int,
    learned: bool,
    checkpoint: Path | None = None,
    callbacks: Sequence[BaseCallback] = (),
) -> Path:
    if checkpoint is None:
        folder = new_run(folder, "test", setup.env)
        write_config(folder, {"setup": setup.to_dict()})
    model, learner = build(setup, learned)
    train(
        folder,
        model,
        learner,
        n,
        eval_env=make_eval_env(setup, model.get_env()),
        eval_freq=save_freq,
        n_eval_episodes=1,
        save_freq=save_freq,
        log_freq=50,
        checkpoint=checkpoint,
        callbacks=callbacks,
    )
    return folder


class KillAt(BaseCallback):
    """Ends the run in the middle of a rollout, as soon as `step` steps were made."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def _on_step(self) -> bool:
        if self.num_timesteps >= self.step:
            raise Killed
        return True


def check_resumes(setup: Setup, folder: Path, n: int, save_freq: int, killed_at: int, learned: bool = True):
    whole = run_to(setup, folder, n, save_freq, learned)
    with pytest.raises(Killed):
        run_to(setup, folder, n, save_freq, learned, callbacks=[KillAt(killed_at)])
    (broken,) = set((folder / "test").iterdir()) - {whole}
    checkpoint = check_resume(broken)
    assert 0 < int(checkpoint.name.removeprefix("step_")) < killed_at
    run_to(setup, broken, n, save_freq, learned, checkpoint)
    expected, got = state(whole), state(broken)
    different = [key for key in expected if not same(expected[key], got[key])]
    assert different == []
    for name in ("monitor.csv", "progress.csv", "evaluations.csv"):
        assert rows(broken, name) == rows(whole, name), name
    return whole, broken


@pytest.mark.parametrize("env", ["Ant-v5", "Humanoid-v5"])
def test_ppo_with_normalised_observations_resumes(tmp_path, env):
    """Mid-episode and contact-rich: HalfCheetah would pass with a wrong restore."""
    setup = Setup(
        env,
        SHORT,
        n_envs=2,
        normalize_obs=True,
        normalize_reward=True,
        hyperparams={"batch_size": 64, "n_epochs": 2, "learning_rate": "lin_1e-3", **ON_POLICY},
    )
    whole, _ = check_resumes(setup, tmp_path, n=384, save_freq=256, killed_at=300)
    assert len(rows(whole, "progress.csv")) == 3
    assert len(rows(whole, "monitor.csv")) > 0 or env == "Ant-v5"


@pytest.mark.parametrize("env", ["Ant-v5", "Humanoid-v5"])
def test_sac_resumes(tmp_path, env):
    setup = Setup(env, SHORT, algo="sac", hyperparams=OFF_POLICY)
    check_resumes(setup, tmp_path, n=140, save_freq=45, killed_at=120)


CASES = {
    "a2c": ("Pendulum-v1", ON_POLICY | {"n_steps": 5}),
    "trpo": ("CartPole-v1", ON_POLICY),
    "td3": ("Pendulum-v1", OFF_POLICY),
    "ddpg": ("Pendulum-v1", OFF_POLICY),
    "tqc": ("Pendulum-v1", OFF_POLICY),
    "crossq": ("Pendulum-v1", OFF_POLICY),
    "dqn": ("CartPole-v1", OFF_POLICY | {"target_update_interval": 34, "exploration_final_eps": 0.9}),
}


@pytest.mark.parametrize("algo", CASES)
def test_every_algorithm_resumes(tmp_path, algo):
    env, hyperparams = CASES[algo]
    setup = Setup(env, {"max_episode_steps": 50}, algo=algo, n_envs=2, hyperparams=hyperparams)
    check_resumes(setup, tmp_path, n=160, save_freq=60, killed_at=140)


@pytest.mark.parametrize(
    ("algo", "hyperparams"),
    [
        ("ppo", ON_POLICY | {"batch_size": 64, "use_sde": True, "sde_sample_freq": 7}),
        ("sac", OFF_POLICY | {"use_sde": True, "train_freq": 8, "gradient_steps": 4}),
        ("sac", OFF_POLICY | {"ent_coef": 0.1, "buffer_size": 100}),  # the buffer wraps round
        ("td3", OFF_POLICY | {"train_freq": [1, "episode"]}),
    ],
)
def test_what_changes_the_state_resumes(tmp_path, algo, hyperparams):
    """gSDE draws noise before a rollout's start; a fixed entropy coefficient; whole episodes as rollouts."""
    by_episode = isinstance(hyperparams.get("train_freq"), list)
    n_envs, (n, save_freq, killed_at) = (1, (350, 150, 300)) if by_episode else (2, (272, 128, 240))
    short = {"max_episode_steps": 90}
    setup = Setup("Pendulum-v1", short, algo=algo, n_envs=n_envs, hyperparams=hyperparams)
    check_resumes(setup, tmp_path, n, save_freq, killed_at, learned=False)


@pytest.mark.parametrize("use_sde", [False, True])
@pytest.mark.parametrize("algo", ["ppo", "sac"])
def test_a_finished_run_is_made_longer_as_if_it_had_not_ended(tmp_path, algo, use_sde):
    """final/ is saved before the noise of the next rollout is drawn, other checkpoints after."""
    own = ON_POLICY | {"batch_size": 64} if algo == "ppo" else OFF_POLICY
    setup = Setup("Pendulum-v1", algo=algo, n_envs=2, hyperparams={**own, "use_sde": use_sde})
    whole = run_to(setup, tmp_path, 256, 0, learned=False)
    short = run_to(setup, tmp_path, 128, 0, learned=False)
    run_to(setup, short, 256, 0, learned=False, checkpoint=check_resume(short))
    expected, got = state(whole), state(short)
    assert [key for key in expected if not same(expected[key], got[key])] == []


def test_two_processes_cannot_train_in_one_folder(tmp_path):
    setup = Setup("Pendulum-v1", hyperparams=ON_POLICY | {"batch_size": 64})
    run = run_to(setup, tmp_path, 64, 0, learned=False)
    before = (run / "progress.csv").read_text()
    code = (
        f"import sys, fcntl, os; h = os.open({str(run)!r}, 0); fcntl.flock(h, 2); print(); sys.stdin.read()"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(ValueError, match="is in training by another process: wait"):
            run_to(setup, run, 128, 0, learned=False, checkpoint=check_resume(run))
        other.kill()
    assert (run / "progress.csv").read_text() == before
    run_to(setup, run, 128, 0, learned=False, checkpoint=check_resume(run))


def test_a_run_with_rollouts_of_one_step_can_be_loaded(tmp_path):
    setup = Setup("Pendulum-v1", n_envs=4, hyperparams={"n_steps": 1, "batch_size": 4})
    model, env = load(run_to(setup, tmp_path, 8, 0, learned=False))
    obs: Any = env.reset()
    assert model.predict(obs)[0].shape == (1, 1)


def test_sac_with_normalisation_resumes(tmp_path):
    setup = Setup("Hopper-v5", SHORT, "sac", 1, 0, "cpu", True, True, OFF_POLICY)
    check_resumes(setup, tmp_path, n=140, save_freq=45, killed_at=120)


@pytest.mark.parametrize("algo", ["ppo", "sac"])
def test_evaluation_leaves_no_trace(tmp_path, algo):
    hyperparams = ON_POLICY | {"batch_size": 64} if algo == "ppo" else OFF_POLICY
    setup = Setup("Hopper-v5", SHORT, algo=algo, n_envs=2, normalize_obs=True, hyperparams=hyperparams)
    with_, without = (new_run(tmp_path, "test", setup.env) for _ in range(2))
    for run in (with_, without):
        venv = make_env(setup)
        model = make_model(setup, venv)
        eval_env = make_eval_env(setup, venv) if run == with_ else None
        train(run, model, None, 256, eval_env=eval_env, eval_freq=100, save_freq=0)
    expected, got = state(without), state(with_)
    assert len(rows(with_, "evaluations.csv")) >= 2
    assert not (without / "evaluations.csv").exists()
    assert [key for key in expected if key != "logged" and not same(expected[key], got[key])] == []


def test_a_wrong_restore_is_found(tmp_path):
    """These tests can fail: one action forgotten, and Ant is not where it was."""
    setup = Setup("Ant-v5", hyperparams=ON_POLICY | {"batch_size": 64})
    model, _ = build(setup, learned=False)
    model.learn(64)
    (log,) = model.get_env().env_method("episode_log")
    again = make_env(setup)
    again.env_method("replay", log)
    (twice,) = again.env_method("episode_log")
    assert twice["obs"].tobytes() == log["obs"].tobytes()
    assert twice["steps"] == 64
    log["actions"] = log["actions"][1:]
    with pytest.raises(ValueError, match="does not return to where"):
        make_env(setup).env_method("replay", log)


def test_a_refused_resume_leaves_the_records_alone(tmp_path):
    setup = Setup("Hopper-v5", hyperparams={"n_steps": 64, "batch_size": 64})
    run = new_run(tmp_path, "test", setup.env)
    model, learner = build(setup, learned=True)
    train(run, model, learner, 256, save_freq=0, log_freq=64)
    table = (run / "progress.csv").read_bytes()
    (run / "progress.csv").write_bytes(table + table.splitlines()[-1].replace(b"256", b"320", 1) + b"\n")
    longer = (run / "progress.csv").read_bytes()
    model, _ = build(setup, learned=False)
    with pytest.raises(ValueError, match="was saved with a learned reward"):
        train(run, model, None, 512, checkpoint=run / "final")
    assert (run / "progress.csv").read_bytes() == longer


def test_statistics_come_back(tmp_path):
    setup = Setup("Hopper-v5", normalize_obs=True, hyperparams=ON_POLICY | {"batch_size": 64})
    run = new_run(tmp_path, "test", setup.env)
    model: Any = make_model(setup, make_env(setup))
    train(run, model, None, 128, save_freq=0)
    fresh: Any = make_model(setup, make_env(setup))
    train(run, fresh, None, 128, save_freq=0, checkpoint=run / "final")
    before, after = (m.get_vec_normalize_env().obs_rms for m in (model, fresh))
    assert before.count > 128
    assert np.array_equal(before.mean, after.mean)
    assert np.array_equal(before.var, after.var)
