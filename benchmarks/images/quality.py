"""DCGAN in training: how near its samples are to test images, by our classifier's features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.images import album, metrics, pictures
from benchmarks.images.adversarial import AdversarialTask
from benchmarks.images.data.dataset import ImageData
from benchmarks.images.data.picture_folder import resize
from benchmarks.images.pixels import gaussian_images
from benchmarks.images.task import Report
from benchmarks.images.trained import Trained, trained

SAMPLE_SEED = 5
NEAREST = 500
"""Samples whose nearest training images are looked for."""
SIDE = 8
"""Of the pictures whose pixels are features where there are no labels to train a classifier on."""


class QualityTask(AdversarialTask):
    """A generator whose samples are judged; the figure is their Frechet distance from test images."""

    def report(self) -> Report:
        """All distances, each with that of training images, and the page."""
        facts, gaussian = judged(self)
        value = facts.pop("frechet_distance")
        scale = album.scale_of(gaussian)
        last = (
            "samples of a Gaussian fitted to the training pixels",
            pictures.grid(gaussian[: album.COLUMNS**2 // 2], album.COLUMNS, scale=scale),
        )
        return Report(
            "frechet_distance", value, "squared units of the features", facts, [*self.album(), last]
        )


def judged(task: AdversarialTask) -> tuple[dict[str, Any], np.ndarray]:
    """Figures of a generator's samples, and the images of a Gaussian that they are compared with."""
    data = task.data
    judge = trained(data, device=str(task.model.device)) if data.train.labels is not None else None
    samples = task.render(task.codes(task.plan["samples"], SAMPLE_SEED))
    gaussian = gaussian_images(data.train.images, len(samples), SAMPLE_SEED)
    facts = distances(samples, gaussian, data, judge) | nearness(samples, data)
    return facts | (by_class(samples, data, judge) if judge else {}), gaussian


def distances(
    samples: np.ndarray, gaussian: np.ndarray, data: ImageData, judge: Trained | None
) -> dict[str, Any]:
    """Frechet and kernel distances from test images: of samples, training images, those of a Gaussian."""
    features: Callable[[np.ndarray], np.ndarray] = judge.features if judge else small_pixels
    n = len(samples)
    rows = np.random.default_rng(SAMPLE_SEED).permutation(len(data.train))[:n]
    sides = {"": samples, "_floor": data.train.images[rows], "_gaussian": gaussian}
    test, found = features(data.test.images), {}
    for name, images in sides.items():
        x = features(images)
        found[f"frechet_distance{name}"] = metrics.frechet_distance(x, test)
        found[f"kernel_distance{name}"] = metrics.kernel_distance(x, test).mean
    share = found["frechet_distance"] / max(found["frechet_distance_gaussian"], 1e-12)
    about = {
        "features": str(judge) if judge else f"{test.shape[1]} pixels of the images at {SIDE} x {SIDE}",
        **({"features_sha256": judge.digest} if judge else {}),
        "samples": n,
        "floor": f"{len(rows)} training images against {len(test)} test images",
    }
    return {**found, "frechet_share_of_gaussian": share, **about}


def by_class(samples: np.ndarray, data: ImageData, judge: Trained) -> dict[str, Any]:
    """Inception score and the classes that the classifier sees."""
    order = np.random.default_rng(SAMPLE_SEED).permutation(len(data.test))  # they may be sorted by class
    p, real = judge.probabilities(samples), judge.probabilities(data.test.images[order])
    shares = 100 * np.bincount(p.argmax(1), minlength=len(data.classes)) / len(p)
    splits = min(10, len(real), len(p))
    score = metrics.inception_score(p, splits)
    return {
        "inception_score": score.mean,
        "inception_score_std": score.std,
        "inception_score_test_images": metrics.inception_score(real, splits).mean,
        "least_class_share": float(shares.min()),
        "class_shares": dict(zip(data.classes, shares.round(2).tolist(), strict=True)),
    }


def nearness(samples: np.ndarray, data: ImageData) -> dict[str, float]:
    """Median distances to the nearest training image, of samples and test images: near 0 for copies."""
    ours, real = (
        pictures.nearest(x[:NEAREST], data.train.images).distances for x in (samples, data.test.images)
    )
    return {
        "nearest_distance": float(np.median(ours)),
        "nearest_distance_least": float(ours.min()),
        "nearest_distance_test_images": float(np.median(real)),
    }


def small_pixels(images: np.ndarray) -> np.ndarray:
    """(N, H, W, C) uint8 -> (N, D) float64 in [0, 1]: the images at `SIDE` x `SIDE` at most."""
    side = min(SIDE, images.shape[1])
    return np.stack([resize(image, side) for image in images]).reshape(len(images), -1) / 255.0
