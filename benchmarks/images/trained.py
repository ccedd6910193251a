"""trained: the classifier of a data set, whose features and probabilities the metrics are of.

    judge = trained(load("mnist"))              # from logs/images/classifiers, or trained and kept there
    judge.features(images), judge.probabilities(images), judge.accuracy, str(judge)

Weights are kept as tensors and read with weights_only; the json beside them says how they came about. Another
recipe, seed or other data make another file.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.images.classifier import (
    OTHERS,
    RECIPES,
    Classifier,
    Recipe,
    labels_of,
    measure_accuracy,
    train_classifier,
)
from benchmarks.images.data.dataset import ImageData
from benchmarks.images.pixels import apply
from rlgen.files import replace_file, write_json

FOLDER = Path("logs/images/classifiers")


@dataclass(frozen=True)
class Trained:
    """A trained classifier, in evaluation mode."""

    network: Classifier
    data: str
    """Name of the data set."""
    seed: int
    accuracy: float
    """Percent of the test images."""
    device: str = "cpu"

    def features(self, images: np.ndarray) -> np.ndarray:
        """(N, H, W, C) uint8 -> (N, D) float64."""
        return apply(self.network.features, images, device=self.device)

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """(N, H, W, C) uint8 -> (N, K) float64."""
        return apply(lambda x: self.network(x).double().softmax(1), images, device=self.device)

    @property
    def digest(self) -> str:
        """Of the weights: distances in the features of two networks do not compare."""
        found = hashlib.sha256()
        for tensor in self.network.state_dict().values():
            found.update(tensor.cpu().contiguous().numpy().tobytes())
        return found.hexdigest()[:10]

    def __str__(self) -> str:
        d, how = self.network.head.in_features, f"seed {self.seed}, test accuracy {self.accuracy:.2f} %"
        return f"{d} features of our {self.data} classifier ({how})"


def trained(
    data: ImageData,
    seed: int = 0,
    *,
    recipe: Recipe | None = None,
    folder: Path = FOLDER,
    device: str = "cpu",
    progress: bool = True,
) -> Trained:
    """The classifier of a data set: read from `folder`, or trained and kept there.

    Args:
        data: With labels.
        seed: Of first weights and batches.
        recipe: That of the data set unless given.
        folder: Of the kept classifiers.
        device: Torch's.
        progress: Show a bar where standard error is a terminal.

    Raises:
        ValueError: The data has no labels, or the kept file is damaged.
    """
    recipe = recipe or RECIPES.get(data.name, OTHERS)
    origin = {"data": data.name, "sha256": _digest(data), "seed": seed, "recipe": asdict(recipe)}
    key = hashlib.sha256(json.dumps(origin, sort_keys=True).encode()).hexdigest()[:10]
    path = folder / f"{data.name}-seed{seed}-{key}.pt"
    if path.with_suffix(".json").exists() and path.exists():
        return _read(path, data, seed, recipe, device)
    start = time.perf_counter()
    network = train_classifier(data, seed, recipe=recipe, device=device, progress=progress)
    accuracy = measure_accuracy(network, data, device)
    state = {name: value.cpu() for name, value in network.state_dict().items()}
    replace_file(path, lambda partial: torch.save(state, partial))
    minutes, threads = (time.perf_counter() - start) / 60, torch.get_num_threads()
    about = {"accuracy": accuracy, "unit": "% of test images", **origin}
    about |= {"minutes": minutes, "device": device, "threads": threads, "torch": torch.__version__}
    write_json(path.with_suffix(".json"), about)
    return Trained(network, data.name, seed, accuracy, device)


def _digest(data: ImageData) -> str:
    """Of training images and labels."""
    digest = hashlib.sha256()
    for array in (data.train.images, labels_of(data)):
        digest.update(array.tobytes())
    return digest.hexdigest()


def _read(path: Path, data: ImageData, seed: int, recipe: Recipe, device: str) -> Trained:
    network = Classifier(data.shape, len(data.classes), recipe)
    try:
        accuracy = float(json.loads(path.with_suffix(".json").read_text())["accuracy"])
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # torch.load raises whatever a damaged file leads to
        raise ValueError(
            f"{path} cannot be read ({type(error).__name__}): delete it to train it again"
        ) from error
    network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Trained(network.eval(), data.name, seed, accuracy, device)
