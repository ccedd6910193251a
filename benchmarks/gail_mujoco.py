"""Does GAIL reach the expert from few demonstrations, and more than cloning or survival alone would?

    python -m benchmarks.gail_mujoco --demos DIR                 all parts; finished seeds are skipped
    python -m benchmarks.gail_mujoco --demos DIR --envs Ant-v5 --workers 2
    python -m benchmarks.gail_mujoco --table                     only the table of what is recorded
    python -m benchmarks.gail_mujoco --plot                      the table and the learning curves

DIR holds Hopper.npz, HalfCheetah-ho.npz, Walker2d-ho.npz, Ant-ho.npz and Humanoid.npz; RLGEN_DATA/demos
unless given. They are not those of demos/ but of the author of GAIL: the policies hw1/experts/*-v2.pkl of
github.com/berkeleydeeprlcourse/homework (MIT), played in v5 for 25 whole episodes (Humanoid: 12), what they
saw in v2 and v5 lacks being 0, and written as demos/README.md says.

Fixed before the first of these runs: seeds from 100 on, the steps of each task, demonstrations subsampled by
20 (50 pairs an episode), the command's preset. One thing is not subsampled: the mean and variance that
normalise what the policy sees (PPO's and cloning's, frozen) come from all rows of the n episodes. Scores are
(R - random) / (demonstrations - random) of 50 deterministic episodes on fresh seeds, from the end of the run,
never from its best moment. Two presets came later, by tries on these demonstrations, and with them the steps:
SAC's on Ant (seeds 1 and 100, up to 100,000 steps; 200,000 then gave 0.81 on seed 100 and 0.44 on
seed 101, so it has 500,000 since) and Humanoid's (seeds 0 and 100, up to 1.3M).

    ppo     GAIL with PPO from the first n episodes, n as in TASKS
    bc      behaviour cloning alone, from the same
    control GAIL with PPO from demonstrations whose columns are shuffled each by itself, one seed: what
            surviving and the marginals alone are worth
    sac     GAIL with SAC from 4 episodes, without cloning, one seed; on Ant two others, as 100 was tried on
    ablation    not run unless asked for, --parts ablation: what makes Ant's preset work. GAIL with PPO on
            Ant from 4 episodes, each time with one setting back at the default for other tasks (`CHANGES`);
            seed 100, or those of --seeds; --changes takes some of them. Folders: ppo_no_cloning-4 and so on,
            to be held against ppo-4

Reference: GAIL with TRPO as published, 25M steps (Humanoid 75M), one seed, demonstrations of the same origin.

Records: results/gail_mujoco/<Env-v5>/<algo>-<trajectories>/seed<k>.csv, a row an evaluation of 10
deterministic episodes, and seed<k>.json, the final 50. Hardware: 2 vCPU of an AMD EPYC, one thread a run.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.demonstrations import find_folder
from benchmarks.gail_records import Published, print_table, record, score
from benchmarks.records import Curve
from benchmarks.sweeps import Sweep, draw_curves, train_missing, workplace
from rlgen import cli
from rlgen.folder import read_config

if TYPE_CHECKING:
    from rlgen import gail

BENCHMARK = "gail_mujoco"
FINAL_SEED = 30_000
PARTS = ("ppo", "bc", "control", "sac")
CHANGES: dict[str, dict[str, Any]] = {
    "no_cloning": {"bc_epochs": 0},
    "constant_rate": {"hyperparams": {"learning_rate": 3e-4}},
    "wide_start": {"hyperparams": {"policy_kwargs": {"log_std_init": -0.5}}},
    "small_penalty": {"reward_params": {"gradient_penalty": 1.0}},
    "fast_discriminator": {"reward_params": {"learning_rate": 3e-4}},
    "more_updates": {"reward_params": {"updates_per_transition": 20 / 4096}},
}
"""The ablation: flags of the command that take one of the settings of Ant's preset back."""


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
    paper: Published
    """Returns in the paper."""
    sac_steps: int = 0
    """Of SAC; 0 for none."""
    sac_seeds: tuple[int, ...] = (100,)
    """Which."""


TASKS = {
    "Humanoid-v5": Task("Humanoid.npz", (12,), 6_000_000, 1, Published(9575, 123, {80: 10201})),
    "Ant-v5": Task(
        "Ant-ho.npz", (4, 25), 4_000_000, 3, Published(4228, -70, {4: 3187, 25: 4133}), 500_000, (101, 102)
    ),
    "Walker2d-v5": Task("Walker2d-ho.npz", (4, 25), 3_000_000, 3, Published(6717, 1, {4: 4878, 25: 6832})),
    "HalfCheetah-v5": Task(
        "HalfCheetah-ho.npz", (1, 4), 1_000_000, 5, Published(4463, -282, {4: 4516}), 100_000
    ),
    "Hopper-v5": Task("Hopper.npz", (1, 4), 1_000_000, 5, Published(3571, 14, {4: 3614}), 300_000),
}


