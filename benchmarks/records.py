"""The records that benchmarks write and figures are drawn from.

    benchmarks/results/<benchmark>/<Env-v0>/<algo>-<bonus>/seed<k>.csv   one row a finished training episode
    benchmarks/results/<benchmark>/<Env-v0>/<algo>-<bonus>/config.json   by seed: command, commit, settings

Of gail_mujoco the folder is <algo>-<trajectories>, and a row of the csv is an evaluation.

A seed is finished when config.json lists it, which is written after its csv. Files are replaced whole: a run
killed at any moment leaves the record before or the record after, and several processes may share a folder.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rlgen.files import atomic_write, make_folder, write_json
from rlgen.folder import PACKAGES

RESULTS = Path(__file__).parent / "results"
COLUMNS = ("step", "episode_return", "wall_time_s")
PLACES = {
    "--data-dir": "DIR",
    "--classifiers": "DIR",
    "--demos": "DEMOS",
    "--results": "DIR",
    "--scratch": "DIR",
    "--log-folder": "LOG_FOLDER",
    "-f": "LOG_FOLDER",
    "--imitation-python": "PYTHON",
}
"""Flags that name a place, and what a record has instead of it."""


def check_results(results: Path) -> None:
    """Make the folder of the records, before the work that fills it.

    Raises:
        ValueError: No record can be written there.
    """
    try:
        make_folder(results)
    except OSError as error:
        raise ValueError(f"--results {results}: no record can be written there ({error})") from error


@dataclass
class Curve:
    """The training episodes of one seed (or its evaluations), in the order in which they ended.

    Example:
        curve = Curve("vime_sparse", "rlgen/SparseAnt-v0", "ppo-expected", seed=100)
        if not curve.finished():
            ...                      # curve.append(step, episode_return, wall_time_s) at each episode's end
            curve.finish(settings)
    """

    benchmark: str
    env: str
    """The id; its namespace `rlgen/` is dropped."""
    method: str
    """<algo>-<bonus>, such as ppo-expected or sac-none; <algo>-<trajectories> of gail_mujoco."""
    seed: int
    rows: list[tuple[int, float, float]] = field(default_factory=list)
    """step: environment steps of all environments together; the episode's return; seconds since the start."""
    results: Path = field(default_factory=lambda: RESULTS)

    def __post_init__(self) -> None:
        self.env = self.env.rpartition(":")[2].removeprefix("rlgen/")
        for name in (self.benchmark, self.env, self.method):
            if not name or "/" in name:
                raise ValueError(f"{name!r} cannot name a folder of records: it is empty or holds a slash")
        _commit()  # asked now: by the time the run ends, somebody may have committed

    @property
    def path(self) -> Path:
        """Where the csv is."""
        return self.results / self.benchmark / self.env / self.method / f"seed{self.seed}.csv"

    def append(self, step: int, episode_return: float, wall_time_s: float) -> None:
        """Note one finished episode, in memory."""
        self.rows.append((int(step), float(episode_return), float(wall_time_s)))

    def append_run(self, run: Path) -> None:
        """Note all episodes of a finished run folder of `train_vime`."""
        for row in pd.read_csv(run / "monitor.csv").itertuples():
            self.append(row.step, row.r, row.t)  # type: ignore[arg-type]

    def save(self) -> None:
        """Write the csv as it stands; the seed does not count as finished yet."""
        lines = [",".join(COLUMNS), *(f"{step},{value:.6g},{wall:.2f}" for step, value, wall in self.rows)]
        atomic_write(self.path, "\n".join(lines) + "\n")

    def finish(self, settings: Mapping[str, Any] | None = None) -> None:
        """Write the csv, then enter the seed in config.json with its origin and `settings` (JSON values)."""
        self.save()
        entry = {**origin(), "settings": dict(settings or {})}
        with _locked(self.path.parent):
            config = _config(self.path.parent)
            config[str(self.seed)] = entry
            config = {seed: config[seed] for seed in sorted(config, key=int)}
            write_json(self.path.parent / "config.json", {"seeds": config})

    def finished(self) -> bool:
        """Whether this seed has a complete record."""
        return str(self.seed) in _config(self.path.parent) and self.path.exists()

    def load(self) -> Curve:
        """Read the rows from the csv, in place of those in memory; returns itself."""
        table = pd.read_csv(self.path)
        if tuple(table.columns) != COLUMNS:
            raise ValueError(f"{self.path} has columns {list(table.columns)}, not {list(COLUMNS)}: delete it")
        self.rows = [(int(step), float(value), float(wall)) for step, value, wall in table.to_numpy()]
        return self

    def column(self, name: str) -> np.ndarray:
        """One of `COLUMNS` as an array."""
        return np.array([row[COLUMNS.index(name)] for row in self.rows], dtype=float)


