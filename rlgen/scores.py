"""How well an imitator does: the environment's own return, between chance (0) and the demonstrations (1)."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from rlgen.training import Setup, make_env

RANDOM_SEED = 10_000
"""Of the random actions and where they start from: 0 on the scale of scores, the same in every run."""
WON_TRANSITIONS = 100_000
"""Transitions in a row that a discriminator tells apart before it is said to have won. SAC on HalfCheetah had
16,400 and became an expert; against PPO it seldom stays ahead for two rollouts."""
WON_REFITS = 10
"""Refits in a row besides, which count where a batch of the paper's setting has 50,000 transitions."""

ADVICE = (
    "the discriminator has told policy and demonstrations apart for {transitions:,} steps (accuracy over "
    "0.99), so that its reward says little: try --reward-params {settings}, or more demonstrations; ask "
    "first whether the file fits (python -m rlgen.demonstrations inspect)"
)
TRY_PAPER = "gradient_penalty:10 or learning_rate:1e-4, --bc-epochs 100"
TRY_ON_POLICY = f"updates_per_transition:0.002 or {TRY_PAPER}"
TRY_OFF_POLICY = (
    "updates_per_transition:0.25 or learning_rate:1e-4 or gradient_target:0.3 or statistics:expert_all"
)


LONGEST_EPISODE = 100_000
"""Steps after which an episode of random actions is taken to have no end."""


def random_return(setup: Setup, episodes: int = 10) -> float:
    """Mean return of uniformly random actions, the same for every seed of the run.

    Raises:
        ValueError: An episode that does not end.
    """
    venv = make_env(replace(setup, n_envs=1, seed=RANDOM_SEED, normalize_obs=False, normalize_reward=False))
    venv.action_space.seed(RANDOM_SEED)
    venv.reset()
    returns: list[float] = []
    steps = 0
    while len(returns) < episodes:
        _, _, _, infos = venv.step(np.stack([venv.action_space.sample()]))
        ended = [info["episode"]["r"] for info in infos if "episode" in info]
        returns += ended
        steps = 0 if ended else steps + 1
        if steps >= LONGEST_EPISODE:
            raise ValueError(
                f"an episode of {setup.env} has not ended after {steps:,} random steps: give it a time "
                "limit, --env-kwargs max_episode_steps:1000"
            )
    venv.close()
    return float(np.mean(returns))


def score(value: float, random: float, expert: float) -> float:
    """(R - R_random) / (R_expert - R_random); nan where the expert earns what random actions do."""
    return (value - random) / (expert - random) if expert != random else float("nan")


def verdict(value: float, random: float, demonstrations: float | None, expert: float | None) -> str:
    """A line that says where a return stands.

    Args:
        value: the return.
        random: return of random actions.
        demonstrations: mean return of the demonstrations; None where they hold no rewards.
        expert: mean return of all that the expert played; None where the file does not tell it.
    """
    known = {"random": random, "demonstrations": demonstrations, "the expert's unfiltered episodes": expert}
    listed = ", ".join(f"{name} {level:.5g}" for name, level in known.items() if level is not None)
    if demonstrations is None:
        told = "the demonstrations hold no rewards"
    elif demonstrations == random:
        told = "no score, the demonstrations earn what random actions do"
    else:
        told = f"score {score(value, random, demonstrations):.3f}"
    if expert is not None and expert != random:
        told += f", {score(value, random, expert):.3f} against the unfiltered expert"
    return f"return {value:.5g} ({listed}): {told}"


class ImitationReport(BaseCallback):
    """Logs the score of the last training episodes, and says when the discriminator has won.

    Logs `gail/score`, of the stochastic policy's last 100 episodes. List it after `LearnReward`.

    Args:
        random: return of random actions.
        demonstrations: mean return of the demonstrations; None where they hold no rewards.
        paper: Whether the discriminator is fitted as published, on whole batches.
    """

    def __init__(self, random: float, demonstrations: float | None, paper: bool = False) -> None:
        super().__init__()
        self.random, self.demonstrations, self.paper = random, demonstrations, paper
        self.refits = 0
        self.warned = False

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        episodes = [episode["r"] for episode in self.model.ep_info_buffer or []]
        if episodes and self.demonstrations not in (None, self.random):
            value = score(float(np.mean(episodes)), self.random, self.demonstrations)
            self.logger.record("gail/score", value)
        won = self.logger.name_to_value.get("gail/won_transitions")
        if won is None:  # no refit in this rollout, or SB3 has written the log and emptied it
            return
        self.refits = self.refits + 1 if won > 0 else 0
        told = won >= WON_TRANSITIONS and self.refits >= WON_REFITS
        if told and not self.warned:
            on_policy = TRY_PAPER if self.paper else TRY_ON_POLICY
            settings = on_policy if isinstance(self.model, OnPolicyAlgorithm) else TRY_OFF_POLICY
            print(f"warning: {ADVICE.format(transitions=int(won), settings=settings)}", file=sys.stderr)
        self.warned = told or (self.warned and won > 0)
