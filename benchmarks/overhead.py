"""What a learned reward costs: wall time of SB3 with it over wall time of plain SB3.

    OMP_NUM_THREADS=1 python -m benchmarks.overhead --reward vime

Both sides learn in turn in one process, each from the environment's preset, one thread; a ratio is the median
over rounds of the two times of a round. A round is a number of whole rollouts (on-policy) or of steps behind
the learning start (off-policy). Plain is SB3 alone (make_vec_env, VecNormalize if the preset has it;
ours has all of the command). Printed beside each ratio: gradient steps of the model a round, and
its error over that of predicting no change, on data that it has not seen.

Bars: ppo_ratio and sac_ratio (Ant-v5) at most 1.15, ppo_ratio_cheap (SparseHalfCheetah) at most 1.25.
Reference: MaxInfoSAC 2.3 times SAC (its authors: 39 against 16.96 minutes for 100k steps on a GPU); a public
port of VIME to PPO 5.3 times (19.2 against 3.65 ms a step, from its published logs).

Hardware of the committed records: 2 vCPU of an AMD EPYC.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro
from gymnasium.wrappers import RescaleAction
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from benchmarks.records import RESULTS, write_number
from rlgen.presets import preset_for
from rlgen.recorder import action_size
from rlgen.relabel import LearnReward
from rlgen.train_vime import make_bonus
from rlgen.training import Setup, make_env, make_model, qualified

CASES = {
    "ppo_ratio": ("Ant-v5", "ppo", 8192),
    "ppo_ratio_cheap": ("rlgen/SparseHalfCheetah-v0", "ppo", 8192),
    "sac_ratio": ("Ant-v5", "sac", 400),
}


@dataclass(frozen=True)
class Config:
    """Measure the cost of a learned reward."""

    reward: Literal["vime"] = "vime"
    """Which reward."""
    cases: tuple[str, ...] = tuple(CASES)
    """Which figures."""
    rounds: int = 7
    """Measured rounds, at least five."""
    warm_up: int = 2
    """Rounds before them."""
    results: Path = field(default_factory=lambda: RESULTS)
    """Folder of the records."""


def plain_env(setup: Setup) -> VecEnv:
    """What an SB3 user would build."""
    rescale: Any = partial(RescaleAction, min_action=-1, max_action=1)  # type: ignore[arg-type]
    venv = make_vec_env(qualified(setup.env), setup.n_envs, setup.seed, wrapper_class=rescale)
    return VecNormalize(venv, norm_reward=False) if setup.normalize_obs else venv


class Side:
    """A model that learns in rounds, with the reward or without."""

    def __init__(self, env: str, algo: str, steps: int, bonus: str) -> None:
        preset = preset_for(env, algo)[1]
        hyperparams: dict[str, Any] = dict(preset.hyperparams)
        if algo == "sac":
            hyperparams |= {"learning_starts": 200, "buffer_size": 100_000}
        setup = Setup(env, {}, algo, preset.n_envs, 0, "cpu", preset.normalize_obs, False, hyperparams)
        venv = make_env(setup) if bonus != "none" else plain_env(setup)
        self.model, self.steps, self.learner = make_model(setup, venv), steps, None
        if bonus != "none":
            sizes = int(np.prod(venv.observation_space.shape or ())), action_size(venv.action_space)
            reward = make_bonus(bonus, "default", *sizes, seed=0, **preset.bonus.settings)
            assert reward is not None
            names = ("eta", "stream", "episodic", "refit_every")
            self.learner = Metered(reward, **{name: getattr(preset.bonus, name) for name in names})

    def round(self) -> float:
        """Learn, and return the seconds it took."""
        start = time.perf_counter()
        self.model.learn(self.steps, callback=self.learner, reset_num_timesteps=False)
        return time.perf_counter() - start


class Metered(LearnReward):
    """Keeps what the reward logs."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.metrics: dict[str, list[float]] = {}

    def _log(self, metrics: dict[str, float]) -> None:
        super()._log(metrics)
        for key, value in metrics.items():
            self.metrics.setdefault(key, []).append(value)


def measure(name: str, config: Config) -> float:
    """One ratio, printed with what explains it, and recorded."""
    env, algo, steps = CASES[name]
    plain, ours = Side(env, algo, steps, "none"), Side(env, algo, steps, "expected")
    for _ in range(config.warm_up):
        plain.round()
        ours.round()
    assert isinstance(ours.learner, Metered)
    ours.learner.metrics.clear()
    pairs = [(plain.round(), ours.round()) for _ in range(config.rounds)]
    ratio = float(np.median([with_reward / without for without, with_reward in pairs]))
    updates = sum(ours.learner.metrics["n_updates"]) / config.rounds
    error = float(np.mean(ours.learner.metrics["error_over_persistence"]))
    speed = steps / np.median([without for without, _ in pairs])
    print(f"{env} {algo}: {speed:.0f} steps/s plain, rounds of {steps} steps, {config.rounds} of them")
    print(f"{name}_gradient_steps_a_round: {updates:.4g}")
    print(f"{name}_error_over_persistence: {error:.3f}")
    print(f"{name}: {ratio:.3f}", flush=True)
    path = config.results / "overhead" / config.reward / f"{name}.json"
    facts = {"rounds": config.rounds, "gradient_steps_a_round": updates, "error_over_persistence": error}
    write_number(path, name, ratio, "ratio of wall times", **facts)
    return ratio


def main(config: Config) -> dict[str, float]:
    """Measure each case.

    Raises:
        ValueError: an unknown case, or fewer than five rounds.
    """
    if config.rounds < 5:
        raise ValueError(f"rounds is {config.rounds}: a median wants at least five")
    for name in config.cases:
        if name not in CASES:
            raise ValueError(f"unknown case {name!r}: choose of {', '.join(CASES)}")
    torch.set_num_threads(1)
    return {name: measure(name, config) for name in config.cases}


if __name__ == "__main__":
    try:
        main(tyro.cli(Config))
    except ValueError as error:
        sys.exit(f"error: {error}")
