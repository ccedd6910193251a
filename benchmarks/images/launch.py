"""A run from its flags to its record: data, plan, training, figure, page and film."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imageio.v3 as iio
import numpy as np
import torch

from benchmarks.images import models, pictures
from benchmarks.images import plan as plans
from benchmarks.images.data import load
from benchmarks.images.data.dataset import ImageData
from benchmarks.images.loop import Loop, device_name, frames, train
from benchmarks.images.plan import Plan
from benchmarks.images.task import Report, Task
from benchmarks.images.trained import FOLDER
from benchmarks.records import check_results, write_number
from rlgen import folder
from rlgen.files import replace_file
from rlgen.runs import Stopped
from rlgen.session import check_device, limit_threads

if TYPE_CHECKING:
    from benchmarks.images.__main__ import Options

KIND = "images"
"""Folder of the runs and of the records."""


def launch(options: Options) -> list[Path]:
    """Train from scratch or from checkpoints, and leave figures, pages and films; returns the runs' folders.

    Raises:
        ValueError: For what the user can mend.
        SystemExit: 130 or 143 after SIGINT or SIGTERM, with everything saved.
    """
    if options.stop_after is not None and options.stop_after <= 0:
        raise ValueError(f"--stop-after {options.stop_after} leaves no time to train: pass minutes above 0")
    with ExitStack() as locks:
        return _launch(options, locks)


def _launch(options: Options, locks: ExitStack) -> list[Path]:
    """As `launch`; the runs' folders are held until `locks` closes."""
    limit_threads()
    read = cache(load)  # runs of the same images share them
    begun = [_resume(options, run, read, locks) for run in options.resume] or _begin(options)
    adversarial = {plan["model"] in plans.ADVERSARIAL for _, plan, *_ in begun}
    if len(adversarial) > 1:
        raise ValueError("--resume of adversarial models and of others: go on with them one after the other")
    # TF32 is fast, but its errors of 1e-3 would show in nats, in exact sampling and in what is compared.
    # Not in matrix products either: with it generators of Improved GAN on MNIST collapsed at times.
    torch.backends.cudnn.allow_tf32 = adversarial == {True}
    bar = options.progress and sys.stdout.isatty() and len(begun) == 1
    loops = []
    for run, plan, data, checkpoint in begun:
        task = models.build(plan, data)
        check_results(options.results)
        if plan["model"] in plans.JUDGED:
            check_classifiers()
        if run is None:
            run = folder.new_run(options.log_folder, KIND, plans.name_of(plan, len(data.classes)))
            locks.enter_context(folder.held(run))
            folder.write_config(run, plan)
        _announce(run, plan, task, checkpoint)
        loops.append(Loop(run, plan, task, checkpoint, options.stop_after, bar))
    if len(loops) > 1:
        print(f"{len(loops)} runs side by side; how far they are is told of one of them", flush=True)
    try:
        failed = train(loops)
    except Stopped as stop:
        print(f"saved; {_further(loops)}")
        raise SystemExit(128 + stop.signal) from None
    late = [loop.task for loop in loops if not loop.ended and loop not in failed]
    if late:
        task = min(late, key=lambda task: task.steps_done)
        print(f"time is up after {task.steps_done} of {task.steps} batches; saved", end="; ")
        print(_further([loop for loop in loops if loop not in failed]))
    else:
        torch.backends.cudnn.allow_tf32 = False
        failed |= _finish_all([loop for loop in loops if loop not in failed], options.results)
    if failed:
        told = (f"{loop.run}: {error}" if len(loops) > 1 else str(error) for loop, error in failed.items())
        raise ValueError("; ".join(told))
    return [loop.run for loop in loops]


def check_classifiers() -> None:
    """Look whether networks that judge samples can be kept, before the training of what they judge.

    Raises:
        ValueError: They cannot.
    """
    place = next(place for place in (FOLDER, *FOLDER.parents) if place.exists())
    if not place.is_dir() or not os.access(place, os.W_OK):
        raise ValueError(
            f"{FOLDER}, where the classifier that judges samples is kept, cannot be written to, because of "
            f"{place}: start in another folder"
        )


def _further(loops: Sequence[Loop]) -> str:
    """How to go on."""
    return f"go on with: python -m benchmarks.images --resume {' '.join(str(loop.run) for loop in loops)}"


def _finish_all(loops: Sequence[Loop], results: Path) -> dict[Loop, ValueError]:
    """Finish runs that are trained; returns those whose model is none to be judged, and why."""
    failed = {}
    for loop in loops:
        if len(loops) > 1:
            print(f"{loop.run}:")
        try:
            finish(loop, results)
        except ValueError as error:
            failed[loop] = error
    return failed


Begun = tuple[Path | None, Plan, ImageData, Path | None]
"""A run's folder, plan, data and checkpoint."""


