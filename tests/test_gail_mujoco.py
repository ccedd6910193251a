"""The benchmark of imitation: its control, its records, and that an interrupted run goes on."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pandas as pd
import pytest

from benchmarks import gail_mujoco
from benchmarks.gail_mujoco import (
    CHANGES,
    TASKS,
    Config,
    Job,
    choose,
    flags,
    jobs,
    shuffle,
    train,
)
from benchmarks.gail_records import print_table, score, told
from rlgen import demonstrations, gail
from rlgen.demonstrations import Demonstrations, Episode, save
from rlgen.presets import IMITATION_DEFAULTS
from rlgen.rewards.discriminator import GAILSettings

ENV = "Hopper-v5"
STEPS = 2 * 4096


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Episodes of random actions, without `env_id`, as Hopper's and Ant's demonstrations: two and four."""
    path = tmp_path_factory.mktemp("demos")
    for env_id, n in ((ENV, 2), ("Ant-v5", 4)):
        save(path / TASKS[env_id].file, Demonstrations(play(env_id, n), None, 20.0, "test"))
    return path


def play(env_id: str, n: int) -> tuple[Episode, ...]:
    env = gym.make(env_id)
    env.action_space.seed(0)
    episodes = []
    for seed in range(n):
        obs, actions, rewards, end = [env.reset(seed=seed)[0]], [], [], False
        while not end:
            actions.append(env.action_space.sample())
            step, reward, end, _, _ = env.step(actions[-1])
            obs.append(step)
            rewards.append(float(reward))
            end = end or len(rewards) == 100
        episodes.append(Episode(np.stack(obs), np.stack(actions), np.array(rewards, np.float32), True, False))
    return tuple(episodes)


def test_the_control_keeps_each_column_and_nothing_between_them(folder, tmp_path):
    file = folder / TASKS[ENV].file
    path = shuffle(file, Job(ENV, "ppo", 2, 100, shuffled=True), tmp_path)
    before, after = (demonstrations.load(p, env_id=ENV) for p in (file, path))
    for name in ("obs", "actions"):
        first, second = (np.concatenate([getattr(e, name) for e in d.episodes]) for d in (before, after))
        assert np.array_equal(np.sort(first, axis=0), np.sort(second, axis=0))
        rows = {row.tobytes() for row in first}
        assert not any(row.tobytes() in rows for row in second)
    assert [len(e) for e in after.episodes] == [len(e) for e in before.episodes]


def test_every_cell_of_the_issue_is_a_job():
    runs = [(job.env, job.method, job.seed) for part in gail_mujoco.PARTS for job in jobs(part)]
    assert len(runs) == len(set(runs))
    assert ("Ant-v5", "ppo-25", 102) in runs and ("Hopper-v5", "ppo-1", 104) in runs
    assert ("Humanoid-v5", "ppo-12", 100) in runs and ("Humanoid-v5", "bc-12", 100) in runs
    assert ("Ant-v5", "sac-4", 102) in runs and ("Hopper-v5", "ppo_shuffled-1", 100) in runs
    cells = {(env, method) for env, method, _ in runs}
    for env, method in cells:
        if method.startswith("ppo-"):  # cloning and the control beside each
            assert {(env, method.replace("ppo", name)) for name in ("bc", "ppo_shuffled")} < cells
    with pytest.raises(ValueError, match="unknown part 'td3'"):
        next(jobs("td3"))


def leaves(plan: dict, name: str = "") -> dict[str, object]:
    """A plan without its layers: {"setup.seed": 0, ...}."""
    found = {}
    for key, value in plan.items():
        deeper = isinstance(value, dict)
        found |= leaves(value, f"{name}{key}.") if deeper else {f"{name}{key}": value}
    return found


def test_each_run_of_the_ablation_takes_one_setting_back(folder, tmp_path):
    """Each differs from the preset's plan in that setting alone, which is then the default's."""
    file = folder / TASKS["Ant-v5"].file
    own = gail.new_plan(flags(Job("Ant-v5", "ppo", 4, 100), file, tmp_path))
    default = IMITATION_DEFAULTS["ppo"]
    settings, hyperparams = asdict(GAILSettings()), default.hyperparams
    wanted = {
        "no_cloning": ("bc_epochs", default.bc_epochs),
        "constant_rate": ("setup.hyperparams.learning_rate", hyperparams["learning_rate"]),
        "wide_start": (
            "setup.hyperparams.policy_kwargs.log_std_init",
            hyperparams["policy_kwargs"]["log_std_init"],
        ),
        "small_penalty": ("reward_params.gradient_penalty", settings["gradient_penalty"]),
        "fast_discriminator": ("reward_params.learning_rate", settings["learning_rate"]),
        "more_updates": ("reward_params.updates_per_transition", settings["updates_per_transition"]),
    }
    for job, (change, (name, value)) in zip(jobs("ablation"), wanted.items(), strict=True):
        assert (job.env, job.method, job.seed) == ("Ant-v5", f"ppo_{change}-4", 100)
        plan = leaves(gail.new_plan(flags(job, file, tmp_path)))
        assert {key: plan[key] for key in plan if plan[key] != leaves(own)[key]} == {name: value}
        assert plan.keys() == leaves(own).keys()


