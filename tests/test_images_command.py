"""python -m benchmarks.images: each model from flags to record, page and film; what is refused; the table."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image

from benchmarks.images.__main__ import Options, main
from benchmarks.images.models import KINDS
from benchmarks.images.plan import ADVERSARIAL, MODELS
from rlgen import cli
from tests import image_files as make

SMALL = {
    "dcgan": ["channels:[4,2]", "hidden:[8]", "noise_size:5"],
    "infogan": ["channels:[4,2]", "hidden:8", "posterior_hidden:8", "noise_size:5", "batches_per_epoch:2"],
    "improved_gan": ["hidden:[12,8]", "generator_hidden:[8]", "noise_size:5"],
}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Where a small MNIST lies, as working directory."""
    make.shrink(monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RLGEN_DATA", str(tmp_path))
    (tmp_path / "mnist.npz").write_bytes(make.npz(make.tables("mnist")))
    return tmp_path


def flags(model: str, *more: str) -> list[str]:
    labels = ["--labels-per-class", "2"] if model == "improved_gan" else []
    samples = ["--samples", "40"] if model == "dcgan" else []
    common = ["--data", "mnist", "--epochs", "2", "--batch-size", "10", *samples, "--results", "results"]
    return ["--model", model, *common, *labels, "--settings", *SMALL[model], *more]


def run(*argv: str) -> Path:
    (found,) = main(cli.parse(Options, argv))
    return found


def fail(capsys, *argv: str) -> str:
    assert cli.run(main, Options, argv) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and err.count("\n") == 1
    return err


def record(folder: Path) -> dict:
    (path,) = (folder / "results" / "images").glob("*/seed0.json")
    return json.loads(path.read_text())


FIGURES = {
    "dcgan": ("frechet_distance", ("features", "frechet_distance_floor", "class_shares", "inception_score")),
    "improved_gan": ("error", ("error_latest_parameters", "labels_per_class")),
    "infogan": ("code_accuracy", ("train_accuracy", "class_of_code")),
}


@pytest.mark.parametrize("model", ADVERSARIAL)
def test_each_model_ends_in_a_record_a_page_and_a_film(folder, model, capsys):
    place = run(*flags(model))
    told, found = capsys.readouterr().out, record(folder)
    metric, more = FIGURES[model]
    assert found["metric"] == metric and found["data"] == "mnist" and found["epochs"] == 2
    assert {"value", "unit", "hours", "device", "command", "commit", "settings", *more} <= found.keys()
    assert str(folder) not in json.dumps(found)
    assert f"{metric}: {found['value']:.4g}\n" in told and "preset: " in told
    assert iio.imread(place / "page.png").shape[1] > 500
    assert len(iio.imread(place / "film.gif")) == 3  # the start, two epochs
    rows = (place / "progress.csv").read_text().splitlines()
    assert len(rows) == 3 and ",epoch," in rows[0]
    assert list((place / "tensorboard").iterdir())


def test_the_preset_for_pictures_is_judged_by_samples_too(folder):
    (folder / "cifar10_small.npz").write_bytes(make.npz(make.tables("cifar10-subset")))
    small = ["--settings", "widths:[3,3]", "channels:[4,4,4]", "noise_size:5"]
    argv = [*flags("improved_gan")[:8], *small, "--results", "results", "--labels-per-class", "2"]
    argv += ["--samples", "40"]
    run(*argv, "--data", "cifar10-subset", "--preset", "IMPROVED_GAN_CIFAR10_SAMPLES")
    found = record(folder)
    assert found["metric"] == "error" and found["preset"] == "IMPROVED_GAN_CIFAR10_SAMPLES"
    assert {"inception_score", "inception_score_test_images", "frechet_distance_floor"} <= found.keys()


def test_every_model_is_known():
    assert tuple(KINDS) == MODELS


@pytest.mark.parametrize("model", ["dcgan", "infogan"])
def test_pictures_without_labels(folder, model):
    generator = np.random.default_rng(0)
    (folder / "mine").mkdir()
    for k in range(20):
        image = generator.integers(0, 256, (20, 16, 3), np.uint8)
        Image.fromarray(image).save(folder / "mine" / f"{k}.png")
    run(*flags(model, "--data", "folder", "--data-dir", "mine", "--image-size", "8"))
    found = record(folder)
    assert found["data"] == "folder-mine" and found["metric"] in ("frechet_distance", "information")
    assert model == "infogan" or found["features"] == "192 pixels of the images at 8 x 8"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "pass --model and --data"),
        (["--model", "dcgan"], "pass --model and --data"),
        (["--model", "dcgam", "--data", "mnist"], "did you mean 'dcgan'?"),
        (["--model", "dcgan", "--data", "mnits"], "did you mean 'mnist'?"),
        (["--model", "dcgan", "--data", "mnist", "--labels-per-class", "1"], "is for improved_gan"),
        (["--model", "dcgan", "--data", "mnist", "--image-size", "8"], "--image-size is for --data folder"),
        (["--model", "improved_gan", "--data", "mnist"], "10 labels a class cannot be had"),
        (["--model", "improved_gan", "--data", "fashion-mnist"], "pass --labels-per-class N"),
        (["--model", "improved_gan", "--data", "mnist-static", "--labels-per-class", "1"], "has no labels"),
        (["--model", "dcgan", "--data", "svhn"], "no svhn in"),
        (["--model", "dcgan", "--data", "mnist", "--data-dir", "nowhere"], "no such folder"),
        (["--model", "dcgan", "--data", "mnist", "--seeds", "0", "1", "--seed", "2"], "--seeds for several"),
        (["--model", "dcgan", "--data", "mnist", "--seeds", "3", "1", "3"], "--seeds 3: give different"),
        (["--model", "dcgan", "--data", "mnist", "--seeds"], "--seeds: nothing is given"),
        (["--model", "dcgan", "--data", "mnist", "--settings", "chanels:[4]"], "did you mean 'channels'?"),
        (
            ["--model", "dcgan", "--data", "mnist", "--settings", "channels:wide"],
            "its value is like (128, 64)",
        ),
        (
            ["--model", "dcgan", "--data", "mnist", "--settings", "channels:[4,2,2]"],
            "cannot be halved 3 times",
        ),
        (["--model", "dcgan", "--data", "mnist", "--settings", "epochs:3"], "it is set by --epochs"),
        (["--model", "dcgan", "--data", "mnist", "--settings", "squash:relu"], "relu"),
        (["--model", "dcgan", "--data", "mnist", "--settings", "noise_size:0"], "does not fit"),
        (["--model", "dcgan", "--data", "mnist", "--settings", "beta1:-1"], "does not fit"),
        (["--model", "dcgan", "--data", "mnist", "--settings", "channels:[]"], "does not fit"),
        (["--model", "dcgan", "--data", "mnist", "--settings", "label_smoothing:1"], "does not fit"),
        (
            ["--model", "dcgan", "--data", "mnist", "--settings", "squash:tanh"],
            "the generator's tanh gives -1",
        ),
        (["--model", "dcgan", "--data", "mnist", "--seed", "1e30"], "at most 2147483647"),
        (["--model", "dcgan", "--data", "mnist", "--stop-after", "0"], "leaves no time to train"),
        (["--model", "pixelcnn", "--data", "mnist", "--samples", "9"], "--samples is for dcgan"),
        (["--model", "infogan", "--data", "mnist", "--samples", "9"], "--samples is for dcgan, improved_gan"),
        (
            ["--model", "improved_gan", "--data", "mnist", "--labels-per-class", "2", "--samples", "9"],
            "judged only with minibatch_kernels",
        ),
        (["--model", "improved_gan", "--data", "mnist", "--settings", "n_classes:1"], "set by the data"),
        (["--model", "dcgan", "--data", "mnist", "--settings", "pixel_scale:0"], "pixel_scale is 0"),
        (["--model", "vae", "--data", "mnist-static", "--settings", "hidden:[]"], "hidden is empty"),
        (["--model", "vae_iaf", "--data", "mnist-static", "--settings", "latent_size:1"], "latent_size is 1"),
        (
            ["--model", "vae_iaf", "--data", "mnist-static", "--settings", "flow_hidden:[]"],
            "flow_hidden []",
        ),
        (["--model", "vae", "--data", "mnist-static", "--settings", "average_decay:1"], "average_decay is 1"),
        (
            ["--model", "improved_gan", "--data", "mnist", "--settings", "objective:l3"],
            "objective is 'l3': choose one of l1, l2, minimax",
        ),
        (["--model", "dcgan", "--data", "mnist", "--settings", "minibatch_dims:0"], "minibatch_dims"),
        (["--model", "infogan", "--data", "mnist", "--settings", "posterior_hidden:0"], "posterior_hidden"),
        (
            ["--model", "infogan", "--data", "mnist", "--settings", "categorical:[]", "continuous:0"],
            "give InfoGAN a code",
        ),
        (
            ["--model", "pixelcnn", "--data", "mnist-static", "--settings", "first_kernel:4"],
            "first_kernel is 4",
        ),
        (["--model", "pixelcnn", "--data", "mnist", "--settings", "first_kernel:1"], "does not fit"),
        (["--model", "resnet_vae", "--data", "mnist", "--settings", "latent_channels:0"], "does not fit"),
        (["--model", "dcgan", "--data", "mnist", "--epochs", "0"], "at least 1"),
        (["--model", "dcgan", "--data", "mnist", "--device", "gpu"], "did you mean 'cpu'?"),
        (["--resume", "nowhere"], "is not a run folder"),
        (["--ensemble", "nowhere", "either"], "is not a run folder"),
        (["--table", "--results", "nothing"], "nothing is recorded under"),
        (["--table", "--model", "vae"], "--table goes with --results alone: leave --model out"),
    ],
)
def test_what_cannot_work_is_one_line_and_status_2(folder, argv, message, capsys):
    (folder / "binarized_mnist.npz").write_bytes(make.npz(make.tables("mnist-static")))
    assert message in fail(capsys, *argv)
    assert not (folder / "logs").exists() and not (folder / "results").exists()


