"""A recorded step against the step itself, on a GPU."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.images.graph import Graph
from rlgen.generative.averages import ParameterAverage

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="a CUDA graph needs a GPU")


class Regression:
    """Noisy rows of a fixed table, fitted by Adam."""

    def __init__(self, *, recorded: bool) -> None:
        self.noise = torch.Generator("cuda").manual_seed(0)
        self.table = torch.linspace(-1, 1, 80, device="cuda").view(10, 8)
        self.weight = torch.ones(8, device="cuda", requires_grad=True)
        self.optimizer = torch.optim.Adam([self.weight], 0.1, fused=True, capturable=True)
        self.average = ParameterAverage(nn.ParameterList([self.weight]), 0.9)
        self.graph = Graph(self.step, self.noise) if recorded else None

    def step(self, rows: Tensor) -> None:
        x = self.table[rows]
        x = x + torch.randn(x.shape, generator=self.noise, device="cuda")
        self.optimizer.zero_grad()
        F.mse_loss(x @ self.weight, x.sum(1) * 0.5).backward()
        self.optimizer.step()
        self.average.update(nn.ParameterList([self.weight]))

    def train(self, steps: int, rate: float) -> None:
        if self.optimizer.param_groups[0]["lr"] != rate and self.graph:
            self.graph.forget()
        self.optimizer.param_groups[0]["lr"] = rate
        for k in range(steps):
            (self.graph or self.step)(torch.tensor([k % 10, (3 * k + 1) % 10], device="cuda"))


def test_recorded_steps_are_the_steps_of_their_rows_noise_and_rate():
    plain, recorded = Regression(recorded=False), Regression(recorded=True)
    for rate in (0.1, 0.01):
        plain.train(12, rate)
        recorded.train(12, rate)
    torch.testing.assert_close(recorded.weight, plain.weight, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(recorded.average.averages(), plain.average.averages(), rtol=1e-6, atol=1e-6)
    assert recorded.average.updates.item() == plain.average.updates.item() == 24
    assert torch.equal(recorded.noise.get_state(), plain.noise.get_state())
    assert (plain.weight - 1).abs().max() > 0.1
