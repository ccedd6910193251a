"""python -m benchmarks.images with models that have a likelihood: figures, resuming, data, comparison."""

from __future__ import annotations

import json
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch

from benchmarks.images import likelihood_album, models
from benchmarks.images.__main__ import Options, main
from benchmarks.images.compare import compare
from benchmarks.images.data import load
from benchmarks.images.likelihood import LikelihoodTask
from benchmarks.images.plan import CODED, EXACT
from rlgen import cli, folder
from rlgen.generative.likelihoods import bits_per_dim
from tests import image_files as make
from tests.test_images_command import fail, run
from tests.test_images_resume import check_killed_and_terminated, check_same, rows

DENSE = ["hidden:[8]", "latent_size:3"]
FLOW = ["flow_hidden:[4]", "context_size:3"]
CONV = [*DENSE, "channels:[3,4]"]
SMALL = {
    "vae": DENSE,
    "vae_iaf": [*DENSE, *FLOW],
    "conv_vae": CONV,
    "conv_vae_iaf": [*CONV, *FLOW],
    "resnet_vae": ["depth:1", "channels:4", "latent_channels:2"],
    "draw": ["steps:2", "hidden:6", "latent_size:3"],
    "pixelcnn": ["width:3", "depth:1", "head:3"],
    "pixelrnn": ["width:3", "depth:1", "head:3"],
}
DATA = {"mnist": "mnist", "mnist-static": "binarized_mnist", "cifar10-subset": "cifar10_small"}


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """Where small data sets lie, as working directory."""
    make.shrink(monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RLGEN_DATA", str(tmp_path))
    monkeypatch.setattr(likelihood_album, "PIXEL_GRID", 2)
    monkeypatch.setattr(likelihood_album, "DRAWS", 1)
    monkeypatch.setattr(likelihood_album, "STEPS", 2)
    monkeypatch.setattr(likelihood_album.restorations, "SHOWN", 3)
    for name, stem in DATA.items():
        (tmp_path / f"{stem}.npz").write_bytes(make.npz(make.tables(name)))
    return tmp_path


def flags(model: str, data: str = "mnist-static", *more: str) -> list[str]:
    fixed = ["--epochs", "2", "--batch-size", "4", "--results", "results", "--device", "cpu"]
    return ["--model", model, "--data", data, *fixed, "--settings", *SMALL[model], *more]


def record(place: Path) -> dict:
    (path,) = (place / "results" / "images").glob("*/seed*.json")
    return json.loads(path.read_text())


@pytest.mark.parametrize("model", [*CODED, *EXACT])
def test_each_model_ends_in_a_record_of_nats_a_page_and_a_film(place, model, capsys):
    run_place = run(*flags(model, "mnist-static", *(["--n-samples", "3"] if model in CODED else [])))
    told, found = capsys.readouterr().out, record(place)
    assert found["metric"] == "nats" and found["data"] == "mnist-static"
    assert found["n_samples"] == (3 if model in CODED else 1)
    assert found["estimate"] == ("exact" if model in EXACT else "importance sampling")
    assert f"nats: {found['value']:.4g}\n" in told
    with np.load(run_place / "outputs.npz") as arrays:
        log_p = arrays["test_log_likelihood"]
    assert log_p.shape == (5,) and -log_p.mean() == pytest.approx(found["value"])
    assert 0 < found["value"] < 784 and ("nats_bound" in found) == (model in CODED)
    assert iio.imread(run_place / "page.png").shape[1] > 500
    assert len(iio.imread(run_place / "film.gif")) == 3
    assert "valid_nats" in rows(run_place)[0] and "train_nats" in rows(run_place)[0]


@pytest.mark.parametrize(
    ("model", "data", "shown"),
    [
        ("vae", "mnist-static", {"completed", "denoised", "enlarged"}),
        ("pixelcnn", "mnist-static", {"completed"}),
        ("draw", "cifar10-subset", set()),
    ],
)
def test_a_page_shows_what_can_be_restored(place, model, data, shown):
    run(*flags(model, data, "--stop-after", "1e-9"))
    titles = {title.partition(":")[0] for title, _ in a_task(data).report().sections}
    assert titles & {"completed", "denoised", "enlarged"} == shown


@pytest.mark.parametrize("model", [*CODED, *EXACT])
def test_colours_are_counted_in_bits(place, model):
    run_place = run(*flags(model, "cifar10-subset"))
    found = record(place)
    assert found["metric"] == "bits_per_dim" and "test_bits_per_dim" in found
    with np.load(run_place / "outputs.npz") as arrays:
        nats = -float(arrays["test_log_likelihood"].mean())
    assert found["value"] == pytest.approx(bits_per_dim(nats, (3, 32, 32)))


@pytest.mark.parametrize(
    ("model", "data"),
    [
        ("vae_iaf", "mnist-dynamic"),
        ("conv_vae_iaf", "mnist-static"),
        ("resnet_vae", "mnist-static"),
        ("draw", "mnist-static"),
        ("pixelcnn", "mnist-static"),
        ("pixelrnn", "cifar10-subset"),
    ],
)
def test_pieces_of_one_batch_are_the_whole(place, model, data):
    more = ["average_decay:0.9", "--save-freq", "1", *(["--n-samples", "2"] if model in CODED else [])]
    argv = flags(model, data, *more)
    whole = run(*argv)
    piece = ["--stop-after", "1e-9", "--results", "results"]
    broken = run(*argv, *piece)
    pieces = 1
    while not (broken / "page.png").exists():
        assert pieces < 20
        run("--resume", str(broken), *piece)
        pieces += 1
    assert pieces > 4
    check_same(whole, broken)
    with np.load(whole / "outputs.npz") as one, np.load(broken / "outputs.npz") as other:
        np.testing.assert_array_equal(one["test_log_likelihood"], other["test_log_likelihood"])


def test_killed_and_terminated_runs_go_on_as_if_nothing_had_been(place):
    check_killed_and_terminated(place, flags("vae", "mnist-static", "average_decay:0.9", "--n-samples", "2"))


def test_dynamic_digits_are_drawn_anew_for_training_and_once_for_testing(place):
    mnist, one, again = load("mnist"), load("mnist-dynamic"), load("mnist-dynamic")
    np.testing.assert_array_equal(one.test.images, again.test.images)
    assert set(np.unique(one.test.images)) == {0, 255} and one.name == "mnist-dynamic"
    np.testing.assert_array_equal(one.train.images, mnist.train.images)
    black, white = mnist.test.images == 0, mnist.test.images == 255
    assert not one.test.images[black].any() and (one.test.images[white] == 255).all()
    assert one.test.images.mean() == pytest.approx(mnist.test.images.mean(), rel=0.03)
    run(*flags("vae", "mnist-dynamic", "--stop-after", "1e-9"))
    task = a_task("mnist-dynamic")
    first, second = (task.inputs(torch.arange(8), task.noise) for _ in range(2))
    assert set(first.unique().tolist()) == {0, 1} and not torch.equal(first, second)


def a_task(data: str, **plan) -> LikelihoodTask:
    (run_place,) = Path("logs/images").iterdir()
    task = models.build({**folder.read_config(run_place), **plan}, load(data))
    assert isinstance(task, LikelihoodTask)
    return task


def test_figures_of_the_moment_change_nothing_and_are_of_the_averages(place):
    run(*flags("vae", "mnist-static", "average_decay:0.9", "--stop-after", "1e-9"))
    task = a_task("mnist-static")
    task.initialise()
    task.begin_epoch(0)
    task.train_on(task.rows(0))
    before = task.noise.get_state()
    figures = {**task.measure(), **task.evaluate()}
    assert torch.equal(before, task.noise.get_state()) and task.measure().items() <= figures.items()
    with torch.no_grad():
        for parameter in task.model.parameters():
            parameter.fill_(torch.nan)
    assert {**task.measure(), **task.evaluate()} == figures
    task.average = None
    with pytest.raises(ValueError, match="training has diverged"):
        task.measure()


def test_runs_are_compared_image_by_image(place, capsys):
    runs = [run(*flags(model, "mnist-static", "--n-samples", "2")) for model in ("vae", "vae_iaf")]
    rng = np.random.default_rng(0)
    base = 30 * rng.standard_normal(400)
    for place_, values in zip(runs, (base, base + 1 + 0.1 * rng.standard_normal(400)), strict=True):
        np.savez(place_ / "outputs.npz", test_log_likelihood=values)
    capsys.readouterr()
    argv = ["--compare", *map(str, runs), "--results", "results"]
    main(cli.parse(Options, argv))
    told = capsys.readouterr().out
    found = json.loads(next((place / "results").rglob("gain_over_*.json")).read_text())
    assert told.startswith("gain_nats: ") and found["metric"] == "gain_nats"
    assert found["value"] == pytest.approx(1, abs=0.02)
    assert 0.97 < found["low"] < found["value"] < found["high"] < 1.03  # though images differ by 30 nats
    back = compare(runs[::-1], Path("results"))
    assert back.value == pytest.approx(-found["value"])
    main(cli.parse(Options, ["--table", "--results", "results"]))
    assert "_gain_nats: " in capsys.readouterr().out


def test_a_gain_of_other_seeds_has_a_record_of_its_own(place, capsys):
    for seed in "02":
        args = ("mnist-static", "--n-samples", "2", "--seed", seed)
        compare([run(*flags(model, *args)) for model in ("vae", "vae_iaf")], Path("results"))
    names = {path.name.partition("-seeds")[2] for path in Path("results").rglob("gain_over_*.json")}
    assert names == {"", "=2_2.json"}
    capsys.readouterr()
    main(cli.parse(Options, ["--table", "--results", "results"]))
    assert "_gain_nats_seeds_2_2: " in capsys.readouterr().out


def test_an_exact_likelihood_is_compared_with_an_estimate_of_any_number_of_samples(place):
    runs = [run(*flags("pixelcnn", "mnist-static")), run(*flags("vae", "mnist-static", "--n-samples", "2"))]
    assert compare(runs, Path("results")).value != 0
    runs.append(run(*flags("vae", "mnist-static", "--n-samples", "3")))
    with pytest.raises(ValueError, match="compare runs of the same --n-samples"):
        compare(runs[1:], Path("results"))


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--model", "pixelcnn", "--data", "mnist-static", "--n-samples", "3"], "--n-samples is for vae"),
        (["--model", "dcgan", "--data", "mnist", "--n-samples", "3"], "--n-samples is for vae"),
        (["--model", "dcgan", "--data", "mnist", "--preset", "DCGAN_82"], "has no preset 'DCGAN_82'"),
        (["--model", "dcgan", "--data", "mnist-dynamic"], "pass --data mnist for dcgan"),
        (["--model", "draw", "--data", "mnist", "--preset", "DRAW_MNIST_6"], "did you mean 'DRAW_MNIST_64'?"),
        (["--model", "vae", "--data", "mnist-static", "--settings", "levels:3"], "it is set by the data"),
        (["--compare", "nowhere"], "--compare has 1 runs"),
        (["--compare", "nowhere", "nowhere"], "is not a run folder"),
    ],
)
def test_what_cannot_work_is_one_line_and_status_2(place, argv, message, capsys):
    assert message in fail(capsys, *argv)
    assert not (place / "logs").exists() and not (place / "results").exists()


def test_a_preset_has_a_record_of_its_own(place):
    argv = flags("draw", "mnist-static", "read_size:2", "--preset", "DRAW_MNIST_64", "--stop-after", "1e-9")
    name = run(*argv).name
    assert name.startswith("draw-mnist-static-DRAW_MNIST_64-") and "read_size" not in name
