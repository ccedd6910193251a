"""Look at demonstrations: print what they hold, and draw their returns.

python -m rlgen.demonstrations inspect demos/hopper.npz
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from rlgen import cli

arg = tyro.conf.arg


@dataclass(frozen=True)
class Config:
    """Check demonstrations against their environment, print a report, and draw the histogram of returns.

    Reads our npz, a Minari dataset (id or path), the legacy npz of imitation, flat D4RL-style npz or HDF5,
    and the HDF5 of openai/imitation. Nothing is unpickled.
    """

    command: tyro.conf.Positional[Annotated[str, cli.choice(("inspect",), "inspect")]]
    """What to do."""
    file: tyro.conf.Positional[Annotated[str, arg(metavar="FILE")]]
    """A file, a Minari dataset's folder, or its id."""
    env: Annotated[cli.MaybeText, cli.one(str, "ID", "by-file")] = None
    """Gymnasium id, where the file names none."""
    env_kwargs: Annotated[cli.MaybePairs, cli.PAIRS] = None
    """Arguments of the environment."""
    out: Annotated[cli.MaybePath, cli.one(Path, "FIGURE.png", "NAME_returns.png")] = None
    """Where to draw the histogram; a file in the working directory unless given."""
    download: bool = False
    """Let Minari download a dataset that is not at hand."""


def main(config: Config) -> None:
    """Print the report and the path of the histogram.

    Raises:
        ValueError: for what the user can mend.
    """
    from rlgen import training
    from rlgen.demonstrations import histogram, load, native_spaces, report

    if config.env:
        training.check_env_id(config.env)
    if config.out:
        cli.check_output("--out", config.out)
    limit = (config.env_kwargs or {}).get("max_episode_steps")
    demos = load(config.file, env_id=config.env, time_limit=limit, download=config.download)
    assert demos.env_id is not None
    kwargs = config.env_kwargs or demos.env_kwargs or {}
    venv = training.make_env(training.Setup(env=demos.env_id, env_kwargs=kwargs))
    demos = demos.fit(*native_spaces(venv), demos.env_id, kwargs.get("max_episode_steps"))
    venv.close()
    print(report(demos))
    if demos.returns is None:
        print("no rewards in it, hence no histogram of returns")
        return
    out = config.out or Path(f"{Path(config.file).stem}_returns.png")
    cli.check_output("--out", out)
    histogram.draw(demos, out)
    print(out)


if __name__ == "__main__":
    sys.exit(cli.run(main, Config))
