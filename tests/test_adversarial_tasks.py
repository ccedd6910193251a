"""The adversarial tasks of benchmarks.images: what each player sees, and what is measured of which images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.images import codes, metrics, quality
from benchmarks.images.adversarial import AdversarialTask
from benchmarks.images.codes import CodesTask
from benchmarks.images.data.dataset import ImageData, Split
from benchmarks.images.pixels import gaussian_images
from benchmarks.images.quality import SAMPLE_SEED, QualityTask
from benchmarks.images.semi_supervised import SemiSupervisedTask
from rlgen.generative.adversarial import Batch
from rlgen.generative.dcgan import DCGAN, DCGAN_28
from rlgen.generative.improved_gan import IMPROVED_GAN_CIFAR10, ImprovedGAN, ImprovedGANConfig
from rlgen.generative.infogan import InfoGAN, InfoGANConfig, Posterior

SIDE = 16
SHAPE = (1, SIDE, SIDE)
PLAN: dict[str, Any] = {"seed": 0, "labels_per_class": None, "label_seed": 0, "samples": 12}
PLAYERS = replace(DCGAN_28, image_shape=SHAPE, channels=(4, 2), hidden=(4,), noise_size=3, batch_size=4)
SMALL_CODES = InfoGANConfig(
    image_shape=SHAPE, channels=(4, 2), hidden=4, posterior_hidden=4, noise_size=5, batch_size=4
)
CLASSIFIER = ImprovedGANConfig(
    image_shape=SHAPE, n_classes=25, hidden=(4,), generator_hidden=(4,), noise_size=3, batch_size=10
)
DISCRIMINATING = replace(
    IMPROVED_GAN_CIFAR10,
    **{"image_shape": SHAPE, "n_classes": 25, "widths": (3, 3), "channels": (4, 2), "noise_size": 3},
    **{"batch_size": 10, "minibatch_kernels": 2},
)


def plain(values: Any) -> np.ndarray:
    """Images (N, H, W, 1) of one grey level each."""
    return np.asarray(values, np.uint8)[:, None, None, None].repeat(SIDE, 1).repeat(SIDE, 2)


def grey(images: Tensor, model: Any) -> Tensor:
    """The inverse (N,) int64, of images in the model's range."""
    return model.config.to_bytes(images)[:, 0, 0, 0].long()


def data(train: Any, test: Any, train_labels: Any = None, test_labels: Any = None) -> ImageData:
    """Plain images by their grey levels."""
    if train_labels is None:
        return ImageData("plain", Split(plain(train)), Split(plain(test)), None, (), ())
    splits = (
        Split(plain(train), np.array(train_labels, np.int64)),
        Split(plain(test), np.array(test_labels, np.int64)),
    )
    classes = tuple(str(k) for k in range(int(max(train_labels)) + 1))
    return ImageData("plain", *splits, None, classes, ())


class WatchedDCGAN(DCGAN):
    """Keeps the grey levels that each loss is given."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.seen: dict[str, list[list[int]]] = {"discriminator": [], "generator": []}

    def discriminator_loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        self.seen["discriminator"].append(grey(batch.images, self).tolist())
        return super().discriminator_loss(batch, generator)

    def generator_loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        self.seen["generator"].append(grey(batch.images, self).tolist())
        return super().generator_loss(batch, generator)


def optimizer_steps(optimizer: torch.optim.Optimizer) -> set[int]:
    return {int(state["step"]) for state in optimizer.state.values()}


def test_each_player_sees_every_image_in_an_order_of_its_own_and_the_generator_steps_more_often():
    model = WatchedDCGAN(replace(PLAYERS, generator_steps=3))
    task = AdversarialTask(model, data(range(12), range(2)), PLAN)
    task.enter_epoch()
    for _ in range(task.n_batches):
        task.advance()
    assert optimizer_steps(task.optimizer_pair.discriminator) == {3}
    assert optimizer_steps(task.optimizer_pair.generator) == {9}
    first, second = model.seen["discriminator"], model.seen["generator"][::3]
    assert model.seen["generator"] == [batch for batch in second for _ in range(3)]
    assert sorted(sum(first, [])) == sorted(sum(second, [])) == list(range(12))
    assert all(sorted(a) != sorted(b) for a, b in zip(first, second, strict=True))


class WatchedCodesTask(CodesTask):
    """Keeps the codes that it renders."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.rendered: list[Tensor] = []

    def render(self, z: Tensor) -> np.ndarray:
        self.rendered.append(z)
        return super().render(z)


