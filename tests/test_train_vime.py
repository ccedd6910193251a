"""The command: what a run leaves behind, what it refuses, how it ends early and goes on."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

import rlgen
from rlgen import cli, session, video
from rlgen.folder import has_checkpoint, latest_checkpoint, read_config
from rlgen.rewards import RND, VIME, PredictionError, RandomBonus
from rlgen.train_vime import Config, build, main, make_bonus, new_plan

TINY = Config(
    env="Pendulum-v1",
    total_timesteps=256,
    n_envs=2,
    eval_freq=128,
    eval_episodes=1,
    save_freq=128,
    hyperparams={"n_steps": 64, "batch_size": 64, "n_epochs": 1},
)
BOX = spaces.Box(-1.0, 1.0, (3,))


class Odd(gym.Env):
    """Random observations; at step `when` of this copy something happens."""

    def __init__(self, observations=BOX, actions=BOX, when=0, event=""):
        self.observation_space, self.action_space = observations, actions
        self.when, self.event, self.steps = when, event, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.uniform(-1, 1, 3).astype(np.float32), {}

    def step(self, action):
        self.steps += 1
        obs = self.np_random.uniform(-1, 1, 3).astype(np.float32)
        if self.steps == self.when and self.event == "nan":
            obs[1] = np.nan
        elif self.steps == self.when:
            os.kill(os.getpid(), getattr(signal, self.event))
        return obs, 0.0, False, self.steps % 50 == 0, {}


@pytest.fixture(autouse=True)
def odd_environments():
    ids = {
        "Odd-v0": {},
        "OddDict-v0": {"observations": spaces.Dict({"a": BOX})},
        "OddImage-v0": {"observations": spaces.Box(0, 255, (8, 8, 3), np.uint8)},
        "OddUnbounded-v0": {"actions": spaces.Box(-np.inf, np.inf, (2,))},
    }
    for name, kwargs in ids.items():
        gym.register(name, lambda **kwargs: Odd(**kwargs), kwargs=kwargs)
    yield
    for name in ids:
        del gym.registry[name]


def rows(path):
    with open(path) as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run as the command leaves it, long enough for two rows of progress.csv."""
    steps = {"total_timesteps": 4096, "eval_freq": 2048, "save_freq": 2048}
    return main(replace(TINY, log_folder=tmp_path_factory.mktemp("logs"), **steps))


def test_the_run_folder_is_complete(finished):
    assert finished.name == "Pendulum-v1_1" and finished.parent.name == "vime"
    wanted = "config.json command.txt versions.json progress.csv monitor.csv evaluations.csv reward_curve.png"
    assert {*wanted.split(), "tensorboard", "checkpoints", "final"} <= {p.name for p in finished.iterdir()}
    assert any((finished / "tensorboard").glob("events*"))
    assert (finished / "reward_curve.png").read_bytes().startswith(b"\x89PNG")
    assert [row["step"] for row in rows(finished / "evaluations.csv")][-1] == "4096"


def test_config_says_all_that_the_run_was(finished):
    config = json.loads((finished / "config.json").read_text())
    assert config["preset"] == "default, ppo"
    assert config["setup"]["hyperparams"]["n_steps"] == 64  # the flag
    assert config["setup"]["hyperparams"]["gae_lambda"] == 0.95  # the preset
    assert config["bonus"] == "expected" and config["eta"] > 0 and config["stream"] in ("one", "separate")
    wrappers = " ".join(config["wrappers"])
    assert all(name in wrappers for name in ("RescaleAction", "TransitionRecorder", "VecNormalize"))


def test_the_bonus_is_logged_beside_the_return(finished):
    first, last = rows(finished / "progress.csv")
    assert float(first["rollout/ep_rew_mean"]) < 0 < float(first["vime/bonus_mean"])
    assert float(last["vime/raw_mean"]) < float(first["vime/raw_mean"])  # the model learns


def test_the_run_comes_back_as_library_objects(finished):
    model, env = rlgen.load(finished)
    obs: Any = env.reset()
    action, _ = model.predict(obs, deterministic=True)
    assert action.shape == (1, 1)
    env.close()