def _begin(options: Options) -> list[Begun]:
    plans.check_flags(options)
    assert options.model is not None and options.data is not None
    device = options.device or "auto"
    check_device(device)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    data = load(options.data, options.data_dir, size=options.image_size)
    plans.check_data(options.model, data)
    preset, config = models.preset(options.model, options.preset, data)
    flags = [replace(options, seed=seed) for seed in options.seeds] or [options]
    return [(None, plans.new_plan(each, data, preset, config, device), data, None) for each in flags]


def _resume(options: Options, run: Path, read: Callable[..., ImageData], locks: ExitStack) -> Begun:
    plan = plans.resumed_plan(folder.read_config(run), run, options)
    locks.enter_context(folder.held(run))
    try:
        check_device(plan["device"])
    except ValueError as error:
        raise ValueError(f"{run} was begun on {plan['device']}: go on with it where there is one") from error
    data = read(plan["data"], plan["data_dir"], size=plan["image_size"])
    if plans.digest(data) != plan["data_sha256"]:
        raise ValueError(
            f"the images of {plan['data']} are not those that {run} began with: pass its --data-dir"
        )
    checkpoint = folder.latest_checkpoint(run)
    if checkpoint is None and folder.has_checkpoint(run):
        raise ValueError(f"{run} has no intact checkpoint to resume from: start a new run")
    for line in folder.version_changes(run):
        print(f"warning: {line}", file=sys.stderr)
    return run, plan, data, checkpoint


def _announce(run: Path, plan: Plan, task: Task, checkpoint: Path | None) -> None:
    changed = "".join(f" {name}:{value}" for name, value in plan["settings"].items())
    print(f"preset: {plan['preset']}{', but' + changed if changed else ''}")
    config = plan["config"]
    print("settings: " + " ".join(f"{name}:{value}" for name, value in config.items()))
    if config["constant_epochs"] >= config["epochs"] > 1:
        print(f"rates never fall: they would with --settings constant_epochs:K, K below {config['epochs']}")
    parameters = sum(parameter.numel() for parameter in task.model.parameters() if parameter.requires_grad)
    print(
        f"{plan['model']} on {plan['data_name']}, seed {plan['seed']}, {parameters:,} parameters on "
        f"{plan['device']}: {task.epochs} epochs of {task.n_batches} batches, kept in {run}"
    )
    if checkpoint:
        print(f"going on from {checkpoint}", flush=True)


def finish(loop: Loop, results: Path) -> None:
    """Write the record, the page and the film of a trained run, and print each figure.

    Raises:
        ValueError: Figures that are no numbers any more.
    """
    run, plan, report = loop.run, loop.plan, loop.task.report()
    if report.arrays:
        replace_file(run / "outputs.npz", lambda partial: np.savez_compressed(partial, **report.arrays))  # type: ignore[arg-type]
    pictures.save_png(run / "page.png", pictures.page(report.sections))
    pictures.save_gif(run / "film.gif", [_frame(path) for path in frames(run)])
    name = plans.name_of(plan, len(loop.task.data.classes))
    path = results / KIND / name / f"seed{plan['seed']}.json"
    write_number(
        path, report.metric, report.value, report.unit, argv=plan["argv"], **facts(plan, report, loop)
    )
    for figure, value in {report.metric: report.value, **report.facts}.items():
        print(f"{figure}: {value:.4g}" if isinstance(value, float) else f"{figure}: {value}")
    print(f"record: {path}\npage: {run / 'page.png'}\nfilm: {run / 'film.gif'}", flush=True)


def facts(plan: Plan, report: Report, loop: Loop) -> dict[str, Any]:
    """What the record holds besides the figure."""
    pieces, epochs = loop.all_pieces(), plan["config"]["epochs"]
    beside = max((piece.get("side_by_side", 1) for piece in pieces), default=1)
    devices = sorted({piece["device"] for piece in pieces}) or [device_name(plan["device"])]
    return {
        "data": plan["data_name"],
        "epochs": epochs,
        "hours": round(loop.hours, 4),
        "device": ", ".join(devices),
        "seed": plan["seed"],
        "model": plan["model"],
        "preset": plan["preset"],
        "settings": plan["settings"],
        **({"image_size": plan["image_size"]} if plan["image_size"] else {}),
        **report.facts,
        "minutes_per_epoch": round(60 * loop.hours / epochs, 4),
        "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3),
        **gpu_memory(plan["device"]),
        "threads": torch.get_num_threads(),
        "commit_at_start": plan["commit"],
        "pieces": len(pieces),
        **({"runs_side_by_side": beside} if beside > 1 else {}),  # they shared the hours and the memory
    }


def gpu_memory(device: str) -> dict[str, float]:
    """The most that was in use, in GB, where there is a GPU."""
    if device == "cpu":
        return {}
    return {"peak_gpu_memory_gb": round(torch.cuda.max_memory_allocated() / 2**30, 3)}


def _frame(path: Path) -> np.ndarray:
    """A frame (H, W, C), grey ones with their one colour."""
    image = iio.imread(path)
    return image[:, :, None] if image.ndim == 2 else image
