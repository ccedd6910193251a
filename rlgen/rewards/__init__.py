"""Learned rewards: bonuses and imitation rewards on one interface (see `base`)."""

from rlgen.rewards.base import LearnedReward
from rlgen.rewards.baselines import RND, PredictionError, RandomBonus
from rlgen.rewards.discriminator import load_reward, save_reward
from rlgen.rewards.gail import GAIL
from rlgen.rewards.vime import VIME
from rlgen.transitions import Transitions

__all__ = [
    "GAIL",
    "RND",
    "VIME",
    "LearnedReward",
    "PredictionError",
    "RandomBonus",
    "Transitions",
    "load_reward",
    "save_reward",
]