def test_a_finished_run_can_be_lengthened(tmp_path, capsys):
    run = main(replace(TINY, log_folder=tmp_path, eval_freq=0))
    before = torch.load(run / "final" / "state.pt", weights_only=True)["parameters"]["policy"]
    assert main(Config(resume=run, total_timesteps=512, stream="auto")) == run
    after = torch.load(run / "final" / "state.pt", weights_only=True)["parameters"]["policy"]
    assert json.loads((run / "config.json").read_text())["total_timesteps"] == 512
    assert any(not torch.equal(before[key], after[key]) for key in before)
    assert [row["step"] for row in rows(run / "monitor.csv")] == ["400", "400"]
    assert capsys.readouterr().out.splitlines()[-1] == str(run / "reward_curve.png")


def test_a_run_killed_before_its_first_checkpoint_starts_again(tmp_path):
    first = main(replace(TINY, log_folder=tmp_path, eval_freq=0, save_freq=0))
    (first / "final").rename(tmp_path / "kept")
    assert not has_checkpoint(first)
    main(Config(resume=first))
    again, kept = (
        torch.load(folder / "state.pt", weights_only=True)["parameters"]["policy"]
        for folder in (first / "final", tmp_path / "kept")
    )
    assert all(torch.equal(again[key], kept[key]) for key in kept)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"env": "Ant-v5"}, r"--env Ant-v5 contradicts .*has Pendulum-v1"),
        ({"seed": 3}, "--seed 3 contradicts .*which has 0"),
        ({"total_timesteps": 100}, "--total-timesteps 100 contradicts .*has 4096"),
        ({"eta": 9.0}, "--eta 9.0 contradicts"),
        ({"stream": "non-episodic"}, "--stream non-episodic contradicts .*has separate"),
        ({"bonus": "rnd"}, "--bonus rnd contradicts .*has expected"),
        ({"algo": "sac"}, "--algo sac contradicts"),
        ({"log_folder": Path("elsewhere")}, "--log-folder elsewhere: .* stays where it is"),
        ({"hyperparams": {"gamma": 0.5}}, "gamma:0.5 contradicts .*which has 0.99"),
    ],
)
def test_a_flag_that_contradicts_the_run_is_refused(finished, flags, message):
    with pytest.raises(ValueError, match=message):
        main(Config(resume=finished, **flags))


def test_a_flag_is_compared_with_the_run_part_by_part(tmp_path):
    plan = new_plan(Config(env="rlgen/SparseHalfCheetahFar-v0", hyperparams={"policy_kwargs": {"n": 1}}))
    (tmp_path / "config.json").write_text(json.dumps(plan))
    session.resumed_plan(tmp_path, {"hyperparams": {"policy_kwargs": {"n": 1}}})
    with pytest.raises(ValueError, match="n:2 contradicts .*which has 1"):
        session.resumed_plan(tmp_path, {"hyperparams": {"policy_kwargs": {"n": 2}}})


def test_a_run_of_a_script_is_not_the_commands(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"setup": {"env": "Pendulum-v1"}}))
    with pytest.raises(ValueError, match="a script of your own: go on there, by rlgen.runs.train"):
        main(Config(resume=tmp_path))


def test_a_run_goes_on_on_another_device(finished, capsys):
    """As --device's own message says where a GPU is gone."""
    plan = read_config(finished)
    there = {**plan["setup"], "device": "cuda"}
    (finished / "config.json").write_text(json.dumps({**plan, "setup": there}))
    found = session.resumed_plan(finished, {"device": "cpu"})
    assert found["setup"]["device"] == "cpu" and "began on cuda" in capsys.readouterr().err
    (finished / "config.json").write_text(json.dumps(plan))


def test_a_flag_that_agrees_with_the_run_is_not(finished):
    flags = {"env": "Pendulum-v1", "seed": 0, "hyperparams": {"n_steps": 64, "gamma": 0.99}}
    assert session.resumed_plan(finished, flags) == read_config(finished)


