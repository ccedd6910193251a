"""A training run from its first step or from a checkpoint to `final/`, and back into memory.

run = new_run("logs", "vime", setup.env)
write_config(run, {"setup": setup.to_dict()})
model = make_model(setup, make_env(setup))
train(run, model, learner, total_timesteps)                                    # LearnReward, or None
train(run, model, learner, total_timesteps, checkpoint=check_resume(run))      # with both built anew
model, env = load(run)
"""

from __future__ import annotations

import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CallbackList, ProgressBarCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from rlgen.checkpoints import (
    check_algorithm,
    restore,
    restore_generators,
    restore_model,
    restore_statistics,
    save,
)
from rlgen.folder import (
    held,
    latest_checkpoint,
    prune,
    read_config,
    read_manifest,
    step_of,
    version_changes,
)
from rlgen.presets import OFF_POLICY, ON_POLICY
from rlgen.records import Evaluations, Records, make_logger
from rlgen.relabel import LearnReward
from rlgen.training import Setup, make_env, make_model


def read_setup(run: Path) -> Setup:
    """The `Setup` of a run.

    Raises:
        ValueError: config.json is missing, or has none.
    """
    try:
        return Setup.from_dict(read_config(run)["setup"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{run}/config.json does not say how the run is set up ({error!r})") from error


class Stopped(Exception):
    """A signal ended the training, and what can be saved is saved: exit with 128 + `signal`."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signal = signum


@dataclass
class StopRequest:
    """Whether the user wants to stop, and by which signal."""

    signum: int = 0

    def check(self) -> None:
        """Raise `Stopped` if so."""
        if self.signum:
            raise Stopped(self.signum)


@contextmanager
def stop_signals(moment: str = "the end of this rollout") -> Iterator[StopRequest]:
    """Let SIGINT and SIGTERM ask for a stop; a second signal ends the process at once.

    Args:
        moment: At which the caller will look, for the message.
    """
    stop = StopRequest()
    before = {}

    def handle(signum: int, frame: FrameType | None) -> None:
        stop.signum = signum
        for number in before:
            signal.signal(number, signal.SIG_DFL)
        print(f"stopping at {moment}; once more to leave at once", file=sys.stderr, flush=True)

    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, handle)
    except ValueError:  # not the main thread, where Python allows no handlers
        pass
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Checkpoints(BaseCallback):
    """Saves about every `save_freq` steps, and when a stop is asked for, at the start of a rollout.

    That is the one moment between `train()` and new data. Off-policy a rollout is `train_freq` steps.

    Args:
        run: the run folder.
        learner: whose state belongs to the checkpoint.
        save_freq: environment steps; 0 to save on request only.
        stop: asked at every rollout.
        resumed: the checkpoint from which this run goes on.

    Raises:
        Stopped: out of `learn`, when all is saved.
    """

    def __init__(
        self,
        run: Path,
        learner: LearnReward | None = None,
        save_freq: int = 100_000,
        stop: StopRequest | None = None,
        resumed: Path | None = None,
    ) -> None:
        super().__init__()
        self.run_folder, self.learner, self.save_freq = run, learner, save_freq
        self.stop, self.resumed = stop or StopRequest(), resumed
        self.saved = -1  # step of the last checkpoint

    def _on_training_start(self) -> None:
        self.saved = self.model.num_timesteps if self.resumed else -1

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        if self.resumed is not None:
            if self.resumed.name != "final":  # saved here, after SB3 drew this rollout's noise: it has again
                restore_generators(self.resumed, self.model)
            self.resumed = None
        step = self.model.num_timesteps
        due = self.save_freq > 0 and step // self.save_freq > max(self.saved, 0) // self.save_freq
        if (due or self.stop.signum) and step != self.saved:
            save(self.run_folder / "checkpoints" / f"step_{step}", self.model, self.learner)
            prune(self.run_folder, step)
            self.saved = step
        if self.stop.signum:
            raise Stopped(self.stop.signum)


def train(
    run: Path,
    model: BaseAlgorithm,
    learner: LearnReward | None,
    total_timesteps: int,
    *,
    eval_env: VecEnv | None = None,
    eval_freq: int = 0,
    n_eval_episodes: int = 5,
    save_freq: int = 100_000,
    log_freq: int = 2000,
    checkpoint: Path | None = None,
    callbacks: Sequence[BaseCallback] = (),
    progress_bar: bool = False,
) -> None:
    """Train up to `total_timesteps` with records, evaluations and checkpoints, and save `final/`.

    Args:
        run: folder from `new_run`, config.json in place.
        model: from `make_model`, fresh even where the run is resumed.
        learner: the learned reward, or None for plain SB3.
        total_timesteps: environment steps of the whole run, those before the checkpoint included.
        eval_env: from `make_eval_env`.
        eval_freq: environment steps between evaluations; 0 for none.
        n_eval_episodes: episodes of an evaluation.
        save_freq: environment steps between checkpoints; 0 for `final/` and signals alone.
        log_freq: environment steps between rows of progress.csv; a row a rollout where that is longer.
        checkpoint: from `check_resume`, to go on from.
        callbacks: more of them; they run before those of the run.
        progress_bar: SB3's.

    Raises:
        Stopped: SIGINT or SIGTERM, after saving.
        EnvironmentNaN: the environment diverged; the last checkpoint is intact.
        ValueError: the checkpoint does not fit, or another process trains in this folder.
    """
    step = step_of(checkpoint) if checkpoint else 0
    with held(run):
        if checkpoint:  # first: it may refuse, and the logger cuts the records back to the checkpoint
            model.set_logger(Logger(None, []))
            restore(checkpoint, model, learner)
        logger = make_logger(run, step)
        if checkpoint:
            for name in ("name_to_value", "name_to_count", "name_to_excluded"):
                getattr(logger, name).update(getattr(model.logger, name))
        model.set_logger(logger)
        bars = [ProgressBarCallback()] if progress_bar else []
        found: list[BaseCallback] = [*callbacks, Records(run, log_freq, step), *bars]
        if eval_env is not None and eval_freq > 0:
            found.append(Evaluations(run, eval_env, eval_freq, n_eval_episodes, step))
        try:
            with stop_signals() as stop:
                # Last, because what the others write at a rollout's start belongs to the checkpoint's step.
                found.append(Checkpoints(run, learner, save_freq, stop, checkpoint))
                model.learn(
                    max(total_timesteps - model.num_timesteps, 0),  # SB3 adds num_timesteps again
                    callback=CallbackList(([learner] if learner else []) + found),
                    log_interval=None,  # type: ignore[arg-type]  # Records does it
                    reset_num_timesteps=False,
                )
                save(run / "final", model, learner)
                if stop.signum:  # in the last rollout
                    raise Stopped(stop.signum)
        except Stopped:
            for bar in bars:
                bar.on_training_end()
            raise
        finally:
            model.logger.close()


def check_resume(run: Path, env: str | None = None) -> Path:
    """The checkpoint that a resumed run goes on from; prints what may keep it from being exact.

    Args:
        run: the run folder.
        env: the environment that the user asked for, if any.

    Raises:
        ValueError: not a run folder, another environment, or no intact checkpoint.
    """
    setup = read_setup(run)
    if env is not None and env != setup.env:
        raise ValueError(f"{run} trains on {setup.env}, not on {env}: leave --env out, or start a new run")
    found = latest_checkpoint(run)
    if found is None:
        raise ValueError(f"{run} has no intact checkpoint to resume from: start a new run")
    for line in version_changes(run):
        print(f"warning: {line}", file=sys.stderr)
    return found


def load(
    run: str | Path, checkpoint: str | Path | None = None, device: str = "cpu"
) -> tuple[BaseAlgorithm, VecEnv]:
    """A trained model and one environment, wrappers and statistics in place, for playing and evaluating.

    Nothing is unpickled. Statistics are frozen and rewards are the environment's own.

    Args:
        run: the run folder.
        checkpoint: one of its checkpoints; None for the newest intact one, `final/` included.
        device: torch's.

    Raises:
        ValueError: not a run folder, no intact checkpoint, or one of another algorithm.
    """
    run = Path(run)
    setup = read_setup(run)
    folder = Path(checkpoint) if checkpoint else latest_checkpoint(run)
    if folder is None:
        raise ValueError(f"{run} has no intact checkpoint to load")
    manifest = read_manifest(folder)
    state = torch.load(folder / "state.pt", map_location="cpu", weights_only=True)
    small = {"buffer_size": 1} if setup.algo in OFF_POLICY else {}
    if setup.hyperparams.get("n_steps") == 1 and setup.algo in ON_POLICY:
        small = {"n_steps": 2}  # of one environment PPO takes no fewer
    setup = replace(setup, n_envs=1, device=device, hyperparams={**setup.hyperparams, **small})
    venv = make_env(setup)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on batch sizes and memory, which matter in training alone
        model = make_model(setup, venv)
    check_algorithm(folder, manifest, model)
    restore_model(state, model)
    if isinstance(venv, VecNormalize):
        restore_statistics(state, venv)
        venv.training = venv.norm_reward = False
    return model, venv
