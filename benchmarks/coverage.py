"""How far does SAC get with VIME, and without, where walking earns nothing until the goal is near?

    python -m benchmarks.coverage                     SAC, none / expected, 300k steps, on both tasks
    python -m benchmarks.coverage --envs rlgen/SparseAnt-v0 --bonuses expected
    python -m benchmarks.coverage --plot              the table and the visit maps of what is recorded

A cell is a square of 0.5 m that the torso was in at the end of a training step. Runs are checkpointed
in the scratch folder every 25k steps and go on where they stopped; finished ones are skipped.

Hardware of the committed records: 2 vCPU of an AMD EPYC, one thread a run, an hour or more each.
Records: results/coverage/<Env-v0>/sac-<bonus>/seed<k>.csv, one row a training episode, and cells-seed<k>.csv.
"""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from stable_baselines3.common.callbacks import BaseCallback

from benchmarks.records import Curve, read_curves
from benchmarks.sweeps import Sweep, draw_curves, train_missing, workplace
from rlgen import cli
from rlgen.files import atomic_write, replace_file
from rlgen.folder import latest_checkpoint, new_run, read_config, read_manifest, write_config

BENCHMARK = "coverage"
CELL = 0.5  # m


@dataclass(frozen=True)
class Job:
    """One training run."""

    env: str
    bonus: str
    seed: int
    steps: int

    def curve(self, results: Path) -> Curve:
        """The record."""
        return Curve(BENCHMARK, self.env, f"sac-{self.bonus}", self.seed, results=results)


@dataclass(frozen=True)
class Config(Sweep):
    """Train what is not recorded yet, and print the table."""

    envs: tuple[str, ...] = ("rlgen/SparseAnt-v0", "rlgen/SparseHumanoid-v0")
    """Environments with a position in the plane."""
    bonuses: tuple[str, ...] = ("expected", "none")
    """Values of train_vime's --bonus."""
    seeds: tuple[int, ...] = (100,)
    """Of the runs."""
    steps: int = 300_000
    """Environment steps a run."""
    scratch: Path = Path("logs/coverage")
    """Folder of unfinished runs."""


class Positions(BaseCallback):
    """Appends the plane position after each step to a file of float32 triples (step, x, y).

    Args:
        path: of the file; rows beyond `step` are cut off.
        step: from which the run goes on.
    """

    def __init__(self, path: Path, step: int) -> None:
        super().__init__()
        rows = read_positions(path)
        temporary = path.with_suffix(".tmp")
        rows[rows[:, 0] <= step].tofile(temporary)
        temporary.replace(path)
        self.file = open(path, "ab")  # noqa: SIM115  # open as long as the run

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            row = (self.num_timesteps, info["x_position"], info["y_position"])
            self.file.write(np.array(row, np.float32).tobytes())
        return True

    def _on_rollout_start(self) -> None:
        self.file.flush()

    def close(self) -> None:
        """No more steps."""
        self.file.close()