def test_a_damaged_last_checkpoint_is_passed_over_and_no_other_is_an_error(finished, tmp_path, capsys):
    run = tmp_path / finished.name
    for path in sorted(finished.rglob("*")):
        if path.is_file():
            (run / path.relative_to(finished)).parent.mkdir(parents=True, exist_ok=True)
            (run / path.relative_to(finished)).write_bytes(path.read_bytes())
    for state in run.rglob("state.pt"):
        state.write_bytes(state.read_bytes()[:-10])
    assert cli.run(main, Config, ["--resume", str(run)]) == 2
    out, err = capsys.readouterr()
    assert "damaged" in out and "no intact checkpoint" in err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"env": None}, "no environment: pass --env"),
        ({"env": "Antt-v5"}, "unknown environment 'Antt-v5': did you mean Ant-v5"),
        ({"env": "rlgen/SparseAnd-v0"}, "did you mean rlgen/SparseAnt-v0"),
        ({"env": "OddDict-v0"}, "FlattenObservation"),
        ({"env": "OddImage-v0"}, "FlattenObservation"),
        ({"env": "OddUnbounded-v0"}, "unbounded.*TransformAction"),
        ({"eta": -0.1}, "eta is -0.1: give 0 or more"),
        ({"n_envs": 10**9}, "--n-envs 1,000,000,000: more than the .* steps that they share; give fewer"),
        ({"algo": "dqn"}, "dqn does not take the actions"),
        ({"hyperparams": {"gama": 0.9}}, "did you mean 'gamma'"),
        ({"hyperparams": {"seed": 3}}, "seed is no hyperparameter: pass --seed"),
        ({"env_kwargs": {"nonsense": 1}}, "nonsense"),
        ({"env": "Ant-v5", "env_kwargs": {"xml_file": "nope.xml"}}, "cannot make Ant-v5 .*nope.xml"),
        ({"bonus": "rnd", "setting": "paper"}, "--setting paper is for VIME"),
        ({"bonus": "none", "stream": "one"}, "plain SB3.*leave --stream out"),
        (
            {"algo": "sac", "hyperparams": {}, "stream": "separate"},
            "SAC has one critic for all rewards: take stream 'one'",
        ),
        ({"bonus": "none", "setting": "paper", "eta": 5.0}, "plain SB3.*leave --eta, --setting out"),
        ({"hyperparams": {"n_epochs": 2.5}}, "n_epochs is 2.5: give a whole number"),
        ({"hyperparams": {"policy": "MultiInputPolicy"}}, "policy is 'MultiInputPolicy'.*take MlpPolicy"),
        (
            {"env": "rlgen/SwimmerGather-v0", "env_kwargs": {"n_apples": 50}},
            "n_apples is 50, n_bombs 8: give 0 or more, at most 35 together",
        ),
        ({"device": "abacus"}, "--device abacus does not work"),
        ({"resume": Path("nowhere")}, "nowhere is not a run folder"),
        ({"env": ".mine:Foo-v0"}, "cannot import '.mine'"),
        ({"algo": "td3", "hyperparams": {"action_noise": "abc"}}, "action_noise is 'abc': give a standard"),
        ({"hyperparams": {"gamma": 2}}, "gamma is 2: give a number from 0 to 1"),
        ({"algo": "sac", "hyperparams": {"tau": 5}}, "tau is 5: give a number from 0 to 1"),
        ({"hyperparams": {"clip_range": -0.2}}, "clip_range is -0.2: give a number above 0"),
        ({"hyperparams": {"clip_range": "lin_-0.2"}}, "clip_range is 'lin_-0.2': give a number"),
        ({"hyperparams": {"learning_rate": True}}, "learning_rate is True: give a number above 0"),
        ({"algo": "td3", "hyperparams": {"train_freq": [1, "episode"]}, "n_envs": 2}, "with 2 environments"),
        ({"reward_params": {"hiden": [8]}}, "unknown setting 'hiden': did you mean 'hidden'"),
        (
            {"reward_params": {"updates_per_transition": 0}},
            "updates_per_transition is 0: give a number above",
        ),
        ({"reward_params": {"seed": 3}}, "seed is no setting of the bonus: see --bonus"),
        ({"bonus": "none", "reward_params": {"hidden": [8]}}, "plain SB3.*leave --reward-params out"),
        (
            {
                "env": "rlgen/SwimmerGather-v0",
                "env_kwargs": {"exclude_current_positions_from_observation": True},
            },
            "exclude_current_positions_from_observation is True: leave it out",
        ),
        ({"hyperparams": {"use_sde": "maybe"}}, "use_sde is 'maybe': give True or False"),
        (
            {"env": "rlgen/SparseAnt-v0", "env_kwargs": {"goal_distance": "foo"}},
            "cannot make rlgen/SparseAnt-v0 .*foo",
        ),
    ],
)
def test_bad_input_is_refused_before_there_is_a_run_folder(tmp_path, flags, message):
    with pytest.raises(ValueError, match=message):
        main(replace(TINY, log_folder=tmp_path, **flags))
    assert list(tmp_path.iterdir()) == []


