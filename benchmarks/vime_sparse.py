"""Does information gain find sparse rewards that plain PPO does not, and does the solved task stay solved?

    python -m benchmarks.vime_sparse                       all parts; finished seeds are skipped
    python -m benchmarks.vime_sparse --parts tasks --seeds 100 101 --workers 2
    python -m benchmarks.vime_sparse --table               only the table of what is recorded
    python -m benchmarks.vime_sparse --plot                the table and the learning curves

Fixed before the first of these runs: seeds 100 to 109 (none used for tuning), the steps of each task, one default
of VIME for all, the environment's preset otherwise, the same for all bonuses. A seed succeeds if at least half of
its last 100 training episodes earn reward.

    tasks   PPO, none / expected / realised / rnd / prediction-error / random, 10 seeds, and plain PPO with an
            entropy bonus of .003 and .01, on SparseCartPoleSwingup (200k steps), SparseHalfCheetahFar (500k) and
            SparseMountainCar (150k)
    noisy   PPO, expected / prediction-error, 10 seeds, on the first two beside a noisy television
    trpo    TRPO, none / expected, 5 seeds, on the three tasks
    paper   PPO, none / expected, 5 seeds, on the paper's SparseHalfCheetah (5M steps; each run is checkpointed)

Reference: trial runs of plain PPO succeeded in 0, 0 and half of the seeds on the three tasks. The author of VIME
has 103.7 on SparseHalfCheetah (average over training, TRPO, 5M steps or so), and 0 for TRPO alone.

Hardware of the committed records: 2 vCPU of an AMD EPYC, one thread a run; half a minute to two minutes a run of
`tasks`. Records: results/vime_sparse/<Env-v0>/<algo>-<bonus>/seed<k>.csv.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from benchmarks.records import RESULTS, Curve, read_curves
from benchmarks.stats import bootstrap, probability_of_improvement

BENCHMARK = "vime_sparse"
BONUSES = ("none", "expected", "realised", "rnd", "prediction-error", "random")
SEEDS = tuple(range(100, 110))
STEPS = {
    "rlgen/SparseCartPoleSwingup-v0": 200_000,
    "rlgen/SparseHalfCheetahFar-v0": 500_000,
    "rlgen/SparseMountainCar-v0": 150_000,
    "rlgen/NoisyTVSparseCartPoleSwingup-v0": 200_000,
    "rlgen/NoisyTVSparseHalfCheetahFar-v0": 500_000,
    "rlgen/SparseHalfCheetah-v0": 5_000_000,
}
TASKS = tuple(STEPS)[:3]
NOISY = tuple(STEPS)[3:5]
PAPER = tuple(STEPS)[5:]


@dataclass(frozen=True)
class Job:
    """One training run."""

    env: str
    algo: str
    bonus: str
    seed: int
    ent_coef: float = 0.0

    @property
    def method(self) -> str:
        """Name of the record's folder."""
        return f"{self.algo}-{self.bonus}" + (f"-ent{self.ent_coef:g}" if self.ent_coef else "")

    def curve(self, results: Path) -> Curve:
        """The record."""
        return Curve(BENCHMARK, self.env, self.method, self.seed, results=results)


@dataclass(frozen=True)
class Config:
    """Train what is not recorded yet, and print the table."""

    parts: tuple[str, ...] = ("tasks", "noisy", "trpo", "paper")
    """Which of tasks, noisy, trpo and paper."""
    bonuses: tuple[str, ...] = BONUSES
    """Only these bonuses."""
    seeds: tuple[int, ...] = SEEDS
    """Only these seeds."""
    workers: int = 2
    """Runs at a time, one thread each."""
    table: bool = False
    """Train nothing."""
    plot: bool = False
    """Train nothing, draw the curves."""
    results: Path = field(default_factory=lambda: RESULTS)
    """Folder of the records."""


def jobs(part: str) -> Iterator[Job]:
    """The runs of a part, the seeds innermost.

    Raises:
        ValueError: there is no such part.
    """
    if part == "tasks":
        order = sorted(BONUSES, key=lambda bonus: bonus not in ("none", "expected"))
        for bonus, env, seed in product(order, TASKS, SEEDS):
            yield Job(env, "ppo", bonus, seed)
        for coefficient, env, seed in product((0.003, 0.01), TASKS, SEEDS):
            yield Job(env, "ppo", "none", seed, coefficient)
    elif part == "noisy":
        for bonus, env, seed in product(("expected", "prediction-error"), NOISY, SEEDS):
            yield Job(env, "ppo", bonus, seed)
    elif part == "trpo":
        for bonus, env, seed in product(("none", "expected"), TASKS, SEEDS[:5]):
            yield Job(env, "trpo", bonus, seed)
    elif part == "paper":
        for seed, bonus in product(SEEDS[:5], ("expected", "none")):
            yield Job(PAPER[0], "ppo", bonus, seed)
    else:
        raise ValueError(f"unknown part {part!r}: choose tasks, noisy, trpo or paper")


def train(job: Job, results: Path) -> str:
    """Run a job and record it; returns a line to print."""
    import torch

    from rlgen.relabel import LearnReward
    from rlgen.train_vime import make_bonus
    from rlgen.training import make_env, make_model

    torch.set_num_threads(1)
    setup, bonus_preset = settings(job)
    venv = make_env(setup)
    model = make_model(setup, venv)
    curve = job.curve(results)
    callbacks: list[Any] = [recorder(curve)]
    bonus = make_bonus(job.bonus, "default", venv.get_attr("obs_size")[0], venv.get_attr("action_size")[0], job.seed)
    if bonus is not None:
        callbacks.append(LearnReward(bonus, **bonus_preset))
    model.learn(STEPS[job.env], callback=callbacks)
    curve.finish({**setup.to_dict(), "steps": STEPS[job.env], "bonus": bonus_preset})
    venv.close()
    returns = curve.column("episode_return")[-100:]
    return f"{job.env} {job.method} seed {job.seed}: {np.mean(returns > 0):.2f} of the last 100 episodes earn reward"
