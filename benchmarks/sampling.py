"""Fast sampling of PixelCNN and PixelRNN against naive sampling: how much faster, and that it is the same.

    python -m benchmarks.sampling [--models pixelcnn diagonal_bilstm] [--data-dir DIR]
    python -m benchmarks.sampling --rounds 5       # a quick look

The whole takes an hour and more, nearly all of it naive sampling of 1,008 images a model. A record of more
images is not replaced by one of fewer.

Models are trained for a minute on static binarized MNIST first, since untrained ones draw noise, which is too
easy or too hard for Jacobi iteration, as it happens; they are kept in the scratch folder. A round draws a
batch of 16 images of 28 x 28 from the same uniform numbers in three ways, one after the other, in one process
on one thread. Naive sampling passes the whole image through the network for every pixel.

`<model>_cache_speedup` and `<model>_jacobi_speedup` are medians over rounds of naive sampling's time over
theirs. Bars: pixelcnn 30 and 10, diagonal_bilstm 20 by the cache. A former trial with a smaller PixelCNN had
33 and 13. `<model>_output_difference` is how far outputs by position are from the whole network's at most.
The run fails if an image differs in one pixel, or outputs by more than 1e-5.

Times are CPU seconds of the process, to which others on the machine add nothing.

Hardware of the committed records: 2 vCPU of an AMD EPYC.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.images.data import load
from benchmarks.records import RESULTS, check_results, write_number
from benchmarks.timing import spread
from rlgen import cli
from rlgen.files import replace_file
from rlgen.generative.likelihood_model import descend, make_optimizer
from rlgen.generative.pixel_model import PixelModel
from rlgen.generative.pixel_sampling import draw_uniforms, sample_cached, sample_jacobi, sample_naive
from rlgen.generative.pixelcnn import GATED_PIXELCNN_MNIST, PIXELCNN_MNIST, PixelCNN
from rlgen.generative.pixelrnn import DIAGONAL_BILSTM_MNIST, ROW_LSTM_MNIST, PixelRNN

MODELS: dict[str, Callable[[], PixelModel]] = {
    "pixelcnn": lambda: PixelCNN(PIXELCNN_MNIST),
    "gated_pixelcnn": lambda: PixelCNN(GATED_PIXELCNN_MNIST),
    "row_lstm": lambda: PixelRNN(ROW_LSTM_MNIST),
    "diagonal_bilstm": lambda: PixelRNN(DIAGONAL_BILSTM_MNIST),
}
METHODS: dict[str, Callable[[PixelModel, Tensor], Tensor]] = {
    "naive": sample_naive,
    "cache": sample_cached,
    "jacobi": sample_jacobi,
}


@dataclass(frozen=True)
class Config:
    """Measure sampling."""

    models: tuple[str, ...] = ("pixelcnn", "diagonal_bilstm")
    """Of pixelcnn, gated_pixelcnn, row_lstm and diagonal_bilstm."""
    rounds: int = 63
    """Batches that are drawn."""
    batch_size: int = 16
    """Images of a batch."""
    train_seconds: float = 60.0
    """CPU seconds of training beforehand."""
    data_dir: Path | None = None
    """Folder of binarized_mnist.npz; RLGEN_DATA unless given."""
    scratch: Path = Path("logs/sampling")
    """Folder of the trained models."""
    results: Path = field(default_factory=lambda: RESULTS)
    """Folder of the records."""


def trained(name: str, config: Config) -> PixelModel:
    """The model, from the scratch folder if it is there.

    Raises:
        ValueError: It is there, but damaged.
    """
    model = MODELS[name]()
    origin = {**asdict(model.config), "train_seconds": config.train_seconds}
    path = config.scratch / f"{name}.pt"
    try:
        kept = torch.load(path, weights_only=True) if path.exists() else {}
    except Exception as error:  # torch.load raises whatever a damaged file leads to
        raise ValueError(
            f"{path} cannot be read ({type(error).__name__}): delete it to train it again"
        ) from error
    if kept.get("origin") == origin:
        model.load_state_dict(kept["state"])
        return model
    images = torch.from_numpy(load("mnist-static", config.data_dir).train.images)
    train(model, model.config.from_bytes(images.permute(0, 3, 1, 2).contiguous()), config.train_seconds)
    kept = {"origin": origin, "state": model.state_dict()}
    replace_file(path, lambda partial: torch.save(kept, partial))
    return model


def train(model: PixelModel, images: Tensor, seconds: float) -> None:
    """Take steps on random images (N, C, H, W), levels, for so many CPU seconds."""
    generator, optimizer = torch.Generator().manual_seed(0), make_optimizer(model)
    start = time.process_time()
    while time.process_time() - start < seconds:
        rows = torch.randint(len(images), (model.config.batch_size,), generator=generator)
        descend(model.loss(images[rows], generator), optimizer, model.config.gradient_norm)


@torch.no_grad()
def output_difference(model: PixelModel, x: Tensor) -> float:
    """How far outputs by position are from the whole network's at most, for images (n, C, H, W).

    Raises:
        RuntimeError: By more than 1e-5.
    """
    outputs, walk, largest = model.outputs(x), model.network.walk(len(x), x.shape[3]), 0.0
    for i in range(x.shape[2]):
        walk.begin_row()
        for j in range(x.shape[3]):
            pixel = model.centred(x[:, :, i, j])
            right = outputs[:, :, i, j]
            gap = (walk.step(pixel, j) - right).abs()
            if gap.max() > 1e-5:
                raise RuntimeError(f"outputs at row {i}, column {j} differ by {gap.max():.1e}")
            largest = max(largest, gap.max().item())
            walk.put(pixel, j)
    return largest


def compare(name: str, model: PixelModel, config: Config) -> dict[str, float]:
    """Draw images in all ways, and print and record how much faster two of them are.

    Raises:
        RuntimeError: They are not the same images, or outputs differ.
    """
    generator, seconds = torch.Generator().manual_seed(1), np.empty((config.rounds, len(METHODS)))
    difference = 0.0
    for k in range(config.rounds):
        u = draw_uniforms(model, config.batch_size, generator)
        images = []
        for m, method in enumerate(METHODS.values()):
            start = time.process_time()
            images.append(method(model, u))
            seconds[k, m] = time.process_time() - start
        if k == 0:
            print(f"{name}: {config.rounds} batches of {seconds[k].sum():.0f} s", flush=True)
        x = images[0]
        if not all(torch.equal(x, other) for other in images):
            raise RuntimeError(f"{name}: the images of batch {k} are not the same in all ways of sampling")
        difference = max(difference, output_difference(model, x))
    return report(name, seconds, difference, config)


def report(name: str, seconds: np.ndarray, difference: float, config: Config) -> dict[str, float]:
    """Print and record what CPU seconds (R, methods) say."""
    medians, figures = np.median(seconds, 0), {}
    n = config.rounds * config.batch_size
    print(
        f"{name}: {n} images the same; a batch of {config.batch_size} takes "
        + ", ".join(f"{value:.2f} s {method}" for method, value in zip(METHODS, medians, strict=True))
    )
    print(f"{name}_output_difference: {difference:.1e}")
    for m, method in enumerate(METHODS):
        if m == 0:
            continue
        figure = f"{name}_{method}_speedup"
        figures[figure], found = spread(seconds[:, 0] / seconds[:, m])
        print(f"{figure}: {figures[figure]:.1f}", flush=True)
        facts = {
            **found,
            "seconds_naive": float(medians[0]),
            "seconds": float(medians[m]),
            "batch_size": config.batch_size,
            "images_equal": n,
            "output_difference": difference,
            "threads": torch.get_num_threads(),
        }
        path = config.results / "sampling" / f"{figure}.json"
        if path.exists() and json.loads(path.read_text())["images_equal"] > n:
            print(f"{path} is of more images, and stays as it is")
        else:
            write_number(path, figure, figures[figure], "ratio of CPU times", **facts)
    return figures


def main(config: Config) -> dict[str, float]:
    """Train if need be, and compare, each model.

    Raises:
        ValueError: An unknown model, no round, no image, or no data.
        RuntimeError: Ways of sampling that do not agree.
    """
    if config.rounds < 1:
        raise ValueError(f"rounds is {config.rounds}: draw one batch at least")
    if config.batch_size < 1:
        raise ValueError(f"batch_size is {config.batch_size}: draw one image at least")
    for name in config.models:
        cli.check_known("model", name, list(MODELS))
    check_results(config.results)
    torch.set_num_threads(1)
    figures: dict[str, float] = {}
    for name in config.models:
        figures |= compare(name, trained(name, config), config)
    return figures


if __name__ == "__main__":
    sys.exit(cli.run(main, Config))