def test_a_place_where_no_classifier_can_be_kept_is_told_before_training(folder, capsys):
    (folder / "logs").write_text("no folder")
    err = fail(capsys, "--model", "dcgan", "--data", "mnist", "--log-folder", "elsewhere")
    assert "logs/images/classifiers, where the classifier that judges samples is kept" in err
    assert not (folder / "elsewhere").exists()


def test_a_place_for_records_that_cannot_be_is_told_before_the_training(folder, capsys):
    argv = flags("dcgan", "--results", "mnist.npz")
    assert "--results mnist.npz: no record can be written there" in fail(capsys, *argv)
    assert not (folder / "logs").exists()


def test_runs_of_other_sizes_have_records_of_their_own_and_long_names_fit(folder):
    for k in range(20):
        make_picture = Image.fromarray(np.full((20, 20), 12 * k, np.uint8))
        (folder / "mine").mkdir(exist_ok=True)
        make_picture.save(folder / "mine" / f"{k}.png")
    for size in ("8", "12"):
        run(*flags("dcgan", "--data", "folder", "--data-dir", "mine", "--image-size", size))
    many = [f"{name}:0.12345678901234567" for name in ("generator_rate", "discriminator_rate", "beta1")]
    (folder / "mine").rename(folder / ("m" * 180))
    place = run(*flags("dcgan", *many, "--data", "folder", "--data-dir", "m" * 180, "--image-size", "8"))
    found = [json.loads(path.read_text()) for path in (folder / "results").rglob("seed0.json")]
    assert sorted(one["image_size"] for one in found) == [8, 8, 12] and len(place.name) < 255