def test_a_log_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="no folder can be made there"):
        main(replace(TINY, log_folder=tmp_path / "file"))


def test_whole_numbers_may_be_written_as_powers_of_ten(tmp_path):
    argv = (
        f"--env Pendulum-v1 -n 64 --n-envs 2 --eval-freq 0 -f {tmp_path} -params n_steps:3.2e1 batch_size:64"
    )
    assert cli.run(main, Config, argv.split()) == 0


def test_a_run_is_resumed_by_the_command_that_made_it(finished, tmp_path):
    run = tmp_path / "imitation_1"
    run.mkdir()
    plan = read_config(finished) | {"command": "gail"}
    (run / "config.json").write_text(json.dumps(plan))
    with pytest.raises(ValueError, match="is not of rlgen.train_vime: resume it with python -m rlgen.gail"):
        main(Config(resume=run))


def test_nan_names_environment_step_and_checkpoint(tmp_path, capsys):
    argv = "--env Odd-v0 --env-kwargs when:100 event:nan -n 1000 --n-envs 2 --eval-freq 0 --save-freq 64"
    params = ["-params", "n_steps:32", "batch_size:64", "n_epochs:1", "-f", str(tmp_path)]
    assert cli.run(main, Config, [*argv.split(), *params]) == 3
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "Odd-v0" in err and "environment 0" in err and "step 199" in err.replace("step 200", "step 199")
    assert "checkpoints/step_192" in err
    assert latest_checkpoint(tmp_path / "vime" / "Odd-v0_1") is not None


@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_saves_and_leaves(tmp_path, capsys, name, status):
    flags = {"env": "Odd-v0", "env_kwargs": {"when": 40, "event": name}, "n_envs": 1, "eval_freq": 0}
    with pytest.raises(SystemExit) as leave:
        main(replace(TINY, log_folder=tmp_path, total_timesteps=10_000, **flags))
    assert leave.value.code == status
    run = tmp_path / "vime" / "Odd-v0_1"
    assert f"python -m rlgen.train_vime --resume {run}" in capsys.readouterr().out
    assert latest_checkpoint(run) == run / "checkpoints" / "step_64"


def test_a_defect_in_training_is_no_bad_input(tmp_path, monkeypatch):
    def defect(self, batch):
        raise ValueError("defect")

    monkeypatch.setattr(VIME, "update", defect)
    with pytest.raises(RuntimeError, match="training failed after"):
        main(replace(TINY, log_folder=tmp_path, eval_freq=0, total_timesteps=2048))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("expected", VIME),
        ("realised", VIME),
        ("rnd", RND),
        ("prediction-error", PredictionError),
        ("random", RandomBonus),
    ],
)
def test_every_bonus_takes_the_settings_that_all_share(name, kind):
    bonus: Any = make_bonus(name, "default", 3, 1, seed=4, hidden=(8,))
    assert type(bonus) is kind
    assert bonus.seed == 4 and bonus.settings.hidden == (8,)


def test_settings_reach_the_bonus():
    plan = new_plan(Config(env="Pendulum-v1", reward_params={"hidden": [8], "prior_sigma": 0.1}))
    _, learner = build(plan)
    assert learner is not None and learner.reward.settings.hidden == (8,)  # type: ignore[union-attr]
    assert learner.reward.settings.prior_sigma == 0.1  # type: ignore[union-attr]


def test_too_few_steps_to_learn_from_are_warned_of(tmp_path, capsys):
    main(Config(env="Pendulum-v1", algo="sac", total_timesteps=40, eval_freq=0, log_folder=tmp_path))
    assert "acts at random for 10,000 steps and learns nothing in 40: raise -n" in capsys.readouterr().err


