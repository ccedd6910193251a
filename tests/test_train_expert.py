"""Training the experts that demonstrations are recorded from."""

from __future__ import annotations

import csv
import os
import signal
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

from demos import record, train_expert
from demos.train_expert import EXPERTS, Config, main
from rlgen import cli, demonstrations
from rlgen.folder import read_config

TINY = Config(n_envs=1, hyperparams={"n_steps": 64, "batch_size": 64, "n_epochs": 1})


def test_an_expert_trains_goes_on_and_is_recorded(tmp_path):
    flags = {"total_timesteps": 128, "eval_freq": 64, "log_folder": tmp_path}
    run = main(replace(TINY, env="InvertedPendulum-v5", **flags))
    assert run == tmp_path / "expert" / "InvertedPendulum-v5_1"
    assert read_config(run)["setup"]["normalize_reward"]
    main(Config(resume=run, total_timesteps=256))
    with open(run / "evaluations.csv") as file:
        steps = [int(row["step"]) for row in csv.DictReader(file)]
    assert steps[-1] == 256
    record.main(record.Config(run, out=tmp_path / "demos.npz", episodes=2))
    assert len(demonstrations.load(tmp_path / "demos.npz").episodes) == 2


class Interrupting(gym.Env):
    """Sends SIGINT at its step 40; it has no pictures."""

    observation_space = action_space = gym.spaces.Box(-1.0, 1.0, (2,))
    steps = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.steps += 1
        if self.steps == 40:
            os.kill(os.getpid(), signal.SIGINT)
        return np.zeros(2, np.float32), 0.0, False, self.steps % 20 == 0, {}


@pytest.fixture
def interrupting():
    gym.register("Interrupting-v0", lambda **kwargs: Interrupting())
    yield
    del gym.registry["Interrupting-v0"]


def test_an_interrupted_expert_says_how_it_goes_on_and_video_is_heard(
    interrupting, tmp_path, capsys, monkeypatch
):
    flags = {"total_timesteps": 192, "eval_freq": 0, "log_folder": tmp_path}
    with pytest.raises(SystemExit):
        main(replace(TINY, env="Interrupting-v0", **flags))
    run = tmp_path / "expert" / "Interrupting-v0_1"
    assert f"python -m demos.train_expert --resume {run}" in capsys.readouterr().out
    monkeypatch.setattr(Interrupting, "steps", 40)
    main(Config(resume=run, video=True))
    assert "no video (Interrupting-v0 has no pictures" in capsys.readouterr().err


@pytest.mark.parametrize("env", EXPERTS)
def test_flags_beat_the_experts_settings(env):
    own = train_expert.new_plan(Config(env=env))
    assert (own["total_timesteps"], own["setup"]["n_envs"]) == (EXPERTS[env].n_timesteps, EXPERTS[env].n_envs)
    assert own["setup"]["hyperparams"].items() >= EXPERTS[env].hyperparams.items()
    other = train_expert.new_plan(Config(env=env, algo="td3", total_timesteps=7, hyperparams={"gamma": 0.5}))
    assert other["total_timesteps"] == 7 and other["setup"]["hyperparams"]["gamma"] == 0.5
    assert not other["setup"]["normalize_reward"] and "policy_kwargs" not in other["setup"]["hyperparams"]


def test_no_environment_is_one_line(capsys):
    assert cli.run(main, Config, []) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: no environment: pass --env ID") and "Hopper-v5" in line
