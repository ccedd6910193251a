"""python -m benchmarks.image_uses: its baselines, and each use of a small model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import pytest
import scipy.ndimage
import torch

from benchmarks.image_uses import Config, main, trained_model
from benchmarks.images import filters, likelihood_album
from benchmarks.images.few_labels import logistic_accuracy, nearest_accuracy
from benchmarks.images.restorations import Subject, complete
from benchmarks.images.uses import psnr
from rlgen import cli
from rlgen.folder import seal
from rlgen.generative.evidence import Evidence, noisy
from rlgen.generative.pixelcnn import PIXELCNN_MNIST, PixelCNN
from rlgen.generative.vae import VAE, VAE_MNIST
from tests import image_files as make
from tests.test_images_command import run
from tests.test_images_likelihood import flags

NOISE = torch.rand(3, 1, 9, 8, generator=torch.Generator().manual_seed(0))


def test_the_best_filter_is_that_nearest_to_the_truth():
    median = torch.from_numpy(scipy.ndimage.median_filter(NOISE.numpy(), (1, 1, 5, 5), mode="nearest"))
    name, found = filters.best_filter(NOISE, median)
    assert name == "median of 5 x 5" and torch.equal(found, median)


def test_enlargements_keep_flat_images_and_their_range():
    flat, step = torch.full((1, 1, 4, 4), 0.3), torch.eye(4)[None, None]
    torch.testing.assert_close(filters.bicubic(flat), torch.full((1, 1, 8, 8), 0.3))
    assert filters.bicubic(step).min() == 0 and filters.bicubic(step).max() == 1


@pytest.mark.parametrize("accuracy", [logistic_accuracy, nearest_accuracy])
def test_few_labels_go_further_with_features_that_tell_classes_apart(accuracy):
    g = torch.Generator().manual_seed(0)
    labels, test_labels = torch.arange(30) % 3, torch.arange(300) % 3

    def features(y: torch.Tensor, noise: float) -> torch.Tensor:
        return torch.eye(3)[y] + noise * torch.randn(len(y), 3, generator=g)

    good, bad = (
        accuracy(features(labels, noise), labels, features(test_labels, noise), test_labels)
        for noise in (0.1, 2.0)
    )
    assert good == 100 and 30 < bad < 70


@pytest.mark.parametrize(
    "model",
    [
        VAE(replace(VAE_MNIST, hidden=(8,), latent_size=3)),
        PixelCNN(replace(PIXELCNN_MNIST, width=3, depth=1, head=3, kernel=3)),
    ],
)
def test_whatever_is_known_stays_and_the_rest_is_drawn(model):
    g = torch.Generator().manual_seed(0)
    x, known = torch.rand(4, 1, 28, 28, generator=g), torch.rand(4, 1, 28, 28, generator=g) < 0.5
    x = (x < 0.3).to(torch.uint8)
    found = complete(Subject(model=model, x=x, generator=g, steps=3), known)
    assert torch.equal(found.given, torch.where(known, x, 0).float())
    assert torch.equal(found.completed[known], x[known].float())
    assert 0.1 < (found.completed != x)[~known].float().mean() < 0.9


def test_the_mean_is_of_several_draws():
    model = VAE(replace(VAE_MNIST, hidden=(8,), latent_size=3))

    def subject() -> Subject:
        g = torch.Generator().manual_seed(0)
        return Subject(model=model, x=torch.zeros(4, 1, 28, 28), generator=g, draws=3, steps=2)

    y = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(1))

    def see(part: slice) -> Evidence:
        return noisy(y[part], 0.5)

    guess = (y > 0.5).to(torch.uint8)
    first, mean = subject().mean_restored(see, guess)
    one_by_one = subject()
    draws = [one_by_one.restored(see, guess) for _ in range(3)]
    assert not torch.equal(draws[0], draws[1]) and torch.equal(first, draws[0])
    torch.testing.assert_close(mean, torch.stack(draws).mean(0))


def test_the_ratio_of_a_known_error():
    x = torch.zeros(2, 1, 4, 4)
    assert psnr(x + 0.1, x) == pytest.approx(20)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    make.shrink(monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RLGEN_DATA", str(tmp_path))
    monkeypatch.setattr(likelihood_album, "PIXEL_GRID", 1)
    monkeypatch.setattr(likelihood_album, "DRAWS", 1)
    monkeypatch.setattr(likelihood_album, "STEPS", 2)
    monkeypatch.setattr("benchmarks.images.uses.LABELS_PER_CLASS", 2)
    monkeypatch.setattr("benchmarks.images.uses.DRAWS_OF_LABELS", 2)
    for name, stem in (("mnist", "mnist"), ("mnist-static", "binarized_mnist")):
        (tmp_path / f"{stem}.npz").write_bytes(make.npz(make.tables(name)))
    return tmp_path


@pytest.mark.parametrize("model", ["vae", "draw", "pixelcnn"])
def test_uses_of_a_run_end_in_records_and_a_page(folder, model, capsys):
    place = run(*flags(model))
    capsys.readouterr()
    found = main(Config(place, images=12, draws=2, steps=3, results=folder / "results"))
    told = capsys.readouterr().out
    uses = {path.stem.split("-")[0] for path in (folder / "results" / "image_uses").glob("*/*.json")}
    every = {"denoising", "inpainting", "super_resolution", "pretraining"}
    assert uses == ({"inpainting"} if model == "pixelcnn" else every)
    assert found["inpainting_given_pixels_kept"] == 100
    (path,) = (folder / "results" / "image_uses").glob("*/inpainting-images=12-draws=2-steps=3.json")
    record = json.loads(path.read_text())
    assert record["metric"] == "inpainting_accuracy" and record["images"] == 12
    assert f"inpainting_accuracy: {record['value']:.4g}\n" in told
    assert iio.imread(place / "uses.png").shape[1] > 300
    assert path.with_name("uses.png").read_bytes() == (place / "uses.png").read_bytes()
    if model != "pixelcnn":
        error, other = found["denoising_squared_error"], found["denoising_squared_error_filter"]
        assert isinstance(error, float) and isinstance(other, float)
        assert found["denoising_gain"] == pytest.approx(100 * (1 - error / other))
    alone = Config(place, uses=("inpainting",), images=12, draws=2, steps=3, results=folder / "results")
    assert main(alone).items() <= found.items()


def test_uses_can_be_chosen_and_a_model_has_its_own(folder, capsys):
    place, results = run(*flags("pixelcnn")), folder / "results"
    assert cli.run(main, Config, [str(place), "--uses", "pretraining", "--results", str(results)]) == 2
    assert "unknown use of a pixelcnn 'pretraining'" in capsys.readouterr().err
    place = run(*flags("vae"))
    found = main(Config(place, uses=("pretraining",), images=12, results=results))
    assert {path.stem for path in results.glob("image_uses/*/*.json")} == {"pretraining-images=12"}
    assert cli.run(main, Config, [str(place), "--images", "1"]) == 2
    assert "--images is 1: pass at least 2" in capsys.readouterr().err
    assert "denoising_gain" not in found
    for classifier in ("", "_logistic"):
        for gain, other in (("gain", "pixels"), ("gain_over_grey", "grey_pixels")):
            ours, theirs = (found[f"pretraining_accuracy{classifier}{k}"] for k in ("", f"_{other}"))
            assert isinstance(ours, float) and isinstance(theirs, float)
            assert found[f"pretraining_{gain}{classifier}"] == pytest.approx(ours - theirs)
    assert (place / "uses-pretraining.png").exists() and not (place / "uses.png").exists()


def test_the_model_is_the_averaged_one(folder):
    place = run(*flags("vae", "mnist-static", "average_decay:0.9"))
    state = torch.load(place / "final" / "state.pt", weights_only=True)
    model, _ = trained_model(place, None)
    assert all(torch.equal(value, state["average"][f"module.{k}"]) for k, value in model.state_dict().items())
    assert any(not torch.equal(value, state["model"][k]) for k, value in model.state_dict().items())


def test_a_run_of_another_device_can_be_used(folder):
    final = run(*flags("vae", "mnist-static")) / "final"
    manifest, state = json.loads((final / "manifest.json").read_text()), torch.load(final / "state.pt")
    state["generators"]["noise"] = torch.zeros(16, dtype=torch.uint8)  # the size of a GPU's
    torch.save(state, final / "state.pt")
    seal(final.rename(final.with_name("copy")), final, step=manifest["step"])
    model, _ = trained_model(final.parent, None)
    assert all(torch.equal(value, state["model"][k]) for k, value in model.state_dict().items())


def test_runs_of_other_images_and_unfinished_ones_are_refused(folder, capsys):
    for argv, message in (
        (flags("vae", "mnist"), "is not of binary digits"),
        (flags("vae", "mnist-static", "--stop-after", "1e-9"), "is not finished"),
    ):
        place = run(*argv)
        assert cli.run(main, Config, [str(place)]) == 2
        assert message in capsys.readouterr().err