def test_a_broken_training_is_told_and_leaves_no_record(folder, capsys):
    assert "training has diverged" in fail(capsys, *flags("dcgan", "discriminator_rate:1e30"))
    assert not (folder / "results" / "images").exists()


def test_settings_that_differ_from_the_published_ones_have_a_record_of_their_own(folder):
    run(*flags("improved_gan"))
    (place,) = (folder / "results" / "images").iterdir()
    assert place.name.startswith("improved_gan-mnist-20-batch_size=10-epochs=2-")
    assert "hidden=12_8" in place.name


def test_the_table_and_the_ensemble(folder, capsys):
    runs = [str(run(*flags("improved_gan", "--seed", seed))) for seed in ("0", "1")]
    assert "pass two at least" in fail(capsys, "--ensemble", runs[0], "--results", "results")
    assert "has the seeds of" in fail(capsys, "--ensemble", *runs, runs[0], "--results", "results")
    main(cli.parse(Options, ["--ensemble", *runs, "--results", "results"]))
    capsys.readouterr()
    main(cli.parse(Options, ["--table", "--results", "results"]))
    lines = dict(line.split(": ") for line in capsys.readouterr().out.splitlines())
    assert any(name.endswith("_ensemble_error") for name in lines)
    (place,) = (folder / "results").rglob("ensemble.json")
    whole = json.loads(place.read_text())
    hours = [json.loads(path.read_text())["hours"] for path in place.parent.glob("seed*.json")]
    assert whole["device"] == "cpu" and whole["hours"] == pytest.approx(sum(hours), abs=1e-3)
    (mean,) = [value for name, value in lines.items() if name.endswith("_error") and "ensemble" not in name]
    values = [json.loads(path.read_text())["value"] for path in (folder / "results").rglob("seed*.json")]
    assert mean.split(" +- ")[0] == f"{np.mean(values):.4g}"


