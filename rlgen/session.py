"""A command's training session: from the plan in config.json to the reward curve.

A plan is plain data: the `Setup` under "setup", total_timesteps, eval_freq, eval_episodes, save_freq, and
what else the command needs to build model and learner anew.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from textwrap import shorten
from typing import Any
from uuid import uuid4

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from rlgen import cli, curve, folder, runs, training
from rlgen.episode_log import EnvironmentNaN
from rlgen.files import atomic_write, write_json
from rlgen.folder import latest_checkpoint, new_run, read_config, write_config
from rlgen.options import Options
from rlgen.progress import ProgressLines
from rlgen.relabel import LearnReward
from rlgen.rewards.pool import TransitionPool

Plan = dict[str, Any]


@dataclass(frozen=True)
class Command:
    """What sets a training command apart."""

    kind: str
    """Name of the folder in which its runs are kept."""
    build: Callable[[Plan], tuple[BaseAlgorithm, LearnReward | None]]
    """Makes model and learner of a plan, and notes in it the choices that they make."""
    begin: Callable[[Plan, BaseAlgorithm, runs.StopRequest], None] = lambda plan, model, stop: None
    """What to do to a model that has not trained yet, but to `check` whether to stop."""
    report: Callable[[Plan], Sequence[BaseCallback]] = lambda plan: ()
    """More callbacks; they run after the learner and before what is printed and written."""
    end: Callable[[Path, LearnReward | None], None] = lambda run, learner: None
    """What else to leave in the folder of a run that is done, or stopped."""
    flags: Callable[[Any, Plan], Mapping[str, Any]] = lambda options, plan: vars(options)
    """The flags in the terms of a plan, to be compared with that of the run to resume."""


def launch(options: Options, command: Command, new_plan: Callable[[], Plan]) -> Path:
    """Train from scratch or from a checkpoint, draw the curve, and return the run's folder.

    Args:
        options: The command's flags.
        command: What to do with them.
        new_plan: Makes the plan of a new run.

    Raises:
        ValueError: before training, for what the user can mend.
        EnvironmentNaN: while training.
        SystemExit: 130 or 143 after SIGINT or SIGTERM, with everything saved.
    """
    if options.track and not find_spec("wandb"):
        raise ValueError("--track needs the package wandb: pip install wandb")
    limit_threads()
    checkpoint = None
    if options.resume:
        run, name = options.resume, cli.module_of(type(options))
        stored = read_config(run)
        made_by = stored.get("command")
        if made_by is None:
            raise ValueError(
                f"{run} was made by a script of your own: go on there, by rlgen.runs.train with "
                "checkpoint=rlgen.runs.check_resume(run)"
            )
        if made_by != name.rpartition(".")[2]:
            home = "demos" if made_by == "train_expert" else "rlgen"
            raise ValueError(
                f"{run} is not of {name}: resume it with python -m {home}.{made_by} --resume {run}"
            )
        if options.log_folder and options.log_folder.resolve() not in run.resolve().parents:
            raise ValueError(
                f"--log-folder {options.log_folder}: {run} stays where it is, leave --log-folder out"
            )
        plan = resumed_plan(run, command.flags(options, stored))
        checkpoint = runs.check_resume(run, options.env) if folder.has_checkpoint(run) else None
        steps = plan["total_timesteps"]
        if checkpoint and checkpoint.name == "final" and steps == stored["total_timesteps"]:
            print(f"{run} has made all its {steps:,} steps: --total-timesteps N makes it longer")
        model, learner = command.build(plan)
    else:
        plan = new_plan()
        model, learner = command.build(plan)
        run = new_run(options.log_folder or Path("logs"), command.kind, plan["setup"]["env"])
        write_config(run, plan)
    announce(run, plan, model, learner, checkpoint)
    go_on = f"python -m {cli.module_of(type(options))} --resume {run}"
    if not checkpoint:
        try:
            with runs.stop_signals("the end of this step") as stop:
                command.begin(plan, model, stop)
        except runs.Stopped as stopped:
            print(f"stopped before the first step; begin again with: {go_on}")
            raise SystemExit(128 + stopped.signal) from None
    try:
        with tracking(options.track, run, plan):
            callbacks = [*command.report(plan), Accepted(run, plan)]
            train(run, plan, model, learner, checkpoint, options.progress, callbacks)
    except runs.Stopped as stop:
        command.end(run, learner)
        print(f"saved; go on with: {go_on}")
        raise SystemExit(128 + stop.signal) from None
    finally:  # an early end has a curve too
        curve.draw(run, title(plan), references(plan))
    command.end(run, learner)
    return run


class Accepted(BaseCallback):
    """Writes the plan into config.json once the folder is this process's and the checkpoint fits."""

    def __init__(self, run: Path, plan: Plan) -> None:
        super().__init__()
        self.run, self.plan = run, plan

    def _on_training_start(self) -> None:
        write_json(self.run / "config.json", self.plan)

    def _on_step(self) -> bool:
        return True


FILES = ("demos", "reward")
"""Flags of files that may have moved since a run began."""


def resumed_plan(run: Path, flags: Mapping[str, Any]) -> dict[str, Any]:
    """The plan of a run to resume: longer, on another device, with moved files, if the flags say so.

    Args:
        run: The run's folder.
        flags: What the user gave, by name; None for what was left out. Others than a plan's are passed over.

    Raises:
        ValueError: not a run folder, or a flag that contradicts the run.
    """
    plan = read_config(run)
    stored = {**plan, **runs.read_setup(run).to_dict()}
    for name in [name for name in flags if name in stored and flags[name] is not None]:
        value, old = json.loads(json.dumps(flags[name])), stored[name]
        if name == "total_timesteps" and value >= old:
            plan[name] = value
        elif name == "device" and value != old:
            plan["setup"][name] = value
            print(f"warning: --device {value}, {run} began on {old}: last bits differ", file=sys.stderr)
        elif name in FILES and old and not Path(old).exists():
            plan[name] = value  # the checkpoint knows whether it holds the same
        else:
            _agree(run, f"--{name.replace('_', '-')} {value}", value, old)
    return plan


