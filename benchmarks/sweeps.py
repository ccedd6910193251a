"""What the benchmarks that train many runs share: their flags, the runs that are missing, and the end."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from benchmarks.records import RESULTS, Curve, check_results
from benchmarks.workers import run_all


class Job(Protocol):
    """One training run."""

    def curve(self, results: Path) -> Curve:
        """Its record."""
        ...


@dataclass(frozen=True)
class Sweep:
    """Train what is not recorded yet, and print the table."""

    workers: int = 2
    """Runs at a time, one thread each."""
    table: bool = False
    """Train nothing."""
    plot: bool = False
    """Train nothing, draw the curves."""
    results: Path = field(default_factory=lambda: RESULTS)
    """Folder of the records."""
    scratch: Path = Path("logs/benchmarks")
    """Folder of unfinished runs."""


J = TypeVar("J", bound=Job)


def train_missing(jobs: Iterable[J], train: Callable[..., str], sweep: Sweep, *more: object) -> None:
    """Call `train(job, *more, results, scratch)` for each job without a record, and print its answer."""
    check_results(sweep.results)
    jobs = list(dict.fromkeys(jobs))
    missing = [job for job in jobs if not job.curve(sweep.results).finished()]
    print(f"{len(jobs)} runs, {len(missing)} of them to do", flush=True)
    run_all(train, [(job, *more, sweep.results, sweep.scratch) for job in missing], sweep.workers)


@contextmanager
def workplace(curve: Curve, scratch: Path, kind: str) -> Iterator[tuple[Path, Path | None]]:
    """A folder for the run of a record, and the run of that kind that was begun there, if any.

    What is printed goes into the folder's output.txt. The folder goes once all is done, and stays after an
    error or a signal.
    """
    folder = scratch / curve.env / curve.method / f"seed{curve.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    begun = sorted(folder.glob(f"{kind}/*/config.json"))
    with open(folder / "output.txt", "a") as output, redirect_stdout(output):
        yield folder, begun[0].parent if begun else None
    shutil.rmtree(folder)


def draw_curves(benchmark: str, sweep: Sweep) -> None:
    """Draw what is recorded."""
    from benchmarks import plot

    plot.main(plot.Config(benchmark, results=sweep.results))