def varied(row: Tensor) -> list[int]:
    """Columns of codes (S, Z) that are not all alike."""
    return (row != row[0]).any(0).nonzero().flatten().tolist()


@pytest.mark.parametrize("categorical", [(3, 2), ()])
def test_a_sweep_varies_its_code_alone_over_all_its_values(categorical: tuple[int, ...]):
    model = InfoGAN(replace(SMALL_CODES, categorical=categorical))
    task = WatchedCodesTask(model, data(range(8), range(2)), PLAN)
    titles = [title for title, _ in task.sweeps()]
    size, start = model.config.code_size, 5 + sum(categorical)
    *pages, overview = [z.view(-1, codes.STEPS, size) for z in task.rendered]
    columns = [[5, 6, 7], [8, 9], [start], [start + 1]][0 if categorical else 2 :]
    assert [varied(row) for row in overview] == columns
    for row, own in zip(overview[: len(categorical)], columns, strict=False):
        assert set(row[:, own].argmax(1).tolist()) == set(range(len(own)))
        assert torch.equal(row[:, own].sum(1), torch.ones(codes.STEPS))
    values = torch.linspace(-2, 2, codes.STEPS)
    assert len(titles) == 3 and len(pages) == 2
    for j, page in enumerate(pages):
        assert [varied(row) for row in page] == [[start + j]] * (3 if categorical else 5)
        assert all(torch.equal(row[:, start + j], values) for row in (*page, overview[len(categorical) + j]))
        if categorical:
            assert torch.equal(page[:, 0, 5:8], torch.eye(3))
            assert torch.equal(page[1:, 0, :5], page[:-1, 0, :5])


class ReadingInfoGAN(InfoGAN):
    """Its categorical code is the grey level."""

    def posterior(self, images: Tensor, reference: Tensor | None = None) -> Posterior:
        return Posterior((F.one_hot(grey(images, self), 3).float(),), images.new_zeros(len(images), 2), 0.0)


def test_codes_are_matched_on_training_images_and_their_accuracy_is_that_of_test_images(monkeypatch):
    monkeypatch.setattr(codes, "ROWS", 2)
    train, test = ([1, 2, 0, 1, 2, 1], [0, 1, 2, 1, 2]), ([0, 1, 2, 0, 1, 2], [0, 1, 2, 0, 1])
    model = ReadingInfoGAN(replace(SMALL_CODES, categorical=(3,)))
    report = CodesTask(model, data(train[0], train[1], test[0], test[1]), PLAN).report()
    assert report.metric == "code_accuracy" and report.value == pytest.approx(40)
    assert report.facts["class_of_code"] == [2, 0, 1]
    assert report.facts["train_accuracy"] == pytest.approx(100 * 5 / 6)
    assert report.facts["test_accuracy_matched_on_test"] == pytest.approx(60)


