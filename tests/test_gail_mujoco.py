"""The benchmark of imitation: its control, its records, and that an interrupted run goes on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pandas as pd
import pytest

from benchmarks import gail_mujoco
from benchmarks.gail_mujoco import TASKS, Job, jobs, score, shuffle, train
from rlgen import demonstrations
from rlgen.demonstrations import Demonstrations, Episode, save

ENV = "Hopper-v5"
STEPS = 2 * 4096


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two episodes of random actions, without `env_id`, as Hopper's demonstrations."""
    env = gym.make(ENV)
    env.action_space.seed(0)
    episodes = []
    for seed in range(2):
        obs, actions, rewards, end = [env.reset(seed=seed)[0]], [], [], False
        while not end:
            actions.append(env.action_space.sample())
            step, reward, end, _, _ = env.step(actions[-1])
            obs.append(step)
            rewards.append(float(reward))
        episodes.append(Episode(np.stack(obs), np.stack(actions), np.array(rewards, np.float32), True, False))
    path = tmp_path_factory.mktemp("demos")
    save(path / TASKS[ENV].file, Demonstrations(tuple(episodes), None, 20.0, "test"))
    return path


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
    assert ("Ant-v5", "sac-4", 100) in runs and ("Hopper-v5", "ppo_shuffled-1", 100) in runs
    with pytest.raises(ValueError, match="unknown part 'td3'"):
        next(jobs("td3"))


@pytest.mark.parametrize("algo", ["ppo", "bc"])
def test_a_run_is_recorded_with_its_final_evaluation(folder, tmp_path, monkeypatch, algo):
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


def test_missing_demonstrations_are_named(tmp_path):
    with pytest.raises(ValueError, match="does not hold Humanoid.npz, Ant-ho.npz"):
        gail_mujoco.main(gail_mujoco.Config(demos=tmp_path, results=tmp_path))
