"""Learned rewards for Stable-Baselines3, fitted while the agent trains: exploration bonuses, and imitation.

    from rlgen import VIME, LearnReward, TransitionRecorder
    from rlgen import GAIL, LearnReward, TransitionRecorder, Transitions, demonstrations

The names below are imported on first use, so that `import rlgen` and `--help` need not wait for torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlgen.recorder import TransitionRecorder
    from rlgen.relabel import LearnReward
    from rlgen.rewards import GAIL, VIME, Transitions, load_reward, save_reward
    from rlgen.runs import load

    __version__: str

_HOME = {
    "load": "rlgen.runs",
    "LearnReward": "rlgen.relabel",
    "TransitionRecorder": "rlgen.recorder",
    "GAIL": "rlgen.rewards.gail",
    "VIME": "rlgen.rewards.vime",
    "Transitions": "rlgen.transitions",
    "load_reward": "rlgen.rewards.discriminator",
    "save_reward": "rlgen.rewards.discriminator",
}

__all__ = [
    "GAIL",
    "VIME",
    "LearnReward",
    "TransitionRecorder",
    "Transitions",
    "__version__",
    "load",
    "load_reward",
    "save_reward",
]


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
