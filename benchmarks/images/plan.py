"""The plan of a run: what flags, data and preset say together, as config.json keeps it."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.images.data.dataset import ImageData
from benchmarks.records import origin, portable
from rlgen.cli import nearest

if TYPE_CHECKING:
    from benchmarks.images.__main__ import Options

Plan = dict[str, Any]

ADVERSARIAL = ("dcgan", "improved_gan", "infogan")
CODED = ("vae", "vae_iaf", "conv_vae", "conv_vae_iaf", "resnet_vae", "draw")
"""Models with a code, whose likelihood is estimated."""
EXACT = ("pixelcnn", "pixelrnn")
"""Models whose likelihood is exact."""
MODELS = (*ADVERSARIAL, *CODED, *EXACT)
DEVICES = ("cpu", "cuda", "auto")
SAMPLES, SAVE_FREQ, FRAMES, PIXEL_FRAMES = 10_000, 5, 50, 10
"""Defaults; frames are fewer of models that draw pixel by pixel, which takes them long."""
IMPORTANCE_SAMPLES = 128
LABELS = {"mnist": 10, "cifar10": 400, "svhn": 100}
"""Labelled images a class in the published recipes."""
SEMI_SUPERVISED = ("improved_gan",)
JUDGED = ("dcgan", "improved_gan")
"""Models whose samples are compared with test images; Improved GAN's where it has minibatch kernels."""
OWN_FLAGS = {
    "image_shape": "the data",
    "levels": "the data",
    "n_classes": "the data",
    "epochs": "--epochs",
    "batch_size": "--batch-size",
}
"""Settings that are not for --settings."""
LONGEST_NAME = 200
"""Characters of a run's name; file systems allow 255, and a number follows."""
SHARES = ("input_dropout", "label_smoothing")
"""Settings below 1."""
AT_LEAST_ONE = (
    *("noise_size", "batches_per_epoch", "generator_steps", "kernel", "minibatch_dims", "posterior_hidden"),
    *("latent_size", "latent_channels", "channels", "hidden", "depth", "width", "head"),
)
LEAST = {**dict.fromkeys(AT_LEAST_ONE, 1), "first_kernel": 3}
"""Of whole numbers; a masked convolution of width 1 would see no pixel at all."""


def check_flags(flags: Options) -> None:
    """Refuse what cannot go together, before anything is read.

    Raises:
        ValueError: It cannot.
    """
    if flags.model is None or flags.data is None:
        raise ValueError("pass --model and --data, or --resume RUN, or --table: see --help")
    if flags.seeds and flags.seed is not None:
        raise ValueError(f"--seed {flags.seed} is for one run, --seeds for several: leave one out")
    for seed in flags.seeds:
        if flags.seeds.count(seed) > 1:
            raise ValueError(f"--seeds {seed}: give different ones, a run each")
    if flags.image_size is not None and flags.data != "folder":
        raise ValueError(f"--image-size is for --data folder, {flags.data} has its own: leave it out")
    if flags.n_samples is not None and flags.model not in CODED:
        raise ValueError(
            f"--n-samples is for {', '.join(CODED)}, whose likelihood is estimated from so many: leave it out"
        )
    if flags.samples is not None and flags.model not in JUDGED:
        raise ValueError(
            f"--samples is for {', '.join(JUDGED)}, whose samples are judged: leave it out, or pass "
            "--n-samples for draws of the code"
        )
    if flags.model not in SEMI_SUPERVISED:
        for name in ("labels_per_class", "label_seed"):
            if getattr(flags, name) is not None:
                raise ValueError(
                    f"--{name.replace('_', '-')} is for {', '.join(SEMI_SUPERVISED)}: leave it out"
                )
    elif flags.labels_per_class is None and flags.data not in LABELS:
        raise ValueError(f"no number of labels was published for {flags.data}: pass --labels-per-class N")


