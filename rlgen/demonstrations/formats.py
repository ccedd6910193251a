"""The flat formats: arrays with all episodes in them -> episodes.

=========================  ================================================================================
rlgen's npz                obs (N + E, ...), acts, rews, terminated, truncated (N, ...), episode_lengths (E,);
                           acts and rews may be missing; attempt_returns or expert_return, env_id and
                           env_kwargs (json) if known
imitation's legacy npz     obs (N + E, ...), acts (N, ...), indices (E - 1,), terminal (E,); rews if known
D4RL-style npz or HDF5     observations, actions, rewards, terminals, timeouts, next_observations (N, ...)
openai/imitation's HDF5    obs_B_T_Do, a_B_T_Da, r_B_T padded to the longest episode, len_B (B,)
=========================  ================================================================================

What is not in a file is settled so:

- imitation keeps one flag for both kinds of end. An episode as long as the environment's time limit counts
  as truncated, any other end as terminated. `infos`, a pickle, is skipped.
- Without `next_observations` the successor of the last step is unknown, and D4RL and openai episodes lose
  that step, its reward, and with it a true end: they count as truncated.
- Without `timeouts` a D4RL episode also ends where the next observation is not `next_observations`, and
  where the file does.
- What follows the last end in a D4RL file is a part of an episode, and left out unless it is all there is.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rlgen.demonstrations import arrays
from rlgen.demonstrations.container import Arrays
from rlgen.demonstrations.episodes import Episode


class Contents(NamedTuple):
    """What a file holds."""

    episodes: tuple[Episode, ...]
    env_id: str | None = None
    expert_return: float | None = None
    env_kwargs: dict[str, Any] | None = None


class Format(NamedTuple):
    """A flat format: the arrays that tell it apart, and its reader."""

    keys: frozenset[str]
    read: Callable[[Arrays, int | None], Contents]


def read_flat(file: Arrays, time_limit: int | None) -> Contents:
    """Recognise a flat format by its arrays, and read it.

    Args:
        file: The open file.
        time_limit: Steps of the longest episode that the environment allows, if known.

    Raises:
        ValueError: An unknown format, or one whose arrays do not fit together.
    """
    for form in FORMATS:
        if form.keys <= file.names:
            return form.read(file, time_limit)
    found = ", ".join(sorted(file.names)[:8]) or "nothing"
    known = "; ".join(", ".join(sorted(form.keys)) for form in FORMATS)
    raise ValueError(
        f"an unknown format with {found} in it: rename its arrays to one of those known ({known})"
    )


def check_optional(file: Arrays, *names: str) -> None:
    """Refuse a file in which an array that may be missing stands under another name: actions for acts.

    Raises:
        ValueError: It does.
    """
    for name in names:
        for other in sorted(file.names - {name}):
            if name not in file.names and other.startswith(name[:3]):
                raise ValueError(f"{other} is not read in this format: rename it to {name}")


def read_rlgen(file: Arrays, time_limit: int | None) -> Contents:
    """Our own npz.

    Raises:
        ValueError: An array is missing, or is not as the format has it.
    """
    check_optional(file, "acts", "rews")
    lengths = arrays.counts("episode_lengths", file.read("episode_lengths"))
    episodes = split(
        arrays.observations("obs", file.read("obs")),
        arrays.actions("acts", file.read("acts")) if "acts" in file.names else None,
        arrays.rewards("rews", file.read("rews")) if "rews" in file.names else None,
        lengths,
        ends("terminated", file.read("terminated"), lengths),
        ends("truncated", file.read("truncated"), lengths),
    )
    expert_return = None
    for name in ("attempt_returns", "expert_return"):
        if name in file.names and expert_return is None:
            values = file.read(name)
            if values.dtype.kind not in "iuf" or values.size == 0 or not np.isfinite(values).all():
                raise ValueError(f"{name} is {values.dtype} of shape {values.shape}: give finite numbers")
            expert_return = float(np.mean(values))
    texts = {
        name: arrays.text(name, file.read(name)) for name in ("env_id", "env_kwargs") if name in file.names
    }
    kwargs = env_arguments(texts["env_kwargs"]) if "env_kwargs" in texts else None
    return Contents(episodes, texts.get("env_id"), expert_return, kwargs)


def env_arguments(text: str) -> dict[str, Any]:
    """The arguments of `gymnasium.make` in a json, but for how to render.

    Raises:
        ValueError: It is none.
    """
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ValueError(f"env_kwargs is no json ({error}): write it again") from error
    if not isinstance(found, dict):
        raise ValueError(f"env_kwargs is {found!r}: give a json object such as {{}}")
    return {name: value for name, value in found.items() if name != "render_mode"}


def read_imitation(file: Arrays, time_limit: int | None) -> Contents:
    """The legacy npz of HumanCompatibleAI/imitation.

    Raises:
        ValueError: An array is missing, or is not as the format has it.
    """
    acts = arrays.actions("acts", file.read("acts"))
    indices = file.read("indices")
    starts = arrays.counts("indices", indices if indices.size else indices.astype(np.int64))
    lengths = np.diff([0, *starts, len(acts)])
    terminal = arrays.flags("terminal", np.atleast_1d(file.read("terminal")))
    if len(terminal) != len(lengths):
        raise ValueError(
            f"terminal has {len(terminal)} flags, indices say {len(lengths)} episodes: write it again"
        )
    terminated = terminal & (lengths != time_limit)
    obs = arrays.observations("obs", file.read("obs"))
    rews = arrays.rewards("rews", file.read("rews")) if "rews" in file.names else None
    return Contents(split(obs, acts, rews, lengths, terminated, ~terminated))


def read_d4rl(file: Arrays, time_limit: int | None) -> Contents:
    """Flat arrays, a row a step, as D4RL has them.

    Raises:
        ValueError: An array is missing, or is not as the format has it.
    """

    def given(name: str, check: Callable[[str, np.ndarray], np.ndarray]) -> np.ndarray | None:
        return check(name, file.read(name)) if name in file.names else None

    check_optional(file, "actions", "rewards")
    obs = arrays.observations("observations", file.read("observations"))
    terminals = arrays.flags("terminals", file.read("terminals"))
    timeouts, following = given("timeouts", arrays.flags), given("next_observations", arrays.observations)
    acts, rews = given("actions", arrays.actions), given("rewards", arrays.rewards)
    parts = {"terminals": terminals, "timeouts": timeouts, "next_observations": following}
    for name, part in {**parts, "actions": acts, "rewards": rews}.items():
        if part is not None and len(part) != len(obs):
            raise ValueError(
                f"{name} has {len(part)} rows, observations has {len(obs)}: write the file again"
            )
    done = terminals | (_breaks(obs, following) if timeouts is None else timeouts)
    stops = np.flatnonzero(done) + 1
    stops = stops if len(stops) else np.array([len(obs)], dtype=np.int64)
    n = int(stops[-1])  # what follows is a part of an episode
    lengths = np.diff(stops, prepend=0)
    obs, acts, rews = obs[:n], None if acts is None else acts[:n], None if rews is None else rews[:n]
    if following is None:
        return Contents(without_last(obs, acts, rews, lengths))
    if following.shape[1] != obs.shape[1]:
        raise ValueError(f"next_observations has {following.shape[1]} features, observations {obs.shape[1]}")
    wrong = (_breaks(obs, following[:n]) & ~done[:n])[:-1]
    if wrong.any():
        raise ValueError(
            f"the observation after row {np.argmax(wrong)} is not its next_observations, and no episode ends "
            "there: set timeouts where one does"
        )
    rows = np.insert(obs, stops, following[stops - 1], axis=0)
    ended = terminals[stops - 1]
    return Contents(split(rows, acts, rews, lengths, ended, ~ended))


def _breaks(obs: np.ndarray, following: np.ndarray | None) -> np.ndarray:
    """(N,) where the next row is not the successor."""
    if following is None:
        raise ValueError("neither timeouts nor next_observations tell where episodes end: add timeouts")
    if following.shape != obs.shape:
        raise ValueError(
            f"next_observations has shape {following.shape}, observations {obs.shape}: write it again"
        )
    same = np.isclose(following[:-1], obs[1:], rtol=1e-5, atol=1e-6).all(axis=1)
    return np.append(~same, True)


def read_openai(file: Arrays, time_limit: int | None) -> Contents:
    """The HDF5 of openai/imitation: (B, T, ...) with the first len_B steps of each row filled.

    Raises:
        ValueError: An array is missing, or is not as the format has it.
    """
    lengths = arrays.counts("len_B", file.read("len_B"))
    obs, acts = file.read("obs_B_T_Do"), file.read("a_B_T_Da")
    rews = file.read("r_B_T") if "r_B_T" in file.names else None
    parts = {"obs_B_T_Do": obs, "a_B_T_Da": acts, "r_B_T": rews}
    for name, part in parts.items():
        if part is not None and (part.ndim < 2 or part.shape[:2] != (len(lengths), *obs.shape[1:2])):
            raise ValueError(
                f"{name} has shape {part.shape}: give (B, T, ...) with B = {len(lengths)} as in len_B"
            )
    longest = obs.shape[1]
    if np.any((lengths < 1) | (lengths > longest)):
        raise ValueError(
            f"len_B holds {lengths.min()} to {lengths.max()}: give 1 to {longest}, as in obs_B_T_Do"
        )
    filled = np.arange(longest) < lengths[:, None]  # (B, T); the rest is padding
    return Contents(
        without_last(
            arrays.observations("obs_B_T_Do", obs[filled]),
            arrays.actions("a_B_T_Da", acts[filled]),
            None if rews is None else arrays.rewards("r_B_T", rews[filled]),
            lengths,
        )
    )


FORMATS = (
    Format(frozenset({"obs", "episode_lengths"}), read_rlgen),
    Format(frozenset({"obs", "acts", "indices", "terminal"}), read_imitation),
    Format(frozenset({"observations", "terminals"}), read_d4rl),
    Format(frozenset({"obs_B_T_Do", "a_B_T_Da", "len_B"}), read_openai),
)


def without_last(
    obs: np.ndarray, acts: np.ndarray | None, rews: np.ndarray | None, lengths: np.ndarray
) -> tuple[Episode, ...]:
    """Episodes of T observations in place of T + 1: the last is the successor, and its step is left out."""
    last = np.zeros(len(obs), bool)
    last[np.cumsum(lengths) - 1] = True
    alone = np.repeat(lengths == 1, lengths)
    acts, rews = (None if part is None else part[~last] for part in (acts, rews))
    lengths = lengths[lengths > 1] - 1
    no = np.zeros(len(lengths), bool)
    return split(obs[~alone], acts, rews, lengths, no, ~no)


def split(
    obs: np.ndarray,
    acts: np.ndarray | None,
    rews: np.ndarray | None,
    lengths: np.ndarray,
    terminated: np.ndarray,
    truncated: np.ndarray,
) -> tuple[Episode, ...]:
    """Cut arrays into episodes.

    Args:
        obs: (N + E, O).
        acts: (N, ...).
        rews: (N,).
        lengths: (E,) steps of each.
        terminated: (E,).
        truncated: (E,).

    Raises:
        ValueError: There is no episode, or the sizes do not add up.
    """
    if len(lengths) == 0:
        raise ValueError("no episode in it: record some")
    if lengths.min() < 1:
        raise ValueError(f"an episode has {lengths.min()} steps: give each 1 or more")
    total = int(lengths.sum())
    for name, part, rows in (
        ("observations", obs, total + len(lengths)),
        ("actions", acts, total),
        ("rewards", rews, total),
    ):
        if part is not None and len(part) != rows:
            raise ValueError(
                f"{len(part)} {name}, where {len(lengths)} episodes of {total} steps together have {rows}: "
                "lengths and arrays must agree, the last observation of each episode included"
            )
    stops = np.cumsum(lengths)
    return tuple(
        Episode(
            obs[stop - length + k : stop + k + 1],
            None if acts is None else acts[stop - length : stop],
            None if rews is None else rews[stop - length : stop],
            bool(terminated[k]),
            bool(truncated[k]),
        )
        for k, (stop, length) in enumerate(zip(stops, lengths, strict=True))
    )


def ends(name: str, array: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Flags of steps (N,) -> of episodes (E,).

    Raises:
        ValueError: Not as many as steps, or one that is set before its episode ends.
    """
    flags, stops = arrays.flags(name, array), np.cumsum(lengths)
    if len(lengths) == 0 or lengths.min() < 1 or len(flags) != stops[-1]:
        raise ValueError(
            f"{name} has {len(flags)} flags, the episodes have lengths {_few(lengths)}: one a step"
        )
    last = np.zeros(len(flags), bool)
    last[stops - 1] = True
    if np.any(flags & ~last):
        raise ValueError(
            f"{name} is set at step {np.argmax(flags & ~last)}, where no episode ends: write it again"
        )
    return flags[last]


def _few(lengths: np.ndarray) -> str:
    return (
        ", ".join(map(str, lengths[:5])) + (", ..." if len(lengths) > 5 else "")
        if len(lengths)
        else "of none"
    )
