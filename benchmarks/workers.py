"""Training runs side by side, one process and one thread each."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context


def run_all(train: Callable[..., str], jobs: Sequence[tuple], workers: int) -> None:
    """Call `train(*job)` for every job, `workers` at a time, and print what each returns as it ends.

    A process does one job: it starts with the settings of a fresh interpreter.
    """
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(workers, get_context("spawn"), max_tasks_per_child=1) as pool:
        for done in as_completed([pool.submit(train, *job) for job in jobs]):
            print(done.result(), flush=True)
