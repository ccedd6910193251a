"""Does information gain find sparse rewards that plain PPO does not, and does the solved task stay solved?

    python -m benchmarks.vime_sparse                       all parts; finished seeds are skipped
    python -m benchmarks.vime_sparse --parts tasks --seeds 100 101 --workers 2
    python -m benchmarks.vime_sparse --table               only the table of what is recorded
    python -m benchmarks.vime_sparse --plot                the table and the learning curves

Fixed before the first of these runs: seeds 100 to 109 (none used for tuning), the steps of each task, one
default of VIME for all, the environment's preset otherwise, the same for all bonuses. A seed succeeds if at
least half of its last 100 training episodes earn reward.

    tasks   PPO, none / expected / realised / rnd / prediction-error / random, 10 seeds, and plain PPO with an
            entropy bonus of .003 and .01, on SparseCartPoleSwingup (200k steps), SparseHalfCheetahFar (500k)
            and SparseMountainCar (150k)
    noisy   PPO, expected / prediction-error, 10 seeds, on the first two beside a noisy television
    trpo    TRPO, none / expected, 5 seeds, on the three tasks
    paper   PPO, none / expected, 5 seeds, on the paper's SparseHalfCheetah (5M steps; runs are checkpointed)

Reference: trial runs of plain PPO succeeded in 0, 0 and half of the seeds on the three tasks. The author of
VIME has 103.7 on SparseHalfCheetah (average over training, TRPO, 5M steps or so), and 0 for TRPO alone.

Hardware of the committed records: 2 vCPU of an AMD EPYC, one thread a run; ten seconds to three minutes a run
of `tasks`. Records: results/vime_sparse/<Env-v0>/<algo>-<bonus>/seed<k>.csv.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from benchmarks.records import Curve, read_curves
from benchmarks.stats import bootstrap, probability_of_improvement
from benchmarks.sweeps import Sweep, draw_curves, train_missing, workplace
from rlgen import cli
from rlgen.folder import read_config

BENCHMARK = "vime_sparse"
PARTS = ("tasks", "noisy", "trpo", "paper")
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
class Config(Sweep):
    """Train what is not recorded yet, and print the table."""

    parts: tuple[str, ...] = PARTS
    """Which of tasks, noisy, trpo and paper."""
    bonuses: tuple[str, ...] = BONUSES
    """Only these bonuses."""
    envs: tuple[str, ...] = tuple(STEPS)
    """Only these environments."""
    seeds: tuple[int, ...] = SEEDS
    """Only these seeds."""
    scratch: Path = Path("logs/vime_sparse")
    """Folder of unfinished runs."""


def jobs(part: str) -> Iterator[Job]:
    """The runs of a part, in the order in which they are worth having.

    Raises:
        ValueError: there is no such part.
    """
    cli.check_known("part", part, PARTS)
    if part == "tasks":
        for bonuses in (("expected", "none"), ("prediction-error", "rnd"), ("realised", "random")):
            for seed, env, bonus in product(SEEDS, TASKS, bonuses):
                yield Job(env, "ppo", bonus, seed)
        for seed, env, coefficient in product(SEEDS, TASKS, (0.003, 0.01)):
            yield Job(env, "ppo", "none", seed, coefficient)
    elif part == "noisy":
        for seed, env, bonus in product(SEEDS, NOISY, ("expected", "prediction-error")):
            yield Job(env, "ppo", bonus, seed)
    elif part == "trpo":
        for seed, env, bonus in product(SEEDS[:5], TASKS, ("expected", "none")):
            yield Job(env, "trpo", bonus, seed)
    else:
        for seed, bonus in product(SEEDS[:5], ("expected", "none")):
            yield Job(PAPER[0], "ppo", bonus, seed)


def train(job: Job, results: Path, scratch: Path) -> str:
    """Run a job as the command would, record it, and return a line to print.

    A run that was interrupted goes on from its last checkpoint in the scratch folder.
    """
    from rlgen import train_vime

    curve = job.curve(results)
    with workplace(curve, scratch, "vime") as (folder, begun):
        flags = train_vime.Config(
            env=job.env,
            algo=job.algo,
            bonus=job.bonus,
            seed=job.seed,
            total_timesteps=STEPS[job.env],
            hyperparams={"ent_coef": job.ent_coef} if job.ent_coef else None,
            eval_freq=0,
            save_freq=250_000,
            log_folder=folder,
        )
        run = train_vime.main(train_vime.Config(resume=begun) if begun else flags)
        curve.append_run(run)
        curve.finish(read_config(run))
    share = earning(curve)
    return f"{job.env} {job.method} seed {job.seed}: {share:.2f} of the last 100 episodes earn reward"


def earning(curve: Curve) -> float:
    """Share of the last 100 episodes that earn reward."""
    return float(np.mean(last_returns(curve) > 0))


def last_returns(curve: Curve) -> np.ndarray:
    """Returns of the last 100 episodes."""
    return curve.column("episode_return")[-100:]


def first_reward(curve: Curve) -> float:
    """Step at which the first episode with reward ended, infinite without one."""
    earned = curve.column("step")[curve.column("episode_return") > 0]
    return float(earned[0]) if len(earned) else float("inf")


def table(results: Path) -> None:
    """Print a row for each task and method, then the figures."""
    curves = read_curves(BENCHMARK, results)
    cells: dict[tuple[str, str], list[Curve]] = {}
    for curve in curves:
        cells.setdefault((curve.env, curve.method), []).append(curve)
    print(f"{'task':30} {'method':24} seeds succeed  first reward  return of last 100      mean of training")
    for (env, method), group in cells.items():
        finals = np.array([last_returns(curve).mean() for curve in group])
        means = np.array([curve.column("episode_return").mean() for curve in group])
        succeed = sum(earning(curve) >= 0.5 for curve in group)
        first = np.median([first_reward(curve) for curve in group])
        final, mean = bootstrap(finals), bootstrap(means)
        print(f"{env:30} {method:24} {len(group):5} {succeed:7}  {first:12.0f}  {final!s:22}  {mean}")
    for (env, method), group in cells.items():
        print(f"successes_{env}_{method}: {sum(earning(curve) >= 0.5 for curve in group)}")
    for env in dict.fromkeys(env for env, _ in cells):
        compare(env, cells)


def compare(env: str, cells: dict[tuple[str, str], list[Curve]]) -> None:
    """Print how probable it is that VIME beats each control, by the mean return of the last 100 episodes."""
    vime = cells.get((env, "ppo-expected"), [])
    for (task, method), group in cells.items():
        if task == env and vime and method.startswith("ppo-") and method != "ppo-expected":
            x, y = (np.array([last_returns(curve).mean() for curve in side]) for side in (vime, group))
            print(f"improvement_{env}_over_{method}: {probability_of_improvement(x, y)}")


def main(config: Config) -> None:
    """Train what is missing, then print the table."""
    for kind, given, known in (
        ("bonus", config.bonuses, BONUSES),
        ("environment", config.envs, tuple(STEPS)),
    ):
        for name in given:
            cli.check_known(kind, name, known)
    if not (config.table or config.plot):
        chosen = [
            job
            for part in config.parts
            for job in jobs(part)
            if job.seed in config.seeds and job.bonus in config.bonuses and job.env in config.envs
        ]
        train_missing(chosen, train, config)
    table(config.results)
    if config.plot:
        draw_curves(BENCHMARK, config)


if __name__ == "__main__":
    sys.exit(cli.run(main, Config))
