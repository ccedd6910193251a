"""What the command asks of a model in training; each family of models answers in a module of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.images.data.dataset import ImageData
from benchmarks.images.graph import Graph

Figures = dict[str, float]


@dataclass(frozen=True)
class Report:
    """What a trained model is worth."""

    metric: str
    value: float
    unit: str
    facts: dict[str, Any] = field(default_factory=dict)
    """More figures, and what explains them."""
    sections: list[tuple[str, np.ndarray]] = field(default_factory=list)
    """Titles and pictures (H, W, C) uint8 of the page."""
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    """Outputs to keep in the run's folder."""


class Position(NamedTuple):
    """How far the training is."""

    epoch: int = 0
    batch: int = 0
    """Batches of this epoch that are done."""


class Task:
    """A model in training on its data. Subclasses set the model and what a step, a figure, a picture is.

    All that is random is drawn from two generators: `orders`, on the CPU, at the start of each epoch alone,
    and `noise`, on the model's device. A checkpoint has the state that `orders` had when the epoch began, so
    that training can go on in the middle of one.

    On a GPU the step is a CUDA graph.

    Args:
        model: On its device.
        optimizers: Of its parameters.
        epochs: Passes over the data.
        n_batches: Batches of an epoch.
        seed: Of both generators.
    """

    data: ImageData
    shown: tuple[str, ...] = ()
    """Figures that lines of progress tell."""

    def __init__(
        self,
        model: nn.Module,
        optimizers: tuple[torch.optim.Optimizer, ...],
        epochs: int,
        n_batches: int,
        seed: int,
    ) -> None:
        self.model, self.optimizers, self.epochs, self.n_batches = model, optimizers, epochs, n_batches
        device = next(model.parameters()).device
        seeds = np.random.SeedSequence(seed).generate_state(2).tolist()  # unlike those of other runs
        self.orders = torch.Generator().manual_seed(seeds[0])
        self.noise = torch.Generator(device).manual_seed(seeds[1])
        self.position = Position()
        self._orders_at_start = self.orders.get_state()
        self._graph = Graph(self.train_on, self.noise) if device.type == "cuda" else None
        self._rates: list[float] = []

    def initialise(self) -> None:
        """What precedes the first step of a new run."""

    def begin_epoch(self, epoch: int) -> None:
        """Draw the epoch's batches from `orders`, and set its learning rates."""
        raise NotImplementedError

    def rows(self, k: int) -> Tensor:
        """Rows of batch k of the epoch, int64 on the model's device."""
        raise NotImplementedError

    def train_on(self, rows: Tensor) -> None:
        """Train on the images of these rows; no value on the device may decide what the host does."""
        raise NotImplementedError

    def measure(self) -> Figures:
        """Figures of the moment, for progress.csv; nothing of the training may change."""
        raise NotImplementedError

    def evaluate(self) -> Figures:
        """More of them that take longer; asked for as often as a frame."""
        return {}

    def frame(self) -> np.ndarray:
        """The moment's picture (H, W, C) uint8 of the film, always from the same codes."""
        raise NotImplementedError

    def report(self) -> Report:
        """The trained model's figures and pictures."""
        raise NotImplementedError

    # What the loop calls

    @property
    def steps_done(self) -> int:
        """Batches since the beginning."""
        return self.position.epoch * self.n_batches + self.position.batch

    @property
    def steps(self) -> int:
        """Batches of the whole training."""
        return self.epochs * self.n_batches

    def enter_epoch(self) -> None:
        """Draw the batches of the epoch that is at hand."""
        self._orders_at_start = self.orders.get_state()
        self.begin_epoch(self.position.epoch)
        rates = [group["lr"] for optimizer in self.optimizers for group in optimizer.param_groups]
        if self._graph and rates != self._rates:
            self._graph.forget()
        self._rates = rates

    def advance(self) -> None:
        """Train on the next batch."""
        (self._graph or self.train_on)(self.rows(self.position.batch))
        self.position = self.position._replace(batch=self.position.batch + 1)

    def leave_epoch(self) -> None:
        """Go to the start of the next epoch."""
        self.position = Position(self.position.epoch + 1)
        self._orders_at_start = self.orders.get_state()

    def state(self) -> dict[str, Any]:
        """All that training goes on from: tensors and plain values."""
        return {
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "generators": {"orders": self._orders_at_start, "noise": self.noise.get_state()},
            "position": tuple(self.position),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Put back what `state` gave; tensors may lie on the CPU.

        Raises:
            ValueError: It is of another model.
        """
        try:
            self.model.load_state_dict(state["model"])
            for optimizer, values in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(values)
            self.orders.set_state(state["generators"]["orders"])
            self.noise.set_state(state["generators"]["noise"])
            self.position = Position(*state["position"])
        except (KeyError, TypeError, RuntimeError) as error:
            raise ValueError(
                f"the checkpoint does not fit the model, it may be of an earlier version: {error}"
            ) from error
        self._orders_at_start = self.orders.get_state()


def permutations(n: int, needed: int, generator: torch.Generator) -> torch.Tensor:
    """`needed` of n rows (needed,) int64: one permutation after the other, each of all rows."""
    rounds = [torch.randperm(n, generator=generator) for _ in range(-(-needed // n))]
    return torch.cat(rounds)[:needed]
