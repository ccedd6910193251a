"""What a trained model of binary digits is good for, in figures and pictures.

    python -m benchmarks.image_uses RUN [--uses pretraining] [--images 1000] [--draws 16] [--data-dir DIR]

RUN is a finished run of `python -m benchmarks.images` on mnist-static or mnist-dynamic. Test images are the
first so many of a shuffle of dynamic MNIST's, binary as the model's, whose digits are known. Pictures go to
RUN/uses.png (with --uses, RUN/uses-<use>.png), figures to results/image_uses/<model>-<data>/<use>.json, and
beside them a copy of the picture. Bars:

- denoising_gain at least 20: percent of the squared error that the better of median and Gaussian filters, of
  the best of several widths, leaves at noise of standard deviation 0.5
- inpainting_given_pixels_kept 100, inpainting_accuracy above inpainting_accuracy_half
- super_resolution_accuracy above that of bicubic, and super_resolution_psnr above that of bicubic
- pretraining_gain and pretraining_gain_over_grey at least 10: points of accuracy on 100 labels, the encoder's
  features against the binary pixels that it sees, and against the digits' grey ones, which say more, by the
  nearest neighbour; with _logistic the same by logistic regression

Models with a code do all of it; PixelCNN and PixelRNN inpaint, from what is given above the gap. Of the
recorded models a conv_vae with a code of 8 numbers meets pretraining's bar, the vae of the other uses does
not: with 32 numbers in its code a conv_vae gained 10.3 and 6.5 points. 8 was tried on these test images.
The search takes 3 minutes of a core for a vae, and many times that for a conv_vae; pretraining does without
it.

Hardware of the committed records: 2 vCPU of an AMD EPYC.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro

from benchmarks.images import models, pictures
from benchmarks.images.data import DYNAMIC, load
from benchmarks.images.likelihood import LikelihoodTask
from benchmarks.images.loop import load as load_state
from benchmarks.images.plan import Plan, name_of
from benchmarks.images.trained import FOLDER, trained
from benchmarks.images.uses import USES, Digits, Use
from benchmarks.records import RESULTS, check_results, write_number
from rlgen import cli, folder
from rlgen.files import replace_file
from rlgen.generative.autoencoder import Autoencoder
from rlgen.generative.likelihood_model import LikelihoodModel

UNITS = {
    "denoising_gain": "% of the filters' squared error",
    "inpainting_accuracy": "% of test images",
    "super_resolution_accuracy": "% of test images",
    "pretraining_gain": "points",
}


@dataclass(frozen=True)
class Config:
    """Try what a trained model of binary digits is good for."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of a finished run."""
    uses: tuple[str, ...] = ()
    """Only these of denoising, inpainting, super_resolution, pretraining and interpolation; all that the
    model can do unless given."""
    images: int = 1000
    """Test images of dynamic MNIST, whatever the model learned from."""
    draws: int = 16
    """Samples of an image where a mean is taken."""
    steps: int = 200
    """Of a chain of the posterior search."""
    data_dir: Path | None = None
    """Folder of the data sets' files; RLGEN_DATA unless given."""
    classifiers: Path = FOLDER
    """Folder of the classifier of digits, which is trained if it is not there."""
    results: Path = field(default_factory=lambda: RESULTS)
    """Folder of the records."""


