"""The benchmark of the information gain: its three ways agree."""

from __future__ import annotations

import torch

from benchmarks.information_gain import LOOP_ROWS, Problem, relative_error


def test_closed_form_loop_and_vmap_agree_in_double_precision():
    assert relative_error(torch.float64) < 1e-9
    problem = Problem((32, 32), torch.float64)
    rows = problem.vmapped(64)
    torch.testing.assert_close(rows[:LOOP_ROWS], problem.loop(), rtol=1e-9, atol=0)
    assert rows.min() > 0 and rows.std() > 0
