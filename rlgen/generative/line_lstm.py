"""A convolutional LSTM that runs over the lines of an image: its rows, or its diagonals.

    [o, f, i, g] = x_t K_is + b + sum_k shift_k(h_{t-1}) K_ss[k]
    c_t = sigmoid(f) c_{t-1} + sigmoid(i) tanh(g)        h_t = sigmoid(o) tanh(c_t)

All cells of a line are computed at once, for D directions and B images. x K_is is one product for the whole
image. The gradient is written out, as most of an automatic one's time would go into bookkeeping.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rlgen.generative.skew import Line


def line_lstm(
    x: Tensor,
    input_weight: Tensor,
    bias: Tensor,
    state_weight: Tensor,
    lines: Sequence[Line],
    shifts: Sequence[int],
) -> Tensor:
    """The states h of all cells; before the first line, and beyond the ends of lines, h and c are 0.

    Args:
        x: Inputs (D, N, B, I), the N cells line after line.
        input_weight: K_is (D, I, 4 h).
        bias: b (D, 4 h).
        state_weight: K_ss (S, D, h, 4 h).
        lines: Where the lines are; together they hold the N cells.
        shifts: S numbers: the cell at place p of a line sees those at p + shift of the line before, shift
            being -1, 0 or 1. Its c comes from place p.

    Returns:
        (D, N, B, h).

    References:
        van den Oord et al. 2016 (arXiv 1601.06759), equation 3.
    """
    return _LineLSTM.apply(x, input_weight, bias, state_weight, lines, shifts)  # type: ignore


def advance(gates: Tensor, c: Tensor, c_out: Tensor, h_out: Tensor, tanh_out: Tensor | None = None) -> None:
    """One step of the LSTM, of cells (..., h).

    Args:
        gates: (..., 4 h) before their nonlinearities, which are applied in place.
        c: Of the step before.
        c_out: Where the new c goes.
        h_out: Where h goes.
        tanh_out: Where tanh(c) goes.
    """
    size = c.shape[-1]
    o, f, i, g = gates.split(size, -1)
    gates[..., : 3 * size].sigmoid_()
    g.tanh_()
    torch.mul(f, c, out=c_out).addcmul_(i, g)
    torch.mul(o, torch.tanh(c_out, out=tanh_out), out=h_out)


def to_maps(states: Tensor, height: int, width: int) -> Tensor:
    """States (H W, B, h), rows one after the other -> (B, h, H, W)."""
    maps = states.view(height, width, *states.shape[1:]).permute(2, 3, 0, 1)
    return maps.contiguous(memory_format=torch.channels_last)


class _LineLSTM(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, input_weight, bias, state_weight, lines, shifts):  # type: ignore[override]
        directions, cells, n = x.shape[:3]
        size, places = state_weight.shape[2], max(line.high for line in lines)
        gates = torch.baddbmm(bias[:, None], x.flatten(1, 2), input_weight)  # (D, N B, 4 h)
        # One line more, which is before the first; one place more on each side. Those never written stay 0.
        h = x.new_zeros(len(lines) + 1, directions, (places + 2) * n, size)
        c, tanh_c = torch.zeros_like(h), x.new_empty(directions, cells * n, size)
        for t, line in enumerate(lines):
            z, now = gates[:, line.start * n : line.stop * n], _places(line, 0, n)
            for k, shift in enumerate(shifts):
                z.baddbmm_(h[t][:, _places(line, shift, n)], state_weight[k])
            cells_of_line = tanh_c[:, line.start * n : line.stop * n]
            advance(z, c[t][:, now], c[t + 1][:, now], h[t + 1][:, now], cells_of_line)
        ctx.save_for_backward(x, input_weight, state_weight, gates, h, c, tanh_c)
        ctx.lines, ctx.shifts = lines, shifts
        out = torch.cat([h[t + 1][:, _places(line, 0, n)] for t, line in enumerate(lines)], 1)
        return out.view(directions, cells, n, size)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):  # type: ignore[override]
        x, input_weight, state_weight, gates, h, c, tanh_c = ctx.saved_tensors
        n = x.shape[2]
        gradient = gradient.flatten(1, 2)  # (D, N B, h)
        d_gates, d_state = torch.empty_like(gates), torch.zeros_like(state_weight)
        transposed = state_weight.transpose(2, 3).contiguous()
        dh, dc, dc_before = (torch.zeros_like(h[0]) for _ in range(3))
        for t in reversed(range(len(ctx.lines))):
            line = ctx.lines[t]
            cells, now = slice(line.start * n, line.stop * n), _places(line, 0, n)
            dz = d_gates[:, cells]
            dc_before.zero_()
            grads = (gradient[:, cells] + dh[:, now], dc[:, now], dc_before[:, now])
            _retreat(gates[:, cells], c[t][:, now], tanh_c[:, cells], grads, dz)
            dh.zero_()
            for k, shift in enumerate(ctx.shifts):
                before = _places(line, shift, n)
                dh[:, before].baddbmm_(dz, transposed[k])
                d_state[k].baddbmm_(h[t][:, before].transpose(1, 2), dz)
            dc, dc_before = dc_before, dc
        inputs = x.flatten(1, 2)
        d_x = torch.bmm(d_gates, input_weight.transpose(1, 2)).view_as(x)
        d_input = torch.bmm(inputs.transpose(1, 2), d_gates)
        return d_x, d_input, d_gates.sum(1), d_state, None, None


def _places(line: Line, shift: int, n: int) -> slice:
    """Rows, n a place, of a line's cells in a line with one place more on each side."""
    return slice((line.low + 1 + shift) * n, (line.high + 1 + shift) * n)


def _retreat(
    gates: Tensor, c: Tensor, tanh_c: Tensor, grads: tuple[Tensor, Tensor, Tensor], dz: Tensor
) -> None:
    """Gradients of a step that was taken by `advance`.

    Args:
        gates: (..., 4 h) behind their nonlinearities.
        c: Of the step before.
        tanh_c: Of the step itself.
        grads: Those of h, of c, which is overwritten, and where that of the step before's c goes.
        dz: Where the gates' go, before their nonlinearities.
    """
    dh, dc, dc_before = grads
    size = c.shape[-1]
    o, f, i, g = gates.split(size, -1)
    do, df, di, dg = dz.split(size, -1)
    dc += torch.ops.aten.tanh_backward(dh * o, tanh_c)
    torch.mul(dh, tanh_c, out=do)
    torch.mul(dc, c, out=df)
    torch.mul(dc, g, out=di)
    torch.mul(dc, i, out=dg)
    torch.mul(dc, f, out=dc_before)
    ofi, d_ofi = gates[..., : 3 * size], dz[..., : 3 * size]
    torch.ops.aten.sigmoid_backward.grad_input(d_ofi, ofi, grad_input=d_ofi)
    torch.ops.aten.tanh_backward.grad_input(dg, g, grad_input=dg)
