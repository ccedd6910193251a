"""By how much one run's model gives the test images more likelihood than another's, image by image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.images.plan import CODED, Plan, name_of
from benchmarks.records import write_number
from benchmarks.stats import Estimate, bootstrap
from rlgen import folder
from rlgen.generative.likelihoods import bits_per_dim


def compare(runs: Sequence[Path], results: Path) -> Estimate:
    """Print and record the gain of the second run over the first: a mean over the same test images.

    Returns:
        The gain with its bootstrap interval, in nats an image for binary images, else in bits for each value.

    Raises:
        ValueError: Not two runs, one without likelihoods, two of different data, or likelihoods that are
            estimated from different numbers of samples.
    """
    if len(runs) != 2:
        raise ValueError(f"--compare has {len(runs)} runs: pass two, the one to be beaten first")
    plans = [folder.read_config(run) for run in runs]
    if plans[0].get("data_sha256") != plans[1].get("data_sha256"):
        raise ValueError(f"{runs[1]} is of other images than {runs[0]}: compare runs on the same data")
    coded = all(plan.get("model") in CODED for plan in plans)
    if coded and plans[0].get("n_samples") != plans[1].get("n_samples"):
        raise ValueError(
            f"{runs[1]} has likelihoods from {plans[1].get('n_samples')} samples, {runs[0]} from "
            f"{plans[0].get('n_samples')}: compare runs of the same --n-samples"
        )
    first, second = (log_likelihoods(run) for run in runs)
    gain = second - first
    config = plans[0]["config"]
    nats = config["levels"] == 2
    if not nats:
        gain = np.array([bits_per_dim(float(value), tuple(config["image_shape"])) for value in gain])
    estimate = bootstrap(gain, np.mean)
    record(estimate, plans, "gain_nats" if nats else "gain_bits_per_dim", results)
    return estimate


def log_likelihoods(run: Path) -> np.ndarray:
    """Of the test images (N,), in nats.

    Raises:
        ValueError: The run has none.
    """
    try:
        with np.load(run / "outputs.npz", allow_pickle=False) as arrays:
            return arrays["test_log_likelihood"]
    except (OSError, KeyError, ValueError) as why:
        raise ValueError(
            f"{run} has no likelihoods of test images ({why}): pass a run of a model with a likelihood, "
            f"finished with --resume {run}"
        ) from why


def record(estimate: Estimate, plans: Sequence[Plan], metric: str, results: Path) -> None:
    """Write and print a gain."""
    names = [name_of(plan, 0) for plan in plans]
    seeds = [plan["seed"] for plan in plans]
    stem = f"gain_over_{names[0]}" + (f"-seeds={seeds[0]}_{seeds[1]}" if any(seeds) else "")
    path = results / "images" / names[1] / f"{stem}.json"
    unit = "nats an image" if metric == "gain_nats" else "bits for each value"
    more = {
        "low": estimate.low,
        "high": estimate.high,
        "interval": "95 %, paired bootstrap over test images",
        "over": names[0],
        "data": plans[0]["data_name"],
        "n_samples": [plan["n_samples"] for plan in plans],
        "seeds": seeds,
    }
    write_number(path, metric, estimate.value, unit, **more)
    print(f"{metric}: {estimate}\nrecord: {path}")
