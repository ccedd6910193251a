"""What is recorded, beside the papers' numbers; and classifiers of several runs, averaged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.images import loop
from benchmarks.images.plan import name_of
from benchmarks.images.semi_supervised import average as mean_probabilities
from benchmarks.images.semi_supervised import error
from benchmarks.records import write_number
from rlgen import folder

PAPERS = {
    "mnist_20_error": "16.77 +- 4.52",
    "mnist_50_error": "2.21 +- 1.36",
    "mnist_100_error": "0.93 +- 0.065",
    "mnist_200_error": "0.90 +- 0.042",
    "mnist_20_ensemble_error": "11.34 +- 4.45",
    "mnist_50_ensemble_error": "1.42 +- 0.96",
    "mnist_100_ensemble_error": "0.86 +- 0.056",
    "mnist_200_ensemble_error": "0.81 +- 0.043",
    "cifar10_1000_error": "21.83 +- 2.01",
    "cifar10_2000_error": "19.61 +- 2.09",
    "cifar10_4000_error": "18.63 +- 2.32",
    "cifar10_8000_error": "17.72 +- 1.82",
    "cifar10_4000_ensemble_error": "15.59 +- 0.47",
    "svhn_500_error": "18.44 +- 4.8",
    "svhn_1000_error": "8.11 +- 1.3",
    "svhn_2000_error": "6.16 +- 0.58",
    "infogan_mnist_code_accuracy_best": "95",
    "vae_mnist_dynamic_nats": "86.76",
    "conv_vae_mnist_dynamic_nats": "81.08 +- 0.08",
    "conv_vae_iaf_mnist_dynamic_nats": "79.17 +- 0.08",
    "conv_vae_iaf_mnist_static_nats": "79.88",
    "resnet_vae_cifar10_bits_per_dim": "3.54",
    "resnet_vae_cifar10_flow=0_bits_per_dim": "3.74",
    "pixelcnn_mnist_static_nats": "81.30",
    "pixelcnn_mnist_static_PIXELCNN_MNIST_SMALL_nats": "81.30",
    "pixelcnn_mnist_static_PIXELCNN_MNIST_WIDE_nats": "81.30",
    "pixelcnn_cifar10_bits_per_dim": "2.92",
    "pixelrnn_mnist_static_nats": "80.75",
    "pixelrnn_mnist_static_DIAGONAL_BILSTM_MNIST_DEEP_nats": "79.20",
    "pixelrnn_mnist_static_ROW_LSTM_MNIST_nats": "80.54",
    "pixelrnn_cifar10_bits_per_dim": "3.00",
    "draw_mnist_static_nats_bound": "87.40",
    "draw_mnist_static_DRAW_MNIST_64_nats_bound": "80.97",
    "draw_cifar10_bits_per_dim_bound": "4.13",
}
"""Salimans et al. 2016, tables 1 to 3, percent, over ten draws; Chen et al. 2016, section 7.2. Likelihoods:
Burda et al. 2015, table 1 (one layer, k = 1); Kingma et al. 2016, tables 1 and 4, section 6.1; van den Oord
et al. 2016, tables 4 and 5 (PixelCNN on CIFAR-10 is gated with a mixture here: Salimans et al. 2017, table 1;
3.03 without the mixture, van den Oord et al. 2016b); Gregor et al. 2015, table 2, bounds:
without attention, and with it in 64 steps."""
BEST = {"code_accuracy": max}
"""Metrics of which the best seed is printed too."""
MORE = (
    "frechet_share_of_gaussian",
    "kernel_distance",
    "frechet_distance_floor",
    "frechet_distance_gaussian",
    "least_class_share",
    "inception_score",
    "nats_bound",
    "bits_per_dim_bound",
)
"""Figures of a record, besides its value, that the table has."""
COMPARED = (
    "frechet_distance",
    "frechet_share_of_gaussian",
    "kernel_distance",
    "inception_score",
    "least_class_share",
)
"""Those of which DCGAN's tricks have a table."""
SIZES = ("channels", "hidden")
"""Settings of the network's size: a table holds one size."""


def show(results: Path) -> None:
    """Print a line `name: value` a figure, the mean over seeds, and the paper's where there is one.

    Raises:
        ValueError: Nothing is recorded.
    """
    found = sorted({path.parent for path in results.glob("images/*/*.json")})
    if not found:
        raise ValueError(f"nothing is recorded under {results / 'images'}")
    tricks = []
    for place in found:
        records = [json.loads(path.read_text()) for path in sorted(place.glob("seed*.json"))]
        tricks += [record for record in records if record.get("model") == "dcgan"]
        for name, value in figures(place.name, records).items():
            _tell(name, value)
        for path in sorted(place.glob("gain_over_*.json")):
            gain = json.loads(path.read_text())
            name = f"{_stem(place.name)}_over_{_stem(gain['over'])}_{gain['metric']}"
            name += "_seeds_{}_{}".format(*gain["seeds"]) if any(gain["seeds"]) else ""
            _tell(name, f"{gain['value']:.3g} [{gain['low']:.3g}, {gain['high']:.3g}]")
        for path in sorted(place.glob("ensemble.json")):
            record = json.loads(path.read_text())
            _tell(f"{_stem(place.name)}_ensemble_error", f"{record['value']:.4g}")
    for title, rows in compared(tricks).items():
        print(f"\n{title}\n{rows.to_string(index=False)}")


