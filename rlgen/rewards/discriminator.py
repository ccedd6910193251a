"""The reward that a discriminator between expert and policy pays: its forms, its settings and its file.

With l the logit, high for the expert, and D = sigmoid(l):

    form        reward                       bias where episodes can end
    positive    -log(1 - D) = softplus(l)    > 0: pays for surviving, whatever the policy does meanwhile
    negative    log D = -softplus(-l)        < 0: pays for ending soon
    logit       log D - log(1 - D) = l       no sign of its own, but negative while the discriminator wins,
                                             as it does early: then it pays for ending, as "negative" does

Where every episode is as long as the next, all three are sound. Elsewhere the form is a prior: "positive"
suits tasks whose ends are falls, "negative" those whose ends are successes. Paying for the absorbing state
behind an end (`absorbing_logit`) removes the bias for an optimal discriminator. One that a penalty keeps
smooth has smaller logits elsewhere than there: where the expert never ends, "negative" and "logit" then fear
ends more than they should. One that wins gives the policy smaller logits than the absorbing state's: as long
as it does, ending pays more than going on, in every form.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from rlgen.files import replace_file
from rlgen.generative.gan import MLPDiscriminator
from rlgen.rewards.base import LearnedReward, check_batch
from rlgen.rewards.normalizer import RunningNorm
from rlgen.rewards.settings import Count, CountOrZero, Fraction, NonNegative, Positive, check_settings
from rlgen.transitions import Transitions

FORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "positive": F.softplus,
    "negative": F.logsigmoid,
    "logit": lambda logits: logits,
}

PRIOR_ENDS = 0.1
"""Ends of the episode that `absorbing_logit` adds to each side, at the rate of both together."""

CHUNK = 1024
"""Rows that are scored at a time: they stay in the cache, and a file of any length fits the memory."""


@dataclass(frozen=True)
class GAILSettings:
    """Everything that sets GAIL's two settings apart; any field can be passed to `GAIL` by name.

    Raises:
        ValueError: A value of another type, or out of its range.
    """

    hidden: tuple[Count, ...] = (100, 100)
    """Hidden units of the discriminator."""
    activation: Literal["tanh", "relu"] = "tanh"
    """Of the hidden units."""
    learning_rate: NonNegative = 3e-4
    """AdamW's step size."""
    weight_decay: NonNegative = 0.0
    """AdamW's weight decay; with 0 it is Adam."""
    batch_size: Count | None = 256
    """Transitions of each side in a gradient step; None for one step on the whole batch an update."""
    updates_per_transition: NonNegative = 20 / 4096
    """Gradient steps for each fresh transition of the policy."""
    pool_size: CountOrZero = 0
    """Recent transitions of the policy to refit on, first in first out; 0 for the fresh batch alone."""
    gradient_penalty: NonNegative = 1.0
    """Weight of the gradient penalty on interpolates; 0 for none."""
    gradient_target: NonNegative = 1.0
    """Slope that the gradient penalty asks for."""
    label_smoothing: Fraction = 0.0
    """What the expert's label lacks to 1."""
    instance_noise: NonNegative = 0.0
    """Standard deviation of noise added to standardised inputs in training."""
    entropy: NonNegative = 0.0
    """Weight of the entropy of the discriminator's verdicts, which is to be large."""
    spectral_norm: bool = False
    """Divide every weight matrix by its largest singular value."""
    statistics: Literal["expert", "expert_all", "running"] = "expert"
    """Standardise observations by the demonstrations and leave actions as they are, in [-1, 1]; or
    standardise both by the demonstrations, so that actions weigh as much where the expert's are small; or
    both by all batches so far of expert and policy, in equal parts."""
    std_floor: NonNegative = 0.1
    """Least standard deviation to divide by: observations that are constant in demonstrations give no
    verdict on their own."""
    input_clip: Positive | None = 10.0
    """Bound on standardised inputs."""
    logit_clip: Positive | None = 10.0
    """Bound on the logit in the reward; training sees it as it is."""
    reward_scale: Positive = 0.1
    """Factor of the reward: it brings returns to a size that a critic learns fast."""

    def __post_init__(self) -> None:
        check_settings(self)


