"""MuJoCo's own warnings, kept off the console and out of the working directory."""

from __future__ import annotations

import logging

import mujoco

_LOGGER = logging.getLogger("envs.mujoco")
# gymnasium's half_cheetah.xml asks for `settotalmass`, which works but prints a deprecation at every load.
_HARMLESS = ("settotalmass",)


def quiet() -> None:
    """Send MuJoCo's warnings to the logger `envs.mujoco`, without the one that gymnasium's own models cause.

    By default MuJoCo prints each warning and appends it to MUJOCO_LOG.TXT in the working directory. A handler
    that the user set before stays. Python's `warnings` would not do: as an error, raised inside MuJoCo, a
    warning ends the process.
    """
    if mujoco.get_mju_user_warning() is None:  # pyright: ignore[reportAttributeAccessIssue]
        mujoco.set_mju_user_warning(_log)  # pyright: ignore[reportAttributeAccessIssue]


def _log(message: str) -> None:
    if not any(word in message for word in _HARMLESS):
        _LOGGER.warning("MuJoCo: %s", message)
