"""reward_curve.png: the environment's own return and, below it, the learned one, from a run's records."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from rlgen.files import replace_file

COLOURS = ("#0072B2", "#D55E00")
LINES = (":", "--")
WINDOW = 100
"""Episodes in the moving average of the return."""


def draw(run: Path, title: str = "", references: Mapping[str, float] | None = None) -> Path:
    """Draw the figure from monitor.csv and progress.csv, which may hold no row yet.

    Args:
        run: The run's folder.
        title: Above the figure.
        references: Returns to compare with, each drawn as a line.

    Returns:
        The path of run/reward_curve.png.
    """
    figure = Figure(figsize=(7.0, 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    top.set_title(title, fontsize=10, loc="left", pad=22)
    draw_return(top, read(run / "monitor.csv"))
    for value, style, name in zip((references or {}).values(), LINES, references or {}, strict=False):
        top.axhline(value, color="#555555", linewidth=1.0, linestyle=style)
        top.annotate(
            name, (1.0, value), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=8
        )
    draw_learned(bottom, read(run / "progress.csv"))
    bottom.set_xlabel("environment steps")
    bottom.xaxis.set_major_formatter(EngFormatter(sep=""))
    bottom.set_xlim(left=0)
    for ax in (top, bottom):
        ax.grid(color="#dddddd", linewidth=0.6)
        ax.spines[["top", "right"]].set_visible(False)
    out = run / "reward_curve.png"
    replace_file(out, lambda partial: figure.savefig(partial, dpi=130, format="png"))
    return out


def read(path: Path) -> pd.DataFrame:
    """A csv record; no rows if there is none yet."""
    if not path.exists() or path.stat().st_size == 0:
        return pd.DataFrame({"step": []})
    return pd.read_csv(path)


def draw_return(ax: Axes, episodes: pd.DataFrame) -> None:
    """A point for each finished training episode, and their moving average."""
    if "r" in episodes and len(episodes):
        step, value = episodes["step"].to_numpy(), episodes["r"].to_numpy()
        few = min(1.0, 10 / len(value) ** 0.5)  # fewer points are drawn larger and darker
        dot = {"alpha": 0.15 + 0.45 * few, "markersize": 2.5 + 3 * few, "markeredgewidth": 0}
        ax.plot(step, value, ".", color=COLOURS[0], label="episode", **dot)
        mean = np.asarray(episodes["r"].rolling(WINDOW, min_periods=1).mean())
        last = np.append(step[1:] != step[:-1], True)  # of the episodes that end at the same step
        ax.plot(step[last], mean[last], color=COLOURS[0], linewidth=1.8, label=f"mean of the last {WINDOW}")
        ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, frameon=False, fontsize=8)
    else:
        _nothing(ax, "no episode has ended yet")
    ax.set_ylabel("episode return\n(the environment's reward)")


def draw_learned(ax: Axes, progress: pd.DataFrame) -> None:
    """The learned reward's mean over fresh transitions, as logged at each refit."""
    metrics = ("bonus_mean", "reward_mean")
    column = next((name for name in progress if str(name).rpartition("/")[2] in metrics), None)
    rows = progress.dropna(subset=[column]) if column is not None else progress.head(0)
    if column is not None and len(rows):
        values = rows[column].to_numpy()
        alone = "." if len(values) == 1 else None  # no line leads to it
        ax.plot(rows["step"].to_numpy(), values, color=COLOURS[1], linewidth=1.2, marker=alone)
        if values.min() >= 0:
            ax.set_ylim(bottom=0)
    else:
        _nothing(ax, "no learned reward has been measured")
    ax.set_ylabel("bonus\n(mean)" if str(column).endswith("bonus_mean") else "learned reward\n(mean)")


def _nothing(ax: Axes, text: str) -> None:
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", color="#888888")
