"""The training loop of any task: rows, frames, checkpoints, and an end by signal or by the clock."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any

import torch
from stable_baselines3.common.logger import Logger
from tqdm import tqdm

from benchmarks.images import pictures
from benchmarks.images.plan import Plan
from benchmarks.images.task import Figures, Task
from benchmarks.records import origin
from rlgen import folder
from rlgen.progress import duration
from rlgen.records import make_logger
from rlgen.runs import Stopped, StopRequest, stop_signals

SECONDS = 10.0
"""Between two lines of progress."""


def train(loops: Sequence[Loop]) -> dict[Loop, ValueError]:
    """Train runs side by side, a batch of each in turn; returns those that diverged, and what they said.

    On a GPU each has a stream of its own: kernels that are too small to fill it run beside each other. Runs
    that came to their ends have `ended`; others, out of time, are saved.

    Raises:
        Stopped: SIGINT or SIGTERM, after saving.
    """
    failed: dict[Loop, ValueError] = {}
    with stop_signals("the end of this batch") as stop:
        going = {loop: loop.batches(stop) for loop in loops}
        for loop in loops:
            loop.beside = sum(other.task.steps_done < other.task.steps for other in loops)
        while going:
            for k, (loop, batches) in enumerate(tuple(going.items())):
                try:
                    with loop.placed():
                        left = next(batches, loop) is loop
                except ValueError as error:
                    failed[loop], left = error, True
                except Exception:
                    _save(going.keys() - {loop})
                    raise
                if left:
                    del going[loop]
                elif k == 0:
                    loop.lines.tell(silent=loop.bar)
    if stop.signum:  # what came after the last batch, too: a resumed run has its figures made
        raise Stopped(stop.signum)
    for loop in loops:
        if loop.stream:
            torch.cuda.current_stream().wait_stream(loop.stream)
    return failed


def _save(loops: Iterable[Loop]) -> None:
    """Save what can be saved of runs beside one that an error has ended."""
    for loop in loops:
        if loop.task.steps_done > loop.first:
            with loop.placed(), suppress(Exception):
                loop.save()


class Loop:
    """One piece of a run's training, from its start or a checkpoint.

    Args:
        run: The run's folder.
        plan: Of the run.
        task: As built.
        checkpoint: To go on from.
        minutes: After which to save and leave; None for no limit.
        bar: Show a bar in place of lines.
    """

    def __init__(
        self,
        run: Path,
        plan: Plan,
        task: Task,
        checkpoint: Path | None = None,
        minutes: float | None = None,
        bar: bool = False,
    ) -> None:
        self.run, self.plan, self.task, self.bar = run, plan, task, bar
        self.pieces: list[dict[str, Any]] = []
        """Of the training before this piece: hours, device, commit, and how many runs were side by side."""
        self.beside = 1
        if checkpoint is not None:
            state = load(checkpoint)
            task.restore(state)
            self.pieces = state["pieces"]
        self.commit = origin()["commit"]
        self.began, self.ended = time.monotonic(), 0.0
        self.deadline = self.began + 60 * minutes if minutes is not None else float("inf")
        self.first = task.steps_done
        self.saved = self.first if checkpoint else -1
        self.lines = Lines(task)
        self.stream = torch.cuda.Stream() if plan["device"] == "cuda" else None
        if self.stream:
            self.stream.wait_stream(torch.cuda.current_stream())  # for what the task has put on the GPU

    def placed(self) -> AbstractContextManager[Any]:
        """In which all that concerns the run's GPU has to happen."""
        return torch.cuda.stream(self.stream) if self.stream else nullcontext()

    def batches(self, stop: StopRequest) -> Generator[None]:
        """Train to the end, saved as final/, or to the limit of time or a signal, pausing at every batch.

        Raises:
            ValueError: The training diverged.
        """
        cut_frames(self.run, self.first)
        whole = self.task.position.batch == self.task.n_batches  # an epoch whose row is still to come
        logger = make_logger(self.run, self.first - whole)
        try:
            with self._progress() as progress:
                if self.saved < 0:
                    self.task.initialise()
                    self._frame()
                while self.task.position.epoch < self.task.epochs:  # a signal may come in the last batch
                    if not (yield from self._epoch(stop, progress, logger)):
                        return
            self.ended = time.monotonic()
            self.save(self.run / "final")
        finally:
            logger.close()

    def _epoch(self, stop: StopRequest, progress: tqdm, logger: Logger) -> Generator[None, None, bool]:
        """The rest of an epoch, and what its end brings; False where it was left, saved, before that."""
        task = self.task
        task.enter_epoch()
        while task.position.batch < task.n_batches:
            task.advance()
            progress.update()
            if stop.signum or (time.monotonic() > self.deadline and task.steps_done < task.steps):
                self.save()
                return False
            yield
            if stop.signum:  # came while others had their turn
                self.save()
                return False
        epoch, step = task.position.epoch + 1, task.steps_done
        figures = task.measure()
        due = epoch % self.plan["sample_freq"] == 0 or epoch == task.epochs
        if due:
            figures |= task.evaluate()
            self._frame()
        self.lines.figures |= figures
        for name, value in {"epoch": epoch, **figures, "time/hours": self.hours}.items():
            logger.record(name, value)
        logger.dump(step)
        task.leave_epoch()
        if self.plan["save_freq"] and epoch % self.plan["save_freq"] == 0 and epoch < task.epochs:
            self.save()
        return True

    def save(self, place: Path | None = None) -> None:
        """Write a checkpoint, as a whole or not at all, and forget all but the last two."""
        step = self.task.steps_done
        place = place or self.run / "checkpoints" / f"step_{step}"
        if step == self.saved and place.exists():
            return
        temporary = place.with_name(f".{place.name}.tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        if self.stream:
            self.stream.synchronize()  # so that the hours are those of the steps
        torch.save({**self.task.state(), "pieces": self.all_pieces()}, temporary / "state.pt")
        folder.seal(temporary, place, step=step)
        folder.prune(self.run, step)
        self.saved = step

    def all_pieces(self) -> list[dict[str, Any]]:
        """As `pieces`, this one included."""
        here = ((self.ended or time.monotonic()) - self.began) / 3600
        if self.task.steps_done == self.first:
            return self.pieces
        device = device_name(self.plan["device"])
        now = {"hours": here, "device": device, "commit": self.commit, "side_by_side": self.beside}
        return [*self.pieces, now]

    @property
    def hours(self) -> float:
        """Of training, over all pieces."""
        return sum(piece["hours"] for piece in self.all_pieces())

    def _frame(self) -> None:
        pictures.save_png(frame_path(self.run, self.task.steps_done), self.task.frame())

    def _progress(self) -> tqdm:
        return tqdm(
            total=self.task.steps, initial=self.first, disable=not self.bar, unit="batch", file=sys.stdout
        )


class Lines:
    """A line about every ten seconds: epoch, speed, time left, the figures of the last epoch.

    Args:
        task: In training.
    """

    def __init__(self, task: Task) -> None:
        self.task, self.figures = task, Figures()
        self._start, self._first = time.monotonic(), task.steps_done
        self._last = self._start

    def tell(self, *, silent: bool = False) -> None:
        """Print a line if one is due."""
        now = time.monotonic()
        if not silent and now - self._last >= SECONDS:
            self._last = now
            print(self.line(now), flush=True)

    def line(self, now: float) -> str:
        """The line at `now` seconds of the monotonic clock."""
        task, done = self.task, self.task.steps_done
        speed = (done - self._first) / max(now - self._start, 1e-9)
        parts = [
            f"epoch {task.position.epoch + 1}/{task.epochs}",
            f"{100 * done / task.steps:3.0f} %",
            f"{speed:.3g} batches/s",
            f"{duration((task.steps - done) / max(speed, 1e-9))} left",
            *(f"{name} {self.figures[name]:.3g}" for name in task.shown if name in self.figures),
        ]
        return "   ".join(parts)


def load(checkpoint: Path) -> dict[str, Any]:
    """The state in an intact checkpoint; nothing is unpickled but tensors and plain values."""
    return torch.load(checkpoint / "state.pt", map_location="cpu", weights_only=True)


def frame_path(run: Path, step: int) -> Path:
    """Where the frame of a step is."""
    return run / "samples" / f"step_{step:08d}.png"


def frames(run: Path) -> list[Path]:
    """All of them in order."""
    return sorted((run / "samples").glob("step_*.png"))


def cut_frames(run: Path, step: int) -> None:
    """Take away those beyond a step: of a piece that ended without saving."""
    for path in frames(run):
        if path > frame_path(run, step):
            path.unlink()


def device_name(device: str) -> str:
    """Such as cpu, or the name of the GPU."""
    return device if device == "cpu" else torch.cuda.get_device_name()
