"""Watch, evaluate and record a run: what its policy earns of the environment's own reward.

    python -m rlgen.enjoy logs/vime/Ant-v5_1 -n 20 --video

The result stands in RUN/evaluation.json.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from rlgen import cli
from rlgen.files import write_json
from rlgen.folder import checkpoint_folders, has_final, latest_checkpoint

if TYPE_CHECKING:
    import numpy as np

    from rlgen.demonstrations import Demonstrations
    from rlgen.training import Setup

arg = tyro.conf.arg


@dataclass(frozen=True)
class Config:
    """Evaluate a run on the environment's own reward; render and record what it does."""

    run: tyro.conf.Positional[Annotated[Path, arg(metavar="RUN")]]
    """The run's folder."""
    episodes: Annotated[int, cli.whole("10"), arg(aliases=["-n"])] = 10
    """Episodes to play."""
    checkpoint: Annotated[cli.MaybePath, cli.one(Path, "DIR", "final")] = None
    """One of the run's checkpoints, such as RUN/checkpoints/step_50000; the newest unless given."""
    seed: Annotated[int, cli.seed("20000")] = 20_000
    """Episode k starts from seed + k."""
    stochastic: bool = False
    """Sample actions instead of taking the most likely one."""
    video: bool = False
    """Render the best of the episodes to RUN/videos."""
    record: Annotated[cli.MaybePath, cli.one(Path, "FILE.npz", "none")] = None
    """Save all episodes as demonstrations."""


@dataclass(frozen=True)
class Played:
    """One episode; T steps."""

    seed: int
    """Of `env.reset`."""
    obs: np.ndarray
    """(T + 1, O) raw, the last observation included."""
    actions: np.ndarray
    """(T, A) or (T,) as executed; Boxes scaled to [-1, 1]."""
    rewards: np.ndarray
    """(T,) the environment's own."""
    terminated: bool
    """Whether the MDP ended; else it was a time limit."""


def main(config: Config) -> dict[str, Any]:
    """Play, print, write RUN/evaluation.json, and return what it holds.

    Raises:
        ValueError: no run folder, a damaged checkpoint, a record that is not an .npz.
    """
    if config.record:
        cli.check_output("--record", config.record, ".npz")
    import numpy as np

    from rlgen import demonstrations, runs

    setup = runs.read_setup(config.run)
    folder = find_checkpoint(config.run, config.checkpoint)
    model, venv = runs.load(config.run, folder)
    played = [play(model, venv, config.seed + k, not config.stochastic) for k in range(config.episodes)]
    result = {"checkpoint": str(folder), "stochastic": config.stochastic, **summary(played)}
    print(
        f"{setup.env}: return {result['mean_return']:.4g} +- {result['std_return']:.4g} (sd of {len(played)} "
        f"episodes), length {result['mean_length']:.4g}"
    )
    if config.record:
        demos = as_demonstrations(setup.env, setup.env_kwargs, venv, played)
        demonstrations.save(config.record, demos, {"seeds": np.array([episode.seed for episode in played])})
        print(config.record)
    modes = venv.get_attr("metadata")[0].get("render_modes", [])
    venv.close()
    if config.video and "rgb_array" in modes:
        film(config.run, setup, played)
    elif config.video:
        print(f"warning: no video ({setup.env} has no pictures: render_modes {modes})", file=sys.stderr)
    write_json(config.run / "evaluation.json", result)
    return result


def find_checkpoint(run: Path, asked: Path | None) -> Path | None:
    """The newest intact checkpoint, or the one asked for by its path or its name, such as step_50000.

    Raises:
        ValueError: there is none of that name.
    """
    if asked is None:
        return latest_checkpoint(run)
    for place in (asked, run / "checkpoints" / asked, run / asked):
        if (place / "manifest.json").is_file():
            return place
    known = [path.name for path in checkpoint_folders(run)] + ["final"] * has_final(run)
    raise ValueError(f"--checkpoint {asked} is none; {run} has {', '.join(known) or 'none at all'}")


