"""What `benchmarks.gail_mujoco` records of a run, and the table of it."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.records import Curve, write_number
from rlgen.folder import read_config


class Published(NamedTuple):
    """Returns of a paper's row."""

    expert: float
    random: float
    gail: Mapping[int, float]
    """By number of trajectories."""


def record(curve: Curve, run: Path, final: dict) -> None:
    """Take in a finished run: its evaluations, and the final one as seed<k>.json."""
    plan = read_config(run)
    episodes = pd.read_csv(run / "monitor.csv")
    with open(run / "evaluations.csv") as file:
        for row in csv.DictReader(file):
            step = int(row["step"])
            wall = np.interp(step, episodes["step"], episodes["t"]) if len(episodes) else 0.0
            curve.append(step, float(row["mean_return"]), float(wall))
    known = {key: plan[key] for key in ("random_return", "demos_return", "expert_return")}
    lengths = final["mean_length"]
    path = curve.path.with_suffix(".json")
    write_number(
        path, "return", final["mean_return"], "reward", std=final["std_return"], length=lengths, **known
    )


def score(curve: Curve) -> float:
    """Of the final 50 episodes."""
    return read_final(curve.path.with_suffix(".json"))["score"]


def read_final(path: Path) -> dict:
    """A final evaluation as recorded, and its `score`."""
    from rlgen import scores

    final = json.loads(path.read_text())
    return {**final, "score": scores.score(final["value"], final["random_return"], final["demos_return"])}


def print_table(folder: Path, published: Mapping[str, Published]) -> None:
    """Print a row for each task and method, of the seeds that are finished, then the figures.

    Args:
        folder: Of the benchmark's records.
        published: The paper's row of each environment.
    """
    cells: dict[tuple[str, str], list[dict]] = {}
    for path in sorted(folder.glob("*/*/seed*.json")):
        env, method = path.parts[-3:-1]
        seed = int(path.stem.removeprefix("seed"))
        if Curve(folder.name, env, method, seed, results=folder.parent).finished():
            cells.setdefault((env, method), []).append(read_final(path))
    print(
        f"{'task':16} {'method':24} seeds  score (least)   return   random   demos  expert  "
        "paper: random  expert  GAIL (trajectories)"
    )
    for (env, method), group in cells.items():
        scores, returns = [final["score"] for final in group], [final["value"] for final in group]
        random, demos, expert = (group[0][f"{of}_return"] for of in ("random", "demos", "expert"))
        paper = told(published.get(env), int(method.rpartition("-")[2]))
        print(
            f"{env:16} {method:24} {len(group):5}  {np.mean(scores):5.3f} ({min(scores):5.3f})  "
            f"{np.mean(returns):7.0f}  {random:7.0f} {demos:7.0f} {level(expert):>7}  {paper}"
        )
    for (env, method), group in cells.items():
        print(f"score_{env}_{method}: {np.mean([final['score'] for final in group]):.3f}")


def told(paper: Published | None, trajectories: int) -> str:
    """The paper's returns; GAIL's with the nearest number of trajectories, which stands in brackets."""
    if paper is None:
        return ""
    n = min(paper.gail, key=lambda n: abs(n - trajectories))
    return f"{paper.random:13.0f} {paper.expert:7.0f}  {paper.gail[n]:4.0f} ({n})"


def level(value: float | None) -> str:
    """A return that a file of demonstrations may not tell."""
    return "" if value is None else f"{value:.0f}"