def read_curves(benchmark: str, results: Path | None = None) -> list[Curve]:
    """Every finished seed of a benchmark, by environment, method and seed.

    Raises:
        ValueError: there is no such benchmark, or none of its seeds is finished.
    """
    results = results or RESULTS
    curves = []
    for path in sorted(results.glob(f"{benchmark}/*/*/seed*.csv")):
        env, method = path.parts[-3:-1]
        curve = Curve(benchmark, env, method, int(path.stem.removeprefix("seed")), results=results)
        if curve.finished():
            curves.append(curve.load())
    if not curves:
        known = sorted({p.parents[2].name for p in results.glob("*/*/*/config.json")})
        raise ValueError(f"no finished seed of {benchmark!r} under {results}: recorded are {known or 'none'}")
    return sorted(curves, key=lambda c: (c.env, c.method, c.seed))


def write_number(
    path: Path, metric: str, value: float, unit: str, *, argv: Sequence[str] | None = None, **more: Any
) -> None:
    """Write a one-number result as json: metric, value, unit, command, commit, versions and hardware.

    `argv` is the command line that led to it, if that of this process is another.
    """
    record = {"metric": metric, "value": value, "unit": unit, **more, **origin(argv)}
    write_json(path, record)


def origin(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Where a figure comes from: command, commit (`-dirty` with uncommitted changes), versions, hardware."""
    return {
        "command": _command(sys.orig_argv if argv is None else argv),
        "commit": _commit(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "hardware": {"cpu": _cpu(), "cores": os.cpu_count(), "system": platform.system()},
    }


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of the folder's config.json; a killed process's lock is released."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    return json.loads(path.read_text())["seeds"] if path.exists() else {}


def _command(argv: Sequence[str]) -> str:
    """The command line with a bare `python`, without the folders of this machine."""
    return shlex.join(["python", *portable(argv)[1:]])


def portable(argv: Sequence[str]) -> list[str]:
    """A command line in which a word stands for each folder and interpreter of this machine."""
    found = list(argv)
    for k, word in enumerate(found[1:], 1):
        flag, equals, _ = word.partition("=")
        before = found[k - 1].replace("_", "-")
        if before in PLACES:
            found[k] = PLACES[before]
        elif equals and flag.replace("_", "-") in PLACES:
            found[k] = f"{flag}={PLACES[flag.replace('_', '-')]}"
    return found


@cache
def _commit() -> str:
    """The commit of the checkout when the process first asked, or `unknown` outside one."""
    git = ["git", "-C", str(Path(__file__).parent)]
    head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True)
    if head.returncode:
        return "unknown"
    status = [*git, "status", "--porcelain", "--untracked-files=no", "--", "..", ":!results"]
    changed = subprocess.run(status, capture_output=True, check=True)
    return head.stdout.strip() + ("-dirty" if changed.stdout else "")


def _cpu() -> str:
    info = Path("/proc/cpuinfo")  # where there is one, it names the model; platform mostly does not
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
