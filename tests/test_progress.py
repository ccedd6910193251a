"""What a run says while it trains."""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace

import pytest

from rlgen.progress import ProgressLines


def lines_at(steps, episodes=(), bonus=None):
    lines = ProgressLines({"bonus": "vime/bonus_mean"})
    lines.model = SimpleNamespace(ep_info_buffer=deque(episodes))  # type: ignore[assignment]
    lines.total, lines.num_timesteps = 1000, steps
    lines.values = {} if bonus is None else {"bonus": bonus}
    lines._start, lines._start_steps = 100.0, 0
    return lines


def test_a_line_says_steps_speed_time_left_return_and_bonus():
    line = lines_at(250, [{"r": 1.0}, {"r": 4.0}], 0.25).line(now=105.0)
    assert line.split("   ")[-4:] == [
        "50 steps/s",
        "15 s left",
        "return 2.5 (last 2 episodes)",
        "bonus 0.25",
    ]
    assert "250 steps  25 %" in line


def test_before_the_first_episode_and_without_a_bonus_there_is_neither():
    line = lines_at(250).line(now=105.0)
    assert "return" not in line and "bonus" not in line


@pytest.mark.parametrize(("seconds", "left"), [(5, "15 s left"), (1000, "50 min left"), (9000, "7.5 h left")])
def test_time_left_has_a_fitting_unit(seconds, left):
    assert left in lines_at(250).line(100.0 + seconds)


def test_a_resumed_run_counts_its_own_speed():
    lines = lines_at(600)
    lines._start_steps = 500
    assert "20 steps/s" in lines.line(now=105.0)