def test_names_reach_the_bonus():
    assert make_bonus("none", "default", 3, 1, 0) is None
    assert make_bonus("realised", "default", 3, 1, 0).bonus == "realised"  # type: ignore[union-attr]
    assert make_bonus("expected", "paper", 3, 1, 0).settings.likelihood_sd == 5.0  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="did you mean 'expected'"):
        make_bonus("expcted", "default", 3, 1, 0)


def test_the_papers_setting_has_the_papers_bonus():
    assert new_plan(Config(env="Ant-v5", setting="paper"))["bonus"] == "realised"
    assert new_plan(Config(env="Ant-v5"))["bonus"] == "expected"


def test_a_flag_beats_the_preset_even_if_it_is_zero():
    plan = new_plan(Config(env="Ant-v5", eta=0.0, eval_freq=0, hyperparams={"gamma": 0.9}))
    assert plan["eta"] == 0.0 and plan["eval_freq"] == 0
    assert plan["setup"]["hyperparams"]["gamma"] == 0.9
    assert plan["setup"]["hyperparams"]["n_steps"] == 512
    assert plan["total_timesteps"] == 2_000_000


def test_policy_kwargs_of_a_flag_and_of_the_preset_are_merged():
    kwargs = {"net_arch": [8, 8]}
    plan = new_plan(Config(env="rlgen/SparseHalfCheetahFar-v0", hyperparams={"policy_kwargs": kwargs}))
    assert plan["setup"]["hyperparams"]["policy_kwargs"] == {"log_std_init": -2.0, "net_arch": [8, 8]}


def test_what_buffers_and_pools_take_is_said(tmp_path, capsys):
    flags = {"algo": "sac", "bonus": "rnd", "n_envs": 1, "total_timesteps": 8, "eval_freq": 0}
    small = {"learning_starts": 4, "batch_size": 4, "buffer_size": 1000}
    run = main(replace(TINY, log_folder=tmp_path, **flags, hyperparams=small))
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "preset: default, sac"
    assert "replay buffer: up to" in out and "pool of the reward: up to" in out
    assert read_config(run)["bonus"] == "rnd"


def test_a_video_that_cannot_be_made_does_not_fail_the_run(tmp_path, capsys, monkeypatch):
    asked = []
    monkeypatch.setattr(video, "_run_child", lambda *args: asked.append(args) or "no luck")
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    main(replace(TINY, log_folder=tmp_path, total_timesteps=128, eval_freq=0, video=True))
    out, err = capsys.readouterr()
    assert asked and "warning: no video (no luck)" in err
    assert out.splitlines()[-1].endswith("reward_curve.png")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(session, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install wandb"):
        main(replace(TINY, track=True))


def test_tracking_goes_on_with_the_same_page(tmp_path, monkeypatch):
    calls = []

    class Page:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            calls.append("finished")

    wandb = ModuleType("wandb")
    wandb.__spec__ = ModuleSpec("wandb", None)
    wandb.init = lambda **options: calls.append(options) or Page()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    for _ in range(2):
        with session.tracking(True, tmp_path, {"seed": 3}):
            pass
    first, _, second, end = calls
    assert first == second and first["id"] and first["sync_tensorboard"] and first["config"] == {"seed": 3}
    assert end == "finished"


def test_one_thread_unless_the_user_says_otherwise(monkeypatch):
    threads = []
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    session.limit_threads()
    assert threads == []  # conftest.py sets OMP_NUM_THREADS
    monkeypatch.delenv("OMP_NUM_THREADS")
    session.limit_threads()
    assert threads == [1]


def test_an_envs_of_the_users_own_is_named(tmp_path):
    """From a folder with another `envs`: one line on stderr, status 2, nothing left behind."""
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "__init__.py").write_text("")
    argv = [sys.executable, "-m", "rlgen.train_vime", "--env", "rlgen/SparseAnt-v0"]
    paths = os.pathsep.join([str(tmp_path), str(Path(rlgen.__file__).parents[1])])
    ended = subprocess.run(
        argv, cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True
    )
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1 and "rename yours" in ended.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"envs"}