def compared(records: Sequence[dict[str, Any]]) -> dict[str, pd.DataFrame]:
    """DCGANs of one size, data set, length and device that one network has judged: a row a setting."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        judge = record.get("features_sha256", "unknown")
        settings = {name: value for name, value in record["settings"].items() if name != "epochs"}
        size = "".join(f" {name}:{settings.pop(name)}" for name in SIZES if name in settings)
        title = f"DCGAN{size} on {record['data']}, {record['epochs']} epochs, {record['device']}, "
        row = {"settings": " ".join(f"{name}:{value}" for name, value in settings.items()) or "as published"}
        found = {**record, record["metric"]: record["value"]}
        row |= {name: f"{found[name]:.3g}" for name in COMPARED if name in found} | {"seed": record["seed"]}
        groups.setdefault(f"{title}{record['features']}, sha256 {judge}", []).append(row)
    return {title: pd.DataFrame(rows) for title, rows in groups.items() if len(rows) > 1}


def figures(name: str, records: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The figures of one folder of records."""
    if not records:
        return {}
    metric, stem = records[0]["metric"], _stem(name)
    values = [record["value"] for record in records]
    spread = f" +- {np.std(values, ddof=1):.2g}" if len(values) > 1 else ""
    found = {f"{stem}_{metric}": f"{np.mean(values):.4g}{spread}"}
    devices = [record.get("device", "") for record in records]
    for device in dict.fromkeys(devices if len(set(devices)) > 1 else ()):
        part = [value for value, other in zip(values, devices, strict=True) if other == device]
        found[f"{stem}_{metric}_on_{device.replace(' ', '_')}"] = f"{np.mean(part):.4g}"
    if metric in BEST:
        found[f"{stem}_{metric}_best"] = f"{BEST[metric](values):.4g}"
    found |= {
        f"{stem}_{more}": f"{np.mean([record[more] for record in records]):.4g}"
        for more in MORE
        if all(more in record for record in records)
    }
    for features in dict.fromkeys(record["features"] for record in records if "features" in record):
        found[f"{stem}_features"] = features
    seeds = ", ".join(f"{value:.4g}" for value in values)
    return {**found, f"{stem}_seeds": f"{len(values)} ({seeds})"}


def average(runs: Sequence[Path], results: Path) -> float:
    """Print and record the error of the mean probabilities of several runs' classifiers.

    Raises:
        ValueError: Fewer than two runs, one that is not finished, or runs of different data or settings.
    """
    if len(runs) < 2:
        raise ValueError(f"--ensemble has {len(runs)} run: pass two at least")
    plans = [folder.read_config(run) for run in runs]
    logits, labels, pieces = [], np.empty(0), []
    for run, plan in zip(runs, plans, strict=True):
        alike = ("model", "data_name", "labels_per_class", "config", "data_sha256")
        different = [name for name in alike if plan.get(name) != plans[0].get(name)]
        if different:
            raise ValueError(
                f"{run} differs from {runs[0]} in {', '.join(different)}: average runs of one kind"
            )
        try:
            with np.load(run / "outputs.npz", allow_pickle=False) as arrays:
                logits.append(arrays["test_logits"])
                labels = arrays["test_labels"]
            pieces += loop.load(run / "final")["pieces"]
        except (OSError, KeyError, ValueError) as why:
            raise ValueError(
                f"{run} has no classifier's outputs ({why}): finish it with --resume {run}"
            ) from why
    draws = [(plan["seed"], plan["label_seed"]) for plan in plans]
    for k, draw in enumerate(draws):
        if draw in draws[:k]:
            raise ValueError(f"{runs[k]} has the seeds of {runs[draws.index(draw)]}: average different runs")
    value = error(mean_probabilities(logits), labels)
    name = name_of(plans[0], logits[0].shape[1])
    path = results / "images" / name / "ensemble.json"
    singles = [error(part, labels) for part in logits]
    more = {
        "data": plans[0]["data_name"],
        "epochs": plans[0]["config"]["epochs"],
        "hours": round(sum(piece["hours"] / piece["side_by_side"] for piece in pieces), 4),
        "device": ", ".join(sorted({piece["device"] for piece in pieces})),
        "seeds": [plan["seed"] for plan in plans],
        "errors": singles,
    }
    write_number(path, "error", value, "% of test images", **more)
    _tell(f"{_stem(name)}_ensemble_error", f"{value:.4g}")
    print(f"record: {path}")
    return value


def _tell(name: str, value: str) -> None:
    print(f"{name}: {value}")
    if name in PAPERS:
        print(f"{name}_paper: {PAPERS[name]}")


def _stem(name: str) -> str:
    """improved_gan-mnist-100 -> mnist_100; others keep the model."""
    return name.removeprefix("improved_gan-").replace("-", "_")
