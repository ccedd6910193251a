"""Does a run that was killed end as one that was not? `kill -9` at random times, then `--resume`, bit by bit.

    python -m benchmarks.resume
    python -m benchmarks.resume --command gail --demos FILE

VIME on Ant-v5 and Humanoid-v5, GAIL on Ant-v5, each with PPO (with VecNormalize) and SAC and small networks:
one run of `python -m rlgen.train_vime` or `rlgen.gail` is left alone, another is killed at five random times
and resumed after each. Both `final/` folders are then compared bit by bit: parameters, optimisers, the
learned reward with its data, statistics, counters, random generators, the replay buffer, the episodes under
way; only clocks may differ. `different` counts the entries that are not the same; `mid_episode` counts, over
the checkpoints that were resumed, environments that stood in the middle of an episode.

Bar: `different` is 0 everywhere. About ten minutes on two cores, two for GAIL. FILE holds demonstrations of
Ant-v5; RLGEN_DATA/demos/Ant-ho.npz unless given.

Hardware of the committed record: 2 vCPU of an AMD EPYC.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from benchmarks.demonstrations import ant_demonstrations
from benchmarks.records import RESULTS, check_results, write_number
from rlgen import cli
from rlgen.folder import checkpoint_folders, latest_checkpoint, step_of

ROOT = Path(__file__).parents[1]
PPO = ["--n-envs", "4", "-params", "n_steps:128", "batch_size:128", "n_epochs:4"]
SAC = ["-params", "learning_starts:200", "batch_size:64", "buffer_size:2000"]
NETWORK = "policy_kwargs:{'net_arch': [32, 32]}"
FLAGS = {"ppo": [*PPO, NETWORK], "sac": [*SAC, NETWORK]}
SAVE_FREQ = {"ppo": 1024, "sac": 300}  # a second or three
ENVS = {"train_vime": ("Ant-v5", "Humanoid-v5"), "gail": ("Ant-v5",)}
REWARD = {"train_vime": "expected", "gail": "gail"}
"""Name of the records."""


@dataclass(frozen=True)
class Config:
    """Kill runs and resume them."""

    command: Literal["train_vime", "gail"] = "train_vime"
    """Which command of rlgen."""
    demos: Path | None = None
    """Demonstrations of Ant-v5 for gail; RLGEN_DATA/demos/Ant-ho.npz unless given."""
    envs: tuple[str, ...] = ()
    """Environments; all of the command unless given."""
    algos: tuple[str, ...] = ("ppo", "sac")
    """Algorithms: ppo, sac."""
    kills: int = 5
    """How often each run is killed."""
    seed: int = 0
    """Of the run; and of the moments at which it is killed."""
    results: Path = field(default_factory=lambda: RESULTS)
    """Where records go."""


class Process:
    """A run of a command in a folder of logs of its own."""

    def __init__(self, logs: Path, command: str, flags: list[str]) -> None:
        logs.mkdir()
        self.logs, self.command, self.flags = logs, command, [*flags, "-f", str(logs)]

    @property
    def run(self) -> Path | None:
        """The run's folder, once there is one."""
        return next(self.logs.glob("*/*_1"), None)

    def start(self) -> subprocess.Popen:
        """Begin the run, or resume it."""
        flags = ["--resume", str(self.run)] if self.run else self.flags
        command = [sys.executable, "-m", f"rlgen.{self.command}", *flags]
        threads = {"OMP_NUM_THREADS": "1", **os.environ}
        with open(self.logs / "said.txt", "a") as file:
            return subprocess.Popen(command, cwd=ROOT, env=threads, stdout=file, stderr=subprocess.STDOUT)

    def finish(self) -> Path:
        """Let it run to its end, and return `final/`.

        Raises:
            RuntimeError: it failed.
        """
        process = self.start()
        if process.wait() or self.run is None:
            raise RuntimeError(f"the run failed ({process.returncode}):\n{self.said()}")
        return self.run / "final"

    def said(self) -> str:
        """All output so far."""
        return (self.logs / "said.txt").read_text()

    def kill(self, wait: float) -> None:
        """Start it, and kill it after its second new checkpoint by `wait` of the time between the two."""
        process = self.start()
        first, second = self._await_checkpoint(process), self._await_checkpoint(process)
        time.sleep(wait * (second - first))
        process.send_signal(signal.SIGKILL)
        process.wait()

    def _await_checkpoint(self, process: subprocess.Popen) -> float:
        """The time at which the next checkpoint appears."""
        before = self._newest()
        while self._newest() == before:
            if process.poll() is not None:
                raise RuntimeError(f"the run ended unkilled ({process.returncode}):\n{self.said()}")
            time.sleep(0.01)
        return time.monotonic()

    def _newest(self) -> int:
        folders = checkpoint_folders(self.run) if self.run else []
        return step_of(folders[-1]) if folders else 0