def main(config: Config) -> dict[str, float | str]:
    """Print and record the figures; returns them.

    Raises:
        ValueError: A run that is not finished, or not of binary digits; a use that its model has not.
    """
    for name, least in {"images": 2, "draws": 1, "steps": 1}.items():
        if getattr(config, name) < least:
            raise ValueError(f"--{name} is {getattr(config, name)}: pass at least {least}")
    check_results(config.results)
    torch.set_num_threads(1)
    model, plan = trained_model(config.run, config.data_dir)
    possible = tuple(USES) if isinstance(model, Autoencoder) else ("inpainting",)
    names = config.uses or possible
    for name in names:
        cli.check_known(f"use of a {plan['model']}", name, possible)
    digits = try_on(model, config)
    sections, figures = [], {}
    for name in names:
        digits.generator.manual_seed(0)  # a use's figures do not depend on those before it
        use = USES[name](digits)
        sections.append(use.section)
        figures |= use.figures
        for figure, value in use.figures.items():
            print(f"{figure}: {value:.4g}" if isinstance(value, float) else f"{figure}: {value}", flush=True)
        record(name, use, plan, config)
    page = config.run / ("-".join(("uses", *config.uses)) + ".png")
    pictures.save_png(page, pictures.page(sections))
    print(f"page: {page}")
    kept = records_of(plan, config) / f"{page.stem}{seed_of(plan)}.png"
    replace_file(kept, lambda partial: shutil.copyfile(page, partial))
    return figures


def trained_model(run: Path, data_dir: Path | None) -> tuple[LikelihoodModel, Plan]:
    """What a finished run of binary digits ended with, on the CPU, and the run's plan.

    Raises:
        ValueError: The run is none.
    """
    plan = folder.read_config(run)
    model = plan.get("config", {})  # other commands' runs have none
    if model.get("levels") != 2 or model.get("image_shape") != [1, 28, 28]:
        raise ValueError(
            f"{run} is not of binary digits: pass one of a model with a likelihood, --data mnist-static or "
            "mnist-dynamic"
        )
    if not (run / "final" / "state.pt").exists():
        raise ValueError(f"{run} is not finished: python -m benchmarks.images --resume {run}")
    task = models.build({**plan, "device": "cpu"}, load(plan["data"], data_dir or plan["data_dir"]))
    assert isinstance(task, LikelihoodTask)
    # Nothing is drawn from the run's generators, whose states fit the device of the run alone.
    task.restore({**load_state(run / "final"), "generators": task.state()["generators"]})
    return task.tested, plan


def try_on(model: LikelihoodModel, config: Config) -> Digits:
    """The test images, and the classifier that judges."""
    data = load(DYNAMIC, config.data_dir)
    if config.images > len(data.test):
        raise ValueError(f"--images is {config.images}: pass at most {len(data.test)}, all there are")
    assert data.test.labels is not None
    rows = np.random.default_rng(0).permutation(len(data.test))[: config.images]
    x = torch.from_numpy(data.test.images[rows]).permute(0, 3, 1, 2)
    grey = load("mnist", config.data_dir)
    judge = trained(grey, folder=config.classifiers)
    return Digits(
        model=model,
        x=model.config.from_bytes(x),
        shades=torch.from_numpy(grey.test.images[rows]).permute(0, 3, 1, 2),
        labels=data.test.labels[rows],
        judge=judge,
        train=data.train,
        generator=torch.Generator(),
        draws=config.draws,
        steps=config.steps,
    )


def records_of(plan: Plan, config: Config) -> Path:
    """Folder of a run's records."""
    return config.results / "image_uses" / name_of(plan, 0)


def seed_of(plan: Plan) -> str:
    """What a seed other than 0 adds to a record's name."""
    return f"-seed={plan['seed']}" if plan["seed"] else ""


def record(name: str, use: Use, plan: Plan, config: Config) -> None:
    """Write the figures of a use as a json, if it has any."""
    if not use.figures:
        return
    (metric, value), *others = use.figures.items()
    assert isinstance(value, float)
    more = {"data": plan["data_name"], "test_data": DYNAMIC, "images": config.images}
    more |= {"draws": config.draws, "steps": config.steps}
    others_given = [f"{k}={more[k]}" for k in ("images", "draws", "steps") if more[k] != getattr(Config, k)]
    path = records_of(plan, config) / f"{'-'.join([name + seed_of(plan), *others_given])}.json"
    write_number(path, metric, value, UNITS[metric], **dict(others), **more, seed=plan["seed"])


if __name__ == "__main__":
    sys.exit(cli.run(main, Config))
