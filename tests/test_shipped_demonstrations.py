"""The files of demos/: they are what demos/README.md says of them, and experts."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from rlgen import demonstrations
from rlgen.demonstrations import native_spaces
from rlgen.training import Setup, make_env

DEMOS = Path(__file__).parents[1] / "demos"
ROW = re.compile(
    r"\| `(?P<file>\S+)` \| (?P<env>\S+) \| (?P<kept>\d+) of (?P<tried>\d+) played "
    r"\| (?P<mean>\d+) \+- (?P<sd>\d+) \| (?P<all>\d+) \|"
)
ROWS = [row.groupdict() for row in ROW.finditer((DEMOS / "README.md").read_text())]
LEAST = {"Ant": 4000, "HalfCheetah": 5000, "Hopper": 3000, "Humanoid": 5000, "Walker2d": 4000}


def test_every_file_has_its_row_and_they_are_small():
    files = sorted(DEMOS.glob("*.npz"))
    assert [row["file"] for row in ROWS] == [file.name for file in files]
    assert sum(file.stat().st_size for file in files) < 30e6
    assert [row["env"].partition("-")[0] for row in ROWS] == sorted(LEAST)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["file"])
def test_a_file_holds_what_its_row_says(row):
    venv = make_env(Setup(row["env"]))
    demos = demonstrations.load(DEMOS / row["file"])
    fitted = demos.fit(*native_spaces(venv), row["env"])
    venv.close()
    assert len(fitted.episodes) == int(row["kept"]) and demos.env_id == row["env"]
    with np.load(DEMOS / row["file"], allow_pickle=False) as file:
        assert len(file["attempt_returns"]) == int(row["tried"])
    returns = demos.returns
    assert returns is not None and demos.expert_return is not None
    assert (round(returns.mean()), round(returns.std())) == (int(row["mean"]), int(row["sd"]))
    assert round(demos.expert_return) == int(row["all"])
    assert returns.mean() >= LEAST[row["env"].partition("-")[0]]
