"""The reward curve: right numbers, and a figure whatever the records hold."""

from __future__ import annotations

import pandas as pd
import pytest
from matplotlib.figure import Figure

from rlgen import curve


@pytest.fixture
def ax():
    return Figure().subplots()


def test_the_return_shows_episodes_and_their_mean(ax):
    curve.draw_return(ax, pd.DataFrame({"step": [10, 20], "r": [1.0, 3.0]}))
    points, line = ax.lines
    assert points.get_ydata().tolist() == [1.0, 3.0] and points.get_linestyle() == "None"
    assert line.get_ydata().tolist() == [1.0, 2.0]


def test_the_mean_has_one_point_for_episodes_that_end_together(ax):
    curve.draw_return(ax, pd.DataFrame({"step": [80, 80, 80, 160], "r": [9.0, 1.0, 2.0, 8.0]}))
    points, line = ax.lines
    assert points.get_xdata().tolist() == [80, 80, 80, 160]
    assert line.get_xdata().tolist() == [80, 160] and line.get_ydata().tolist() == [4.0, 5.0]


def test_the_bonus_leaves_out_rows_without_one(ax):
    nan = float("nan")
    curve.draw_learned(ax, pd.DataFrame({"step": [1, 2, 3], "rnd/bonus_mean": [nan, 0.5, 0.25]}))
    (line,) = ax.lines
    assert line.get_xdata().tolist() == [2, 3] and line.get_ydata().tolist() == [0.5, 0.25]


def test_a_reward_that_replaces_the_environments_may_be_negative(ax):
    curve.draw_learned(ax, pd.DataFrame({"step": [1, 2], "gail/reward_mean": [-2.0, -1.0]}))
    assert ax.lines[0].get_ydata().tolist() == [-2.0, -1.0] and ax.get_ylim()[0] < -1.9
    assert "learned reward" in ax.get_ylabel()


@pytest.mark.parametrize("records", [{}, {"monitor.csv": "step,r,l,t\n", "progress.csv": "step\n"}])
def test_a_run_without_records_has_a_figure_that_says_so(tmp_path, records):
    for name, text in records.items():
        (tmp_path / name).write_text(text)
    out = curve.draw(tmp_path, "title")
    assert out == tmp_path / "reward_curve.png"
    assert out.read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in tmp_path.iterdir()} == {"reward_curve.png", *records}
