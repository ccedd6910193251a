"""The benchmark of coverage: every step is counted in one cell, and a finished run is not run again."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks import coverage
from benchmarks.coverage import Job, cells, cells_path, read_positions, train

STEPS = 400


def test_a_run_records_each_step_in_one_cell(tmp_path, capsys):
    job = Job("rlgen/SparseAnt-v0", "expected", 100, STEPS)
    line = train(job, tmp_path / "results", tmp_path / "scratch")
    curve = job.curve(tmp_path / "results")
    visited = pd.read_csv(cells_path(curve))
    assert visited["visits"].to_numpy().sum() == STEPS
    assert line == f"SparseAnt-v0 sac-expected seed 100: {len(visited)} cells"
    assert not list((tmp_path / "scratch").rglob("positions.bin"))
    config = coverage.Config(
        envs=(job.env,),
        bonuses=(job.bonus,),
        steps=STEPS,
        results=tmp_path / "results",
        scratch=tmp_path / "scratch",
    )
    capsys.readouterr()
    coverage.main(config)
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "1 runs, 0 of them to do"
    assert out[1] == f"cells_SparseAnt-v0_sac-expected_seed100: {len(visited)}"


def test_cells_are_half_a_metre_wide():
    rows = np.array([[1, 0.1, 0.1], [2, 0.4, 0.4], [3, 0.6, 0.1], [4, -0.1, -0.6]], np.float32)
    found = {(i, j): visits for i, j, visits in cells(rows).itertuples(index=False)}
    assert found == {(0, 0): 2, (1, 0): 1, (-1, -2): 1}


def test_a_row_that_a_crash_cut_in_two_is_dropped(tmp_path):
    path = tmp_path / "positions.bin"
    path.write_bytes(np.arange(6, dtype=np.float32).tobytes()[:-5])
    assert read_positions(path).tolist() == [[0.0, 1.0, 2.0]]
