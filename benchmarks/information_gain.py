"""Is the batched information gain right, and what does it cost?

    python -m benchmarks.information_gain

Runs on one thread for about a minute. Measured on one core of an AMD EPYC server, PyTorch 2.13, CPU.
Compared are three ways to the same numbers, the realised gain of one posterior draw in a network
113-32-32-105 (Ant-v5: 105 observation features and 8 actions):

- the closed form of `rlgen.rewards.information_gain`, 4096 transitions at once;
- one backward pass a transition, as in the published code (on 256 transitions);
- `torch.func.vmap(grad)`, the better of chunks of 64 and 512 (on 1024 transitions).

`microseconds_preset` is the default bonus, the expected gain, in the default network 113-64-105. All are
medians over interleaved rounds. Targets: error 1e-5 (float64 1e-9), 3 and 10 microseconds, 150x and 20x.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap
from torch.nn.functional import softplus

from benchmarks.records import RESULTS, check_results, write_number
from rlgen import cli
from rlgen.generative.bayes import BayesianMLP
from rlgen.rewards.information_gain import expected_gain, realised_gain
from rlgen.rewards.vime import DEFAULT

OBS, ACTION, ROWS, LOOP_ROWS, VMAP_ROWS, ROUNDS = 105, 8, 4096, 256, 1024, 9
UNITS = {"max": "share", "microseconds": "microseconds a transition", "speedup": "ratio of times"}


@dataclass(frozen=True)
class Config:
    """Measure the information gain."""

    results: Path = field(default_factory=lambda: RESULTS)
    """Folder of the records."""


class Problem:
    """A network with its inputs, targets, likelihood and one draw of the noise."""

    def __init__(self, hidden: tuple[int, ...], dtype: torch.dtype) -> None:
        g = torch.Generator().manual_seed(0)
        self.network = BayesianMLP((OBS + ACTION, *hidden, OBS), generator=g)
        for rho in self.network.rho:
            rho.data = torch.randn(rho.shape, generator=g) * 0.5 - 3
        self.network = self.network.to(dtype)
        self.x = torch.randn(ROWS, OBS + ACTION, generator=g).to(dtype)
        self.y = torch.randn(ROWS, OBS, generator=g).to(dtype)
        self.sd = (0.1 + torch.rand(OBS, generator=g)).to(dtype)
        self.noise = [eps.to(dtype) for eps in self.network.draw_noise(ROWS, g)]

    def closed(self) -> Tensor:
        """The closed form on all rows."""
        return realised_gain(self.network, self.x, self.y, self.sd, [self.noise])

    def expected(self) -> Tensor:
        """The expected gain on all rows."""
        return expected_gain(self.network, self.x, self.sd)

    def loop(self) -> Tensor:
        """One backward pass a transition."""
        net = self.network
        gains = []
        for b in range(LOOP_ROWS):
            out = net(self.x[b : b + 1], [eps[b : b + 1] for eps in self.noise])
            loss = (0.5 * ((out - self.y[b : b + 1]) / self.sd) ** 2).sum()
            gains.append(second_order(net, *split(torch.autograd.grad(loss, [*net.mu, *net.rho]))))
        return torch.stack(gains)

    def vmapped(self, chunk: int) -> Tensor:
        """Gradients of single transitions by `torch.func`."""
        net = self.network
        parameters = {name: p.detach() for name, p in net.named_parameters()}

        def loss(parameters: dict[str, Tensor], x: Tensor, y: Tensor, *noise: Tensor) -> Tensor:
            out = functional_call(net, parameters, (x[None], [eps[None] for eps in noise]))
            return (0.5 * ((out[0] - y) / self.sd) ** 2).sum()

        def gain(x: Tensor, y: Tensor, *noise: Tensor) -> Tensor:
            g = grad(loss)(parameters, x, y, *noise)
            return second_order(net, *split([g[name] for name in parameters]))

        rows = (self.x[:VMAP_ROWS], self.y[:VMAP_ROWS], *(eps[:VMAP_ROWS] for eps in self.noise))
        return vmap(gain, chunk_size=chunk)(*rows).detach()


def split(gradients: list[Tensor] | tuple[Tensor, ...]) -> tuple[list[Tensor], list[Tensor]]:
    """Gradients by mu and by rho, which stand in this order."""
    half = len(gradients) // 2
    return list(gradients[:half]), list(gradients[half:])


def second_order(net: BayesianMLP, g_mu: list[Tensor], g_rho: list[Tensor]) -> Tensor:
    """1/2 g^T H^-1 g with the Hessian of the KL in (mu, rho), as the paper writes it."""
    total = torch.zeros((), dtype=net.mu[0].dtype)
    for gm, gr, rho in zip(g_mu, g_rho, net.rho, strict=True):
        sigma = softplus(rho.detach())
        hessian = 2 * rho.detach().sigmoid() ** 2 / sigma**2
        total = total + 0.5 * ((gm * sigma) ** 2).sum() + 0.5 * (gr**2 / hessian).sum()
    return total


def microseconds(function: Callable[[], Tensor], rows: int) -> float:
    """Time of one call for each of its rows."""
    start = time.perf_counter()
    function()
    return (time.perf_counter() - start) * 1e6 / rows


def relative_error(dtype: torch.dtype) -> float:
    """Largest relative difference between the closed form and one backward pass a transition."""
    problem = Problem((32, 32), dtype)
    exact = problem.loop()
    return ((problem.closed()[:LOOP_ROWS] - exact) / exact).abs().max().item()


def measure() -> dict[str, float]:
    """All figures."""
    small, preset = Problem((32, 32), torch.float32), Problem(DEFAULT.hidden, torch.float32)
    arms: dict[str, tuple[Callable[[], Tensor], int]] = {
        "small": (small.closed, ROWS),
        "preset": (preset.expected, ROWS),
        "loop": (small.loop, LOOP_ROWS),
        "vmap64": (lambda: small.vmapped(64), VMAP_ROWS),
        "vmap512": (lambda: small.vmapped(512), VMAP_ROWS),
    }
    times: dict[str, list[float]] = {name: [] for name in arms}
    for arm, rows in arms.values():  # warm up
        microseconds(arm, rows)
    for _ in range(ROUNDS):
        for name, (arm, rows) in arms.items():
            times[name].append(microseconds(arm, rows))
    median = {name: statistics.median(values) for name, values in times.items()}
    return {
        "max_relative_error": relative_error(torch.float32),
        "max_relative_error_float64": relative_error(torch.float64),
        "microseconds_small": median["small"],
        "speedup_over_loop": median["loop"] / median["small"],
        "speedup_over_vmap": min(median["vmap64"], median["vmap512"]) / median["small"],
        "microseconds_preset": median["preset"],
    }


def main(config: Config) -> None:
    """Measure, print and record the figures."""
    check_results(config.results)
    torch.set_num_threads(1)
    for name, value in measure().items():
        print(f"{name}: {value:.3g}")
        path = config.results / "information_gain" / f"{name}.json"
        write_number(path, name, value, UNITS[name.partition("_")[0]], threads=1)


if __name__ == "__main__":
    sys.exit(cli.run(main, Config))