def read_positions(path: Path) -> np.ndarray:
    """Rows (T, 3) of step, x and y; a row that a crash left half written is dropped."""
    data = np.fromfile(path, np.uint8) if path.exists() else np.empty(0, np.uint8)
    return data[: len(data) // 12 * 12].view(np.float32).reshape(-1, 3)


def cells(positions: np.ndarray) -> pd.DataFrame:
    """Columns i, j and visits of the cells [CELL i, CELL (i + 1)) x [CELL j, CELL (j + 1))."""
    index, visits = np.unique(np.floor(positions[:, 1:] / CELL).astype(int), axis=0, return_counts=True)
    return pd.DataFrame({"i": index[:, 0], "j": index[:, 1], "visits": visits})


def cells_path(curve: Curve) -> Path:
    """Where the visited cells of a run are recorded."""
    return curve.path.with_name(f"cells-seed{curve.seed}.csv")


def train(job: Job, results: Path, scratch: Path) -> str:
    """Run or go on with one run, record it, and return a line to print."""
    from rlgen import runs, train_vime

    curve = job.curve(results)
    with workplace(curve, scratch, "vime") as (folder, begun):
        if begun:
            run, plan = begun, read_config(begun)
        else:
            flags = train_vime.Config(
                env=job.env,
                algo="sac",
                bonus=job.bonus,
                seed=job.seed,
                total_timesteps=job.steps,
                save_freq=25_000,
                eval_freq=0,
            )
            plan, run = train_vime.new_plan(flags), new_run(folder, "vime", job.env)
            write_config(run, plan)
        model, learner = train_vime.build(plan)
        checkpoint = latest_checkpoint(run)
        step = read_manifest(checkpoint)["step"] if checkpoint else 0
        with closing(Positions(run / "positions.bin", step)) as positions:
            options = {"save_freq": plan["save_freq"], "checkpoint": checkpoint, "callbacks": [positions]}
            try:
                runs.train(run, model, learner, plan["total_timesteps"], **options)
            except runs.Stopped as stop:
                raise SystemExit(128 + stop.signal) from None
        curve.append_run(run)
        visited = cells(read_positions(run / "positions.bin"))
        atomic_write(cells_path(curve), visited.to_csv(index=False))
        curve.finish(plan)
    return f"{curve.env} {curve.method} seed {job.seed}: {len(visited)} cells"


def table(curves: list[Curve]) -> None:
    """Print the figures of each run, and the ratio of cells of VIME to plain SAC."""
    counts = {}
    for curve in curves:
        returns, key = curve.column("episode_return"), f"{curve.env}_{curve.method}_seed{curve.seed}"
        counts[curve.env, curve.method, curve.seed] = len(pd.read_csv(cells_path(curve)))
        print(f"cells_{key}: {counts[curve.env, curve.method, curve.seed]}")
        print(f"episodes_with_reward_{key}: {int((returns > 0).sum())} of {len(returns)}")
        print(f"return_{key}: {returns.mean():.3g} mean, {returns[-100:].mean():.3g} over the last 100")
    for env, method, seed in counts:
        if method == "sac-expected" and (env, "sac-none", seed) in counts:
            ratio = counts[env, method, seed] / counts[env, "sac-none", seed]
            print(f"cells_ratio_{env}_seed{seed}: {ratio:.2f}")


def draw(curves: list[Curve], path: Path) -> None:
    """A map a run: visits of each cell on a log scale; the runs of an environment share scale and extent."""
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    envs = list(dict.fromkeys(curve.env for curve in curves))
    methods = list(dict.fromkeys(curve.method for curve in curves))
    figure = Figure(figsize=(4 * len(methods), 3.8 * len(envs)), layout="constrained")
    axes = figure.subplots(len(envs), len(methods), squeeze=False, sharex="row", sharey="row")
    for curve in curves:
        ax = axes[envs.index(curve.env), methods.index(curve.method)]
        visited = pd.read_csv(cells_path(curve))
        i, j = visited["i"].to_numpy(), visited["j"].to_numpy()
        grid = np.zeros((j.max() - j.min() + 1, i.max() - i.min() + 1))
        grid[j - j.min(), i - i.min()] = visited["visits"]
        extent = (CELL * i.min(), CELL * (i.max() + 1), CELL * j.min(), CELL * (j.max() + 1))
        image = ax.imshow(np.ma.masked_equal(grid, 0), norm=LogNorm(1, 1e5), extent=extent, origin="lower")
        ax.dataLim.update_from_data_xy(np.reshape(extent, (2, 2)).T)
        ax.autoscale_view()
        ax.set_title(f"{curve.env}, {curve.method}: {len(visited)} cells", fontsize=9)
        ax.set_xlabel("x (m)")
        ax.set_ylabel("y (m)")
        figure.colorbar(image, ax=ax, label="steps", shrink=0.8)
    replace_file(path, lambda partial: figure.savefig(partial, format="png", dpi=150))
    print(path)


def main(config: Config) -> None:
    """Train what is missing, then print the table."""
    if not (config.table or config.plot):
        chosen = [
            Job(env, bonus, seed, config.steps)
            for env, bonus, seed in product(config.envs, config.bonuses, config.seeds)
        ]
        train_missing(chosen, train, config)
    curves = read_curves(BENCHMARK, config.results)
    table(curves)
    if config.plot:
        draw(curves, config.results / BENCHMARK / "visits.png")
        draw_curves(BENCHMARK, config)


if __name__ == "__main__":
    sys.exit(cli.run(main, Config))
