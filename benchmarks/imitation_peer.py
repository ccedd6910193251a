"""Plain SB3 and GAIL of the library `imitation`: benchmarks/overhead.py starts this and asks for rounds.

    PYTHON benchmarks/imitation_peer.py DEMOS.npz UPDATES

PYTHON has imitation 1.0.1, and with it older versions of SB3 and gymnasium than ours:

    python -m venv ENV && ENV/bin/pip install imitation==1.0.1 'gymnasium[mujoco]'

The first line on stdout holds the versions; then each line on stdin, "plain" or "gail", is answered by the
seconds of a round: a rollout of 8 * 512 steps under SB3's defaults, by `PPO.learn`, or by `GAIL.train` with
UPDATES steps of the discriminator. That is the one of imitation's tutorial: 32-32, relu, running
normalisation, Adam, 1024 transitions of each side. Two things that its users mostly have are left out, in its
favour: loggers that write, and the wrapper that keeps whole episodes, which training does not need.

gymnasium 0.29 has no Ant-v5: this is Ant-v4 with contact forces, the same body. It shows six zeros more, the
forces on the world, and they are put into the demonstrations too.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version

import numpy as np
import torch
from imitation.algorithms.adversarial.gail import GAIL  # type: ignore[import-not-found]
from imitation.data.types import Transitions  # type: ignore[import-not-found]
from imitation.rewards.reward_nets import BasicRewardNet  # type: ignore[import-not-found]
from imitation.util import logger, networks  # type: ignore[import-not-found]
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

PACKAGES = ("imitation", "stable-baselines3", "gymnasium", "mujoco", "torch", "numpy")
N_ENVS, N_STEPS = 8, 512
JOINTS = 27
"""Observations before the contact forces."""


def demonstrations(file: str, obs_size: int) -> Transitions:
    """The file's transitions; zeros fill what observations lack."""
    with np.load(file) as arrays:
        obs, acts, next_obs, dones = (arrays[key] for key in ("obs", "acts", "next_obs", "dones"))
    lacking = np.zeros((len(obs), obs_size - obs.shape[1]), obs.dtype)
    obs, next_obs = (np.hstack([o[:, :JOINTS], lacking, o[:, JOINTS:]]) for o in (obs, next_obs))
    return Transitions(obs, acts, np.array([{}] * len(obs)), next_obs, dones.astype(bool))


def ppo() -> PPO:
    """A new model in environments of its own."""
    venv = make_vec_env("Ant-v4", N_ENVS, seed=0, env_kwargs={"use_contact_forces": True})
    return PPO("MlpPolicy", venv, n_steps=N_STEPS, seed=0, device="cpu")


def gail(file: str, updates: int) -> GAIL:
    """imitation's trainer, with a model of its own."""
    model = ppo()
    venv = model.get_env()
    assert venv is not None and venv.observation_space.shape is not None
    return GAIL(
        demonstrations=demonstrations(file, venv.observation_space.shape[0]),
        demo_batch_size=1024,
        venv=venv,
        gen_algo=model,
        reward_net=BasicRewardNet(
            venv.observation_space, venv.action_space, normalize_input_layer=networks.RunningNorm
        ),
        n_disc_updates_per_round=updates,
        custom_logger=logger.configure("log", ()),
        allow_variable_horizon=True,
    )


def main(file: str, updates: int) -> None:
    """Answer until stdin ends."""
    answers, sys.stdout = sys.stdout, sys.stderr
    torch.set_num_threads(1)
    plain, trainer, steps = ppo(), gail(file, updates), N_ENVS * N_STEPS
    sides = {
        "plain": lambda: plain.learn(steps, reset_num_timesteps=False),
        "gail": lambda: trainer.train(steps),
    }
    print(json.dumps({name: version(name) for name in PACKAGES}), file=answers, flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        sides[line.strip()]()
        print(time.perf_counter() - start, file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
