"""Learned rewards: bonuses and imitation rewards on one interface (see `base`)."""

from rlgen.rewards.base import LearnedReward, Transitions
from rlgen.rewards.baselines import RND, PredictionError, RandomBonus
from rlgen.rewards.vime import VIME

__all__ = ["RND", "VIME", "LearnedReward", "PredictionError", "RandomBonus", "Transitions"]
