"""The sides of the overhead benchmark: models that learn in rounds, here or in another interpreter."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.wrappers import RescaleAction
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from rlgen.relabel import LearnReward
from rlgen.rewards import Transitions
from rlgen.training import Setup, make_env, make_model, qualified

PEER = Path(__file__).with_name("imitation_peer.py")


class Metered(LearnReward):
    """Keeps what the reward logs."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.metrics: dict[str, list[float]] = {}

    def _log(self, metrics: dict[str, float]) -> None:
        super()._log(metrics)
        for key, value in metrics.items():
            self.metrics.setdefault(key, []).append(value)


class Side:
    """A model that learns in rounds.

    Args:
        setup: Of model and environments.
        steps: Of a round, all environments together.
        make_learner: The learned reward for these environments; None for plain SB3.
    """

    def __init__(
        self, setup: Setup, steps: int, make_learner: Callable[[VecEnv], Metered] | None = None
    ) -> None:
        venv = make_env(setup) if make_learner else plain_env(setup)
        self.model, self.steps = make_model(setup, venv), steps
        self.learner = make_learner(venv) if make_learner else None

    def round(self) -> float:
        """Learn, and return the seconds it took."""
        start = time.perf_counter()
        self.model.learn(self.steps, callback=self.learner, reset_num_timesteps=False)
        return time.perf_counter() - start


def plain_env(setup: Setup) -> VecEnv:
    """What an SB3 user would build."""
    rescale: Any = partial(RescaleAction, min_action=-1, max_action=1)  # type: ignore[arg-type]
    venv = make_vec_env(qualified(setup.env), setup.n_envs, setup.seed, wrapper_class=rescale)
    if not (setup.normalize_obs or setup.normalize_reward):
        return venv
    gamma = setup.hyperparams.get("gamma", 0.99)
    return VecNormalize(venv, setup.normalize_obs, norm_reward=setup.normalize_reward, gamma=gamma)


class Peer:
    """SB3 and `imitation` in an interpreter that has both; it learns a round when asked, and rests meanwhile.

    Args:
        python: The interpreter, by path or name.
        expert: Demonstrations.
        updates: Gradient steps of its discriminator a round.

    Raises:
        ValueError: No such interpreter, or the worker ended; the message has its last words.
    """

    def __init__(self, python: str, expert: Transitions, updates: int) -> None:
        found = shutil.which(python)
        if found is None:
            raise ValueError(f"--imitation-python {python}: no such interpreter")
        self.python, self.folder = python, tempfile.TemporaryDirectory()
        demos, self.said = Path(self.folder.name) / "demos.npz", Path(self.folder.name) / "said.txt"
        obs, acts, next_obs, dones = (part.numpy() for part in expert)
        np.savez(demos, obs=obs, acts=acts, next_obs=next_obs, dones=dones)
        # -I: the scripts beside the worker must not be found as modules.
        command = [str(Path(found).absolute()), "-I", str(PEER), str(demos), str(updates)]
        pipe = subprocess.PIPE
        with open(self.said, "w") as file:
            self.process = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=file, text=True, cwd=self.folder.name
            )
        try:
            self.versions: dict[str, str] = json.loads(self._answer())
        except ValueError:
            self.close()
            raise

    def round(self, algo: str) -> float:
        """Let "plain" or "gail" learn, and return the seconds it took."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # _answer has the reason
            self.process.stdin.write(algo + "\n")
            self.process.stdin.flush()
        return float(self._answer())

    def _answer(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            words = self.said.read_text().splitlines() or ["it said nothing"]
            raise ValueError(f"--imitation-python {self.python} ended: {words[-1]}")
        return line

    def close(self) -> None:
        """End it."""
        self.process.communicate()
        self.folder.cleanup()
