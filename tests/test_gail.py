"""The command that imitates: what a run leaves behind, what it refuses, how it goes on."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pandas as pd
import pytest
import torch

import rlgen
from rlgen import cli, demonstrations, runs
from rlgen.demonstrations import Demonstrations, Episode
from rlgen.gail import BC_STEPS, Config, main, new_plan
from rlgen.rewards import Transitions, load_reward
from rlgen.scores import WON_ROUNDS, ImitationReport, random_return, score
from rlgen.training import Setup

EPISODES = 3
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


def test_the_end_tells_where_the_return_stands(file, tmp_path, capsys):
    run = main(replace(TINY, demos=str(file), log_folder=tmp_path))
    *_, told, figure = capsys.readouterr().out.splitlines()
    plan, value = runs.read_config(run), pd.read_csv(run / "evaluations.csv")["mean_return"].iloc[-1]
    wanted = score(value, plan["random_return"], plan["demos_return"])
    assert told.endswith(f"score {wanted:.3f}") and "unfiltered episodes -1000)" in told
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
    plan = runs.read_config(run)
    (run / "config.json").write_text(json.dumps({**plan, "n_demos": 1}))
    with pytest.raises(ValueError, match="other demonstrations"):
        main(Config(resume=run, total_timesteps=2048))


def test_a_trained_reward_scores_transitions_and_trains_a_fresh_policy(finished, file, tmp_path):
    reward = load_reward(finished / "reward.pt")
    batch = Transitions(*fitted(file).transitions())
    before = reward.reward(batch)
    assert before.shape == (len(batch.obs),) and before.std() > 0
    run = main(replace(TINY, demos=str(file), reward=finished / "reward.pt", log_folder=tmp_path))
    assert not (run / "reward.pt").exists()
    assert not equal(policy(run), policy(finished))
    assert torch.equal(load_reward(finished / "reward.pt").reward(batch), before)


def test_cloning_alone_and_cloning_first(file, tmp_path, capsys):
    config = replace(TINY, demos=str(file), log_folder=tmp_path, bc_epochs=150)
    alone = main(replace(config, algo="bc", total_timesteps=None, hyperparams=None))
    out = capsys.readouterr().out
    assert "behaviour cloning: loss" in out and ": score" in out
    assert runs.read_config(alone)["total_timesteps"] == 0
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


@pytest.mark.parametrize("algo", ["sac", "trpo"])
def test_other_algorithms(file, tmp_path, algo):
    hyperparams = {"learning_starts": 1000} if algo == "sac" else {"n_steps": 550, "batch_size": 110}
    flags = {
        "algo": algo,
        "n_envs": None,
        "total_timesteps": 1100,
        "hyperparams": hyperparams,
        "eval_freq": 0,
    }
    run = main(replace(TINY, demos=str(file), log_folder=tmp_path, form="logit", **flags))
    assert (run / "reward.pt").exists() and runs.read_config(run)["reward_params"]["form"] == "logit"


def test_cloning_alone_makes_its_gradient_steps_whatever_there_is_to_clone(file):
    config = Config(demos=str(file), algo="bc")
    assert new_plan(config)["bc_epochs"] * 3 == pytest.approx(BC_STEPS, rel=0.01)  # 600 rows: three batches
    assert new_plan(replace(config, subsample=20))["bc_epochs"] == BC_STEPS
    with pytest.raises(ValueError, match="--bc-epochs is 0"):
        new_plan(replace(config, bc_epochs=0))
    assert new_plan(Config(demos=str(file), env="Pendulum-v1", bc_epochs=0))["bc_epochs"] == 0


def test_the_paper_setting_passes_the_presets_by(file):
    plan = new_plan(Config(demos=str(file), setting="paper"))
    assert plan["reward_params"] == {} and plan["setting"] == "paper"
    setup = plan["setup"]
    assert setup["algo"] == "trpo" and setup["hyperparams"]["policy_kwargs"] == {"net_arch": [100, 100]}
    assert setup["n_envs"] * setup["hyperparams"]["n_steps"] == 50_000
    plan = new_plan(Config(demos=str(file), setting="paper", algo="ppo"))
    assert plan["reward_params"] == {} and plan["preset"] == "default, ppo, imitation"


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
    ],
)
def test_bad_input_is_one_line_and_leaves_no_run(file, tmp_path, capsys, flags, message):
    flags = [str(file) if flag == "FILE" else flag for flag in flags]
    assert cli.run(main, Config, [*flags, "-f", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and all(
        part in line.replace(str(file), "FILE") for part in message.split(".*")
    )
    assert not list(tmp_path.rglob("config.json"))


def test_score_is_zero_for_chance_and_one_for_the_demonstrations():
    assert score(-100.0, -100.0, 300.0) == 0.0 and score(300.0, -100.0, 300.0) == 1.0
    assert score(100.0, -100.0, 300.0) == 0.5


def test_random_return_is_that_of_uniform_actions():
    value = random_return(Setup("CartPole-v1", algo="ppo"), episodes=200)
    assert value == random_return(Setup("CartPole-v1", algo="ppo", seed=5), episodes=200)
    assert 19 < value < 26  # 22.2 for fair coins


def test_a_discriminator_that_has_won_is_told_of_once(capsys):
    report = ImitationReport(0.0, 1.0)
    logged = {"gail/won_rounds": 0.0}
    logger = SimpleNamespace(name_to_value=logged, record=lambda key, value: None)
    report.model = SimpleNamespace(ep_info_buffer=[], logger=logger)  # type: ignore[assignment]
    for rounds in (0, WON_ROUNDS - 1, WON_ROUNDS, WON_ROUNDS + 1, 0, WON_ROUNDS):
        logged["gail/won_rounds"] = float(rounds)
        report.on_rollout_end()
    out = capsys.readouterr().out
    assert out.count("warning: the discriminator has told") == 2 and "gradient_penalty:10" in out
