"""What a learned reward costs: wall time of SB3 with it over wall time of plain SB3.

    OMP_NUM_THREADS=1 python -m benchmarks.overhead --reward vime

Both sides learn in turn in one process, each from the environment's preset, one thread; a ratio is the median over
rounds of the two times of a round. A round is a number of whole rollouts (on-policy) or of steps behind the
learning start (off-policy). Plain SB3 runs without TransitionRecorder. Printed beside each ratio: gradient steps
of the reward's model a round, and its error over that of predicting no change, on data it has not seen.

Bars: ppo_ratio (Ant-v5) and sac_ratio (Ant-v5) at most 1.15, ppo_ratio_cheap (SparseHalfCheetah) at most 1.25.
Reference: MaxInfoSAC 2.3 times SAC (its authors, 39 against 16.96 minutes for 100k steps on a GPU); a public port
of VIME to PPO 5.3 times (19.2 against 3.65 ms a step, from its published logs).

Hardware of the committed records: 2 vCPU of an AMD EPYC.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro

from benchmarks.records import RESULTS, write_number
from rlgen.presets import preset_for
from rlgen.relabel import LearnReward
from rlgen.train_vime import make_bonus
from rlgen.training import Setup, make_env, make_model

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


class Side:
    """A model that learns in rounds, with or without the reward."""

    def __init__(self, env: str, algo: str, steps: int, bonus: str) -> None:
        preset = preset_for(env, algo)[1]
        hyperparams: dict[str, Any] = dict(preset.hyperparams)
        if algo == "sac":
            hyperparams |= {"learning_starts": 200, "buffer_size": 100_000}
        setup = Setup(env, {}, algo, preset.n_envs, 0, "cpu", preset.normalize_obs, False, hyperparams)
        venv = make_env(setup, record=bonus != "none")
        self.model, self.steps = make_model(setup, venv), steps
        self.learner = None
        if bonus != "none":
            sizes = venv.get_attr("observation_space")[0].shape[0], venv.action_space.shape[0]
            reward = make_bonus(bonus, "default", *sizes, seed=0, **preset.bonus.settings)
            assert reward is not None
            self.learner = LearnReward(reward, **learner_arguments(preset.bonus))

    def round(self) -> float:
        """Learn, and return the seconds it took."""
        start = time.perf_counter()
        self.model.learn(self.steps, callback=self.learner, reset_num_timesteps=False)
        return time.perf_counter() - start
