"""The classifier whose features are compared: it learns, by seed, and is kept without code in its file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.images import pixels
from benchmarks.images.classifier import RECIPES, Classifier, Recipe, augment, measure_accuracy, moments
from benchmarks.images.classifier import train_classifier as train
from benchmarks.images.data.dataset import ImageData, Split
from benchmarks.images.data.sources import SOURCES
from benchmarks.images.trained import trained

SMALL = Recipe(layers=((8, 2), (8, 2)), features=16, epochs=3, batch_size=20, shift=1)


def bars(n: int = 300, channels: int = 1, seed: int = 0) -> ImageData:
    """Images of 12 x 12 with a bright bar, upright or lying, in noise."""
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 90, (n, 12, 12, channels), np.uint8)
    labels = generator.integers(0, 2, n)
    for image, label, at in zip(images, labels, generator.integers(2, 10, n), strict=True):
        if label:
            image[at] = 200
        else:
            image[:, at] = 200
    cut = 2 * n // 3
    splits = Split(images[:cut], labels[:cut]), Split(images[cut:], labels[cut:])
    return ImageData("bars", *splits, None, ("upright", "lying"), (Path("bars"),))


@pytest.fixture(scope="module")
def network() -> Classifier:
    return train(bars(), 0, recipe=SMALL)


def test_it_learns_and_is_in_evaluation_mode(network):
    assert not network.training
    assert measure_accuracy(network, bars()) > 95


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_fit_their_data(name):
    height, width, channels = SOURCES[name].shape
    network = Classifier((channels, height, width), 10, RECIPES[name]).eval()
    x = torch.rand(2, channels, height, width, generator=torch.Generator().manual_seed(0))
    assert network.features(x).shape == (2, 128) and network(x).shape == (2, 10)
    assert (network.features(x) >= 0).all()


def test_the_same_seed_gives_the_same_weights_and_the_global_generators_stand_still(network):
    torch.manual_seed(5)
    np.random.seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[union-attr]
    again, other = train(bars(), 0, recipe=SMALL), train(bars(), 1, recipe=replace(SMALL, epochs=1))
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])  # type: ignore[index]
    for one, two in zip(network.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one, two)
    assert not torch.equal(network.head.weight, other.head.weight)


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_standardised_by_channel(channels):
    images = bars(channels=channels).train.images
    mean, std = moments(images)
    np.testing.assert_allclose(mean, (images / 255).mean((0, 1, 2)))
    np.testing.assert_allclose(std, (images / 255).std((0, 1, 2)))


def test_features_do_not_depend_on_the_batch(network):
    images = bars().test.images
    whole, parts = (pixels.apply(network.features, images, batch_size=n) for n in (1000, 7))
    np.testing.assert_allclose(whole, parts, atol=1e-4)
    assert whole.dtype == np.float64 and whole.shape == (100, 16)


def test_it_is_trained_once_and_kept(tmp_path, monkeypatch):
    data = bars()
    first = trained(data, 3, recipe=SMALL, folder=tmp_path, progress=False)
    assert first.accuracy > 95 and "16 features of our bars classifier (seed 3, test accuracy" in str(first)
    weights, about = sorted(tmp_path.iterdir(), key=lambda path: path.suffix, reverse=True)
    assert weights.name.startswith("bars-seed3-") and weights.suffix == ".pt" and about.stem == weights.stem
    record = json.loads(about.read_text())
    assert record["accuracy"] == first.accuracy and record["recipe"]["features"] == 16 and record["seed"] == 3
    monkeypatch.setattr("benchmarks.images.trained.train_classifier", None)  # so that it cannot train again
    second = trained(data, 3, recipe=SMALL, folder=tmp_path)
    np.testing.assert_array_equal(first.features(data.test.images), second.features(data.test.images))
    p = second.probabilities(data.test.images)
    np.testing.assert_allclose(p.sum(1), 1)
    assert 100 * np.mean(p.argmax(1) == data.test.labels) == first.accuracy


def test_another_seed_recipe_or_data_make_another_file(tmp_path):
    quick = replace(SMALL, epochs=1, layers=((4, 2),))
    for data, seed, recipe in (
        (bars(60), 0, quick),
        (bars(60), 1, quick),
        (bars(60), 0, replace(quick, features=8)),
        (bars(60, seed=1), 0, quick),
    ):
        trained(data, seed, recipe=recipe, folder=tmp_path)
    assert len(list(tmp_path.glob("*.pt"))) == len(list(tmp_path.glob("*.json"))) == 4


@pytest.mark.parametrize("damage", [b"", b"hello", b"\x80\x02cos\nmkdir\nX\x05\x00\x00\x00/tmp/\x85R."])
def test_a_damaged_file_is_told(damage, tmp_path):
    recipe = replace(SMALL, epochs=1, layers=((4, 2),))
    trained(bars(60), recipe=recipe, folder=tmp_path)
    (path,) = tmp_path.glob("*.pt")
    path.write_bytes(damage)
    with pytest.raises(ValueError, match=r"bars-seed0-\w+.pt cannot be read .*: delete it to train it again"):
        trained(bars(60), recipe=recipe, folder=tmp_path)


def test_half_a_pair_is_trained_again(tmp_path):
    recipe = replace(SMALL, epochs=1, layers=((4, 2),))
    trained(bars(60), recipe=recipe, folder=tmp_path)
    (about,) = tmp_path.glob("*.json")
    about.unlink()  # as if killed between the two files
    trained(bars(60), recipe=recipe, folder=tmp_path)
    assert about.exists()


@pytest.mark.parametrize(
    ("name", "remedy"), [("mnist-static", "of mnist"), ("folder-x", "sub-folders, one a class")]
)
def test_data_without_labels_is_refused(name, remedy, tmp_path):
    images = bars(60).train.images
    data = ImageData(name, Split(images), Split(images), None, (), ())
    with pytest.raises(ValueError, match=f"{name} has no labels to train a classifier on: .*{remedy}"):
        trained(data, folder=tmp_path)


def test_moved_and_mirrored_images_are_cuts_of_the_padded_ones():
    images = np.random.default_rng(0).integers(1, 256, (40, 6, 6, 3), np.uint8)
    found = augment(images, Recipe(shift=2, flip=True), np.random.default_rng(1))
    kinds = set()
    for image, moved in zip(images, found, strict=True):
        padded = np.pad(image, ((2, 2), (2, 2), (0, 0)))
        cuts = {
            (i, j, flip): padded[i : i + 6, j : j + 6][:, :: -1 if flip else 1]
            for i in range(5)
            for j in range(5)
            for flip in (False, True)
        }
        kinds |= {kind for kind, cut in cuts.items() if np.array_equal(cut, moved)}
    assert len(kinds) > 20 and {flip for _, _, flip in kinds} == {False, True}
    still = augment(images, Recipe(shift=0), np.random.default_rng(1))
    np.testing.assert_array_equal(still, images)


def test_images_and_tensors_are_each_others_inverse():
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), np.uint8)
    images.flags.writeable = False
    tensor = pixels.to_tensor(images)
    assert tensor.shape == (3, 3, 4, 5) and tensor.min() >= 0 and tensor.max() <= 1
    np.testing.assert_array_equal(pixels.to_images(tensor), images)
    assert pixels.to_images(torch.tensor([[[[-1.0, 2.0]]]])).reshape(-1).tolist() == [0, 255]


def test_gaussian_images_have_the_moments_of_the_pixels():
    generator = np.random.default_rng(0)
    images = (
        128 + 20 * generator.standard_normal((500, 1, 1, 1)) + 5 * generator.standard_normal((500, 2, 2, 1))
    )
    images = images.astype(np.uint8)
    found = pixels.gaussian_images(images, 4000, seed=0)
    assert found.shape == (4000, 2, 2, 1) and found.dtype == np.uint8
    real, fake = (z.reshape(len(z), -1).astype(float) for z in (images, found))
    np.testing.assert_allclose(fake.mean(0), real.mean(0), atol=1.5)
    np.testing.assert_allclose(np.cov(fake.T), np.cov(real.T), rtol=0.1)
    np.testing.assert_array_equal(found, pixels.gaussian_images(images, 4000, seed=0))
