"""Does GAIL reach the expert from few demonstrations, and more than cloning or survival alone would?

    python -m benchmarks.gail_mujoco --demos DIR                 all parts; finished seeds are skipped
    python -m benchmarks.gail_mujoco --demos DIR --envs Ant-v5 --workers 2
    python -m benchmarks.gail_mujoco --table                     only the table of what is recorded
    python -m benchmarks.gail_mujoco --plot                      the table and the learning curves

DIR holds the demonstrations (Hopper.npz and so on); RLGEN_DATA/demos unless given. Fixed before the first of
these runs: seeds from 100 on, the steps of each task, demonstrations subsampled by 20 (50 pairs an episode),
the command's preset. One thing is not subsampled: the mean and variance that normalise what the policy sees
(PPO's and cloning's, frozen) come from all rows of the n episodes. Scores are (R - random) / (demonstrations
- random) of 50 deterministic episodes on fresh seeds, from the end of the run, never from its best moment.

    ppo     GAIL with PPO from the first n episodes, n as in TASKS
    bc      behaviour cloning alone, from the same
    control GAIL with PPO from demonstrations whose columns are shuffled each by itself, one seed: what
            surviving and the marginals alone are worth
    sac     GAIL with SAC from 4 episodes, without cloning, one seed

Reference: GAIL with TRPO as published, 25M steps (Humanoid 75M), one seed, demonstrations of the same origin.

Records: results/gail_mujoco/<Env-v5>/<algo>-<trajectories>/seed<k>.csv, a row an evaluation of 10
deterministic episodes, and seed<k>.json, the final 50. Hardware: 2 vCPU of an AMD EPYC, one thread a run.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.records import Curve, write_number
from benchmarks.sweeps import Sweep, draw_curves, train_missing
from rlgen import cli

BENCHMARK = "gail_mujoco"
FINAL_SEED = 30_000
PARTS = ("ppo", "bc", "control", "sac")


@dataclass(frozen=True)
class Task:
    """What is imitated, and for how long."""

    file: str
    """Of the demonstrations."""
    trajectories: tuple[int, ...]
    """Episodes used, a cell of the table each."""
    steps: int
    """Of PPO."""
    seeds: int
    """How many, from 100 on."""
    paper: dict[int, float]
    """Published return by number of episodes."""
    sac_steps: int = 0
    """Of SAC; 0 for none."""


TASKS = {
    "Humanoid-v5": Task("Humanoid.npz", (12,), 30_000_000, 1, {80: 10201.0}),
    "Ant-v5": Task("Ant-ho.npz", (4, 25), 4_000_000, 3, {4: 3187.0, 25: 4133.0}, 500_000),
    "Walker2d-v5": Task("Walker2d-ho.npz", (4, 25), 3_000_000, 3, {4: 4878.0, 25: 6832.0}),
    "HalfCheetah-v5": Task("HalfCheetah-ho.npz", (1, 4), 1_000_000, 5, {4: 4516.0}, 300_000),
    "Hopper-v5": Task("Hopper.npz", (1, 4), 1_000_000, 5, {4: 3614.0}, 300_000),
}


@dataclass(frozen=True)
class Job:
    """One training run."""

    env: str
    algo: str
    trajectories: int
    seed: int
    shuffled: bool = False

    @property
    def method(self) -> str:
        """Name of the record's folder."""
        return f"{self.algo}{'_shuffled' * self.shuffled}-{self.trajectories}"

    @property
    def steps(self) -> int:
        """Environment steps; cloning takes none."""
        return {"bc": 1, "sac": TASKS[self.env].sac_steps}.get(self.algo, TASKS[self.env].steps)

    def curve(self, results: Path) -> Curve:
        """The record."""
        return Curve(BENCHMARK, self.env, self.method, self.seed, results=results)


@dataclass(frozen=True)
class Config(Sweep):
    """Train what is not recorded yet, and print the table."""

    demos: Path | None = None
    """Folder of the demonstrations; RLGEN_DATA/demos unless given."""
    parts: tuple[str, ...] = PARTS
    """Which of ppo, bc, control and sac."""
    envs: tuple[str, ...] = tuple(TASKS)
    """Only these environments."""
    trajectories: tuple[int, ...] = ()
    """Only these numbers of episodes; all unless given."""
    seeds: tuple[int, ...] = tuple(range(100, 105))
    """Only these seeds."""
    scratch: Path = Path("logs/gail_mujoco")
    """Folder of unfinished runs."""


def jobs(part: str) -> Iterator[Job]:
    """The runs of a part.

    Raises:
        ValueError: there is no such part.
    """
    cli.check_known("part", part, PARTS)
    for env, task in TASKS.items():
        for n in task.trajectories:
            seeds = range(100, 100 + task.seeds)
            if part in ("ppo", "bc"):
                yield from (Job(env, part, n, seed) for seed in seeds)
            elif part == "control" and n == task.trajectories[0]:
                yield Job(env, "ppo", n, 100, shuffled=True)
            elif part == "sac" and n == 4 and task.sac_steps:
                yield Job(env, "sac", n, 100)


