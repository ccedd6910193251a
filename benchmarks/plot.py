"""Learning curves from the records of a benchmark: one panel an environment, one line a method.

    python -m benchmarks.plot vime_sparse [--x step|time] [-o curves.png]

A line is the interquartile mean over seeds of the smoothed return, the band its 95 % bootstrap interval; the
legend gives the number of seeds. Reads finished records only and writes a png and an svg side by side.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from math import ceil
from pathlib import Path
from typing import Annotated, Any, Literal

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import tyro
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter

from benchmarks.records import RESULTS, Curve, read_curves
from benchmarks.stats import bootstrap, bootstrap_curve
from rlgen import cli
from rlgen.files import replace_file

# Okabe and Ito's palette and two of Tol's, told apart with any colour vision; black is kept for the method
# without a bonus.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255", "#999933")
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (5, 1.5, 1.5, 1.5)))
STYLE: dict[Any, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.edgecolor": "#888888",
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "font.size": 9,
    "axes.titlesize": 10,
    "svg.hashsalt": "rlgen",  # the same records give the same file
}


@dataclass(frozen=True)
class Config:
    """Draw the learning curves of a benchmark."""

    benchmark: tyro.conf.Positional[str]
    """Name of a folder under benchmarks/results."""
    x: Literal["step", "time"] = "step"
    """Environment steps, or minutes of wall time."""
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """The figure's path; benchmarks/results/<benchmark>/curves.png unless given."""
    smooth: float = 0.05
    """Width of the moving average as a share of the x axis."""
    points: int = 200
    """Grid points a curve."""
    columns: int = 3
    """Panels a row."""
    results: Path = RESULTS
    """Folder of the records."""


def check(config: Config) -> None:
    """Refuse numbers that cannot be drawn.

    Raises:
        ValueError: names the flag.
    """
    if not 0 < config.smooth <= 1:
        raise ValueError(f"--smooth {config.smooth}: give a share of the x axis, above 0 and up to 1")
    for flag, value, least in (("points", config.points, 2), ("columns", config.columns, 1)):
        if value < least:
            raise ValueError(f"--{flag} {value}: give {least} or more")


def smoothed(x: np.ndarray, y: np.ndarray, grid: np.ndarray, width: float) -> np.ndarray:
    """Mean of the y with grid point - width < x <= grid point; without any, the last y before it.

    Args:
        x: (E,) where each episode ended, ascending.
        y: (E,) its return.
        grid: (G,) no point before x[0].
        width: in units of x.
    """
    total = np.concatenate([[0.0], np.cumsum(y)])
    end = np.searchsorted(x, grid, side="right")
    start = np.minimum(np.searchsorted(x, grid - width, side="right"), end - 1)
    return (total[end] - total[start]) / (end - start)


