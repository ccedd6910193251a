"""What a learned reward costs: wall time of SB3 with it over wall time of plain SB3.

    OMP_NUM_THREADS=1 python -m benchmarks.overhead --reward vime
    OMP_NUM_THREADS=1 python -m benchmarks.overhead --reward vime --cases ppo_ratio_cheap --rounds 21
    OMP_NUM_THREADS=1 python -m benchmarks.overhead --reward vime --cases sac_ratio --rounds 5 --warm-up 1
    OMP_NUM_THREADS=1 python -m benchmarks.overhead --reward gail --rounds 21 --demos FILE
        [--imitation-python PATH]

Both sides learn in turn in one process, one thread; a ratio is the median over rounds of the two times of a
round. A round is a number of whole rollouts (on-policy) or of steps behind the learning start (off-policy).
Plain is SB3 alone (make_vec_env, VecNormalize if the preset has it); ours has all of the command. Printed
beside each ratio: its range over rounds, gradient steps of the model a round, and what the model is worth on
data that it has not seen: for VIME its error over that of predicting no change, for GAIL its loss, 1.386 at
chance.

vime: each case is set up by the environment's preset, SAC's with a shorter learning start and buffer. Bars:
ppo_ratio and sac_ratio (Ant-v5) at most 1.15, ppo_ratio_cheap (SparseHalfCheetah) at most 1.25. Reference:
MaxInfoSAC 2.3 times SAC (its authors: 39 against 16.96 minutes for 100k steps on a GPU); a public port of
VIME to PPO 5.3 times (19.2 against 3.65 ms a step, from its published logs).

gail: PPO with SB3's defaults on Ant-v5, a rollout of 8 * 512 steps a round; FILE holds demonstrations,
RLGEN_DATA/demos/Ant-ho.npz unless given. Bars: ppo_ratio_4_updates at most 1.04 and ppo_ratio_16_updates at
most 1.08, with the discriminator of the library imitation (32-32, relu, no gradient penalty, 1024 transitions
of each side) and so many gradient steps a round; ppo_ratio_preset at most 1.15, with that of the imitation
preset. Peer: imitation 1.0.1 over the SB3 that it wants, if PATH is an interpreter that has them, as
imitation_peer.py says; its rounds alternate with ours. Measured elsewhere: imitation_ratio_4_updates 1.17,
imitation_ratio_16_updates 1.26.

Hardware of the committed records: 2 vCPU of an AMD EPYC.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.vec_env import VecEnv

from benchmarks.demonstrations import ant_demonstrations
from benchmarks.records import RESULTS, check_results, write_number
from benchmarks.sides import Metered, Peer, Side
from benchmarks.timing import check_rounds, spread, take_turns
from rlgen import cli, demonstrations
from rlgen.presets import imitation_preset_for, preset_for
from rlgen.recorder import flat_sizes
from rlgen.rewards import GAIL, Transitions
from rlgen.train_vime import make_bonus
from rlgen.training import Setup

VIME_CASES = {
    "ppo_ratio": ("Ant-v5", "ppo", 8192),
    "ppo_ratio_cheap": ("rlgen/SparseHalfCheetah-v0", "ppo", 8192),
    "sac_ratio": ("Ant-v5", "sac", 2000),
}
GAIL_CASES = {"ppo_ratio_4_updates": 4, "ppo_ratio_16_updates": 16, "ppo_ratio_preset": None}
"""Gradient steps of the discriminator a round; None for the preset."""
GAIL_SETUP = Setup("Ant-v5", n_envs=8, hyperparams={"n_steps": 512})
ROLLOUT = 8 * 512
AS_IMITATION: dict[str, Any] = {
    "hidden": (32, 32),
    "activation": "relu",
    "learning_rate": 1e-3,
    "batch_size": 1024,
    "gradient_penalty": 0.0,
}


@dataclass(frozen=True)
class Config:
    """Measure the cost of a learned reward."""

    reward: Literal["vime", "gail"] = "vime"
    """Which reward."""
    cases: tuple[str, ...] = ()
    """Which figures; all of the reward unless given."""
    demos: Path | None = None
    """Demonstrations of Ant-v5 for gail; RLGEN_DATA/demos/Ant-ho.npz unless given."""
    imitation_python: str | None = None
    """Interpreter that has the library imitation."""
    rounds: int = 7
    """Measured rounds, at least five."""
    warm_up: int = 2
    """Rounds before them."""
    results: Path = field(default_factory=lambda: RESULTS)
    """Folder of the records."""


def measure_vime(name: str, config: Config) -> dict[str, float]:
    """One ratio."""
    env, algo, steps = VIME_CASES[name]
    preset = preset_for(env, algo)[1]
    hyperparams: dict[str, Any] = dict(preset.hyperparams)
    if algo == "sac":
        hyperparams |= {"learning_starts": 200, "buffer_size": 100_000}
    normalize = preset.normalize_obs, preset.normalize_reward
    setup = Setup(env, {}, algo, preset.n_envs, 0, "cpu", *normalize, hyperparams)
    ours = Side(setup, steps, vime_learner)
    return compare(name, Side(setup, steps), ours, "error_over_persistence", config)


def vime_learner(venv: VecEnv) -> Metered:
    """VIME as the command builds it."""
    reward = make_bonus("expected", "default", *flat_sizes(venv), seed=0)
    assert reward is not None
    return Metered(reward)


def measure_gail(name: str, config: Config) -> dict[str, float]:
    """One ratio, and imitation's for as many gradient steps."""
    expert, updates = expert_transitions(ant_demonstrations(config.demos)), GAIL_CASES[name]
    plain, ours = Side(GAIL_SETUP, ROLLOUT), Side(GAIL_SETUP, ROLLOUT, partial(gail_learner, expert, updates))
    if updates is None or config.imitation_python is None:
        return compare(name, plain, ours, "loss", config)
    peer = Peer(config.imitation_python, expert, updates)
    try:
        return compare(name, plain, ours, "loss", config, peer)
    finally:
        peer.close()


