"""Demonstrations: episodes of an expert, read from and written to the formats in use.

    from rlgen.demonstrations import load

    demos = load("demos/hopper.npz").take(4)
    demos = demos.fit(env.observation_space, env.action_space, "Hopper-v5")
    batch = demos.transitions(subsample=20)

Nothing is ever unpickled. The names below are imported on first use, so that `--help` need not wait for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlgen.demonstrations.episodes import Demonstrations, Episode
    from rlgen.demonstrations.loader import load
    from rlgen.demonstrations.minari_dataset import check_minari_id, save_minari
    from rlgen.demonstrations.spaces import native_spaces
    from rlgen.demonstrations.summary import report
    from rlgen.demonstrations.writer import save

_HOME = {
    "Demonstrations": "episodes",
    "Episode": "episodes",
    "check_minari_id": "minari_dataset",
    "load": "loader",
    "native_spaces": "spaces",
    "report": "summary",
    "save": "writer",
    "save_minari": "minari_dataset",
}

__all__ = [
    "Demonstrations",
    "Episode",
    "check_minari_id",
    "load",
    "native_spaces",
    "report",
    "save",
    "save_minari",
]


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    return value
