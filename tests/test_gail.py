"""The command that imitates: what a run leaves behind, what it refuses, how it goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pandas as pd
import pytest
import torch
from gymnasium.envs.classic_control import PendulumEnv

import rlgen
from rlgen import cli, demonstrations, scores, session
from rlgen.demonstrations import Demonstrations, Episode
from rlgen.folder import read_config
from rlgen.gail import BC_STEPS, Config, main, new_plan, planned_flags
from rlgen.imitation import doubtful_form, load_demonstrations, make_reward
from rlgen.presets import IMITATION_DEFAULTS
from rlgen.rewards import GAIL, Transitions, load_reward, save_reward
from rlgen.scores import WON_REFITS, WON_TRANSITIONS, ImitationReport, random_return, score, verdict
from rlgen.training import Setup, check_env_id

EPISODES = 3
RETURNS = ("demos_return", "expert_return")
TINY = Config(
    total_timesteps=2048,
    n_envs=2,
    eval_freq=1024,
    eval_episodes=1,
    save_freq=1024,
    hyperparams={"n_steps": 512, "batch_size": 128, "n_epochs": 1},
)


def push(obs: np.ndarray) -> np.ndarray:
    """Torque that swings the pendulum up and holds it."""
    cos, sin, speed = obs
    held = np.clip([-8.0 * sin - 2.0 * speed], -2.0, 2.0)
    return (held if cos > 0.8 else 2.0 * np.sign([speed + 1e-6])).astype(np.float32)


def play(env: gym.Env, seed: int) -> Episode:
    """An episode of `push`."""
    obs, rewards, actions = [env.reset(seed=seed)[0]], [], []
    truncated = False
    while not truncated:
        actions.append(push(obs[-1]))
        step, reward, _, truncated, _ = env.step(actions[-1])
        obs.append(step)
        rewards.append(float(reward))
    return Episode(np.stack(obs), np.stack(actions), np.array(rewards, np.float32), False, True)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    env = gym.make("Pendulum-v1")
    episodes = tuple(play(env, seed) for seed in range(EPISODES))
    path = tmp_path_factory.mktemp("demos") / "pendulum.npz"
    demonstrations.save(path, Demonstrations(episodes, "Pendulum-v1", -1000.0, "test"))
    return path


@pytest.fixture(scope="module")
def others(file, tmp_path_factory):
    """Demonstrations by random actions, and some without actions."""
    folder = tmp_path_factory.mktemp("others")
    generator = np.random.default_rng(0)
    sizes: dict[str, tuple[int, np.ndarray]] = {
        "Walker2d-v5": (17, generator.uniform(-1, 1, (50, 6)).astype(np.float32)),
        "CartPole-v1": (4, generator.integers(2, size=50)),
    }
    for env_id, (width, actions) in sizes.items():
        obs = generator.normal(scale=0.1, size=(51, width)).astype(np.float32)
        rewards = np.ones(50, np.float32)
        episode = Episode(obs, actions, rewards, True, False)
        for name, kept in (("", episode), ("-states", replace(episode, actions=None))):
            path = folder / f"{env_id}{name}.npz"
            demonstrations.save(path, Demonstrations((kept,), env_id, None, "test"))
    demos = demonstrations.load(file)
    states = tuple(replace(episode, actions=None) for episode in demos.episodes)
    demonstrations.save(folder / "Pendulum-v1-states.npz", replace(demos, episodes=states))
    return folder


@pytest.fixture(scope="module")
def finished(file, tmp_path_factory):
    return main(replace(TINY, demos=str(file), log_folder=tmp_path_factory.mktemp("logs"), subsample=20))


def fitted(file):
    env = gym.make("Pendulum-v1")
    return demonstrations.load(file).fit(env.observation_space, env.action_space, "Pendulum-v1")


def policy(run):
    return torch.load(run / "final" / "state.pt", weights_only=True)["parameters"]["policy"]


def equal(first, second):
    return all(torch.equal(first[key], second[key]) for key in first)


def test_the_run_folder_is_complete(finished):
    assert finished.name == "Pendulum-v1_1" and finished.parent.name == "gail"
    wanted = (
        "config.json command.txt progress.csv monitor.csv evaluations.csv reward_curve.png reward.pt final"
    )
    assert set(wanted.split()) <= {path.name for path in finished.iterdir()}
    plan = json.loads((finished / "config.json").read_text())
    assert plan["demos_return"] > plan["random_return"] and plan["expert_return"] == -1000.0
    assert plan["n_demos"] == EPISODES and plan["subsample"] == 20


def test_the_policy_sees_observations_by_the_statistics_of_the_demonstrations(finished, file):
    _, venv = rlgen.load(finished)
    obs = np.concatenate([episode.obs[:-1] for episode in demonstrations.load(file).episodes])
    np.testing.assert_allclose(venv.obs_rms.mean, obs.mean(0), rtol=1e-5, atol=1e-6)  # type: ignore[attr-defined]
    np.testing.assert_allclose(venv.obs_rms.var, np.maximum(obs.std(0), 0.1) ** 2, rtol=1e-4)  # type: ignore[attr-defined]
    venv.close()


def test_the_terminal_tells_of_the_discriminator_and_at_the_end_where_the_return_stands(
    file, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("rlgen.progress.time", SimpleNamespace(monotonic=count(0.0, 20.0).__next__))
    run = main(replace(TINY, demos=str(file), log_folder=tmp_path))
    *lines, told, figure = capsys.readouterr().out.splitlines()
    (*_, line) = [line for line in lines if "steps/s" in line]
    parts = dict(part.rsplit(maxsplit=1) for part in line.split("   ")[-4:])
    for name, metric in GAIL.shown.items():
        value = pd.read_csv(run / "progress.csv")[f"gail/{metric}"].iloc[-1]
        assert float(parts[name]) == pytest.approx(value, rel=0.01)
    assert set(parts) == {"acc expert", "acc policy", "logit expert", "logit policy"}
    plan, value = read_config(run), pd.read_csv(run / "evaluations.csv")["mean_return"].iloc[-1]
    wanted, unfiltered = (score(value, plan["random_return"], plan[of]) for of in RETURNS)
    assert told.endswith(f": score {wanted:.3f}, {unfiltered:.3f} against the unfiltered expert")
    assert "the expert's unfiltered episodes -1000)" in told
    assert figure == str(run / "reward_curve.png")


def test_the_same_seed_gives_the_same_policy_and_a_resumed_run_too(finished, file, tmp_path):
    config = replace(TINY, demos=str(file), log_folder=tmp_path, subsample=20)
    run = main(replace(config, total_timesteps=1024))
    main(Config(resume=run, total_timesteps=2048))
    assert equal(policy(run), policy(finished))


def test_a_killed_run_goes_on_from_its_checkpoint(finished, file, tmp_path):
    run = main(replace(TINY, demos=str(file), log_folder=tmp_path, subsample=20))
    (run / "final").rename(tmp_path / "gone")
    main(Config(resume=run))
    assert equal(policy(run), policy(finished))


def test_resuming_with_other_demonstrations_is_refused(finished, file, tmp_path):
    run = main(replace(TINY, demos=str(file), log_folder=tmp_path, total_timesteps=1024))
    plan = read_config(run)
    (run / "config.json").write_text(json.dumps({**plan, "n_demos": 1}))
    with pytest.raises(ValueError, match="other demonstrations"):
        main(Config(resume=run, total_timesteps=2048))
    assert read_config(run)["total_timesteps"] == 1024  # what was refused leaves no trace


def test_a_trained_reward_scores_transitions_and_trains_a_fresh_policy(finished, file, tmp_path):
    reward = load_reward(finished / "reward.pt")
    batch = fitted(file).transitions()
    before = reward.reward(batch)
    assert before.shape == (len(batch.obs),) and before.std() > 0
    run = main(replace(TINY, demos=str(file), reward=finished / "reward.pt", log_folder=tmp_path))
    assert not (run / "reward.pt").exists()
    main(replace(TINY, demos=str(file), reward=finished / "reward.pt", resume=run))
    with pytest.raises(ValueError, match="--reward .*other.pt contradicts .*/reward.pt"):
        main(Config(reward=tmp_path / "other.pt", resume=run))
    assert not equal(policy(run), policy(finished))
    (tmp_path / "gone.pt").write_bytes((finished / "reward.pt").read_bytes())
    run = main(replace(TINY, demos=str(file), reward=tmp_path / "gone.pt", log_folder=tmp_path))
    (tmp_path / "gone.pt").unlink()
    reward.form = "logit"
    save_reward(tmp_path / "other.pt", reward)
    with pytest.raises(ValueError, match="the state is of another reward"):
        main(Config(reward=tmp_path / "other.pt", resume=run))
    assert torch.equal(load_reward(finished / "reward.pt").reward(batch), before)


def test_cloning_alone_and_cloning_first(file, tmp_path, capsys):
    config = replace(TINY, demos=str(file), log_folder=tmp_path, bc_epochs=150)
    alone = main(replace(config, algo="bc", total_timesteps=None, hyperparams=None))
    out, err = capsys.readouterr()
    assert "behaviour cloning: loss" in out and ": score" in out and not err
    assert read_config(alone)["total_timesteps"] == 0 and not (alone / "reward.pt").exists()
    again = replace(config, algo="bc", total_timesteps=None, hyperparams=None, resume=alone)
    assert policy(main(again)).keys() and read_config(alone)["total_timesteps"] == 0
    model, venv = rlgen.load(alone)
    batch = fitted(file).transitions()
    obs = venv.normalize_obs(batch.obs.numpy())  # type: ignore[attr-defined]
    error = model.predict(obs, deterministic=True)[0] - batch.action.numpy()
    assert np.square(error).mean() < 0.3 * batch.action.square().mean().item()
    venv.close()
    first = main(replace(config, total_timesteps=1024))
    assert "behaviour cloning: loss" in capsys.readouterr().out and len(
        pd.read_csv(first / "evaluations.csv")
    )


def test_a_reward_of_another_environment_is_refused_with_both_sizes(finished, file, tmp_path):
    reward = load_reward(finished / "reward.pt")
    assert reward.env_id == "Pendulum-v1"
    config = replace(TINY, demos=str(file), reward=tmp_path / "other.pt", log_folder=tmp_path)
    sizes = "with 3 observation and 1 action features; Pendulum-v1 has 3 and 1"
    for width, env_id, told in (
        (3, "Reacher-v5", f"of Reacher-v5, {sizes}"),
        (4, None, f"of another environment, {sizes.replace('3 o', '4 o')}"),
    ):
        parts = torch.zeros(8, width), torch.zeros(8, 1), torch.zeros(8, width), torch.zeros(8)
        other = GAIL(Transitions(*parts))
        other.env_id = env_id
        save_reward(tmp_path / "other.pt", other)
        with pytest.raises(ValueError, match=f"--reward {tmp_path}/other.pt is {told}"):
            main(config)
    assert not list(tmp_path.rglob("config.json"))


class Stopping(PendulumEnv):
    """Sends SIGINT at its step 2,100; random actions make 2,000 for the score."""

    steps = 0

    def step(self, action):
        self.steps += 1
        if self.steps == 2100:
            os.kill(os.getpid(), signal.SIGINT)
        return super().step(action)


def test_a_stopped_run_leaves_its_reward(file, tmp_path, monkeypatch):
    spec = replace(gym.registry["Pendulum-v1"], id="Stopping-v0", entry_point=Stopping)
    monkeypatch.setitem(gym.registry, "Stopping-v0", spec)
    demonstrations.save(tmp_path / "demos.npz", replace(demonstrations.load(file), env_id="Stopping-v0"))
    flags = {"demos": str(tmp_path / "demos.npz"), "log_folder": tmp_path, "total_timesteps": 10_000}
    with pytest.raises(SystemExit):
        main(replace(TINY, **flags, n_envs=1, eval_freq=0))
    assert load_reward(next(tmp_path.rglob("reward.pt"))).obs_dim == 3


def test_refits_are_as_far_apart_as_the_flag_says_and_stay_so_when_resumed(finished, file, tmp_path, capsys):
    run = main(
        replace(
            TINY, demos=str(file), log_folder=tmp_path, total_timesteps=1024, refit_every=2048, subsample=20
        )
    )
    assert not (run / "reward.pt").exists()  # nothing has been refitted yet
    assert "never fitted, for want of 2,048 steps (--refit-every)" in capsys.readouterr().err
    with pytest.raises(ValueError, match="--refit-every 1024 contradicts .* has 2048"):
        main(Config(resume=run, refit_every=1024))
    main(Config(resume=run, total_timesteps=2048))
    assert read_config(run)["refit_every"] == 2048 and (run / "reward.pt").exists()
    assert read_config(finished)["refit_every"] == IMITATION_DEFAULTS["ppo"].refit_every


def test_the_runs_own_command_resumes_it_and_another_form_is_refused(finished, file, tmp_path, monkeypatch):
    monkeypatch.chdir(file.parent)
    plan = read_config(finished)
    config = replace(TINY, demos=file.name, subsample=20, form="positive", resume=finished)
    assert session.resumed_plan(finished, planned_flags(config, plan)) == plan
    for flags, message in (
        ({"form": "negative"}, "form:negative contradicts .* has positive"),
        ({"algo": "bc", "form": None, "total_timesteps": None}, "--algo bc contradicts .* has ppo"),
        ({"algo": "bc", "form": None}, r"--algo bc clones.*leave -n \(--total-timesteps\) out"),
        ({"demos": "other.npz"}, "--demos other.npz contradicts"),
    ):
        with pytest.raises(ValueError, match=message):
            main(replace(config, **flags))


def test_demonstrations_may_move_while_a_run_rests(finished, file, tmp_path):
    plan = read_config(finished)
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    gone = {**plan, "demos": str(tmp_path / "gone.npz")}
    (run / "config.json").write_text(json.dumps(gone))
    flags = {"demos": str(file)}
    assert session.resumed_plan(run, flags)["demos"] == str(file)
    with pytest.raises(ValueError, match="gone.npz: no such file"):
        main(Config(resume=run))


def test_actions_that_are_not_imitated_are_not_cloned(others, tmp_path):
    states = {"state_only": True}
    walker = Config(demos=str(others / "Walker2d-v5-states.npz"), reward_params=states)
    assert new_plan(walker)["bc_epochs"] == 0
    walker = replace(walker, demos=str(others / "Walker2d-v5.npz"))
    assert new_plan(walker)["bc_epochs"] == 0
    assert new_plan(replace(walker, bc_epochs=5))["bc_epochs"] == 5
    assert new_plan(replace(walker, reward_params=None))["bc_epochs"] == 1000
    demos = str(others / "Pendulum-v1-states.npz")
    run = main(replace(TINY, demos=demos, reward_params=states, total_timesteps=1024, log_folder=tmp_path))
    assert (run / "reward.pt").exists()


def test_ends_that_a_reward_above_0_would_put_off_are_warned_of(file, others):
    def doubt(demos: str, **params: object) -> str | None:
        plan = new_plan(Config(demos=demos, reward_params=params))
        return doubtful_form(demonstrations.load(demos), plan)

    ended = str(others / "CartPole-v1.npz")
    assert "1 of 1 demonstrations end before the time limit" in (doubt(ended) or "")
    assert doubt(ended, absorbing=True) is doubt(ended, form="negative") is doubt(str(file)) is None


def test_a_reward_too_large_for_the_memory_is_refused(file, tmp_path, capsys):
    argv = ["--demos", str(file), "-f", str(tmp_path / "logs"), "--reward-params", "pool_size:1000000000000"]
    assert cli.run(main, Config, argv) == 2
    assert "lower pool_size or hidden in --reward-params" in capsys.readouterr().err
    assert not (tmp_path / "logs").exists()


def test_many_demonstrations_are_cloned_fewer_times(others, tmp_path):
    few = demonstrations.load(others / "Walker2d-v5.npz")
    obs, actions = np.zeros((15_001, 17), np.float32), np.zeros((15_000, 6), np.float32)
    many = Episode(obs, actions, None, False, True)
    demonstrations.save(tmp_path / "many.npz", replace(few, episodes=(many,)))
    assert new_plan(Config(demos=str(tmp_path / "many.npz")))["bc_epochs"] == BC_STEPS // 59


def test_ends_are_counted_before_subsampling():
    """Policy and expert end at the same rate, and the absorbing state tells nothing, whatever the seed."""
    generator = np.random.default_rng(0)

    def episodes(n: int) -> Demonstrations:
        obs = generator.normal(size=(n, 101, 3)).astype(np.float32)
        actions = generator.uniform(-1, 1, (n, 100, 1)).astype(np.float32)
        played = tuple(Episode(o, a, None, True, False) for o, a in zip(obs, actions, strict=True))
        box = gym.spaces.Box(-9, 9, (3,)), gym.spaces.Box(-1, 1, (1,))
        return Demonstrations(played, "X", None, "test").fit(*box, "X")

    expert, fresh = episodes(4), episodes(40).transitions()
    params = {"absorbing": True, "form": "logit", "updates_per_transition": 0.0}
    plan = {"reward": None, "subsample": 20, "setting": "default", "reward_params": params}
    for seed in range(8):
        reward = make_reward(plan, expert, seed)
        reward.update(fresh)
        assert abs(reward.absorbing_reward()) < 1e-3


def test_the_time_limit_of_our_own_environments_is_known_when_demonstrations_are_read(tmp_path):
    """The format of imitation tells time limits from true ends by the length alone."""
    check_env_id("rlgen/SparseMountainCar-v0")
    limit = gym.spec("rlgen/SparseMountainCar-v0").max_episode_steps
    assert limit is not None
    obs, acts = np.zeros((limit + 1, 2), np.float32), np.zeros((limit, 1), np.float32)
    ends = {"indices": np.array([], np.int64), "terminal": np.array([True])}
    np.savez(tmp_path / "demos.npz", obs=obs, acts=acts, rews=np.zeros(limit, np.float32), **ends)
    plan = {"demos": str(tmp_path / "demos.npz"), "n_demos": 1}
    code = (
        f"from {load_demonstrations.__module__} import load_demonstrations as load\n"
        "from rlgen.training import Setup\n"
        f"print(load({plan}, Setup('rlgen/SparseMountainCar-v0')).episodes[0].terminated)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("algo", ["sac", "trpo"])
def test_other_algorithms_and_a_score_without_evaluations(file, tmp_path, capsys, algo):
    hyperparams = {"learning_starts": 1000} if algo == "sac" else {"n_steps": 550, "batch_size": 110}
    flags = {
        "algo": algo,
        "n_envs": None,
        "total_timesteps": 1100,
        "hyperparams": hyperparams,
        "eval_freq": 0,
    }
    run = main(replace(TINY, demos=str(file), log_folder=tmp_path, form="logit", **flags))
    assert (run / "reward.pt").exists() and read_config(run)["reward_params"]["form"] == "logit"
    played = json.loads((run / "evaluation.json").read_text())["mean_return"]
    (line,) = [line for line in capsys.readouterr().out.splitlines() if ": score " in line]
    assert line.startswith(f"return {played:.5g} (random")


def test_cloning_alone_makes_its_gradient_steps_whatever_there_is_to_clone(file):
    config = Config(demos=str(file), algo="bc")
    assert new_plan(config)["bc_epochs"] * 3 == pytest.approx(BC_STEPS, rel=0.01)  # 600 rows: three batches
    assert new_plan(replace(config, subsample=20))["bc_epochs"] == BC_STEPS
    with pytest.raises(ValueError, match="--bc-epochs is 0"):
        new_plan(replace(config, bc_epochs=0))
    assert new_plan(Config(demos=str(file), env="Pendulum-v1", bc_epochs=0))["bc_epochs"] == 0


def test_the_paper_setting_passes_the_presets_by(file, others):
    plan = new_plan(Config(demos=str(file), setting="paper"))
    assert plan["reward_params"] == {} and plan["setting"] == "paper"
    setup = plan["setup"]
    assert setup["algo"] == "trpo" and setup["hyperparams"]["policy_kwargs"] == {"net_arch": [100, 100]}
    assert setup["n_envs"] * setup["hyperparams"]["n_steps"] == 50_000
    plan = new_plan(Config(demos=str(others / "Walker2d-v5.npz"), setting="paper", algo="ppo"))
    assert plan["reward_params"] == {} and plan["preset"] == "default, ppo, imitation"
    assert plan["bc_epochs"] == 0
    assert plan["setup"]["hyperparams"] == IMITATION_DEFAULTS["ppo"].hyperparams


def test_the_paper_setting_trains(file, tmp_path):
    params = {"n_steps": 512, "batch_size": 128}
    run = main(replace(TINY, demos=str(file), setting="paper", log_folder=tmp_path, hyperparams=params))
    rows = pd.read_csv(run / "progress.csv")
    assert rows["gail/n_updates"].iloc[-1] == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "no demonstrations: pass --demos"),
        (["--demos", "nowhere.npz"], "nowhere.npz"),
        (["--demos", "FILE", "--env", "Ant-v5"], "FILE.*Pendulum-v1, not"),
        (["--demos", "FILE", "--n-demos", "9"], "3 episodes"),
        (["--demos", "FILE", "--form", "airl"], "positive"),
        (["--demos", "FILE", "--reward-params", "gradient_penelty:1"], "gradient_penalty"),
        (["--demos", "FILE", "--algo", "dqn"], "dqn"),
        (["--demos", "FILE", "--reward", "nowhere.pt"], "nowhere.pt"),
        (
            ["--demos", "FILE", "--reward", "FILE", "--form", "logit"],
            "stays as it was trained: leave --form out",
        ),
        (
            ["--demos", "FILE", "--reward", "FILE", "--reward-params", "entropy:1"],
            "leave --reward-params out",
        ),
        (["--demos", "FILE", "--reward", "FILE", "--refit-every", "9"], "leave --refit-every out"),
        (
            ["--demos", "FILE", "--form", "negative", "--reward-params", "form:logit"],
            "--form negative contradicts --reward-params form:logit",
        ),
        (["--demos", "FILE", "--subsample", "999"], "--subsample 999: the longest demonstration has"),
        (["--demos", "FILE", "--refit-every", "0"], "'0' is not a whole number of at least 1"),
        (["--demos", "FILE", "--reward", "FILE"], "--reward FILE is not a saved reward"),
        (["--demos", "FILE", "--algo", "bc", "-n", "9"], "leave -n (--total-timesteps) out"),
        (["--demos", "FILE", "--algo", "bc", "--form", "logit"], "--algo bc clones.*leave --form out"),
        (["--demos", "FILE", "--algo", "bc", "--reward", "FILE"], "leave --reward out"),
        (["--demos", "FILE", "--algo", "bc", "--reward-params", "entropy:1"], "leave --reward-params out"),
        (["--demos", "FILE", "--algo", "bc", "--refit-every", "9"], "leave --refit-every out"),
        (["--demos", "FILE", "--algo", "bc", "--setting", "paper"], "leave --setting paper out"),
        (
            ["--demos", "FILE", "--algo", "sac", "--setting", "paper"],
            "--algo sac has not: leave one of them out",
        ),
        (["--demos", "FILE", "--reward-params", "absorbing:false"], "absorbing is 'false': give True or"),
        (["--demos", "FILE", "--reward-params", "hidden:64"], "hidden is 64: give"),
        (["--demos", "FILE", "--reward-params", "seed:3"], "seed is no setting of the reward"),
        (["--demos", "FILE", "--reward-params", "absorbing:True", "-params", "gamma:1.0"], "gamma is 1"),
        (["--demos", "FILE", "--env-kwargs", "foo:1"], "cannot make Pendulum-v1 with {'foo': 1}"),
        (
            ["--demos", "FILE", "--algo", "bc", "--n-demos", "1", "--subsample", "200"],
            "1 transition to clone",
        ),
        (["--demos", "CartPole-v1.npz", "--algo", "dqn", "--bc-epochs", "3"], "DQN has no actor"),
        (["--demos", "Walker2d-v5-states.npz"], "no actions.*--reward-params state_only:True"),
        (["--demos", "Walker2d-v5-states.npz", "--algo", "bc"], "no actions, cloning needs them"),
        (
            ["--demos", "Walker2d-v5-states.npz", "--bc-epochs", "9", "--reward-params", "state_only:True"],
            "no actions, cloning needs them",
        ),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_run(file, others, tmp_path, capsys, flags, message):
    flags = [str(file) if flag == "FILE" else flag for flag in flags]
    flags = [str(others / flag) if flag.endswith("v1.npz") or "-states" in flag else flag for flag in flags]
    assert cli.run(main, Config, [*flags, "-f", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and all(
        part in line.replace(str(file), "FILE") for part in message.split(".*")
    )
    assert not list(tmp_path.rglob("config.json"))


def test_score_is_zero_for_chance_and_one_for_the_demonstrations():
    assert score(-100.0, -100.0, 300.0) == 0.0 and score(300.0, -100.0, 300.0) == 1.0
    assert score(100.0, -100.0, 300.0) == 0.5


def test_a_return_without_a_scale_has_no_score():
    told = verdict(5.0, 3.0, None, None)
    assert told == "return 5 (random 3): the demonstrations hold no rewards"
    told = verdict(5.0, 3.0, 3.0, 7.0)
    assert told.endswith(
        "no score, the demonstrations earn what random actions do, 0.500 against the unfiltered expert"
    )
    assert np.isnan(score(5.0, 3.0, 3.0))
    logged: dict[str, float] = {}
    report = ImitationReport(3.0, 3.0)
    logger = SimpleNamespace(name_to_value=logged, record=logged.__setitem__)
    report.model = SimpleNamespace(ep_info_buffer=[{"r": 5.0}], logger=logger)  # type: ignore[assignment]
    report.on_rollout_end()
    assert logged == {}


def test_an_episode_of_random_actions_has_an_end(monkeypatch):
    monkeypatch.setattr(scores, "LONGEST_EPISODE", 150)
    with pytest.raises(ValueError, match="has not ended after 150 random steps: give it a time limit"):
        random_return(Setup("Pendulum-v1", algo="ppo"))


def test_random_return_is_that_of_uniform_actions():
    value = random_return(Setup("CartPole-v1", algo="ppo"), episodes=200)
    assert value == random_return(Setup("CartPole-v1", algo="ppo", seed=5), episodes=200)
    assert 19 < value < 26  # 22.2 for fair coins


def test_a_discriminator_that_has_won_is_told_of_once(capsys):
    report = ImitationReport(0.0, 1.0)
    logged = {"gail/won_transitions": 0.0}
    logger = SimpleNamespace(name_to_value=logged, record=lambda key, value: None)
    report.model = SimpleNamespace(ep_info_buffer=[], logger=logger)  # type: ignore[assignment]
    few, many = WON_TRANSITIONS - 1, WON_TRANSITIONS
    rising = (*range(1, WON_REFITS - 1), few)
    for won in (0, *rising, many, many + 1, 0, *rising, many, 0, *rising[1:], many):
        logged["gail/won_transitions"] = float(won)
        report.on_rollout_end()
        logged.clear()  # as SB3 does when it has written the log; off-policy most rollouts refit nothing
        report.on_rollout_end()
    err = capsys.readouterr().err
    assert err.count("warning: the discriminator has told") == 2 and "for 100,000 steps" in err
    assert "updates_per_transition:0.25" in err  # what to try off-policy


def test_a_stop_while_cloning_says_how_to_begin_again(file, tmp_path):
    """As the shell would: a process that is sent SIGTERM while it clones."""
    command = [sys.executable, "-m", "rlgen.gail", "--demos", str(file), "--algo", "bc", "-f", str(tmp_path)]
    process = subprocess.Popen([*command, "--bc-epochs", "1000000"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("cloning "):
            process.send_signal(signal.SIGTERM)
            break
    try:
        rest, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    run = tmp_path / "gail" / "Pendulum-v1_1"
    assert process.returncode == 143
    assert rest == (f"stopped before the first step; begin again with: python -m rlgen.gail --resume {run}\n")


def test_a_trained_reward_gets_a_fresh_policy_even_where_the_preset_clones_first(tmp_path):
    env = gym.make("Walker2d-v5")
    env.action_space.seed(0)
    obs, actions = [env.reset(seed=0)[0]], []
    for _ in range(10):
        actions.append(env.action_space.sample())
        obs.append(env.step(actions[-1])[0])
    episode = Episode(
        np.stack(obs).astype(np.float32), np.stack(actions), np.ones(10, np.float32), True, False
    )
    demonstrations.save(tmp_path / "walker.npz", Demonstrations((episode,), "Walker2d-v5", None, "test"))
    (tmp_path / "reward.pt").touch()
    config = Config(demos=str(tmp_path / "walker.npz"))
    assert new_plan(config)["bc_epochs"] > 0
    trained = replace(config, reward=tmp_path / "reward.pt")
    assert new_plan(trained)["bc_epochs"] == 0
    assert new_plan(replace(trained, bc_epochs=3))["bc_epochs"] == 3
