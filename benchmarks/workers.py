"""Training runs side by side, one process and one thread each."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context


def run_all(train: Callable[..., str], jobs: Sequence[tuple], workers: int) -> None:
    """Call `train(*job)` for every job, `workers` at a time, and print what each returns as it ends.

    A process does one job: it starts with the settings of a fresh interpreter. Its records name our command.
    """
    os.environ["OMP_NUM_THREADS"] = "1"
    spawn = get_context("spawn")
    with ProcessPoolExecutor(
        workers, spawn, _remember_command, (sys.orig_argv,), max_tasks_per_child=1
    ) as pool:
        for done in as_completed([pool.submit(train, *job) for job in jobs]):
            print(done.result(), flush=True)


def _remember_command(argv: list[str]) -> None:
    sys.orig_argv = argv
