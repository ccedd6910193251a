"""Parts of python -m benchmarks.images against oracles."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.images import album
from benchmarks.images.codes import accuracy, best_assignment
from benchmarks.images.data.dataset import ImageData, Split
from benchmarks.images.plan import check_data, override
from benchmarks.images.semi_supervised import average, error
from benchmarks.images.task import permutations
from rlgen.generative.improved_gan import IMPROVED_GAN_CIFAR10
from rlgen.progress import duration


def test_accuracy_of_relabelled_codes():
    counts = np.array([[0, 8, 1], [1, 1, 8], [9, 1, 1]])
    assert accuracy(counts, best_assignment(counts)) == pytest.approx(100 * 25 / 30)


def test_permutations_hold_every_row_before_any_comes_again():
    rows = permutations(4, 10, torch.Generator().manual_seed(0))
    assert sorted(rows[:4].tolist()) == sorted(rows[4:8].tolist()) == [0, 1, 2, 3]
    assert len(rows) == 10 and rows[:4].tolist() != rows[4:8].tolist()


def test_averaged_classifiers_weigh_probabilities():
    sure, torn = np.array([[0.0, 4.0]]), np.array([[0.1, 0.0]])
    probabilities = average([sure, torn, torn])
    p = [np.exp(4) / (1 + np.exp(4)), 1 / (1 + np.exp(0.1))]
    np.testing.assert_allclose(probabilities[0, 1], (p[0] + 2 * p[1]) / 3)
    assert error(probabilities, np.array([1])) == 0 and error(torn, np.array([1])) == 100


def test_interpolations_go_from_one_code_to_the_other():
    ends = torch.tensor([[0.0], [10.0], [90.0], [20.0]])
    images = album.interpolations(lambda z: z.numpy()[:, :, None, None].round().astype(np.uint8), ends, 4)
    np.testing.assert_array_equal(images[:, :, 0, 0, 0], [[0, 30, 60, 90], [10, 13, 17, 20]])


def test_settings_take_the_type_of_the_preset():
    given = {"widths": [3, 4], "input_noise": 1, "noise_size": 3, "network": "dense"}
    assert override(IMPROVED_GAN_CIFAR10, given) == {**given, "widths": (3, 4)}
    assert type(override(IMPROVED_GAN_CIFAR10, given)["input_noise"]) is float


@pytest.mark.parametrize(("seconds", "text"), [(9.6, "10 s"), (600, "10 min"), (9000, "2.5 h")])
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_a_class_of_which_all_images_are_held_out_is_told():
    images = np.zeros((4, 2, 2, 1), np.uint8)
    train, test = Split(images, np.array([0, 0, 1, 1])), Split(images[:2], np.array([0, 2]))
    data = ImageData("folder-x", train, test, None, ("a", "b", "z"), ())
    with pytest.raises(ValueError, match="class z of folder-x has no training images: give it more"):
        check_data("improved_gan", data)
    check_data("dcgan", data)