class DiscriminatorReward(LearnedReward):
    """The reward of a discriminator that stays as it is: what `load_reward` gives.

    Inputs are [obs, action], or [obs, next_obs] if `state_only`, as in Torabi et al. 2018.

    Args:
        obs_dim: Size O of an observation.
        action_dim: Size A of an action; of no consequence if `state_only`.
        settings: See `GAILSettings`.
        form: "positive", "negative" or "logit".
        state_only: Whether actions are ignored.
        absorbing: Whether the absorbing state behind a true end is paid.
        generator: Draws the first weights.

    Raises:
        ValueError: An unknown form, or a flag that is neither True nor False.

    References:
        Torabi et al. 2018 (arXiv 1807.06158).
    """

    name = "gail"
    env_id: str | None = None
    """Environment that it was trained on, where that is known."""
    absorbing_logit: Tensor

    def __init__(
        self,
        obs_dim: int,
        action_dim: int,
        settings: GAILSettings,
        *,
        form: str,
        state_only: bool,
        absorbing: bool,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        if form not in FORMS:
            raise ValueError(f"form is {form!r}: choose one of {', '.join(FORMS)}")
        for name, value in {"state_only": state_only, "absorbing": absorbing}.items():
            if not isinstance(value, bool):
                raise ValueError(f"{name} is {value!r}: give True or False")
        self.obs_dim, self.action_dim, self.settings = obs_dim, 0 if state_only else action_dim, settings
        self.form, self.state_only, self.absorbing = form, state_only, absorbing
        width = 2 * obs_dim if state_only else obs_dim + action_dim
        self.norm = RunningNorm(width, settings.input_clip, settings.std_floor)
        self.discriminator = MLPDiscriminator(
            width,
            settings.hidden,
            activation=settings.activation,
            spectral_norm=settings.spectral_norm,
            generator=generator,
        ).eval()
        self.register_buffer("absorbing_logit", torch.zeros(()))

    def check(self, batch: Transitions) -> Transitions:
        """The batch in float32 on this module's device, without actions if they are ignored.

        Raises:
            ValueError: A wrong size, an empty batch, or a value that is not finite.
        """
        if self.state_only:
            batch = batch._replace(action=batch.action[:, :0])
        device = self.absorbing_logit.device
        return check_batch(batch, self.obs_dim, self.action_dim, type(self).__name__, device)

    def features(self, batch: Transitions) -> Tensor:
        """What the discriminator judges (B, D), raw."""
        return torch.cat([batch.obs, batch.next_obs if self.state_only else batch.action], 1)

    @torch.no_grad()
    def logits(self, features: Tensor) -> Tensor:
        """Raw features (B, D) -> logits (B,), without a trace: power iteration rests as well."""
        self.discriminator.eval()
        return torch.cat([self.discriminator(self.norm(rows)) for rows in features.split(CHUNK)])

    def pay(self, logits: Tensor) -> Tensor:
        """The reward for logits, of any shape."""
        clip = self.settings.logit_clip
        if clip is not None:
            logits = logits.clamp(-clip, clip)
        return self.settings.reward_scale * FORMS[self.form](logits)

    @torch.no_grad()
    def reward(self, batch: Transitions) -> Tensor:
        """Rewards (B,)."""
        return self.pay(self.logits(self.features(self.check(batch))))

    def update(self, batch: Transitions) -> dict[str, float]:
        """Nothing is learned; the mean reward of the batch."""
        return {"reward_mean": self.reward(batch).mean().item()}

    def rules(self) -> dict[str, Any]:
        """What the reward is beside parameters: settings, form and flags."""
        flags = {"form": self.form, "state_only": self.state_only, "absorbing": self.absorbing}
        return {"settings": asdict(self.settings), **flags}

    def get_extra_state(self) -> dict:
        """What `state_dict` holds beside parameters and buffers."""
        return {"rules": self.rules()}

    def set_extra_state(self, state: dict) -> None:
        """Check that the state is of the same reward.

        Raises:
            ValueError: It is not.
        """
        if state["rules"] != self.rules():
            raise ValueError(
                "the state is of another reward (settings, form or flags): take the one it is of"
            )

    def absorbing_reward(self) -> float:
        """The reward of each step in the absorbing state; 0 if it is not paid."""
        return self.pay(self.absorbing_logit).item() if self.absorbing else 0.0


def absorbing_logit(expert_ends: float, expert_rows: float, policy_ends: float, policy_rows: float) -> float:
    """Logit of the optimal discriminator in the absorbing state that follows every true end.

    Let each true end lead to one absorbing state for ever, where nothing happens any more, and discount by
    gamma. An end is then worth 1 / (1 - gamma) visits of that state. A side with e ends per transition has

        e / (1 - gamma)      visits of the absorbing state for each transition.

    The optimal logit is the log ratio of the two sides' densities. Counted per transition, the absorbing
    state's are e_expert / (1 - gamma) and e_policy / (1 - gamma), beside real transitions whose densities
    sum to 1 on both sides, as the discriminator knows them. gamma cancels:

        l = log(e_expert / e_policy)

    No network is needed for it, and no observation that stands for the state. Both rates are estimated with
    a = `PRIOR_ENDS` ends more, come at the rate p of both sides together (the mean of a Gamma posterior):

        e = (ends + a) / (transitions + a / p)

    So the logit is 0 where there is nothing to tell, and experts that never ended give a negative one.

    Args:
        expert_ends: True ends in the demonstrations.
        expert_rows: Transitions in the demonstrations, as many as the ends were counted in.
        policy_ends: True ends of the policy, lately.
        policy_rows: Transitions in which they came.

    References:
        Kostrikov et al. 2019 (arXiv 1809.02925), section 4.2, for absorbing states in imitation.
    """
    ends = expert_ends + policy_ends
    if ends == 0 or policy_rows == 0:
        return 0.0
    prior = PRIOR_ENDS * (expert_rows + policy_rows) / ends
    expert_rate = (expert_ends + PRIOR_ENDS) / (expert_rows + prior)
    return math.log(expert_rate * (policy_rows + prior) / (policy_ends + PRIOR_ENDS))


def save_reward(path: str | Path, reward: DiscriminatorReward) -> None:
    """Write a trained reward to a file, as a whole or not at all; the demonstrations are not in it."""
    data = {
        "env_id": reward.env_id,
        **reward.rules(),
        "obs_dim": reward.obs_dim,
        "action_dim": reward.action_dim,
        "absorbing_logit": reward.absorbing_logit.item(),
        "norm": reward.norm.state_dict(),
        "discriminator": reward.discriminator.state_dict(),
    }
    replace_file(Path(path), lambda partial: torch.save(data, partial))


def load_reward(path: str | Path) -> DiscriminatorReward:
    """The reward that `save_reward` wrote: it scores transitions and can train a policy, but learns no more.

    Raises:
        ValueError: The file is damaged, or something else.
        FileNotFoundError: There is none.
    """
    errors = (RuntimeError, EOFError, KeyError, IndexError, TypeError, ValueError)
    try:
        data = torch.load(path, map_location="cpu", weights_only=True)
    except (*errors, pickle.UnpicklingError) as error:
        raise ValueError(
            f"{path} is not a saved reward, or is damaged: give the reward.pt of a run"
        ) from error
    try:
        reward = DiscriminatorReward(
            data["obs_dim"],
            data["action_dim"],
            GAILSettings(**data["settings"]),
            form=data["form"],
            state_only=data["state_only"],
            absorbing=data["absorbing"],
            generator=torch.Generator(),
        )
        reward.norm.load_state_dict(data["norm"])
        reward.discriminator.load_state_dict(data["discriminator"])
        reward.absorbing_logit.fill_(data["absorbing_logit"])
        reward.env_id = data.get("env_id")  # files of the first version have none
    except errors as error:
        raise ValueError(f"{path} holds no reward: give a file written by save_reward ({error})") from error
    return reward
