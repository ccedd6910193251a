"""The benchmark of random policies: whose episodes earn reward, and how often."""

from __future__ import annotations

import json

import gymnasium as gym
import numpy as np
import pytest

from benchmarks import random_reward_rate
from benchmarks.random_reward_rate import Config, draw, measure


def test_the_rate_is_of_episodes_that_earn():
    assert measure("InvertedPendulum-v5", "uniform", 3)["rate"] == 1.0  # pays 1 for every step
    found = measure("Pendulum-v1", "gaussian", 2)  # pays at most 0
    assert found["rate"] == 0.0 and found["mean_length"] == 200


def test_actions_fill_the_limits_of_the_environment():
    space = gym.spaces.Box(np.array([-2, 0], np.float32), np.array([2, 1], np.float32))
    rng = np.random.default_rng(0)
    for policy, at_a_limit in (("uniform", 0.0), ("gaussian", 0.3173)):  # |N(0, 1)| > 1
        actions = np.stack([draw(policy, rng, space) for _ in range(5000)])
        assert (actions >= space.low).all() and (actions <= space.high).all()
        share = ((actions == space.low) | (actions == space.high)).mean(0)
        assert share == pytest.approx(at_a_limit, abs=0.03)
        assert np.ptp(actions, 0) == pytest.approx([4, 1], rel=0.01)


def test_both_policies_are_recorded(tmp_path, capsys):
    random_reward_rate.main(Config(envs=("rlgen/SparseCartPoleSwingup-v0",), episodes=3, results=tmp_path))
    out = capsys.readouterr().out
    for policy in ("uniform", "gaussian"):
        path = tmp_path / "random_reward_rate" / f"SparseCartPoleSwingup-v0_{policy}.json"
        record = json.loads(path.read_text())
        assert record["episodes"] == 3 and record["value"] in (0, 1 / 3, 2 / 3, 1)
        assert f"SparseCartPoleSwingup-v0_{policy}_rate: {record['value']:.4g}" in out


@pytest.mark.parametrize(
    ("config", "said"),
    [(Config(episodes=0), "episodes is 0"), (Config(envs=("rlgen/SparseAnt-v1",)), "did you mean 'rlgen/")],
)
def test_bad_input_is_told(config, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        random_reward_rate.main(config)
