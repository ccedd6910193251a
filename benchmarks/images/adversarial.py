"""The adversarial models in training: data on the device, batches as in the papers, both players' steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.images import album
from benchmarks.images.data import labelled
from benchmarks.images.data.dataset import ImageData
from benchmarks.images.task import Figures, Task, permutations
from rlgen.generative.adversarial import (
    AdversarialModel,
    Batch,
    descend,
    make_optimizers,
    set_learning_rates,
)

FIRST_IMAGES = 500
"""Training images that data-dependent layers take their scales from (Improved GAN's code)."""
PICTURE_SEED = 1234
"""Of the codes that frames and pages show."""
GRID = 10
"""Rows and columns of a frame."""


class AdversarialTask(Task):
    """A generator and a discriminator in training.

    An epoch is as many batches as the training images give, or as the config says. Its unlabelled images are
    two shuffles of the training images, one a player; its labelled images, where there are any, are shuffled
    over and over until they are as many.

    Args:
        model: On its device.
        data: Images.
        plan: Of the run.
    """

    model: AdversarialModel
    shown = ("discriminator_loss", "generator_loss")

    def __init__(self, model: AdversarialModel, data: ImageData, plan: dict[str, Any]) -> None:
        config, self.data, self.plan = model.config, data, plan
        self.optimizer_pair = make_optimizers(model)
        n_batches = config.batches_per_epoch or max(len(data.train) // config.batch_size, 1)
        super().__init__(model, tuple(self.optimizer_pair), config.epochs, n_batches, plan["seed"])
        self.config = config
        self.images = torch.from_numpy(data.train.images).to(model.device).permute(0, 3, 1, 2)
        self.labelled, self.labels = torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.int64)
        if plan["labels_per_class"]:
            assert data.train.labels is not None
            rows = labelled(data.train.labels, plan["labels_per_class"], plan["label_seed"])
            self.labelled = torch.from_numpy(rows).to(model.device)
            self.labels = torch.from_numpy(data.train.labels[rows]).to(model.device)
        self._orders = torch.empty(0, dtype=torch.int64)

    def initialise(self) -> None:
        """Let layers take their scales from random training images."""
        rows = permutations(len(self.images), min(FIRST_IMAGES, len(self.images)), self.orders)
        self.model.initialise(self.inputs(rows), self.noise)

    def begin_epoch(self, epoch: int) -> None:
        """Shuffle, and set both learning rates."""
        needed = self.n_batches * self.config.batch_size
        orders = [permutations(len(self.images), needed, self.orders) for _ in self.optimizer_pair]
        if len(self.labelled):
            orders.append(permutations(len(self.labelled), needed, self.orders))
        # at once: a GPU would stand still for the rows of every single batch
        self._orders = torch.stack(orders).to(self.images.device)
        set_learning_rates(self.optimizer_pair, self.config, epoch)

    def rows(self, k: int) -> Tensor:
        """(2 or 3, B): the discriminator's images, the generator's, and of the labelled ones."""
        return self._orders[:, k * self.config.batch_size : (k + 1) * self.config.batch_size]

    def train_on(self, rows: Tensor) -> None:
        """The discriminator's step, then the generator's."""
        batch, other = self.batches(rows)
        descend(self.model.discriminator_loss(batch, self.noise), self.optimizer_pair.discriminator)
        for _ in range(self.config.generator_steps):
            descend(self.model.generator_loss(other, self.noise), self.optimizer_pair.generator)
        self.model.update_averages()

    def batches(self, rows: Tensor) -> tuple[Batch, Batch]:
        """Those of the two players."""
        images, others = self.inputs(rows[0]), self.inputs(rows[1])
        if not len(self.labelled):
            return Batch(images), Batch(others)
        labelled = self.inputs(self.labelled[rows[2]]), self.labels[rows[2]]
        return Batch(images, *labelled), Batch(others, *labelled)

    def inputs(self, rows: Tensor) -> Tensor:
        """Training images (B, C, H, W) of some rows, in the model's range."""
        return self.config.from_bytes(self.images[rows.to(self.images.device)])

    def measure(self) -> Figures:
        """The model's own figures on the last batch, by noise that is drawn for this alone.

        Raises:
            ValueError: A figure is no number any more.
        """
        noise = torch.Generator(self.model.device).manual_seed(PICTURE_SEED + self.steps_done)
        figures = self.model.measure(self.batches(self.rows(self.n_batches - 1))[0], noise)
        for name, value in figures.items():
            if not np.isfinite(value):
                raise ValueError(
                    f"{name} is {value} after {self.steps_done} steps, training has diverged: start again "
                    "with lower rates, such as --settings discriminator_rate:1e-4 generator_rate:1e-4"
                )
        return figures

    def codes(self, n: int, seed: int = PICTURE_SEED) -> Tensor:
        """n codes from the prior (n, Z), the same at any time."""
        return self.model.draw_codes(n, torch.Generator().manual_seed(seed))

    def render(self, z: Tensor) -> np.ndarray:
        """Codes (B, Z) -> images (B, H, W, C) uint8."""
        return self.pictures(self.model.generate(z))

    def pictures(self, images: Tensor) -> np.ndarray:
        """Images (B, C, H, W) in the model's range -> (B, H, W, C) uint8."""
        return self.config.to_bytes(images).permute(0, 2, 3, 1).contiguous().cpu().numpy()

    def frame_codes(self) -> Tensor:
        """Those of a frame, row by row."""
        return self.codes(GRID * GRID)

    def frame(self) -> np.ndarray:
        """A grid of samples."""
        return album.frame(self.render(self.frame_codes()), GRID)

    def album(self) -> list[tuple[str, np.ndarray]]:
        """What every model's page has."""
        samples = self.render(self.codes(album.COLUMNS**2, 1))
        line = album.interpolation(self.render, self.codes(2 * album.LINES, 2))
        return [*album.samples_beside(samples, self.data), line]