class Judge:
    """A classifier that knows brightness: three classes of 80 grey levels."""

    digest = "0"

    def features(self, images: np.ndarray) -> np.ndarray:
        level = images.reshape(len(images), -1).mean(1) / 255
        return np.stack([level, level**2], 1)

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        return np.eye(3)[images[:, 0, 0, 0] // 80]


class GivenSamplesTask(QualityTask):
    """Its generator gives 1, 3 and 8 samples of three classes, each 3 grey levels from a training image."""

    levels: Sequence[int] = (3, 103, 103, 103, *[203] * 8)

    def render(self, z: Tensor) -> np.ndarray:
        return plain(np.resize(self.levels, len(z)))


def test_samples_are_told_from_test_images_training_images_and_a_gaussian(monkeypatch):
    judge = Judge()
    monkeypatch.setattr(quality, "trained", lambda data, device: judge)
    levels = 20 * np.arange(12)
    images = data(levels, levels + 7, levels // 80, (levels + 7) // 80)
    task = GivenSamplesTask(DCGAN(PLAYERS), images, PLAN)
    report = task.report()
    samples, gaussian = plain(task.levels), gaussian_images(images.train.images, 12, SAMPLE_SEED)
    facts = {**report.facts, report.metric: report.value}
    for name, side in {"": samples, "_floor": images.train.images, "_gaussian": gaussian}.items():
        x, test = judge.features(side), judge.features(images.test.images)
        distances = metrics.frechet_distance(x, test), metrics.kernel_distance(x, test).mean
        found = facts[f"frechet_distance{name}"], facts[f"kernel_distance{name}"]
        assert found == pytest.approx(distances, abs=1e-9)
    assert facts["nearest_distance"] == facts["nearest_distance_least"] == pytest.approx(3)
    assert facts["nearest_distance_test_images"] == pytest.approx(7)
    assert facts["class_shares"] == {"0": 8.33, "1": 25, "2": 66.67}
    assert facts["least_class_share"] == pytest.approx(100 / 12)
    assert facts["inception_score"] == metrics.inception_score(judge.probabilities(samples)).mean


class ReadingImprovedGAN(ImprovedGAN):
    """Reads classes off grey levels: up to 19 by averaged parameters, and always one too many by others."""

    def __init__(self, config: ImprovedGANConfig) -> None:
        super().__init__(config)
        self.seen: list[list[int]] = []

    def logits(self, images: Tensor, *, averaged: bool = True) -> Tensor:
        level = grey(images, self)
        self.seen.append(level.tolist())
        return F.one_hot(level.clamp(max=19) if averaged else (level + 1) % 25, 25).float()


def classification(config: ImprovedGANConfig) -> tuple[ReadingImprovedGAN, SemiSupervisedTask]:
    model, each = ReadingImprovedGAN(config), range(25)
    return model, SemiSupervisedTask(model, data(each, each, each, each), {**PLAN, "labels_per_class": 1})


def test_test_images_in_whole_shuffled_batches_keep_their_logits():
    model, task = classification(DISCRIMINATING)
    logits = task.logits(averaged=True)
    assert [len(batch) for batch in model.seen] == [10, 10, 10]
    assert all(batch != sorted(batch) for batch in model.seen)
    np.testing.assert_array_equal(logits.argmax(1), np.minimum(np.arange(25), 19))


def test_the_reported_error_is_that_of_averaged_parameters():
    _, task = classification(CLASSIFIER)
    report = task.report()
    assert report.metric == "error" and report.value == pytest.approx(20)
    assert report.facts["error_latest_parameters"] == pytest.approx(100)
    assert task.evaluate() == pytest.approx({"test_error": 20, "test_error_latest": 100})
    np.testing.assert_array_equal(report.arrays["test_logits"].argmax(1), np.minimum(np.arange(25), 19))


def test_averages_take_in_the_parameters_after_each_round_of_steps():
    model, task = classification(replace(CLASSIFIER, average_decay=0.5, generator_steps=2))
    task.enter_epoch()
    past = []
    for _ in range(2):
        task.advance()
        past.append([p.detach().clone() for p in model.discriminator.parameters()])
    assert int(model.average.updates) == 2
    for mean, early, late in zip(model.average.averages(), *past, strict=True):
        torch.testing.assert_close(mean, (early + 2 * late) / 3)