def _agree(run: Path, flag: str, value: Any, old: Any) -> None:
    if isinstance(value, dict) and isinstance(old, dict):
        for key, part in value.items():
            _agree(run, f"{key}:{part}", part, old.get(key))
    elif value != old:
        raise ValueError(f"{flag} contradicts {run}, which has {old}: leave it out, or start a new run")


def limit_threads() -> None:
    """Use one thread unless OMP_NUM_THREADS says otherwise.

    Networks of this size gain nothing from more, runs side by side lose much, and the last bits of a resumed
    run depend on the number.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)


def check_device(name: str) -> None:
    """Refuse a device that torch does not have, where SB3 would quietly take the CPU.

    Raises:
        ValueError: It has not.
    """
    if name == "auto":
        return
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        why = shorten(str(error).partition("\n")[0], 80)
        raise ValueError(f"--device {name} does not work ({why}): use cpu or auto") from error


def title(plan: Mapping[str, Any]) -> str:
    """Environment, algorithm, what is learned from, and seed."""
    setup = plan["setup"]
    label = f"bonus {plan['bonus']}" if "bonus" in plan else plan["label"]
    return f"{setup['env']}, {setup['algo']}, {label}, seed {setup['seed']}"


def references(plan: Mapping[str, Any]) -> dict[str, float]:
    """Returns to compare the curve with."""
    known = {"random actions": plan.get("random_return"), "demonstrations": plan.get("demos_return")}
    return {name: value for name, value in known.items() if value is not None}


def announce(
    run: Path,
    plan: Mapping[str, Any],
    model: BaseAlgorithm,
    learner: LearnReward | None,
    checkpoint: Path | None,
) -> None:
    """Say what will run, where, and what it will take."""
    print(f"preset: {plan['preset']}")
    print(f"{title(plan)}: {plan['total_timesteps']:,} steps, kept in {run}")
    if checkpoint:
        print(f"going on from {checkpoint}")
    starts = getattr(model, "learning_starts", 0)
    if starts and starts >= plan["total_timesteps"]:
        print(
            f"warning: {plan['setup']['algo']} acts at random for {starts:,} steps and learns nothing in "
            f"{plan['total_timesteps']:,}: raise -n, or lower learning_starts by -params",
            file=sys.stderr,
        )
    kept = 4 if checkpoint and checkpoint.name == "final" else 3  # one of them in the writing
    stores = {"replay buffer": training.replay_bytes(model)}
    pools = learner.reward.modules() if learner else []
    stores["pool of the reward"] = sum(p.rows.nbytes for p in pools if isinstance(p, TransitionPool))
    for name, size in stores.items():
        if size:
            gb = f"{size / 1e9:.2g} GB"
            print(f"{name}: up to {gb} of memory, and as much on disk for each of {kept} checkpoints")


def train(
    run: Path,
    plan: Mapping[str, Any],
    model: BaseAlgorithm,
    learner: LearnReward | None,
    checkpoint: Path | None = None,
    progress: bool = False,
    callbacks: Sequence[BaseCallback] = (),
) -> None:
    """The training itself, its progress on the terminal, and what becomes of an early end.

    Raises:
        runs.Stopped: SIGINT or SIGTERM, after saving.
        EnvironmentNaN: names environment, step and the last checkpoint.
        ValueError: the checkpoint does not fit.
    """
    setup, env = training.Setup.from_dict(plan["setup"]), model.get_env()
    assert env is not None
    bar = progress and sys.stdout.isatty()
    shown = (
        {text: f"{learner.reward.name}/{key}" for text, key in learner.reward.shown.items()}
        if learner
        else {}
    )
    lines = ProgressLines(shown, seconds=float("inf") if bar else 10.0)
    try:
        runs.train(
            run,
            model,
            learner,
            plan["total_timesteps"],
            eval_env=training.make_eval_env(setup, env) if plan["eval_freq"] else None,
            eval_freq=plan["eval_freq"],
            n_eval_episodes=plan["eval_episodes"],
            save_freq=plan["save_freq"],
            checkpoint=checkpoint,
            callbacks=[*callbacks, lines],
            progress_bar=bar,
        )
    except EnvironmentNaN as error:
        kept = latest_checkpoint(run)
        where = f"the last checkpoint is {kept}" if kept else "there was no checkpoint yet"
        raise EnvironmentNaN(f"{setup.env}: {error}; {where}") from error
    except ValueError as error:
        if not lines.started:
            raise
        # Not what one line could explain: show where it happened.
        raise RuntimeError(f"training failed after {model.num_timesteps} steps") from error


@contextmanager
def tracking(wanted: bool, run: Path, plan: Mapping[str, Any]) -> Iterator[None]:
    """Copy what goes to TensorBoard to Weights & Biases; a resumed run continues its own page."""
    if not wanted:
        yield
        return
    import wandb  # type: ignore[import-not-found]

    page = run / "wandb_id.txt"
    if not page.exists():
        atomic_write(page, uuid4().hex)
    options = {"project": "rlgen", "name": run.name, "dir": str(run), "resume": "allow"}
    with wandb.init(id=page.read_text(), config=dict(plan), sync_tensorboard=True, **options):
        yield
