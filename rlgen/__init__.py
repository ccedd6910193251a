"""Learned rewards for Stable-Baselines3: exploration bonuses such as VIME, fitted while the agent trains.

    from rlgen import VIME, LearnReward, TransitionRecorder

The names below are imported on first use, so that `import rlgen` and `--help` need not wait for torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlgen.recorder import TransitionRecorder
    from rlgen.relabel import LearnReward
    from rlgen.rewards.vime import VIME
    from rlgen.runs import load

    __version__: str

_HOME = {
    "load": "rlgen.runs",
    "LearnReward": "rlgen.relabel",
    "TransitionRecorder": "rlgen.recorder",
    "VIME": "rlgen.rewards.vime",
}

__all__ = ["VIME", "LearnReward", "TransitionRecorder", "__version__", "load"]


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name == "__version__":
        value: Any = _version()
    elif name in _HOME:
        from importlib import import_module

        value = getattr(import_module(_HOME[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    """The installed version, or `0+uninstalled` when rlgen runs from a folder that pip does not know."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("rlgen")
    except PackageNotFoundError:
        return "0+uninstalled"