def expert_transitions(file: Path) -> Transitions:
    """All transitions of the demonstrations."""
    env = gym.make(GAIL_SETUP.env)
    demos = demonstrations.load(file, env_id=GAIL_SETUP.env)
    expert = demos.fit(env.observation_space, env.action_space, GAIL_SETUP.env).transitions()
    env.close()
    return expert


def gail_learner(expert: Transitions, updates: int | None, venv: VecEnv) -> Metered:
    """GAIL as the command builds it, or with the discriminator of imitation and `updates` steps a round."""
    preset = imitation_preset_for(GAIL_SETUP.env, GAIL_SETUP.algo)[1]
    if updates is None:
        reward = GAIL(expert, **preset.settings)
    else:
        reward = GAIL(expert, form="positive", updates_per_transition=updates / ROLLOUT, **AS_IMITATION)
    return Metered(reward, env_weight=0.0, refit_every=preset.refit_every)


def compare(
    name: str, plain: Side, ours: Side, quality: str, config: Config, peer: Peer | None = None
) -> dict[str, float]:
    """The ratios of one case, printed with what explains them, and recorded."""
    sides: list[Callable[[], float]] = [plain.round, ours.round]
    if peer is not None:
        sides += [partial(peer.round, "plain"), partial(peer.round, "gail")]
    take_turns(sides, config.warm_up)
    assert ours.learner is not None
    ours.learner.metrics.clear()
    seconds = take_turns(sides, config.rounds)  # (R, S)
    facts = {
        "gradient_steps_a_round": sum(ours.learner.metrics["n_updates"]) / config.rounds,
        quality: float(np.mean(ours.learner.metrics[quality])),
    }
    for fact, value in facts.items():
        print(f"{name}_{fact}: {value:.4g}")
    found = {name: note(name, seconds[:, :2], ours.steps, config, **facts)}
    if peer is not None:
        figure = name.replace("ppo_ratio", "imitation_ratio")
        found[figure] = note(figure, seconds[:, 2:], ours.steps, config, peer=peer.versions)
    return found


def note(figure: str, seconds: np.ndarray, steps: int, config: Config, **facts: Any) -> float:
    """Print and record the median ratio of seconds (R, 2), plain and with the reward."""
    ratio, found = spread(seconds[:, 1] / seconds[:, 0])
    speed = steps / np.median(seconds[:, 0])
    print(
        f"{len(seconds)} rounds of {steps} steps, {speed:.0f} steps/s plain, ratios {found['least']:.3f} to "
        f"{found['most']:.3f}"
    )
    print(f"{figure}: {ratio:.3f}", flush=True)
    path = config.results / "overhead" / config.reward / f"{figure}.json"
    write_number(path, figure, ratio, "ratio of wall times", **found, **facts)
    return ratio


def main(config: Config) -> dict[str, float]:
    """Measure each case.

    Raises:
        ValueError: an unknown case, fewer than five rounds, no demonstrations, no imitation.
    """
    check_results(config.results)
    check_rounds(config.rounds)
    known, measure = (VIME_CASES, measure_vime) if config.reward == "vime" else (GAIL_CASES, measure_gail)
    cases = config.cases or tuple(known)
    for name in cases:
        cli.check_known("case", name, list(known))
    torch.set_num_threads(1)
    found: dict[str, float] = {}
    for name in cases:
        found |= measure(name, config)
    if config.reward == "gail" and config.imitation_python is None:
        print(
            "imitation_ratio_4_updates and imitation_ratio_16_updates left out: --imitation-python is missing"
        )
    return found


if __name__ == "__main__":
    sys.exit(cli.run(main, Config))