def play(model: Any, venv: Any, seed: int, deterministic: bool = True) -> Played:
    """Play one episode from a seed.

    Args:
        model: As `rlgen.load` gives it.
        venv: The environment beside it: one copy, a TransitionRecorder round it.
        seed: Of the reset.
        deterministic: Take the most likely action.
    """
    import numpy as np

    venv.seed(seed)
    noisy = not deterministic and getattr(model, "use_sde", False)
    lasts = model.sde_sample_freq if noisy and model.sde_sample_freq > 0 else sys.maxsize
    obs, steps, rewards = venv.reset(), [], []
    while not steps or not steps[-1].done[0]:
        if noisy and len(steps) % lasts == 0:  # from the learned deviations, as often as in training
            getattr(model, "actor", model.policy).reset_noise()
        action, _ = model.predict(obs, deterministic=deterministic)
        obs, reward, _, _ = venv.step(action)
        steps.append(venv.last)
        rewards.append(float(reward[0]))
    return Played(
        seed=seed,
        obs=np.concatenate([steps[0].obs, *(step.next_obs for step in steps)]),
        actions=np.concatenate([step.action for step in steps]),
        rewards=np.array(rewards, dtype=np.float32),
        terminated=bool(steps[-1].terminated[0]),
    )


def film(run: Path, setup: Setup, played: Sequence[Played]) -> None:
    """Render the best of some episodes to RUN/videos, and print the path."""
    from rlgen import training, video

    best = max(played, key=lambda episode: float(episode.rewards.sum()))
    episode = video.Episode(training.qualified(setup.env), setup.env_kwargs, best.seed, best.actions)
    out = video.render(episode, run / "videos" / f"seed{best.seed}")
    if out:
        print(out)


def summary(played: Sequence[Played]) -> dict[str, Any]:
    """Means and standard deviations over episodes, and every episode, as json."""
    import numpy as np

    returns = [float(episode.rewards.sum(dtype=np.float64)) for episode in played]
    lengths = [len(episode.rewards) for episode in played]
    return {
        "mean_return": float(np.mean(returns)),
        "std_return": float(np.std(returns)),
        "mean_length": float(np.mean(lengths)),
        "returns": returns,
        "lengths": lengths,
        "terminated": [episode.terminated for episode in played],
        "seeds": [episode.seed for episode in played],
    }


def as_demonstrations(
    env: str, env_kwargs: Mapping[str, Any], venv: Any, played: Sequence[Played]
) -> Demonstrations:
    """Episodes as demonstrations: actions as `gymnasium.make(env)` takes them, in its own units.

    Args:
        env: Gymnasium id.
        env_kwargs: Arguments of `gymnasium.make` beside it.
        venv: The environment that was played, whose Box actions may be rescaled.
        played: At least one episode.
    """
    import numpy as np
    from gymnasium.wrappers import RescaleAction

    from rlgen.demonstrations import Demonstrations, Episode

    native = None
    if venv.env_is_wrapped(RescaleAction)[0]:
        native = venv.env_method("get_wrapper_attr", "action")[0]
    episodes = []
    for episode in played:
        actions = episode.actions
        if native is not None:
            actions = np.stack([native(action) for action in actions])
        discrete = np.issubdtype(actions.dtype, np.integer)
        actions = actions.astype(np.int64 if discrete else np.float32)
        obs, ended = episode.obs.astype(np.float32), episode.terminated
        episodes.append(Episode(obs, actions, episode.rewards, terminated=ended, truncated=not ended))
    returns = [episode.rewards.sum(dtype=np.float64) for episode in played]
    return Demonstrations(tuple(episodes), env, float(np.mean(returns)), "recorded", dict(env_kwargs))


if __name__ == "__main__":
    sys.exit(cli.run(main, Config))
