"""Settings per environment and algorithm: one table for VIME, one for imitation.

`preset_for(env, algo)` gives the entry of the environment, else the algorithm's own default. A flag of the
command beats the preset.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Preset:
    """How a run is set up where no flag says otherwise."""

    n_timesteps: int
    """Environment steps, all environments together."""
    n_envs: int
    """Environments in parallel."""
    normalize_obs: bool = False
    """Running normalisation of what the policy sees."""
    normalize_reward: bool = False
    """Running normalisation of the environment's reward."""
    hyperparams: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the SB3 class that differ from SB3's defaults."""


ON_POLICY = {
    "ppo": Preset(
        n_timesteps=1_000_000,
        n_envs=8,
        normalize_obs=True,
        hyperparams={
            "n_steps": 512,
            "batch_size": 512,
            "n_epochs": 10,
            "learning_rate": 3e-4,
            "gamma": 0.99,
            "gae_lambda": 0.95,
            "ent_coef": 0.0,
        },
    ),
    "trpo": Preset(
        n_timesteps=1_000_000,
        n_envs=8,
        normalize_obs=True,
        hyperparams={"n_steps": 512, "batch_size": 256, "gamma": 0.99, "gae_lambda": 0.95},
    ),
    "a2c": Preset(n_timesteps=1_000_000, n_envs=8, normalize_obs=True),
}
# SB3's own defaults, which are the papers' for MuJoCo; before the first gradient step actions are random.
OFF_POLICY = {
    name: Preset(n_timesteps=300_000, n_envs=1, hyperparams={"learning_starts": 10_000})
    for name in ("sac", "td3", "ddpg", "tqc", "crossq")
} | {"dqn": Preset(n_timesteps=300_000, n_envs=1)}

DEFAULTS: dict[str, Preset] = {**ON_POLICY, **OFF_POLICY}
"""By algorithm, for environments without an entry of their own."""


def _task(
    steps: int,
    off_policy: int = 300_000,
    normalize_reward: bool = False,
    log_std_init: float = 0.0,
    gsde: bool = False,
    **more: Any,
) -> dict[str, Preset]:
    """Entries of a task with continuous actions, for each algorithm.

    Args:
        steps: Environment steps on-policy.
        off_policy: Environment steps off-policy.
        normalize_reward: On-policy only, where large returns drown the policy in the critic's gradient.
        log_std_init: Of on-policy Gaussians; 0 is SB3's.
        gsde: On-policy exploration by a noise that depends on the state and is drawn once a rollout.
        **more: Hyperparameters for all, such as gamma.
    """
    entries = {}
    for algo, default in DEFAULTS.items():
        hyperparams: dict[str, Any] = {**default.hyperparams, **more}
        if algo in ON_POLICY and log_std_init:
            hyperparams["policy_kwargs"] = {"log_std_init": log_std_init}
        if algo in ON_POLICY and gsde:
            hyperparams["use_sde"] = True
        entries[algo] = replace(
            default,
            n_timesteps=steps if algo in ON_POLICY else off_policy,
            normalize_reward=normalize_reward and algo in ON_POLICY,
            hyperparams=hyperparams,
        )
    return {algo: entry for algo, entry in entries.items() if algo != "dqn"}


# The reward lies hundreds of steps ahead: with gamma 0.99 the horizon would be a hundred. Of the noises that
# were tried, independent ones of standard deviation 1 roll the cheetah over its head, and smaller ones let it
# run the wrong way for good in three seeds of ten; one that lasts for a rollout lets it run both ways.
_CHEETAH: dict[str, Any] = {
    "normalize_reward": True,
    "gamma": 0.995,
    "log_std_init": -2.0,
    "gsde": True,
}

PRESETS: dict[str, dict[str, Preset]] = {
    "rlgen/SparseMountainCar-v0": _task(150_000, 100_000),
    "rlgen/SparseCartPoleSwingup-v0": _task(200_000, 100_000),
    "rlgen/SparseDoublePendulum-v0": _task(300_000, 100_000),
    "rlgen/SparseHalfCheetah-v0": _task(5_000_000, **_CHEETAH),
    "rlgen/SparseHalfCheetahFar-v0": _task(500_000, **_CHEETAH),
    "rlgen/NoisyTVSparseCartPoleSwingup-v0": _task(200_000, 100_000),
    "rlgen/NoisyTVSparseHalfCheetahFar-v0": _task(500_000, **_CHEETAH),
    "rlgen/SparseAnt-v0": _task(3_000_000),
    "rlgen/SparseHumanoid-v0": _task(3_000_000),
    "rlgen/SparseHumanoidStandup-v0": _task(3_000_000),
    "rlgen/SwimmerGather-v0": _task(3_000_000),
    "Ant-v5": _task(2_000_000, 1_000_000),
    "HalfCheetah-v5": _task(1_000_000, 1_000_000),
    "Hopper-v5": _task(1_000_000, 1_000_000),
    "Humanoid-v5": _task(5_000_000, 2_000_000),
    "Walker2d-v5": _task(2_000_000, 1_000_000),
}


def preset_for(env: str, algo: str) -> tuple[str, Preset]:
    """The preset of an environment and an algorithm, and the name under which it is printed.

    Args:
        env: Environment id; the prefix of a module to import (`envs:`) is ignored.
        algo: Name of the algorithm, such as "ppo".

    Returns:
        `("rlgen/SparseAnt-v0, ppo", Preset)`, or `("default, ppo", Preset)` where the environment has none.

    Raises:
        ValueError: There is no such algorithm.
    """
    if algo not in DEFAULTS:
        raise ValueError(f"unknown algorithm {algo!r}: choose one of {', '.join(DEFAULTS)}")
    env = env.rpartition(":")[2]
    own = PRESETS.get(env, {}).get(algo)
    preset = own or DEFAULTS[algo]
    return f"{env if own else 'default'}, {algo}", preset


