"""A training step recorded on a GPU, and launched as a whole."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor

WARM_UP = 3
"""Steps that are run before one is recorded, so that libraries and optimizers have what they keep."""
AHEAD = 8
"""Steps that the host may be ahead of the GPU: a signal or the clock stops what has not been launched."""


class Graph:
    """A step as a CUDA graph: where kernels are small, launching them one by one takes most of the time.

    What the step reads and writes besides its argument has to stay where it is, as parameters do, and nothing
    may wait for a value. Numbers of the host, such as a learning rate, are recorded as they are: call
    `forget` when one changes.

    Args:
        step: Takes the rows of a batch, int64 on the GPU.
        noise: Of all that is random in it, on the GPU.
    """

    def __init__(self, step: Callable[[Tensor], None], noise: torch.Generator) -> None:
        self.step, self.noise = step, noise
        self.warm, self.stream = 0, torch.cuda.Stream()
        self.graph: torch.cuda.CUDAGraph | None = None
        self.rows = torch.empty(0)
        self.launched: deque[torch.Event] = deque()

    def __call__(self, rows: Tensor) -> None:
        """Take a step."""
        if self.graph is None and self.warm < WARM_UP:
            self.warm += 1
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                self.step(rows)
            torch.cuda.current_stream().wait_stream(self.stream)
            return
        if self.graph is None:
            self.rows = rows.clone()
            self.graph = torch.cuda.CUDAGraph()
            self.graph.register_generator_state(self.noise)
            with torch.cuda.graph(self.graph, stream=self.stream):
                self.step(self.rows)
        self.rows.copy_(rows)
        self.graph.replay()
        self.launched.append(torch.cuda.current_stream().record_event())
        if len(self.launched) > AHEAD:
            self.launched.popleft().synchronize()

    def forget(self) -> None:
        """Record the next step anew."""
        self.graph = None