@dataclass(frozen=True)
class Job:
    """One training run."""

    env: str
    algo: str
    trajectories: int
    seed: int
    shuffled: bool = False
    change: str = ""
    """One of `CHANGES`."""

    @property
    def method(self) -> str:
        """Name of the record's folder."""
        parts = (self.algo, "shuffled" * self.shuffled, self.change)
        return f"{'_'.join(part for part in parts if part)}-{self.trajectories}"

    @property
    def steps(self) -> int:
        """Environment steps; cloning takes none."""
        return {"bc": 0, "sac": TASKS[self.env].sac_steps}.get(self.algo, TASKS[self.env].steps)

    def curve(self, results: Path) -> Curve:
        """The record."""
        return Curve(BENCHMARK, self.env, self.method, self.seed, results=results)


@dataclass(frozen=True)
class Config(Sweep):
    """Train what is not recorded yet, and print the table."""

    demos: Path | None = None
    """Folder of the demonstrations; RLGEN_DATA/demos unless given."""
    parts: tuple[str, ...] = PARTS
    """Which of ppo, bc, control, sac and ablation."""
    envs: tuple[str, ...] = tuple(TASKS)
    """Only these environments."""
    trajectories: tuple[int, ...] = ()
    """Only these numbers of episodes; all unless given."""
    seeds: tuple[int, ...] = ()
    """Only these seeds; all unless given."""
    changes: tuple[str, ...] = tuple(CHANGES)
    """Only these of the ablation."""
    scratch: Path = Path("logs/gail_mujoco")
    """Folder of unfinished runs."""


def jobs(part: str, seeds: Sequence[int] = ()) -> Iterator[Job]:
    """The runs of a part.

    Args:
        part: One of `PARTS`, or ablation.
        seeds: Of the ablation; 100 unless given.

    Raises:
        ValueError: there is no such part.
    """
    cli.check_known("part", part, (*PARTS, "ablation"))
    if part == "ablation":
        yield from (
            Job("Ant-v5", "ppo", 4, seed, change=name) for seed in seeds or (100,) for name in CHANGES
        )
        return
    for env, task in TASKS.items():
        for n in task.trajectories:
            if part in ("ppo", "bc"):
                yield from (Job(env, part, n, seed) for seed in range(100, 100 + task.seeds))
            elif part == "control":
                yield Job(env, "ppo", n, 100, shuffled=True)
            elif part == "sac" and n == 4 and task.sac_steps:
                yield from (Job(env, "sac", n, seed) for seed in task.sac_seeds)


def choose(config: Config) -> list[Job]:
    """The runs that the flags ask for.

    Raises:
        ValueError: an unknown part, environment or number of episodes, or flags that no run answers to.
    """
    for env in config.envs:
        cli.check_known("environment", env, tuple(TASKS))
    for name in config.changes:
        cli.check_known("change", name, tuple(CHANGES))
    known = sorted({n for env in config.envs for n in TASKS[env].trajectories})
    for n in config.trajectories:
        cli.check_known("number of --trajectories", str(n), [str(k) for k in known])
    chosen = [
        job
        for part in config.parts
        for job in jobs(part, config.seeds)
        if job.env in config.envs
        and (not config.seeds or job.seed in config.seeds)
        and (not config.trajectories or job.trajectories in config.trajectories)
        and (not job.change or job.change in config.changes)
    ]
    if not chosen:
        raise ValueError("no run is of these --parts, --envs, --trajectories and --seeds: leave some out")
    return chosen


def flags(job: Job, file: Path, folder: Path) -> gail.Config:
    """What the command is told.

    Args:
        job: The run.
        file: Of the demonstrations.
        folder: Where to keep it.
    """
    from rlgen import gail

    return gail.Config(
        env=job.env,
        algo=job.algo,
        demos=str(file),
        n_demos=job.trajectories,
        subsample=20,
        seed=job.seed,
        total_timesteps=job.steps or None,
        eval_freq=max(job.steps // 20, 1),
        eval_episodes=10,
        save_freq=min(max(job.steps // 20, 1), 100_000),
        log_folder=folder,
        **CHANGES.get(job.change, {}),
    )


def train(job: Job, demos: Path, results: Path, scratch: Path) -> str:
    """Run a job as the command would, record it, and return a line to print.

    A run that was interrupted goes on from its last checkpoint in the scratch folder.
    """
    from rlgen import enjoy, gail

    curve = job.curve(results)
    file = demos / TASKS[job.env].file
    with workplace(curve, scratch, "gail") as (folder, begun):
        if begun:
            config = gail.Config(resume=begun)
        else:
            config = flags(job, shuffle(file, job, folder) if job.shuffled else file, folder)
        run = gail.main(config)
        record(curve, run, enjoy.main(enjoy.Config(run, episodes=50, seed=FINAL_SEED)))
        curve.finish({**read_config(run), "demos": TASKS[job.env].file})
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


def main(config: Config) -> None:
    """Train what is missing, then print the table."""
    if not (config.table or config.plot):
        chosen = choose(config)
        demos = find_folder(config.demos, dict.fromkeys(TASKS[job.env].file for job in chosen))
        train_missing(chosen, train, config, demos)
    print_table(config.results / BENCHMARK, {env: task.paper for env, task in TASKS.items()})
    if config.plot:
        draw_curves(BENCHMARK, config)


if __name__ == "__main__":
    sys.exit(cli.run(main, Config))
