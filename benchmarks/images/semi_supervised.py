"""Improved GAN in training: the test error of its classifier, and that of several averaged."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.images.adversarial import AdversarialTask
from benchmarks.images.quality import judged
from benchmarks.images.task import Figures, Report
from rlgen.generative.improved_gan import ImprovedGAN

ROWS = 500
"""Images at a time."""


class SemiSupervisedTask(AdversarialTask):
    """A classifier that learns from few labels; its figure is the error of its averaged parameters."""

    model: ImprovedGAN
    shown = ("class_loss", "unlabelled_loss", "test_error")

    def evaluate(self) -> Figures:
        """Test errors in percent: watched, never chosen by."""
        return {"test_error": self.error(averaged=True), "test_error_latest": self.error(averaged=False)}

    def error(self, *, averaged: bool) -> float:
        """Percent of the test images that are taken for another class."""
        return error(self.logits(averaged=averaged), self.test_labels)

    @property
    def test_labels(self) -> np.ndarray:
        """(N,) int64."""
        assert self.data.test.labels is not None
        return self.data.test.labels

    def logits(self, *, averaged: bool) -> np.ndarray:
        """Of the test images (N, K) float32, without noise."""
        images = torch.from_numpy(self.data.test.images).permute(0, 3, 1, 2)
        n, size = len(images), ROWS
        order = np.arange(n)
        if self.model.config.minibatch_kernels:  # then they depend on the batch: whole ones, of all classes
            size = self.config.batch_size
            order = np.resize(np.random.default_rng(0).permutation(n), -(-n // size) * size)
        parts = [
            self.model.logits(self.config.from_bytes(images[rows].to(self.model.device)), averaged=averaged)
            for rows in torch.from_numpy(order).split(size)
        ]
        found = torch.cat(parts).cpu().numpy()
        logits = np.empty_like(found[:n])
        logits[order[:n]] = found[:n]
        return logits

    def report(self) -> Report:
        """The error after the last epoch; no epoch is chosen. With minibatch discrimination, samples too."""
        logits = self.logits(averaged=True)
        facts = {
            "error_latest_parameters": self.error(averaged=False),
            "test_images": len(logits),
            "labels": len(self.labelled),
            "labels_per_class": self.plan["labels_per_class"],
            "label_seed": self.plan["label_seed"],
            "parameters": f"averaged, decay {self.model.config.average_decay}, after the last epoch",
        }
        if self.model.config.minibatch_kernels:  # they are for the pictures, and cost the classifier
            facts |= judged(self)[0]
        value = error(logits, self.test_labels)
        arrays = {"test_logits": logits, "test_labels": self.test_labels}
        return Report("error", value, "% of test images", facts, self.album(), arrays)


def error(scores: np.ndarray, labels: np.ndarray) -> float:
    """Percent of rows of (N, K) whose largest score is not the label's."""
    return 100 * float(np.mean(scores.argmax(1) != labels))


def average(logits: list[np.ndarray]) -> np.ndarray:
    """Mean class probabilities (N, K) float64 of several classifiers."""
    probabilities = torch.stack([torch.from_numpy(part).double().softmax(1) for part in logits])
    return probabilities.mean(0).numpy()
