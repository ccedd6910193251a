"""A training step of the Diagonal BiLSTM against a straightforward version of the same network.

    python -m benchmarks.diagonal_lstm_speed [--depth 1] [--width 32] [--rounds 7]

Both sides make whole training steps, in turn in one process on one thread, on the same batch of random
binary images. `diagonal_bilstm_step_speedup` is the median over rounds of the plain version's time over ours;
bar: at least 3. Plain is what one writes down at first: a loop over rows that skews them, each direction by
itself, a convolution for every column of the skewed map, gaps included, and automatic differentiation. Before
anything is timed, losses and the gradients of all parameters are compared: they agree to 1e-5, relative to a
gradient's largest entry.

Times are CPU seconds of the process, to which others on the machine add nothing.

Hardware of the committed records: 2 vCPU of an AMD EPYC.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.images.plain_pixelrnn import plain_outputs
from benchmarks.records import RESULTS, check_results, write_number
from benchmarks.timing import check_rounds, spread, take_turns
from rlgen import cli
from rlgen.generative.likelihood_model import descend, make_optimizer
from rlgen.generative.pixel_network import StackedNetwork
from rlgen.generative.pixelrnn import DIAGONAL_BILSTM_MNIST, PixelRNN

FIGURE = "diagonal_bilstm_step_speedup"


@dataclass(frozen=True)
class Config:
    """Measure what a training step takes beside the plain version's."""

    depth: int = 1
    """Layers."""
    width: int = 32
    """Maps h."""
    batch_size: int = 16
    """Images of a step."""
    rounds: int = 7
    """Measured rounds, at least five."""
    warm_up: int = 1
    """Rounds before them."""
    results: Path = field(default_factory=lambda: RESULTS)
    """Folder of the records."""


def plain_loss(model: PixelRNN, x: Tensor) -> Tensor:
    """The model's loss of binary images (B, C, H, W), from the plain network."""
    assert isinstance(model.network, StackedNetwork)
    logits = plain_outputs(model.network, x.float() * 2 - 1)
    return F.binary_cross_entropy_with_logits(logits, x.float(), reduction="sum") / len(x)


def difference(model: PixelRNN, x: Tensor) -> float:
    """Largest difference between the sides' losses, and between gradients, relative to the largest entry."""
    parameters = list(model.parameters())
    losses = model.loss(x, torch.Generator()), plain_loss(model, x)
    ours, theirs = (torch.autograd.grad(loss, parameters) for loss in losses)
    gaps = [(a - b).abs().max() / b.abs().max() for a, b in zip(ours, theirs, strict=True)]
    return max(abs(losses[0].item() / losses[1].item() - 1), *(gap.item() for gap in gaps))


def timed(step: Callable[[], None]) -> float:
    """CPU seconds of a step."""
    start = time.process_time()
    step()
    return time.process_time() - start


def main(config: Config) -> float:
    """Compare, measure, print and record the ratio.

    Raises:
        ValueError: Fewer than five rounds, or no image, layer or map.
        RuntimeError: The two do not give the same.
    """
    for name in ("depth", "width", "batch_size"):
        if getattr(config, name) < 1:
            raise ValueError(f"{name} is {getattr(config, name)}: give 1 at least")
    check_results(config.results)
    check_rounds(config.rounds)
    torch.set_num_threads(1)
    model = PixelRNN(replace(DIAGONAL_BILSTM_MNIST, depth=config.depth, width=config.width))
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(2, (config.batch_size, *model.config.image_shape), generator=generator).to(torch.uint8)
    apart = difference(model, x)
    if apart > 1e-5:
        raise RuntimeError(f"losses or gradients differ by {apart:.1e}: the sides are not the same network")
    optimizer = make_optimizer(model)
    sides = [
        lambda: timed(lambda: descend(model.loss(x, generator), optimizer)),
        lambda: timed(lambda: descend(plain_loss(model, x), optimizer)),
    ]
    take_turns(sides, config.warm_up)
    seconds = take_turns(sides, config.rounds)  # (R, 2)
    value, found = spread(seconds[:, 1] / seconds[:, 0])
    ours, theirs = 1000 * np.median(seconds, 0)
    facts = {
        **found,
        "ms_a_step": float(ours),
        "ms_a_step_plain": float(theirs),
        "difference": apart,
        "depth": config.depth,
        "width": config.width,
        "batch_size": config.batch_size,
        "threads": torch.get_num_threads(),
    }
    print(f"{ours:.0f} ms a step, plain {theirs:.0f} ms, ratios {facts['least']:.2f} to {facts['most']:.2f}")
    print(f"{FIGURE}: {value:.2f}", flush=True)
    given = [f"{k}={facts[k]}" for k in ("depth", "width", "batch_size") if facts[k] != getattr(Config, k)]
    path = config.results / "sampling" / ("-".join([FIGURE, *given]) + ".json")
    write_number(path, FIGURE, value, "ratio of CPU times", **facts)
    return value


if __name__ == "__main__":
    sys.exit(cli.run(main, Config))
