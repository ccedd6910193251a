"""The models with a likelihood in training: their steps, their averages, and what they are worth."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.images import likelihood_album as album
from benchmarks.images.adversarial import FIRST_IMAGES, PICTURE_SEED
from benchmarks.images.data.dataset import ImageData
from benchmarks.images.task import Figures, Report, Task, permutations
from rlgen.generative.autoencoder import Autoencoder
from rlgen.generative.averages import ParameterAverage
from rlgen.generative.likelihood_model import (
    LikelihoodModel,
    binarize,
    descend,
    make_optimizer,
    set_learning_rate,
)
from rlgen.generative.likelihoods import bits_per_dim

ROWS = 100
"""Images at a time whose likelihood is found."""
WATCHED = 1000
"""Images that the figures of the moment are of."""
SECONDS = 10.0
"""Between two lines that tell how far the test is."""


class LikelihoodTask(Task):
    """A model of p(x) in training.

    An epoch is a shuffle of the training images. Where they are probabilities of binary pixels, each batch
    is drawn anew. What is tested is the average of the parameters, if the config has one.

    Args:
        model: On its device.
        data: Images.
        plan: Of the run.
    """

    model: LikelihoodModel

    def __init__(self, model: LikelihoodModel, data: ImageData, plan: dict[str, Any]) -> None:
        config, self.data, self.plan = model.config, data, plan
        self.optimizer = make_optimizer(model)
        n_batches = config.batches_per_epoch or max(len(data.train) // config.batch_size, 1)
        super().__init__(model, (self.optimizer,), config.epochs, n_batches, plan["seed"])
        self.config = config
        self.images = torch.from_numpy(data.train.images).to(model.device).permute(0, 3, 1, 2)
        self.average = ParameterAverage(model, config.average_decay) if config.average_decay else None
        self.metric = "nats" if config.levels == 2 else "bits_per_dim"
        self.watched = "valid" if data.valid is not None else "test"
        self.shown = (f"train_{self.metric}", f"{self.watched}_{self.metric}")
        self._order = torch.empty(0, dtype=torch.int64)

    @property
    def tested(self) -> LikelihoodModel:
        """The model with averaged parameters, or the model itself."""
        model = self.model if self.average is None else self.average.module
        assert isinstance(model, LikelihoodModel)
        return model

    def initialise(self) -> None:
        """Let layers take their scales from random training images."""
        rows = permutations(len(self.images), min(FIRST_IMAGES, len(self.images)), self.orders)
        self.model.initialise(self.inputs(rows, self.noise), self.noise)
        if self.config.average_decay:
            self.average = ParameterAverage(self.model, self.config.average_decay)

    def begin_epoch(self, epoch: int) -> None:
        """Shuffle, and set the learning rate."""
        order = permutations(len(self.images), self.n_batches * self.config.batch_size, self.orders)
        self._order = order.to(self.images.device)  # at once: a GPU would stand still for every batch's rows
        set_learning_rate(self.optimizer, self.config, epoch)

    def rows(self, k: int) -> Tensor:
        """(B,)."""
        return self._order[k * self.config.batch_size : (k + 1) * self.config.batch_size]

    def train_on(self, rows: Tensor) -> None:
        """A step down their loss."""
        loss = self.model.loss(self.inputs(rows, self.noise), self.noise)
        descend(loss, self.optimizer, self.config.gradient_norm)
        if self.average is not None:
            self.average.update(self.model)

    def inputs(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Training images (B, C, H, W) of some rows, levels."""
        images = self.images[rows.to(self.images.device)]
        return binarize(images, generator) if self.data.drawn_anew else self.config.from_bytes(images)

    def levels(self, images: np.ndarray) -> Tensor:
        """Bytes (N, H, W, C) that are not to be drawn -> levels (N, C, H, W) on the device."""
        return self.config.from_bytes(torch.from_numpy(images).to(self.model.device).permute(0, 3, 1, 2))

    def state(self) -> dict[str, Any]:
        """The averages too."""
        average = self.average.state_dict() if self.average is not None else {}
        return {**super().state(), "average": average}

    def restore(self, state: Mapping[str, Any]) -> None:
        """See the base class."""
        super().restore(state)
        if self.average is not None:
            try:
                self.average.load_state_dict(state["average"])
            except (KeyError, RuntimeError) as error:
                raise ValueError(f"the checkpoint does not fit the model: {error}") from error

    def measure(self) -> Figures:
        """The likelihood of training images, one draw of the code each, by noise drawn for this alone.

        Raises:
            ValueError: It is no number any more.
        """
        noise = torch.Generator(self.model.device).manual_seed(PICTURE_SEED)
        rows = np.random.default_rng(0).permutation(len(self.images))[:WATCHED]
        x = self.inputs(torch.from_numpy(rows), noise)
        value = self.value(log_likelihood(self.tested, x, noise))
        if not np.isfinite(value):
            raise ValueError(
                f"train_{self.metric} is {value} after {self.steps_done} steps, training has diverged: start "
                "again with a lower rate, such as --settings learning_rate:1e-4"
            )
        return {f"train_{self.metric}": value}

    def evaluate(self) -> Figures:
        """The same of images that are not trained on: watched, never chosen by."""
        noise = torch.Generator(self.model.device).manual_seed(PICTURE_SEED)
        split = self.data.test if self.data.valid is None else self.data.valid
        rows = np.random.default_rng(0).permutation(len(split))[:WATCHED]
        value = self.value(log_likelihood(self.tested, self.levels(split.images[rows]), noise))
        return {f"{self.watched}_{self.metric}": value}

    def value(self, log_p: np.ndarray) -> float:
        """Log likelihoods (N,) in nats -> their mean as the figure has it, lower being better."""
        nats = -float(log_p.mean())
        return nats if self.metric == "nats" else bits_per_dim(nats, self.config.image_shape)

    def frame(self) -> np.ndarray:
        """A grid of samples."""
        return album.frame(self.tested, PICTURE_SEED)

    def report(self) -> Report:
        """The likelihood of all test images, and the page."""
        model, n = self.tested, self.plan["n_samples"]
        noise = torch.Generator(model.device).manual_seed(PICTURE_SEED)
        x = self.levels(self.data.test.images)
        log_p = log_likelihood(model, x, noise, n, tell=True)
        averaged = f"averaged, decay {self.config.average_decay}, " if self.average is not None else ""
        facts: dict[str, Any] = {
            "n_samples": n,
            "estimate": "exact" if model.exact else "importance sampling",
            "test_images": len(x),
            "parameters": f"{averaged}after the last epoch",
            **self.measure(),
            **self.evaluate(),
        }
        if isinstance(model, Autoencoder):
            facts[f"{self.metric}_bound"] = self.value(log_likelihood(model, x, noise))
        unit = "nats an image" if self.metric == "nats" else "bits for each value"
        sections = album.sections(model, self.data, self.levels)
        arrays = {"test_log_likelihood": log_p}
        return Report(self.metric, self.value(log_p), f"{unit}, of test images", facts, sections, arrays)


def log_likelihood(
    model: LikelihoodModel, x: Tensor, generator: torch.Generator, n_samples: int = 1, *, tell: bool = False
) -> np.ndarray:
    """log p(x) (N,) float64 in nats of images (N, C, H, W), levels, few at a time.

    Args:
        model: Of the images.
        x: Images.
        generator: Draws codes.
        n_samples: Draws an image.
        tell: Print a line about every ten seconds.
    """
    parts, last = [], time.monotonic()
    with torch.no_grad():
        for part in x.split(ROWS):
            parts.append(model.log_likelihood(part, generator, n_samples).double().cpu())
            if tell and time.monotonic() - last > SECONDS:
                last = time.monotonic()
                done = torch.cat(parts)
                print(f"tested {len(done):,} of {len(x):,} images   {-done.mean():.2f} nats", flush=True)
    return torch.cat(parts).numpy()