def test_the_table_has_the_papers_numbers(folder, capsys):
    place = folder / "results" / "images" / "improved_gan-mnist-100"
    place.mkdir(parents=True)
    for seed, value in enumerate((0.9, 1.0)):
        (place / f"seed{seed}.json").write_text(json.dumps({"metric": "error", "value": value}))
    main(cli.parse(Options, ["--table", "--results", "results"]))
    told = capsys.readouterr().out
    assert "mnist_100_error: 0.95 +- 0.071\nmnist_100_error_paper: 0.93 +- 0.065\n" in told


def test_the_table_compares_what_one_network_has_judged(folder, capsys):
    runs = [["dcgan"], ["dcgan", "joint_batches:True"], ["dcgan", "minibatch_kernels:2"]]
    for argv in runs:
        run(*flags(*argv))
    paths = sorted((folder / "results" / "images").glob("*/seed0.json"))
    found = [json.loads(path.read_text()) for path in paths]
    (judge,) = {record["features_sha256"] for record in found}
    other = {**found[0], "features_sha256": "0123456789", "settings": {"slope": 0.1}}
    wide = {**found[0], "settings": {**found[0]["settings"], "channels": [64, 64, 64]}}
    for seed, record in ((1, other), (2, wide)):
        paths[0].with_name(f"seed{seed}.json").write_text(json.dumps(record))
    capsys.readouterr()
    main(cli.parse(Options, ["--table", "--results", "results"]))
    _, table = capsys.readouterr().out.split(f"sha256 {judge}\n")
    assert len(table.splitlines()) == 4 and "slope:0.1" not in table
    assert "joint_batches:True" in table and "minibatch_kernels:2" in table
    assert all(f"{record['value']:.3g}" in table for record in found)


def test_figures_of_two_devices_are_told_apart(folder, capsys):
    place = folder / "results" / "images" / "improved_gan-mnist-100"
    place.mkdir(parents=True)
    for seed, (device, value) in enumerate((("cpu", 0.9), ("cpu", 1.0), ("A GPU", 0.8))):
        record = {"metric": "error", "value": value, "device": device}
        (place / f"seed{seed}.json").write_text(json.dumps(record))
    main(cli.parse(Options, ["--table", "--results", "results"]))
    told = capsys.readouterr().out
    assert "mnist_100_error: 0.9 +- 0.1\n" in told
    assert "mnist_100_error_on_cpu: 0.95\n" in told and "mnist_100_error_on_A_GPU: 0.8\n" in told


def test_help_needs_no_torch():
    code = "import sys; from benchmarks.images import __main__; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1]).returncode == 0