def check_data(model: str, data: ImageData) -> None:
    """Refuse data that the model cannot learn from.

    Raises:
        ValueError: No labels where they are needed, a class without images, or hardly any test images.
    """
    if model in SEMI_SUPERVISED and data.train.labels is None:
        raise ValueError(
            f"{data.name} has no labels, and {model} learns from some: pass other --data, or put the "
            "pictures into sub-folders, one a class"
        )
    if model in SEMI_SUPERVISED and data.train.labels is not None:
        counts = np.bincount(data.train.labels, minlength=len(data.classes))
        if not counts.all():
            raise ValueError(
                f"class {data.classes[counts.argmin()]} of {data.name} has no training images: give it more "
                "pictures, or sort all into train/ and test/ yourself"
            )
    if data.drawn_anew and model in ADVERSARIAL:
        raise ValueError(f"{data.name} is for models with a likelihood: pass --data mnist for {model}")
    if len(data.test) < 2:
        raise ValueError(f"{data.name} has {len(data.test)} test images: give at least 2, by more pictures")


def new_plan(flags: Options, data: ImageData, preset: str, config: Any, device: str) -> Plan:
    """The plan of a new run.

    Args:
        flags: The command's, checked.
        data: As loaded.
        preset: Name of the preset.
        config: Its settings for this data.
        device: As resolved.

    Raises:
        ValueError: A setting that the model does not have or take.
    """
    given = {"epochs": flags.epochs, "batch_size": flags.batch_size}
    given = {name: value for name, value in given.items() if value is not None}
    changed = override(config, flags.settings or {}) | given
    settings = {name: value for name, value in changed.items() if value != getattr(config, name)}
    if "epochs" in given and "constant_epochs" not in changed and config.constant_epochs == config.epochs:
        changed["constant_epochs"] = given["epochs"]  # a preset that never lowers its rates
    new = replace(config, **changed)
    semi = flags.model in SEMI_SUPERVISED
    if semi and flags.samples is not None and not new.minibatch_kernels:
        raise ValueError(
            f"--samples {flags.samples}: samples of {flags.model} are judged only with minibatch_kernels, as "
            "--preset IMPROVED_GAN_CIFAR10_SAMPLES has them: leave it out"
        )
    seed = flags.seed or 0
    frames = PIXEL_FRAMES if flags.model in EXACT else FRAMES
    return json.loads(
        json.dumps(
            {
                "model": flags.model,
                "data": flags.data,
                "data_dir": str(flags.data_dir) if flags.data_dir else None,
                "data_name": data.name,
                "data_sha256": digest(data),
                "image_size": flags.image_size,
                "labels_per_class": (flags.labels_per_class or LABELS.get(data.name)) if semi else None,
                "label_seed": (seed if flags.label_seed is None else flags.label_seed) if semi else None,
                "seed": seed,
                "device": device,
                "preset": preset,
                "variant": flags.preset,
                "settings": settings,
                "config": asdict(new),
                "samples": flags.samples or SAMPLES,
                "n_samples": (flags.n_samples or IMPORTANCE_SAMPLES) if flags.model in CODED else 1,
                "save_freq": SAVE_FREQ if flags.save_freq is None else flags.save_freq,
                "sample_freq": flags.sample_freq or max(new.epochs // frames, 1),
                "argv": portable(sys.orig_argv),
                "commit": origin()["commit"],
            }
        )
    )


def resumed_plan(plan: Plan, run: Path, flags: Options) -> Plan:
    """The plan of a run to resume.

    Args:
        plan: Of its config.json.
        run: The run's folder.
        flags: The command's.

    Raises:
        ValueError: A flag that contradicts the run, or another version's config.json.
    """
    if flags.seeds:
        raise ValueError("--seeds is for new runs, --resume goes on with the seeds they have: leave it out")
    if [other.resolve() for other in flags.resume].count(run.resolve()) > 1:
        raise ValueError(f"--resume {run} is there twice: name each run once")
    missing = {"model", "data", "config", "settings", "seed", "data_sha256", "argv"} - plan.keys()
    if missing:
        raise ValueError(
            f"{run}/config.json has no {', '.join(sorted(missing))}: it is not of benchmarks.images"
        )
    known = {**plan, **{name: plan["config"].get(name) for name in ("epochs", "batch_size")}}
    names = ("model", "data", "image_size", "labels_per_class", "label_seed", "seed", "epochs", "batch_size")
    for name in (*names, "preset", "samples", "n_samples", "sample_freq", "device"):
        value = getattr(flags, name)
        if value is not None and value != known.get(name) and value != "auto":
            raise ValueError(
                f"--{name.replace('_', '-')} {value} contradicts {run}, which has {known.get(name)}: leave it"
                " out, or start a new run"
            )
    for name, value in json.loads(json.dumps(flags.settings or {})).items():
        if value != plan["config"].get(name):
            raise ValueError(
                f"--settings {name}:{value} contradicts {run}, which has {plan['config'].get(name)}"
            )
    given = {"save_freq": flags.save_freq, "data_dir": str(flags.data_dir) if flags.data_dir else None}
    return {**plan, **{name: value for name, value in given.items() if value is not None}}


def override(config: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Values of --settings as the config's fields take them.

    Raises:
        ValueError: An unknown setting, or a value that it cannot take.
    """
    known = {field.name: getattr(config, field.name) for field in fields(config)}
    found = {}
    for name, value in settings.items():
        if name in OWN_FLAGS:
            raise ValueError(f"--settings {name}:{value}: it is set by {OWN_FLAGS[name]}")
        if name not in known:
            raise ValueError(f"unknown setting {name!r}: {nearest(name, list(known))}")
        found[name] = _fitted(name, value, known[name])
    return found


def _fitted(name: str, value: Any, default: Any) -> Any:
    """The value in the type of the default, or refused."""
    if isinstance(default, tuple) and isinstance(value, list | tuple | int):
        value = tuple(value) if isinstance(value, list | tuple) else (value,)
        length = {"channels": len(value) >= 1, "widths": len(value) == len(default)}.get(name, True)
        if length and all(type(part) is int and part > 0 for part in value):
            return value
    elif isinstance(default, bool | str):
        if type(value) is type(default):
            return value
    elif isinstance(default, float):
        if type(value) in (int, float) and 0 <= value < (1 if name in SHARES else float("inf")):
            return float(value)
    elif type(value) is int and value >= LEAST.get(name, 0):
        return value
    raise ValueError(f"--settings {name}:{value} does not fit: its value is like {default!r}")


def config_of(kind: type, plan: Plan) -> Any:
    """The settings of a plan as the dataclass that they came from.

    Raises:
        ValueError: They are another version's.
    """
    others = sorted(plan["config"].keys() ^ {field.name for field in fields(kind)})
    if others:
        raise ValueError(
            f"the run's config.json is of another version, see {', '.join(others)}: start a new run"
        )
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in plan["config"].items()}
    return kind(**values)


def name_of(plan: Plan, n_classes: int) -> str:
    """<model>-<data>[-<labels>][-<preset>], and what differs from the published settings."""
    parts = [plan["model"], plan["data_name"]]
    if plan["labels_per_class"]:
        parts.append(str(plan["labels_per_class"] * n_classes))
    if plan.get("variant"):
        parts.append(plan["variant"])
    if plan["labels_per_class"] and plan["label_seed"] != plan["seed"]:
        parts.append(f"label_seed={plan['label_seed']}")
    if plan["image_size"]:
        parts.append(f"image_size={plan['image_size']}")
    parts += [f"{name}={_word(value)}" for name, value in sorted(plan["settings"].items())]
    if plan["model"] in ADVERSARIAL and plan["samples"] != SAMPLES:
        parts.append(f"samples={plan['samples']}")  # distances depend on it
    if plan["model"] in CODED and plan["n_samples"] != IMPORTANCE_SAMPLES:
        parts.append(f"n_samples={plan['n_samples']}")
    name = "-".join(parts)
    if len(name) > LONGEST_NAME:
        name = f"{name[: LONGEST_NAME - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return name


def _word(value: Any) -> str:
    """A setting as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9.+]+", "_", str(value)).strip("_")


def digest(data: ImageData) -> str:
    """Of all images and labels."""
    found = hashlib.sha256()
    for split in (data.train, data.test):
        for array in (split.images, split.labels):
            if array is not None:
                found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
