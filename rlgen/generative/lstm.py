"""A cell of an LSTM whose first state is trained."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from rlgen.generative.networks import Fill, linear


class State(NamedTuple):
    """Of an LSTM, (B, hidden) each."""

    h: Tensor
    c: Tensor


class LSTM(nn.Module):
    """A cell of an LSTM, whose inputs arrive as their share of the gates.

        [i, f, o, g] = inputs + h W + b
        c' = sigmoid(f) c + sigmoid(i) tanh(g)        h' = sigmoid(o) tanh(c')

    Args:
        hidden: Units.
        fill: First weights.
    """

    def __init__(self, hidden: int, fill: Fill) -> None:
        super().__init__()
        self.gates = linear(hidden, 4 * hidden, fill, bias=True)
        nn.init.ones_(self.gates.bias[hidden : 2 * hidden])  # remember at first
        self.h0 = nn.Parameter(torch.zeros(hidden))
        self.c0 = nn.Parameter(torch.zeros(hidden))

    def start(self, n: int) -> State:
        """The state before the first step, for n images; it is trained."""
        return State(self.h0.expand(n, -1), self.c0.expand(n, -1))

    def forward(self, inputs: Tensor, state: State) -> State:
        """The next state, for inputs (B, 4 hidden)."""
        gates = torch.addmm(inputs, state.h, self.gates.weight.T) + self.gates.bias
        size = state.c.shape[1]
        i, f, o = gates[:, : 3 * size].sigmoid().split(size, 1)
        c = f * state.c + i * gates[:, 3 * size :].tanh()
        return State(o * c.tanh(), c)
