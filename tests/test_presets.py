"""Presets: every entry names a real environment and arguments that SB3 has."""

from __future__ import annotations

import inspect
import json

import gymnasium as gym
import pytest
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

import envs  # noqa: F401 (registers rlgen/...)
from rlgen.presets import (
    DEFAULTS,
    IMITATION_DEFAULTS,
    IMITATION_PRESETS,
    OFF_POLICY,
    ON_POLICY,
    PRESETS,
    imitation_preset_for,
    preset_for,
)
from rlgen.training import ALGORITHMS, algorithm_class

ENTRIES = [("default", DEFAULTS), *PRESETS.items()]


def test_algorithms_are_those_that_can_be_built():
    assert set(DEFAULTS) == set(ALGORITHMS)
    assert {name for name in ALGORITHMS if issubclass(algorithm_class(name), OffPolicyAlgorithm)} == set(
        OFF_POLICY
    )
    assert set(ON_POLICY) == set(ALGORITHMS) - set(OFF_POLICY)


def test_every_environment_of_ours_has_a_preset():
    ours = {name for name in gym.registry if name.startswith("rlgen/")}
    assert ours == {name for name in PRESETS if name.startswith("rlgen/")}
    assert set(PRESETS) <= set(gym.registry)


@pytest.mark.parametrize(("env", "table"), ENTRIES, ids=lambda entry: entry if isinstance(entry, str) else "")
def test_arguments_are_those_of_the_algorithm_class(env, table):
    for algo, preset in table.items():
        known = inspect.signature(algorithm_class(algo)).parameters
        assert set(preset.hyperparams) <= set(known), (env, algo)
        assert preset.n_timesteps > 0 and preset.n_envs > 0
        json.dumps(dict(preset.hyperparams))


def test_a_rollout_of_ppo_is_the_one_that_bonuses_are_tuned_for():
    ppo = DEFAULTS["ppo"]
    assert ppo.n_envs * ppo.hyperparams["n_steps"] == 4096
    assert ppo.normalize_obs and not ppo.normalize_reward


def test_the_environment_comes_before_the_algorithm():
    name, preset = preset_for("envs:rlgen/SparseHalfCheetah-v0", "ppo")
    assert name == "rlgen/SparseHalfCheetah-v0, ppo"
    assert preset.hyperparams["gamma"] == 0.995
    assert preset.n_timesteps == 5_000_000
    name, preset = preset_for("Pendulum-v1", "sac")
    assert name == "default, sac"
    assert preset.hyperparams == DEFAULTS["sac"].hyperparams


def test_discrete_actions_fall_back_to_the_default():
    assert preset_for("Ant-v5", "dqn")[0] == "default, dqn"


def test_an_unknown_algorithm_lists_the_known():
    with pytest.raises(ValueError, match=r"unknown algorithm 'her'.*ppo, trpo"):
        preset_for("Ant-v5", "her")


def test_an_imitation_goes_by_the_name_of_its_environment_only_where_that_has_settings_of_its_own():
    assert imitation_preset_for("envs:Ant-v5", "ppo")[1] is IMITATION_PRESETS["Ant-v5"]["ppo"]
    for env, table in IMITATION_PRESETS.items():
        for algo in DEFAULTS:
            name, preset = imitation_preset_for(env, algo)
            assert name == f"{env if algo in table else 'default'}, {algo}, imitation"
            assert (preset == IMITATION_DEFAULTS[algo]) == (algo not in table)