def train(job: Job, demos: Path, results: Path, scratch: Path) -> str:
    """Run a job as the command would, record it, and return a line to print.

    A run that was interrupted goes on from its last checkpoint in the scratch folder.
    """
    from rlgen import enjoy, gail, runs

    curve = job.curve(results)
    folder = scratch / job.env / job.method / f"seed{job.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    begun = sorted(folder.glob("gail/*/config.json"))
    config = gail.Config(
        env=job.env,
        algo=job.algo,
        demos=str(
            shuffle(demos / TASKS[job.env].file, job, folder) if job.shuffled else demos / TASKS[job.env].file
        ),
        n_demos=job.trajectories,
        subsample=20,
        seed=job.seed,
        total_timesteps=job.steps,
        eval_freq=max(job.steps // 20, 1),
        eval_episodes=10,
        save_freq=min(max(job.steps // 20, 1), 100_000),
        log_folder=folder,
    )
    if begun:
        config = gail.Config(resume=begun[0].parent)
    with open(folder / "output.txt", "a") as output, redirect_stdout(output):
        run = gail.main(config)
        final = enjoy.main(enjoy.Config(run, episodes=50, seed=FINAL_SEED))
    record(curve, run, final)
    settings = runs.read_config(run)
    curve.finish({**settings, "demos": TASKS[job.env].file})
    shutil.rmtree(folder)
    return f"{job.env} {job.method} seed {job.seed}: score {score(curve):.3f}"


def shuffle(file: Path, job: Job, folder: Path) -> Path:
    """Demonstrations of which every column of observations and actions is permuted by itself."""
    from dataclasses import replace

    from rlgen import demonstrations

    demos = demonstrations.load(file, env_id=job.env).take(job.trajectories)
    generator = np.random.default_rng(job.seed)
    obs = generator.permuted(np.concatenate([episode.obs for episode in demos.episodes]), axis=0)
    actions = generator.permuted(
        np.concatenate([e.actions for e in demos.episodes if e.actions is not None]), axis=0
    )
    cuts = np.cumsum([len(episode) for episode in demos.episodes])[:-1]
    parts = zip(
        demos.episodes,
        np.split(obs, cuts + np.arange(1, len(cuts) + 1)),
        np.split(actions, cuts),
        strict=True,
    )
    episodes = tuple(replace(episode, obs=o, actions=a) for episode, o, a in parts)
    path = folder / "shuffled.npz"
    demonstrations.save(path, replace(demos, episodes=episodes))
    return path


def record(curve: Curve, run: Path, final: dict) -> None:
    """Take in a finished run: its evaluations, and the final one as seed<k>.json."""
    from rlgen import runs

    plan = runs.read_config(run)
    episodes = pd.read_csv(run / "monitor.csv")
    with open(run / "evaluations.csv") as file:
        for row in csv.DictReader(file):
            step = int(row["step"])
            wall = np.interp(step, episodes["step"], episodes["t"]) if len(episodes) else 0.0
            curve.append(step, float(row["mean_return"]), float(wall))
    known = {key: plan[key] for key in ("random_return", "demos_return", "expert_return")}
    lengths = final["mean_length"]
    path = curve.path.with_suffix(".json")
    write_number(
        path, "return", final["mean_return"], "reward", std=final["std_return"], length=lengths, **known
    )


def score(curve: Curve) -> float:
    """Of the final 50 episodes."""
    return read_final(curve.path.with_suffix(".json"))["score"]


def read_final(path: Path) -> dict:
    """A final evaluation as recorded, and its `score`."""
    from rlgen import scores

    final = json.loads(path.read_text())
    return {**final, "score": scores.score(final["value"], final["random_return"], final["demos_return"])}


def table(results: Path) -> None:
    """Print a row for each task and method, then the figures."""
    cells: dict[tuple[str, str], list[dict]] = {}
    for path in sorted((results / BENCHMARK).glob("*/*/seed*.json")):
        cells.setdefault((path.parts[-3], path.parts[-2]), []).append(read_final(path))
    print(f"{'task':16} {'method':18} seeds  score (least)   return   random   demos  published GAIL")
    for (env, method), group in cells.items():
        scores, returns = [final["score"] for final in group], [final["value"] for final in group]
        random, demos = group[0]["random_return"], group[0]["demos_return"]
        paper = TASKS[env].paper.get(int(method.rpartition("-")[2]), "")
        print(
            f"{env:16} {method:18} {len(group):5}  {np.mean(scores):5.3f} ({min(scores):5.3f})  "
            f"{np.mean(returns):7.0f}  {random:7.0f} {demos:7.0f}  {paper}"
        )
    for (env, method), group in cells.items():
        print(f"score_{env}_{method}: {np.mean([final['score'] for final in group]):.3f}")


def find_demos(given: Path | None) -> Path:
    """The folder of the demonstrations.

    Raises:
        ValueError: it is not there.
    """
    folder = given or Path(os.environ.get("RLGEN_DATA", "")) / "demos"
    if not all((folder / task.file).exists() for task in TASKS.values()):
        files = ", ".join(task.file for task in TASKS.values())
        raise ValueError(
            f"{folder} does not hold {files}: pass --demos DIR, or set RLGEN_DATA to the folder above"
        )
    return folder


def main(config: Config) -> None:
    """Train what is missing, then print the table."""
    if not (config.table or config.plot):
        demos = find_demos(config.demos)
        chosen = [
            job
            for part in config.parts
            for job in jobs(part)
            if job.seed in config.seeds
            and job.env in config.envs
            and (not config.trajectories or job.trajectories in config.trajectories)
        ]
        train_missing(chosen, train, config, demos)
    table(config.results)
    if config.plot:
        draw_curves(BENCHMARK, config)


if __name__ == "__main__":
    sys.exit(cli.run(main, Config))
