"""Videos of recorded episodes, rendered in a child process with an OpenGL of its own.

MuJoCo binds its OpenGL when it is imported, and the wrong choice breaks even that import: the process that
trains never touches MUJOCO_GL. The child replays seed and actions and writes a gif, or an mp4 where the
`video` extra is installed.

    python -m rlgen.video EPISODE.npz VIDEO.gif       (what `render` runs)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rlgen.files import replace_file

MAX_FRAMES = 300
"""A longer episode shows every second, third ... frame: software rendering takes about 0.1 s a frame."""

TIME_LIMIT = 600
"""Seconds after which a child is given up."""


_NO_OPENGL = (
    "rendering without a display needs EGL or OSMesa "
    "(Debian, Ubuntu: apt install libegl1 libgl1-mesa-dri, or libosmesa6)"
)


@dataclass(frozen=True)
class Episode:
    """What it takes to see an episode again."""

    env: str
    """Environment id, with the module that registers it (`envs:rlgen/SparseAnt-v0`) where one does."""
    env_kwargs: Mapping[str, Any]
    """Arguments of `gymnasium.make`."""
    seed: int
    """Of `env.reset`."""
    actions: Any
    """(T, A) or (T,) as executed; Boxes scaled to [-1, 1]."""


def backends(environ: Mapping[str, str], platform: str = sys.platform) -> list[str | None]:
    """Values of MUJOCO_GL to try in turn, None to leave it unset: the user's own alone, if there is one."""
    if environ.get("MUJOCO_GL"):
        return [environ["MUJOCO_GL"]]
    if not platform.startswith("linux"):
        return [None]
    headless: list[str | None] = ["egl", "osmesa"]
    return [None, *headless] if environ.get("DISPLAY") else headless


def render(episode: Episode, out: Path) -> Path | None:
    """Render an episode to `out`, whose suffix becomes .mp4 or .gif.

    Returns:
        The video's path, or None after a warning that says why there is none. Never raises for a failure of
        rendering.
    """
    import numpy as np

    out = out.with_suffix(".mp4" if find_spec("imageio_ffmpeg") else ".gif")
    why = "no OpenGL"
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "episode.npz"
        text = {"env": episode.env, "env_kwargs": json.dumps(dict(episode.env_kwargs))}
        np.savez(job, seed=episode.seed, actions=np.asarray(episode.actions), **text)  # type: ignore[arg-type]
        for backend in backends(os.environ):
            why = _run_child(job, out, backend)
            if not why:
                return out
            if "DependencyNotInstalled" in why:
                break
    why = " ".join(why.split())
    advice = "" if "DependencyNotInstalled" in why else f"; {_NO_OPENGL}"  # a missing package names itself
    print(f"warning: no video ({why}){advice}", file=sys.stderr)
    return None


def _run_child(job: Path, out: Path, backend: str | None) -> str:
    """Render in a child process; the reason of a failure, or nothing."""
    environ = {**os.environ, "PYTHONWARNINGS": "ignore"}
    if backend:
        environ["MUJOCO_GL"] = backend
        if backend in ("egl", "osmesa"):
            environ["PYOPENGL_PLATFORM"] = backend
    command = [sys.executable, "-m", "rlgen.video", str(job), str(out)]
    try:
        child = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=TIME_LIMIT)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{backend}: {error}"
    if child.returncode == 0 and out.exists():
        return ""
    lines = [line for line in child.stderr.splitlines() if line.strip()]
    return f"{backend or 'display'}: {lines[-1] if lines else f'exit status {child.returncode}'}"


def main(job: Path, out: Path) -> None:
    """Replay the episode in `job` and write its frames."""
    import imageio.v2 as imageio

    frames, fps = replay(job)
    mp4 = {"fps": fps, "macro_block_size": 2}  # an even size is all that players want
    options = mp4 if out.suffix == ".mp4" else {"duration": 1000 / fps, "loop": 0}
    replace_file(out, lambda partial: imageio.mimwrite(partial, frames, **options))  # type: ignore[arg-type]


def replay(job: Path) -> tuple[list, float]:
    """At most about MAX_FRAMES frames (H, W, 3) uint8, and how many of them make a second."""
    import gymnasium as gym
    import mujoco
    import numpy as np

    # Kept off the console and out of MUJOCO_LOG.TXT: the run has said it.
    mujoco.set_mju_user_warning(lambda message: None)  # type: ignore[attr-defined]
    data = dict(np.load(job, allow_pickle=False))
    actions = data["actions"]
    env = gym.make(str(data["env"]), render_mode="rgb_array", **json.loads(str(data["env_kwargs"])))
    if isinstance(env.action_space, gym.spaces.Box):
        env = gym.wrappers.RescaleAction(env, -1, 1)  # type: ignore[arg-type]  # floats would warn
    stride = -(-len(actions) // MAX_FRAMES) or 1
    try:
        env.reset(seed=int(data["seed"]))
        frames = [env.render()]
        for t, action in enumerate(actions, start=1):
            ended = any(env.step(action)[2:4])
            if t % stride == 0 or ended:
                frames.append(env.render())
            if ended:
                break
        return frames, env.metadata.get("render_fps", 30) / stride
    finally:
        env.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