def resample(curves: list[Curve], config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Curves of one method on the grid that all of them cover: x (G,) and returns (S, G).

    Raises:
        ValueError: An empty curve, or curves that share no stretch.
    """
    name, unit = ("step", 1.0) if config.x == "step" else ("wall_time_s", 60.0)
    xs = [curve.column(name) / unit for curve in curves]
    for curve, x in zip(curves, xs, strict=True):
        if len(x) == 0:
            raise ValueError(f"{curve.path} holds no episode: delete it and run the seed again")
    start, end = max(x[0] for x in xs), min(x[-1] for x in xs)
    if start > end:
        raise ValueError(f"seeds of {curves[0].path.parent} share no stretch of {name}: their lengths differ")
    grid = np.linspace(start, end, config.points)
    width = config.smooth * end
    lines = zip(xs, curves, strict=True)
    return grid, np.stack([smoothed(x, c.column("episode_return"), grid, width) for x, c in lines])


def styles(methods: Iterable[str]) -> dict[str, dict]:
    """A colour for each bonus and a dash for each algorithm, the same in all panels."""
    pairs = {method: (method.partition("-")[0], method.partition("-")[2]) for method in sorted(set(methods))}
    algos = list(dict.fromkeys(algo for algo, _ in pairs.values()))
    bonuses = [bonus for bonus in dict.fromkeys(bonus for _, bonus in pairs.values()) if bonus != "none"]
    colour = {"none": "#000000"} | {b: COLOURS[k % len(COLOURS)] for k, b in enumerate(bonuses)}
    return {
        method: {"color": colour[bonus], "linestyle": DASHES[algos.index(algo) % len(DASHES)]}
        for method, (algo, bonus) in pairs.items()
    }


def draw_panel(ax: Axes, env: str, curves: list[Curve], style: dict[str, dict], config: Config) -> None:
    """One environment's lines and bands, and a printed row for each method's last grid point.

    A method of a single evaluation is a line across.
    """
    lasts = False  # longer than an evaluation
    for method, group in groupby(curves, key=lambda curve: curve.method):
        seeds = list(group)
        grid, returns = resample(seeds, config)
        value, low, high = bootstrap_curve(returns)
        band = {"color": style[method]["color"], "alpha": 0.15, "linewidth": 0}
        if grid[0] == grid[-1]:  # evaluated once, as cloning is: a level to compare with
            ax.axhline(value[-1], linewidth=1.6, **style[method])
            ax.axhspan(low[-1], high[-1], **band)
        else:
            lasts = True
            ax.plot(grid, value, linewidth=1.6, **style[method])
            ax.fill_between(grid, low, high, **band)
        print(f"{env:28} {method:24} n={len(seeds):<3} final return {bootstrap(returns[:, -1])}")
    ax.set_title(env)
    ax.set_xlim(left=0)
    ax.set_xlabel("environment steps" if config.x == "step" else "wall time, minutes")
    if config.x == "step":
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    if not lasts:
        ax.set_xticks([])


def add_legend(figure: Figure, curves: list[Curve], style: dict[str, dict]) -> None:
    """All methods below the panels, each with its number of seeds."""
    counts: dict[str, list[int]] = {method: [] for method in style}
    for (_, method), group in groupby(curves, key=lambda curve: (curve.env, curve.method)):
        counts[method].append(len(list(group)))
    labels = [f"{method} (n = {_span(counts[method])})" for method in style]
    handles = [Line2D([], [], linewidth=1.6, **style[method]) for method in style]
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 4), frameon=False)


def draw(curves: list[Curve], config: Config) -> Figure:
    """The whole figure, from curves sorted by environment and method."""
    panels = [(env, list(group)) for env, group in groupby(curves, key=lambda curve: curve.env)]
    columns = min(config.columns, len(panels))
    rows = ceil(len(panels) / columns)
    style = styles(curve.method for curve in curves)
    size = (max(3.4 * columns, 5.5), 2.7 * rows + 0.6)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for ax, (env, group) in zip(axes.flat, panels, strict=False):
        draw_panel(ax, env, group, style, config)
    for ax in axes.flat[len(panels) :]:
        ax.set_axis_off()
    for ax in axes[:, 0]:
        ax.set_ylabel("episode return")
    add_legend(figure, curves, style)
    return figure


def main(config: Config) -> Path:
    """Draw, write png and svg, return the png's path."""
    check(config)
    name = "curves.png" if config.x == "step" else "curves-time.png"
    out = config.out or config.results / config.benchmark / name
    if out.suffix not in {".png", ".svg"}:
        raise ValueError(f"-o is {str(out)!r}: give a path that ends in .png (an svg is written beside it)")
    curves = read_curves(config.benchmark, config.results)
    with mpl.rc_context(STYLE):
        figure = draw(curves, config)
        for suffix, options in (".png", {"dpi": 160}), (".svg", {"metadata": {"Date": None}}):
            write = partial(figure.savefig, format=suffix[1:], **options)
            replace_file(out.with_suffix(suffix), write)
    plt.close(figure)
    print(out.with_suffix(".png"))
    return out.with_suffix(".png")


def _span(counts: list[int]) -> str:
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}"


if __name__ == "__main__":
    mpl.use("Agg")
    sys.exit(cli.run(main, Config))
