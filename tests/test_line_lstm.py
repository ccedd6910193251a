"""The LSTM over lines: torch's own on one row, a plain loop over cells on an image, and its gradient."""

from typing import Any

import pytest
import torch
from torch import nn

from rlgen.generative.line_lstm import line_lstm
from rlgen.generative.skew import Line, diagonals


def normal(*shape: int, seed: int) -> torch.Tensor:
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x.mul_(0.5).requires_grad_()


def weights(directions: int, inputs: int, size: int, shifts: int) -> list[torch.Tensor]:
    return [
        normal(directions, inputs, 4 * size, seed=1),
        normal(directions, 4 * size, seed=2),
        normal(shifts, directions, size, 4 * size, seed=3),
    ]


LINES = {
    "diagonals": (diagonals(3, 4), (0, -1)),
    "rows": (tuple(Line(4 * i, 0, 4) for i in range(3)), (-1, 0, 1)),
}
kinds = pytest.mark.parametrize("kind", LINES)


def test_on_a_single_row_it_is_torchs_lstm():
    x, (input_weight, bias, state_weight) = normal(1, 5, 2, 3, seed=0), weights(1, 3, 4, 1)
    ours = line_lstm(x, input_weight, bias, state_weight, diagonals(1, 5), (0,))[0]
    theirs: Any = nn.LSTM(3, 4).double()
    order = torch.tensor([2, 1, 3, 0])  # torch has i, f, g, o
    with torch.no_grad():
        for theirs_weight, weight in (
            (theirs.weight_ih_l0, input_weight[0]),
            (theirs.weight_hh_l0, state_weight[0, 0]),
        ):
            theirs_weight.copy_(weight.T.unflatten(0, (4, 4))[order].flatten(0, 1))
        theirs.bias_ih_l0.copy_(bias[0].unflatten(0, (4, 4))[order].flatten())
        theirs.bias_hh_l0.zero_()
    torch.testing.assert_close(ours, theirs(x[0])[0])


@kinds
def test_on_an_image_it_is_a_loop_over_cells(kind):
    lines, shifts = LINES[kind]
    x, (input_weight, bias, state_weight) = normal(2, 12, 2, 3, seed=0), weights(2, 3, 4, len(shifts))
    ours = line_lstm(x, input_weight, bias, state_weight, lines, shifts)
    zero = torch.zeros(2, 4, dtype=torch.float64)
    for direction in range(2):
        before: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        for line in lines:
            now = {}
            for place in range(line.low, line.high):
                cell = line.start + place - line.low
                gates = x[direction, cell] @ input_weight[direction] + bias[direction]
                for k, shift in enumerate(shifts):
                    gates = gates + before.get(place + shift, (zero, zero))[0] @ state_weight[k, direction]
                o, f, i, g = gates.chunk(4, 1)
                c = f.sigmoid() * before.get(place, (zero, zero))[1] + i.sigmoid() * g.tanh()
                now[place] = (o.sigmoid() * c.tanh(), c)
                torch.testing.assert_close(ours[direction, cell], now[place][0])
            before = now


@kinds
def test_the_gradient_is_the_numerical_one(kind):
    lines, shifts = LINES[kind]
    arguments = [normal(2, 12, 2, 2, seed=0), *weights(2, 2, 2, len(shifts))]
    assert torch.autograd.gradcheck(lambda x, w, b, s: line_lstm(x, w, b, s, lines, shifts), arguments)
