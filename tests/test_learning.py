"""Whether it learns: minutes a test, so marked slow; the measured figures are in benchmarks."""

import numpy as np
import pytest
from stable_baselines3.common.callbacks import BaseCallback

from rlgen.presets import preset_for
from rlgen.relabel import LearnReward
from rlgen.train_vime import make_bonus
from rlgen.training import Setup, make_env, make_model


class Returns(BaseCallback):
    """The return of each finished episode."""

    def __init__(self):
        super().__init__()
        self.returns = []

    def _on_step(self):
        self.returns += [info["episode"]["r"] for info in self.locals["infos"] if "episode" in info]
        return True


def last_returns(env, bonus, steps, algo="ppo", seed=0, **hyperparams):
    """Returns of the last 50 episodes with a bonus, under the preset of the environment and algorithm."""
    preset = preset_for(env, algo)[1]
    setup = Setup(
        env,
        algo=algo,
        n_envs=preset.n_envs,
        seed=seed,
        normalize_obs=preset.normalize_obs,
        normalize_reward=preset.normalize_reward,
        hyperparams={**preset.hyperparams, **hyperparams},
    )
    venv = make_env(setup)
    model, episodes = make_model(setup, venv), Returns()
    sizes = venv.get_attr("observation_space")[0].shape[0], venv.get_attr("action_space")[0].shape[0]
    reward = make_bonus(bonus, "default", *sizes, seed)
    callbacks: list[BaseCallback] = [episodes]
    if reward is not None:
        callbacks.append(LearnReward(reward))
    model.learn(steps, callback=callbacks)
    return np.array(episodes.returns[-50:])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("env", "steps"), [("rlgen/SparseMountainCar-v0", 60_000), ("rlgen/SparseCartPoleSwingup-v0", 100_000)]
)
@pytest.mark.parametrize("bonus", ["expected", "realised"])
def test_information_gain_finds_the_reward_and_the_task_stays_solved(env, steps, bonus):
    """One ends in success, the other in failure: a bonus that paid for surviving would spoil the first."""
    assert (last_returns(env, bonus, steps) > 0).mean() > 0.8


@pytest.mark.slow
def test_off_policy_the_bonus_does_not_keep_the_goal_from_being_reached():
    """Bonus and reward share a critic there, and the bonus is positive everywhere, but it fades."""
    small = {"policy_kwargs": {"net_arch": [64, 64]}, "batch_size": 128}
    returns = last_returns("rlgen/SparseMountainCar-v0", "expected", 28_000, "sac", **small)
    assert (returns > 0).mean() > 0.8
