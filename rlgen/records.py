"""What a run writes down while it trains: csv files whose first column is `step`, and TensorBoard events.

    monitor.csv      step,r,l,t                             a row a finished training episode
    progress.csv     step and what SB3 and the learned reward log
    evaluations.csv  step,mean_return,std_return,mean_length

`step` counts the steps of all environments together; r is the environment's own return, l the length in
steps, t seconds since the run began. A resumed run cuts all three back to its checkpoint and goes on there.
"""

from __future__ import annotations

import csv
import io
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import KVWriter, Logger, TensorBoardOutputFormat, filter_excluded_keys
from stable_baselines3.common.vec_env import VecEnv, VecNormalize, sync_envs_normalization

from rlgen.checkpoints import generators, set_generators
from rlgen.episode_log import EnvironmentNaN
from rlgen.files import atomic_write
from rlgen.training import EVAL_SEED

MONITOR = ("step", "r", "l", "t")
EVALUATIONS = ("step", "mean_return", "std_return", "mean_length")


class Table:
    """A csv file that grows by a row at a time, and by columns as they come.

    Args:
        path: of the file; an existing one is continued.
        columns: to begin with.
        step: rows beyond this step, and a last row that a crash left half written, are cut off.
    """

    def __init__(self, path: Path, columns: tuple[str, ...] = ("step",), step: int = 0) -> None:
        self.path = path
        lines = self._read() if path.exists() else []
        self.columns = lines[0] if lines else list(columns)
        rows = [row for row in lines[1:] if int(row[0]) <= step]
        self._newest = rows[-1] if rows else []
        self._write(rows)

    def __bool__(self) -> bool:
        """Whether there is a row."""
        return bool(self._newest)

    def last(self, column: str) -> float:
        """The newest value in a column, 0 without rows."""
        return float(self._newest[self.columns.index(column)]) if self._newest else 0.0

    def append(self, row: dict[str, Any]) -> None:
        """Write a row at once."""
        new = [name for name in row if name not in self.columns]
        if new:
            rows = [old + [""] * len(new) for old in self._read()[1:]]
            self.columns += new
            self._write(rows)
        self._newest = [_text(row.get(name, "")) for name in self.columns]
        with open(self.path, "a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(self._newest)

    def _read(self) -> list[list[str]]:
        """Header and rows; a last line that a crash cut short is left out."""
        text = self.path.read_text()
        return list(csv.reader(io.StringIO(text[: text.rfind("\n") + 1])))

    def _write(self, rows: list[list[str]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.columns, *rows])
        atomic_write(self.path, text.getvalue())


def _text(value: Any) -> str:
    value = value.item() if isinstance(value, np.generic) else value
    return f"{value:.9g}" if isinstance(value, float) else str(value)


class Progress(KVWriter):
    """SB3's log as a `Table`: SB3's own csv writer starts anew when a run is resumed."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def write(
        self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0
    ) -> None:
        """Append one row of numbers."""
        kept = filter_excluded_keys(key_values, key_excluded, "csv")
        numbers = {key: kept[key] for key in sorted(kept) if np.isscalar(kept[key])}
        self.table.append({"step": step, **numbers})

    def close(self) -> None:
        """Nothing is left open."""


class Events(TensorBoardOutputFormat):
    """TensorBoard events of which those beyond `step` no longer show."""

    def __init__(self, folder: Path, step: int) -> None:
        from torch.utils.tensorboard.writer import SummaryWriter

        self.writer = SummaryWriter(str(folder), purge_step=step + 1)
        self._is_closed = False


def make_logger(run: Path, step: int) -> Logger:
    """A logger into progress.csv and tensorboard/ that continues from `step`."""
    table = Table(run / "progress.csv", step=step)
    return Logger(str(run), [Progress(table), Events(run / "tensorboard", step)])


class Records(BaseCallback):
    """Writes monitor.csv, and a row of progress.csv about every `log_freq` steps, at the end of a rollout.

    SB3 counts its log interval from the start of `learn`; this counts from step 0, so that a resumed run
    writes the rows of an uninterrupted one.
    """

    def __init__(self, run: Path, log_freq: int, step: int) -> None:
        super().__init__()
        self.log_freq = log_freq
        self.table = Table(run / "monitor.csv", MONITOR, step)
        self._began = time.time() - self.table.last("t")
        self._logged = step

    def _on_rollout_start(self) -> None:
        self._logged = self.model.num_timesteps

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            episode = info.get("episode")
            if episode is not None:
                row = (self.num_timesteps, episode["r"], episode["l"], round(time.time() - self._began, 2))
                self.table.append(dict(zip(MONITOR, row, strict=True)))
        return True

    def _on_rollout_end(self) -> None:
        if self.num_timesteps // self.log_freq > self._logged // self.log_freq:
            self.model.dump_logs()


class Evaluations(BaseCallback):
    """Evaluates the deterministic policy about every `eval_freq` steps and at the end: evaluations.csv.

    Every evaluation plays the same episodes' starts, and leaves no trace in training: the generators are put
    back. The reward is the environment's own. NaN from the evaluation's environment makes a row of NaN.
    """

    def __init__(self, run: Path, env: VecEnv, eval_freq: int, n_episodes: int, step: int) -> None:
        super().__init__()
        self.env, self.eval_freq, self.n_episodes = env, eval_freq, n_episodes
        self.table = Table(run / "evaluations.csv", EVALUATIONS, step)

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        if self.model.num_timesteps // self.eval_freq > self.table.last("step") // self.eval_freq:
            self._evaluate()

    def _on_training_end(self) -> None:
        if not self.table or self.model.num_timesteps > self.table.last("step"):
            self._evaluate()

    def _evaluate(self) -> None:
        if isinstance(self.env, VecNormalize):
            sync_envs_normalization(self.training_env, self.env)
        with undisturbed(self.model):
            self.env.seed((self.model.seed or 0) + EVAL_SEED)
            try:
                returns, lengths = evaluate_policy(
                    self.model, self.env, self.n_episodes, return_episode_rewards=True, warn=False
                )
            except EnvironmentNaN as error:  # of the evaluation's environment alone: training goes on
                print(f"warning: evaluation after {self.num_timesteps} steps: {error}", file=sys.stderr)
                returns, lengths = [np.nan], [np.nan]
        values = (self.model.num_timesteps, np.mean(returns), np.std(returns), np.mean(lengths))
        self.table.append(dict(zip(EVALUATIONS, values, strict=True)))
        self.logger.record("eval/mean_return", values[1])


@contextmanager
def undisturbed(model: BaseAlgorithm) -> Iterator[None]:
    """Put back every generator that training draws from."""
    state = generators(model)
    try:
        yield
    finally:
        set_generators(state, model)