def mid_episode(checkpoint: Path) -> int:
    """How many environments have made steps since their last reset."""
    episodes = torch.load(checkpoint / "state.pt", weights_only=True)["episodes"]
    return sum(episode["actions"] is not None for episode in episodes)


def contents(final: Path) -> dict[str, Any]:
    """All that a checkpoint holds, flat: a dotted name and a tensor or plain value, without clocks."""
    found: dict[str, Any] = {}
    for name in ("state.pt", "generators.pt"):
        found |= dict(_flat(name, torch.load(final / name, weights_only=True)))
    if (final / "replay.npz").exists():
        with np.load(final / "replay.npz", allow_pickle=False) as arrays:
            found |= {f"replay.{name}": torch.from_numpy(arrays[name]) for name in arrays}
    return {name: value for name, value in found.items() if not _clock(name)}


def _clock(name: str) -> bool:
    return (".ep_info." in name and name.endswith(".t")) or ".time/" in name


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from _flat(f"{name}.{key}", item)
    else:
        yield name, value


def differences(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """Names of entries that are not the same in every bit."""

    def bits(value: Any) -> Any:
        tensor = isinstance(value, torch.Tensor)
        return (value.dtype, value.shape, value.numpy().tobytes()) if tensor else repr(value)

    return sorted(name for name in a.keys() | b.keys() if bits(a.get(name)) != bits(b.get(name)))


def measure(env: str, algo: str, config: Config, folder: Path) -> dict[str, int]:
    """Run one case both ways and compare."""
    rng = random.Random(f"{config.seed} {env} {algo}")
    # Each life makes at most three intervals; one more is left for the end.
    steps = SAVE_FREQ[algo] * (3 * config.kills + 2)
    flags = ["--env", env, "--algo", algo, "-n", str(steps), "--save-freq", str(SAVE_FREQ[algo])]
    flags += ["--eval-freq", str(steps // 3), "--eval-episodes", "1", "--seed", str(config.seed)]
    flags += FLAGS[algo]
    if config.command == "gail":
        flags += ["--demos", str(ant_demonstrations(config.demos)), "--subsample", "20", "--bc-epochs", "5"]
    whole = Process(folder / "whole", config.command, flags).finish()
    broken = Process(folder / "broken", config.command, flags)
    middle = 0
    for _ in range(config.kills):
        broken.kill(rng.random())
        checkpoint = latest_checkpoint(broken.run) if broken.run else None
        assert checkpoint is not None, "kill waits for a checkpoint"
        middle += mid_episode(checkpoint)
    a, b = contents(whole), contents(broken.finish())
    different = differences(a, b)
    print(*different[:20], sep="\n", end="\n" if different else "")
    return {"different": len(different), "compared": len(a), "kills": config.kills, "mid_episode": middle}


def main(config: Config) -> None:
    """Measure, print and record each case.

    Raises:
        ValueError: gail without demonstrations.
    """
    check_results(config.results)
    reward = REWARD[config.command]
    for env in config.envs or ENVS[config.command]:
        for algo in config.algos:
            with tempfile.TemporaryDirectory() as folder:
                found = measure(env, algo, config, Path(folder))
            case = f"{env.partition('-')[0].lower()}{'_gail' * (reward == 'gail')}_{algo}"
            for name, value in found.items():
                print(f"{case}_{name}: {value}", flush=True)
            path = config.results / "resume" / env / f"{algo}-{reward}" / f"seed{config.seed}.json"
            different, more = found.pop("different"), dict[str, Any](found)
            write_number(path, "different", different, "entries of final/", **more)


if __name__ == "__main__":
    sys.exit(cli.run(main, Config))
