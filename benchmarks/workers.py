"""Training runs side by side, one process and one thread each."""

from __future__ import annotations

import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from threading import Thread
from types import FrameType

POLL = 0.5  # s between looks for a signal


@dataclass(frozen=True)
class Run:
    """A job in its process."""

    job: tuple
    process: SpawnProcess
    answer: Connection
    """From which what the job returns is read."""


def run_all(train: Callable[..., str], jobs: Sequence[tuple], workers: int) -> None:
    """Call `train(*job)` for every job, `workers` at a time, and print what each returns as it ends.

    A process does one job: it starts with the settings of a fresh interpreter. Its records name our command.
    SIGINT and SIGTERM are passed on as SIGTERM: what runs may save and stop, and nothing more starts. Once a
    job has failed nothing more starts either, and what runs goes on to its end; its traceback comes at once.

    Raises:
        ValueError: no worker.
        SystemExit: 130 or 143 after a signal; 1 and a message after a failure.
    """
    if workers < 1:
        raise ValueError(f"--workers is {workers}: give at least 1")
    os.environ["OMP_NUM_THREADS"] = "1"
    todo, running = deque(jobs), list[Run]()
    failed, told = list[str](), 0
    with _signals() as signals:
        while running or (todo and not (signals or failed)):
            while todo and len(running) < workers and not (signals or failed):
                running.append(_start(train, todo.popleft()))
            wait([run.process.sentinel for run in running], POLL)
            if len(signals) > told:
                told = len(signals)
                for run in running:
                    run.process.terminate()
            for run in [run for run in running if not run.process.is_alive()]:
                running.remove(run)
                if run.process.exitcode == 0:
                    print(run.answer.recv(), flush=True)
                else:
                    failed.append(f"{train.__name__}{run.job[:1]} with exit status {run.process.exitcode}")
    if signals:
        raise SystemExit(128 + signals[0])
    if failed:
        raise SystemExit(f"error: failed: {', '.join(failed)}; {len(todo)} more were not started")


@contextmanager
def _signals() -> Iterator[list[int]]:
    """The SIGINT and SIGTERM that have come so far."""
    come: list[int] = []

    def note(signum: int, frame: FrameType | None) -> None:
        come.append(signum)
        print("waiting until what runs has saved; once more to leave at once", file=sys.stderr, flush=True)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield come
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _start(train: Callable[..., str], job: tuple) -> Run:
    spawn = get_context("spawn")
    answer, result = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_work, args=(result, sys.orig_argv, train, job))
    process.start()
    return Run(job, process, answer)


def _work(result: Connection, argv: list[str], train: Callable[..., str], job: tuple) -> None:
    """In the process of a job."""
    os.setpgid(0, 0)  # Ctrl+C reaches our parent alone: a second signal would end a run that is saving
    Thread(target=_stop_without_parent, daemon=True).start()
    sys.orig_argv = argv
    result.send(train(*job))


def _stop_without_parent() -> None:
    """Ask this process to save and stop when its parent has ended, by kill -9 for one."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
