"""How much plain classifiers learn from few examples, by the features that they are given."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

PENALTIES = (1e-3, 1e-2, 1e-1)
FOLDS = 5


def nearest_accuracy(x: Tensor, labels: Tensor, test_x: Tensor, test_labels: Tensor) -> float:
    """Percent that have the label of the example at the least Euclidean distance.

    Args:
        x: Features (N, D) of examples.
        labels: (N,) int64.
        test_x: (M, D).
        test_labels: (M,).
    """
    guesses = labels[torch.cdist(test_x, x).argmin(1)]
    return 100 * float((guesses == test_labels).float().mean())


def logistic_accuracy(x: Tensor, labels: Tensor, test_x: Tensor, test_labels: Tensor) -> float:
    """Percent that a logistic regression on few examples has right.

    Features are centred and scaled by one number, that of all of them. The penalty of squared weights is
    chosen by cross-validation among the examples.

    Args:
        x: Features (N, D).
        labels: (N,) int64; examples of each class, in folds of every `FOLDS`-th.
        test_x: (M, D).
        test_labels: (M,).
    """
    mean, std = x.mean(0), x.std()
    x, test_x = (x - mean) / std, (test_x - mean) / std
    fold = torch.arange(len(x)) % FOLDS

    def held_out(penalty: float) -> float:
        fits = [(_fit(x[fold != k], labels[fold != k], penalty), fold == k) for k in range(FOLDS)]
        return sum(_right(weight, x[part], labels[part]) for weight, part in fits)

    weight = _fit(x, labels, max(PENALTIES, key=held_out))
    return 100 * _right(weight, test_x, test_labels) / len(test_x)


def _fit(x: Tensor, labels: Tensor, penalty: float) -> Tensor:
    """Weights (D + 1, K), the last row biases."""
    x = F.pad(x.double(), (0, 1), value=1.0)
    weight = torch.zeros(x.shape[1], int(labels.max()) + 1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(x @ weight, labels) + penalty * weight[:-1].square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)  # type: ignore[arg-type]
    return weight.detach()


def _right(weight: Tensor, x: Tensor, labels: Tensor) -> float:
    """How many it has right."""
    return float(((F.pad(x.double(), (0, 1), value=1.0) @ weight).argmax(1) == labels).sum())
