"""InfoGAN in training: whether a code that nobody named means the class, and what each code changes."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from benchmarks.images import pictures
from benchmarks.images.adversarial import PICTURE_SEED, AdversarialTask
from benchmarks.images.album import scale_of
from benchmarks.images.data.dataset import Split
from benchmarks.images.task import Report
from rlgen.generative.adversarial import Batch
from rlgen.generative.infogan import InfoGAN

REFERENCE = 1000
"""Training images whose statistics normalise the others."""
ROWS = 2000
SPAN = 2.0
"""Continuous codes are drawn from [-1, 1] and shown from -SPAN to SPAN, as in the paper's figure 2."""
STEPS = 10


class CodesTask(AdversarialTask):
    """InfoGAN; its figure is the accuracy of the first categorical code as a classifier."""

    model: InfoGAN
    shown = (*AdversarialTask.shown, "information_categorical")

    def frame_codes(self) -> Tensor:
        """A row for each class of the first categorical code, or rows of any codes."""
        sizes = self.model.config.categorical
        return self.row_codes(sizes[0], 10).flatten(0, 1) if sizes else self.codes(100)

    def report(self) -> Report:
        """Accuracy on test images; without labels or classes, the information bound of the codes."""
        sections = [*self.album(), *self.sweeps()]
        noise = torch.Generator().manual_seed(PICTURE_SEED)
        figures = self.model.measure(Batch(self.reference()), noise)
        bounds = {name: figures[name] for name in ("information_categorical", "information_continuous")}
        if self.data.train.labels is None or not self.model.config.categorical:
            value = bounds.pop("information_categorical") if self.model.config.categorical else 0.0
            return Report("information", value, "nats, of categorical codes", bounds, sections)
        train, test = (self.counts(split) for split in (self.data.train, self.data.test))
        match = best_assignment(train)  # the class of each code
        facts = {
            "train_accuracy": accuracy(train, match),
            "test_accuracy_matched_on_test": accuracy(test, best_assignment(test)),
            "class_of_code": match.tolist(),
            "test_images_by_code_and_class": test.tolist(),
            "matching": "best one-to-one, found on the training images",
            **bounds,
        }
        return Report("code_accuracy", accuracy(test, match), "% of test images", facts, sections)

    def guesses(self, images: np.ndarray) -> np.ndarray:
        """The first categorical code (N,) that Q finds most likely."""
        reference = self.reference()
        parts = torch.from_numpy(images).permute(0, 3, 1, 2).split(ROWS)
        found = [
            self.model.posterior(self.config.from_bytes(part.to(self.model.device)), reference)
            .logits[0]
            .argmax(1)
            for part in parts
        ]
        return torch.cat(found).cpu().numpy()

    def reference(self) -> Tensor:
        """Training images (B, C, H, W), always the same."""
        rows = np.random.default_rng(0).permutation(len(self.images))[:REFERENCE]
        return self.inputs(torch.from_numpy(rows))

    def counts(self, split: Split) -> np.ndarray:
        """Images by code and class (K, K)."""
        assert split.labels is not None
        size = max(self.model.config.categorical[0], len(self.data.classes))
        table = np.zeros((size, size), np.int64)
        np.add.at(table, (self.guesses(split.images), split.labels), 1)
        return table

    def row_codes(self, rows: int, columns: int) -> Tensor:
        """Codes (rows, columns, Z): the first code's class by row, all else by column; other codes at 0."""
        config = self.model.config
        noise = self.codes(columns)[:, : config.noise_size].repeat(rows, 1)
        classes = torch.zeros(rows * columns, len(config.categorical), dtype=torch.int64, device=noise.device)
        if config.categorical:
            classes[:, 0] = torch.arange(rows, device=noise.device).repeat_interleave(columns)
        continuous = noise.new_zeros(rows * columns, config.continuous)
        return self.model.compose(noise, classes, continuous).view(rows, columns, -1)

    def sweeps(self) -> list[tuple[str, np.ndarray]]:
        """One row a code dimension, then for each continuous code a row a class."""
        config, rows = self.model.config, []
        start = len(self.codes(1)[0]) - config.continuous
        if config.categorical:
            fixed, row = self.row_codes(config.categorical[0], 1), "class"  # (R, 1, Z)
        else:
            fixed, row = self.codes(5)[:, None], "code"
        steps, offset = max(STEPS, *config.categorical, 0), config.noise_size
        for size in config.categorical:
            z = fixed[0].repeat(steps, 1)
            z[:, offset : offset + size] = torch.eye(size, device=z.device)[torch.arange(steps) % size]
            rows.append(z)
            offset += size
        values = torch.linspace(-SPAN, SPAN, steps, device=fixed.device)
        pages = []
        for j in range(start, start + config.continuous):
            z = fixed.repeat(1, steps, 1)
            z[:, :, j] = values
            rows.append(z[0])
            title = f"continuous code {j - start + 1} from {-SPAN:g} to {SPAN:g}, a row a {row}"
            pages.append((title, self._sweep(z)))
        if not rows:
            return []
        names = f"{len(config.categorical)} categorical, {config.continuous} continuous"
        return [(f"one row a code: {names}", self._sweep(torch.stack(rows))), *pages]

    def _sweep(self, z: Tensor) -> np.ndarray:
        """Codes (R, S, Z) -> a grid."""
        images = self.render(z.flatten(0, 1))
        return pictures.sweep(images.reshape(*z.shape[:2], *images.shape[1:]), scale=scale_of(images))


def best_assignment(counts: np.ndarray) -> np.ndarray:
    """The class (K,) of each code: the one-to-one matching by which most images (K, K) are right."""
    return linear_sum_assignment(counts, maximize=True)[1]


def accuracy(counts: np.ndarray, match: np.ndarray) -> float:
    """Percent of the images whose code's class is theirs."""
    return 100 * float(counts[np.arange(len(match)), match].sum() / counts.sum())
