"""What a plan of `rlgen.gail` is built from: its demonstrations and its reward."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from stable_baselines3.common.vec_env import VecEnv

from rlgen import demonstrations, training
from rlgen.demonstrations import Demonstrations
from rlgen.recorder import flat_sizes
from rlgen.rewards import GAIL, LearnedReward, load_reward
from rlgen.training import Setup


def check_without_actions(plan: dict[str, Any]) -> None:
    """Refuse what needs the actions of the demonstrations.

    Raises:
        ValueError: cloning, or a new discriminator that looks at actions.
    """
    if plan["bc_epochs"]:
        raise ValueError(
            "the demonstrations hold no actions, cloning needs them: leave --bc-epochs and --algo bc out and "
            "pass --reward-params state_only:True"
        )
    if not (plan["reward"] or plan["reward_params"].get("state_only")):
        raise ValueError(
            "the demonstrations hold no actions: imitate states alone, --reward-params state_only:True"
        )


def load_demonstrations(plan: dict[str, Any], setup: Setup) -> Demonstrations:
    """The plan's demonstrations, as the environment's spaces have them.

    Raises:
        ValueError: the file is not there, not readable, or does not fit the environment.
    """
    training.check_env_id(setup.env)
    limit = setup.env_kwargs.get("max_episode_steps")
    demos = demonstrations.load(plan["demos"], env_id=setup.env, time_limit=limit).take(plan["n_demos"])
    venv = training.make_env(replace(setup, n_envs=1, normalize_obs=False, normalize_reward=False))
    fitted = demos.fit(*demonstrations.native_spaces(venv), setup.env, limit)
    venv.close()
    return fitted


def doubtful_form(demos: Demonstrations, plan: dict[str, Any]) -> str | None:
    """What to say where a reward that is positive at every step will put off the ends that experts seek."""
    ended = sum(episode.terminated for episode in demos.episodes)
    rules = plan["reward_params"]
    if ended * 2 < len(demos.episodes) or rules.get("form") != "positive" or rules.get("absorbing"):
        return None
    return (
        f"{ended} of {len(demos.episodes)} demonstrations end before the time limit, and the reward, above 0 "
        "at every step, pays for going on: if they end in success, pass --form negative, else "
        "--reward-params absorbing:True"
    )


def make_reward(plan: dict[str, Any], demos: Demonstrations, seed: int) -> LearnedReward:
    """A new discriminator, as the plan wants it.

    Raises:
        ValueError: an unknown or bad setting, or one that the memory has no room for.
    """
    own = {
        "expert": demos.transitions(plan["subsample"], seed),
        "expert_counts": (sum(episode.terminated for episode in demos.episodes), demos.n_steps),
        "setting": plan["setting"],
        "seed": seed,
    }
    for name in own.keys() & plan["reward_params"].keys():
        raise ValueError(f"{name} is no setting of the reward: see --demos, --setting and --seed")
    try:
        return GAIL(**own, **plan["reward_params"])
    except (RuntimeError, MemoryError) as error:
        if "alloc" not in str(error):
            raise
        raise ValueError(
            f"the reward does not fit into the memory ({error}): lower pool_size or hidden in --reward-params"
        ) from error


def trained_reward(file: str, env: str, venv: VecEnv) -> LearnedReward:
    """The trained reward behind `--reward`, which stays as it is.

    Args:
        file: Path of the file.
        env: Id of the environment to train on.
        venv: That environment.

    Raises:
        ValueError: a file that holds no reward, or one of another environment.
    """
    try:
        reward = load_reward(file)
    except (ValueError, OSError) as error:
        raise ValueError(f"--reward {error}") from error
    sizes = flat_sizes(venv)
    same = (reward.obs_dim, reward.action_dim) == (sizes[0], 0 if reward.state_only else sizes[1])
    if not same or reward.env_id not in (None, env.rpartition(":")[2]):
        whose = reward.env_id or "another environment"
        raise ValueError(
            f"--reward {file} is of {whose}, with {reward.obs_dim} observation and {reward.action_dim} "
            f"action features; {env} has {sizes[0]} and {sizes[1]}: give the reward.pt of a run on {env}"
        )
    return reward
