"""What the benchmarks that train many runs share: their flags, the runs that are missing, and the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from benchmarks.records import RESULTS, Curve
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
    jobs = list(dict.fromkeys(jobs))
    missing = [job for job in jobs if not job.curve(sweep.results).finished()]
    print(f"{len(jobs)} runs, {len(missing)} of them to do", flush=True)
    run_all(train, [(job, *more, sweep.results, sweep.scratch) for job in missing], sweep.workers)


def draw_curves(benchmark: str, sweep: Sweep) -> None:
    """Draw what is recorded."""
    from benchmarks import plot

    plot.main(plot.Config(benchmark, results=sweep.results))
