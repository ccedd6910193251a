"""Learned rewards: bonuses and imitation rewards on one interface (see `base`)."""

from rlgen.rewards.base import LearnedReward, Transitions

__all__ = ["LearnedReward", "Transitions"]
