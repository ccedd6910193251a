"""The histogram of demonstrations' returns."""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from rlgen.demonstrations.episodes import Demonstrations
from rlgen.files import replace_file

COLOURS = ("#0072B2", "#D55E00")


def draw(demos: Demonstrations, out: Path) -> None:
    """Draw the returns of all episodes, and the unfiltered expert's mean where it is known, as png.

    Raises:
        ValueError: No rewards, or a path that cannot be written.
    """
    returns = demos.returns
    if returns is None:
        raise ValueError(f"{demos.source} has no rewards: there are no returns to draw")
    figure = Figure(figsize=(6.0, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    ax = figure.subplots()
    ax.hist(returns, bins="auto" if returns.min() < returns.max() else 1, color=COLOURS[0], alpha=0.7)
    ax.axvline(float(returns.mean()), color=COLOURS[0], linewidth=1.8, label="mean")
    if demos.expert_return is not None:
        ax.axvline(
            demos.expert_return,
            color=COLOURS[1],
            linewidth=1.8,
            linestyle="--",
            label="expert, all it played",
        )
    ax.set_title(f"{demos.env_id}, {len(returns)} episodes", fontsize=10, loc="left")
    ax.set_xlabel("episode return (the environment's reward)")
    ax.set_ylabel("episodes")
    ax.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    try:
        replace_file(out, lambda partial: figure.savefig(partial, dpi=130, format="png"))
    except OSError as error:
        raise ValueError(f"cannot write {out}: {error}") from error