def test_the_ablation_is_run_when_asked_for_alone():
    assert {job.method for job in choose(Config(envs=("Ant-v5",))) if job.change} == set()
    some = choose(Config(parts=("ablation",), changes=("wide_start",)))
    assert [job.method for job in some] == ["ppo_wide_start-4"]
    chosen = choose(Config(parts=("ablation",), seeds=(100, 107)))
    assert len(chosen) == 2 * len(CHANGES) and {job.seed for job in chosen} == {100, 107}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"envs": ("Ant-v4",)}, "unknown environment 'Ant-v4': did you mean 'Ant-v5'"),
        ({"trajectories": (5,), "envs": (ENV,)}, "unknown number of --trajectories '5': choose one of 1, 4"),
        ({"parts": ("sac",), "envs": ("Humanoid-v5",)}, "no run is of these --parts, --envs"),
        ({"seeds": (7,)}, "no run is of these .* and --seeds"),
    ],
)
def test_flags_that_no_run_answers_to_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        gail_mujoco.main(Config(**given))


@pytest.mark.parametrize("algo", ["ppo", "bc"])
def test_a_run_is_recorded_with_its_final_evaluation(folder, tmp_path, monkeypatch, capsys, algo):
    monkeypatch.setitem(TASKS, ENV, replace(TASKS[ENV], steps=STEPS))
    job = Job(ENV, algo, 2, 100)
    line = train(job, folder, tmp_path / "results", tmp_path / "scratch")
    curve = job.curve(tmp_path / "results")
    assert curve.finished() and line == f"{ENV} {algo}-2 seed 100: score {score(curve):.3f}"
    table = pd.read_csv(curve.path)
    assert table["step"].iloc[-1] == (STEPS if algo == "ppo" else 0)
    final = json.loads(curve.path.with_suffix(".json").read_text())
    assert final["metric"] == "return" and final["demos_return"] > final["length"] / 10
    assert not (tmp_path / "scratch" / ENV / job.method / "seed100").exists()
    unfinished = curve.path.with_name("seed7.json")  # not entered in config.json
    unfinished.write_text(json.dumps(final))
    print_table(tmp_path / "results" / gail_mujoco.BENCHMARK, {ENV: TASKS[ENV].paper})
    head, row, figure = capsys.readouterr().out.splitlines()[-3:]
    assert head.split()[-6:] == ["expert", "paper:", "random", "expert", "GAIL", "(trajectories)"]
    assert row.split()[2] == "1"
    assert row.split()[-6:] == [f"{final['demos_return']:.0f}", "20", "14", "3571", "3614", "(4)"]
    assert figure == f"score_{ENV}_{algo}-2: {score(curve):.3f}"


def test_the_published_return_is_that_of_the_nearest_number():
    paper = TASKS["Ant-v5"].paper
    rows = [told(paper, n).split() for n in (1, 4, 14, 15, 80)]
    assert rows == [["-70", "4228", "3187", "(4)"]] * 3 + [["-70", "4228", "4133", "(25)"]] * 2
    assert told(TASKS["Humanoid-v5"].paper, 12).split() == ["123", "9575", "10201", "(80)"]
    assert told(None, 4) == ""


def test_only_the_demonstrations_of_chosen_tasks_have_to_be_there(folder, tmp_path):
    with pytest.raises(ValueError, match=r"does not hold Humanoid.npz, Ant-ho.npz, .*: pass --demos DIR"):
        gail_mujoco.main(Config(demos=tmp_path, results=tmp_path))
    with pytest.raises(ValueError, match="does not hold Walker2d-ho.npz: pass"):
        gail_mujoco.main(Config(demos=folder, envs=(ENV, "Walker2d-v5"), results=tmp_path))


def test_without_a_folder_the_benchmark_asks_for_one(tmp_path, monkeypatch):
    monkeypatch.delenv("RLGEN_DATA", raising=False)
    with pytest.raises(ValueError, match="no demonstrations: pass --demos DIR, or set RLGEN_DATA"):
        gail_mujoco.main(Config(envs=(ENV,), results=tmp_path))
