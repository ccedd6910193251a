"""Training steps of the adversarial image models against plain PyTorch versions of the same networks.

    python -m benchmarks.images_speed [--models dcgan improved_gan infogan] [--rounds 7] [--steps 2]

Both sides make whole training steps, discriminator and generator, in turn in one process on one thread, on
the same batch of random images. `<model>_step_ratio` is the median over rounds of our time over the plain
one's; bar: at most 1.05. Plain is what one writes down at first: nn.Linear, nn.Conv2d, nn.BatchNorm, torch's
weight_norm and Adam as they come, a pass for each batch, `loss.backward()` through both networks, averages by
a loop. The models are those for MNIST; --models improved_gan_cifar10 --rounds 5 --steps 1 has the
convolutional classifier, at 20 to 25 seconds a step.

Hardware of the committed records: 2 vCPU of an AMD EPYC.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.images import plain
from benchmarks.images.plain_improved_gan import PlainImprovedGAN
from benchmarks.records import RESULTS, check_results, write_number
from benchmarks.timing import check_rounds, spread, take_turns
from rlgen import cli
from rlgen.generative.adversarial import AdversarialModel, Batch, descend, make_optimizers
from rlgen.generative.dcgan import DCGAN, DCGAN_28
from rlgen.generative.improved_gan import IMPROVED_GAN_CIFAR10, IMPROVED_GAN_MNIST, ImprovedGAN
from rlgen.generative.infogan import InfoGAN, InfoGANConfig

CASES: dict[str, tuple[Callable[[], AdversarialModel], type[plain.Plain]]] = {
    "dcgan": (lambda: DCGAN(DCGAN_28), plain.PlainDCGAN),
    "improved_gan": (lambda: ImprovedGAN(IMPROVED_GAN_MNIST), PlainImprovedGAN),
    "infogan": (lambda: InfoGAN(InfoGANConfig()), plain.PlainInfoGAN),
    "improved_gan_cifar10": (lambda: ImprovedGAN(IMPROVED_GAN_CIFAR10), PlainImprovedGAN),
}
"""Ours and the plain version of it."""


@dataclass(frozen=True)
class Config:
    """Measure what a training step takes beside the plain version's."""

    models: tuple[str, ...] = ("dcgan", "improved_gan", "infogan")
    """Which figures."""
    rounds: int = 7
    """Measured rounds, at least five."""
    warm_up: int = 1
    """Rounds before them."""
    steps: int = 2
    """Training steps of a round; ten times as many of the dense model."""
    results: Path = field(default_factory=lambda: RESULTS)
    """Folder of the records."""


def measure(name: str, config: Config) -> float:
    """Print and record one ratio."""
    make, kind = CASES[name]
    torch.manual_seed(0)  # the plain versions draw from the global generator
    model = make()
    other = kind(model.config)
    check_alike(name, model, other)
    batch, generator = random_batch(model), torch.Generator().manual_seed(1)
    model.initialise(batch.images, generator)
    optimizers = make_optimizers(model)

    def ours() -> None:
        descend(model.discriminator_loss(batch, generator), optimizers.discriminator)
        descend(model.generator_loss(batch, generator), optimizers.generator)
        model.update_averages()

    n = config.steps * (10 if name == "improved_gan" else 1)
    sides = [lambda: timed(ours, n), lambda: timed(lambda: other.step(batch), n)]
    take_turns(sides, config.warm_up)
    seconds = take_turns(sides, config.rounds)  # (R, 2)
    figure, (ratio, found) = f"{name}_step_ratio", spread(seconds[:, 0] / seconds[:, 1])
    facts = {
        **found,
        "steps_a_round": n,
        "ms_a_step": float(1000 * np.median(seconds[:, 0]) / n),
        "ms_a_step_plain": float(1000 * np.median(seconds[:, 1]) / n),
        "batch_size": model.config.batch_size,
        "threads": torch.get_num_threads(),
    }
    print(
        f"{n} steps a round, {facts['ms_a_step']:.1f} ms a step, plain {facts['ms_a_step_plain']:.1f} ms, "
        f"ratios {facts['least']:.3f} to {facts['most']:.3f}"
    )
    print(f"{figure}: {ratio:.3f}", flush=True)
    path = config.results / "images_speed" / f"{figure}.json"
    write_number(path, figure, ratio, "ratio of wall times", **facts)
    return ratio


def random_batch(model: AdversarialModel) -> Batch:
    """Images and, for all alike, labels."""
    generator, n = torch.Generator().manual_seed(0), model.config.batch_size
    images = [torch.rand(n, *model.config.image_shape, generator=generator) for _ in range(2)]
    return Batch(images[0], images[1], torch.randint(10, (n,), generator=generator))


def check_alike(name: str, model: AdversarialModel, other: plain.Plain) -> None:
    """Both have the same numbers of trained parameters, or they are not the same networks."""
    pairs = ((model.generator, other.generator), (model.discriminator, other.discriminator))
    for mine, theirs in pairs:
        if count(mine) != count(theirs):
            raise RuntimeError(
                f"{name}: {count(mine)} parameters of ours, {count(theirs)} of the plain version's"
            )


def count(network: nn.Module) -> int:
    """Numbers that are trained."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def timed(step: Callable[[], None], n: int) -> float:
    """Seconds of n steps."""
    start = time.perf_counter()
    for _ in range(n):
        step()
    return time.perf_counter() - start


def main(config: Config) -> dict[str, float]:
    """Measure each model.

    Raises:
        ValueError: An unknown model, or fewer than five rounds.
    """
    check_results(config.results)
    check_rounds(config.rounds)
    for name in config.models:
        cli.check_known("model", name, list(CASES))
    torch.set_num_threads(1)
    return {name: measure(name, config) for name in config.models}


if __name__ == "__main__":
    sys.exit(cli.run(main, Config))