@dataclass(frozen=True)
class ImitationPreset(Preset):
    """How an imitation is set up where no flag says otherwise; `normalize_obs` is by the demonstrations."""

    bc_epochs: int = 0
    """Passes of behaviour cloning over the demonstrations before the first step."""
    refit_every: int = 1000
    """Environment steps between refits of off-policy algorithms and of rollouts shorter than this."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `rewards.discriminator.GAILSettings` that differ from its default."""


def _imitation(algo: str, preset: Preset) -> ImitationPreset:
    """The algorithm's default for VIME, with a policy that starts nearer to its mean.

    Off-policy the discriminator is as in discriminator-actor-critic (Kostrikov et al. 2019): a step on
    replayed transitions for each of the environment's, held smooth by a penalty of 10. At the rate that
    serves PPO it lags behind what the replay buffer holds. The agent (but DQN) makes as many, however many
    the environments, and its own rate falls to 0, from that of rl-zoo's SAC for PyBullet: at a constant 3e-4
    SAC lost Hopper's gait again and again.
    """
    hyperparams = dict(preset.hyperparams)
    if algo in ON_POLICY:
        hyperparams["policy_kwargs"] = {"log_std_init": -0.5}
        return ImitationPreset(preset.n_timesteps, preset.n_envs, normalize_obs=True, hyperparams=hyperparams)
    if algo != "dqn":
        hyperparams |= {"learning_starts": 5000, "learning_rate": "lin_7.3e-4", "gradient_steps": -1}
    settings = {
        "pool_size": 100_000,
        "updates_per_transition": 1.0,
        "gradient_penalty": 10.0,
        "reward_scale": 1.0,
    }
    return ImitationPreset(
        preset.n_timesteps, preset.n_envs, hyperparams=hyperparams, refit_every=100, settings=settings
    )


IMITATION_DEFAULTS = {algo: _imitation(algo, preset) for algo, preset in DEFAULTS.items()}
"""By algorithm, for environments without an entry of their own."""


def _careful(steps: int) -> ImitationPreset:
    """For bodies that fall: PPO starts near a clone, and learns slowly from a slow, smooth discriminator."""
    default = IMITATION_DEFAULTS["ppo"]
    return replace(
        default,
        n_timesteps=steps,
        bc_epochs=1000,
        hyperparams={
            **default.hyperparams,
            "learning_rate": "lin_1e-4",
            "policy_kwargs": {"log_std_init": -1.5},
        },
        settings={"gradient_penalty": 10.0, "learning_rate": 1e-4, "updates_per_transition": 10 / 4096},
    )


def _humanoid() -> ImitationPreset:
    """As for bodies that fall; in 365 dimensions a slope of 1 would set the two sides' logits 25 apart."""
    careful = _careful(6_000_000)
    policy = {**careful.hyperparams["policy_kwargs"], "net_arch": [256, 256]}
    return replace(
        careful,
        hyperparams={**careful.hyperparams, "learning_rate": "lin_5e-5", "policy_kwargs": policy},
        settings={**careful.settings, "gradient_target": 0.2},
    )


def _sac_ant() -> ImitationPreset:
    """For SAC on Ant, whose expert acts gently: actions deviate by 0.1 to 0.4, SAC's own by 0.65.

    A discriminator that sees actions as they are hardly notices; by the demonstrations' statistics it does.
    In 113 standardised dimensions a slope of 1 sets the logits of the two sides 15 apart. At a temperature
    of 1 the critic fills with entropy before it sees the reward.
    """
    default = IMITATION_DEFAULTS["sac"]
    return replace(
        default,
        n_timesteps=500_000,
        hyperparams={**default.hyperparams, "ent_coef": "auto_0.01"},
        settings={**default.settings, "gradient_target": 0.3, "statistics": "expert_all"},
    )


IMITATION_PRESETS: dict[str, dict[str, ImitationPreset]] = {
    "Ant-v5": {"ppo": _careful(4_000_000), "sac": _sac_ant()},
    "Walker2d-v5": {"ppo": _careful(3_000_000)},
    "Humanoid-v5": {"ppo": _humanoid()},
}


IMITATION_PAPER = ImitationPreset(
    n_timesteps=25_000_000,
    n_envs=10,
    normalize_obs=True,
    hyperparams={
        "n_steps": 5000,
        "batch_size": 5000,
        "gamma": 0.995,
        "gae_lambda": 0.97,
        "target_kl": 0.01,
        "cg_max_steps": 10,
        "cg_damping": 0.1,
        "sub_sampling_factor": 10,
        "line_search_shrinking_factor": 0.5,
        "policy_kwargs": {"net_arch": [100, 100]},
    },
)
"""TRPO as published: batches of 50,000 steps, networks of 2 x 100 tanh. Departures: Adam fits the values,
from observations alone (there: a natural gradient, and the time as an input), the policy's observations go
through the demonstrations' statistics as they stand, deviations of 0.1 at least (there: updated by its own
batches), its last layer starts small (there: at 0), and the line search takes any improvement (there: a tenth
of the expected one). Humanoid had 75M steps as published: pass -n 75e6."""


def imitation_preset_for(env: str, algo: str, setting: str = "default") -> tuple[str, ImitationPreset]:
    """As `preset_for`, for imitation; `setting` "paper" gives TRPO as published, and others their default."""
    if setting == "paper" and algo == "trpo":
        return "paper, trpo, imitation", IMITATION_PAPER
    own = IMITATION_PRESETS.get(env.rpartition(":")[2], {}).get(algo) if setting != "paper" else None
    return f"{env if own else 'default'}, {algo}, imitation", own or IMITATION_DEFAULTS[algo]
