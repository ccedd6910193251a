"""GAIL: a discriminator learns to tell the policy's transitions from the expert's, and pays for passing."""

from __future__ import annotations

import math
import zlib
from types import MappingProxyType

import torch
from torch import Tensor

from rlgen.generative.gan import bernoulli_entropy, discriminator_loss, gradient_penalty
from rlgen.generative.noise import instance_noise
from rlgen.rewards.bonus import STATISTIC_ROWS, override
from rlgen.rewards.discriminator import DiscriminatorReward, GAILSettings, absorbing_logit
from rlgen.rewards.pool import TransitionPool
from rlgen.transitions import Transitions

DEFAULT = GAILSettings()

PAPER = GAILSettings(
    learning_rate=0.01,
    batch_size=None,
    gradient_penalty=0.0,
    entropy=0.001,
    statistics="running",
    std_floor=0.0,
    input_clip=None,
    logit_clip=None,
    reward_scale=1.0,
)

MEMORY = 20_000
"""Transitions over which the policy's true ends are remembered, exponentially."""

SLOPE_ROWS = 256
"""Rows of each side on which the metric of the slope is measured."""

WON = 0.99
"""Accuracy on both sides over which an update's transitions count as won by the discriminator."""

WON_MEMORY = 2_000
"""Transitions over which those accuracies are averaged, exponentially: off-policy a refit has a hundred."""


class GAIL(DiscriminatorReward):
    """Generative adversarial imitation learning: transitions are paid for looking like the expert's.

        maximise over D    E_expert[log D(s, a)] + E_policy[log(1 - D(s, a))],    D = sigmoid(logit)

    while the policy maximises a growing function of the logit (`rewards/discriminator.py` has the forms and
    their biases). At the optimum the logit is log rho_expert(s, a) / rho_policy(s, a).

    **default** is regularised: a gradient penalty keeps the logit's slope near 1 in standardised inputs, so
    that a discriminator that can tell the two apart still pays more the nearer the policy comes.

    **paper** is the reward of the published algorithm. What differs:

    ===================================================  ======  ============================================
    published code                                       here    why
    ===================================================  ======  ============================================
    one step of Adam on the whole batch, the expert      kept
      drawn with replacement to its size
    inputs standardised by a running mean and variance   kept    without bound, as there
      of policy and expert batches
    entropy of the verdicts rewarded with 0.001          kept
    reward from the discriminator before its step        kept    every algorithm here does so; there, values
                                                                   are fitted to the reward after it
    reward neither scaled nor clipped                    kept    `reward_scale`, `logit_clip` change it
    output layer starts at zero                          mended  small weights, as everywhere here: the first
                                                                   logits lie near 0 all the same
    time of the episode as an optional input             absent  no published result uses it
    discrete actions: one score for each, from obs       mended  a one-hot action is an input like any other
    reaching the time limit counts as an end             mended  by LearnReward: it bootstraps there
    ===================================================  ======  ============================================

    Args:
        expert: The demonstrations' transitions, raw and on the scale of the policy's: actions in [-1, 1], or
            one-hot; (N, 0) if there are none.
        setting: "default" or "paper".
        form: "positive", "negative" or "logit".
        state_only: Judge [obs, next_obs] instead of [obs, action].
        absorbing: Pay for the absorbing state behind a true end, which removes the bias of the form.
        seed: Of everything random here.
        expert_counts: True ends and transitions of the whole demonstrations, where `expert` is a sample of
            them, which holds few of the ends or none; counted in `expert` unless given.
        **overrides: Fields of `GAILSettings`.

    Raises:
        ValueError: An unknown form, setting or override; demonstrations that are empty, not finite, or
            without actions where those are needed.

    References:
        Ho and Ermon 2016 (arXiv 1606.03476), algorithm 1; Kostrikov et al. 2019 (arXiv 1809.02925).
    """

    shown = MappingProxyType(
        {
            "acc expert": "accuracy_expert",
            "acc policy": "accuracy_policy",
            "logit expert": "logit_expert",
            "logit policy": "logit_policy",
        }
    )
    expert: Tensor
    policy_ends: Tensor
    policy_rows: Tensor

    def __init__(
        self,
        expert: Transitions,
        *,
        setting: str = "default",
        form: str = "positive",
        state_only: bool = False,
        absorbing: bool = False,
        seed: int = 0,
        expert_counts: tuple[int, int] | None = None,
        **overrides: object,
    ) -> None:
        choices = {"default": DEFAULT, "paper": PAPER}
        if setting not in choices:
            raise ValueError(f"setting is {setting!r}: choose 'default' or 'paper'")
        obs_dim, action_dim = expert.obs.shape[1], expert.action.shape[1]
        if action_dim == 0 and not state_only:
            raise ValueError("the demonstrations hold no actions: imitate states alone, state_only=True")
        self.generator = torch.Generator().manual_seed(seed)
        super().__init__(
            obs_dim,
            action_dim,
            override(choices[setting], overrides),
            form=form,
            state_only=state_only,
            absorbing=absorbing,
            generator=self.generator,
        )
        self._take_expert(self.check(expert))
        self.expert_counts = expert_counts or (int(expert.terminated.sum().item()), len(self.expert))
        size = self.settings.pool_size
        self.pool = TransitionPool(obs_dim, self.action_dim, size) if size > 0 else None
        for name in ("policy_ends", "policy_rows"):
            self.register_buffer(name, torch.zeros((), dtype=torch.float64))
        self.credit, self.won_transitions = 0.0, 0
        self.accuracies = torch.full((2,), 0.5)  # expert, policy
        self.optimizer = torch.optim.AdamW(
            self.discriminator.parameters(),
            lr=self.settings.learning_rate,
            weight_decay=self.settings.weight_decay,
            fused=True,
        )

    def _take_expert(self, expert: Transitions) -> None:
        """Keep what is needed of the demonstrations, and their statistics if inputs go by them."""
        self.register_buffer("expert", self.features(expert), persistent=False)
        self.checksum = zlib.crc32(torch.cat([self.expert, expert.terminated[:, None]], 1).numpy().tobytes())
        if self.settings.statistics == "running":
            return
        self.norm.update(self.expert)
        if self.settings.statistics == "expert" and not self.state_only:
            self.norm.mean[self.obs_dim :] = 0.0
            self.norm.var[self.obs_dim :] = 1.0

    def update(self, batch: Transitions) -> dict[str, float]:
        """Refit on fresh transitions.

        Returns:
            Metrics, taken before the refit, hence on transitions of the policy that the discriminator has
            not seen (the expert's it has). `loss` is 1.386 at chance. `won_transitions` is the number of the
            policy's transitions in a row at whose updates both accuracies' running means were over 0.99.
        """
        batch = self.check(batch)
        policy = self.features(batch)
        metrics = self._measure(policy)
        if self.settings.statistics == "running":
            self.norm.update(policy)
            self.norm.update(self._draw(self.expert, len(policy)))
        self._count_ends(batch.terminated)
        if self.pool is not None:
            self.pool.add(batch)
        return metrics | {"n_updates": float(self._refit(policy))}

    @torch.no_grad()
    def _measure(self, policy: Tensor) -> dict[str, float]:
        """Metrics on as many rows of each side, and the count of transitions told apart."""
        sample = policy[torch.randperm(len(policy), generator=self.generator)[:STATISTIC_ROWS]]
        real, fake = self._draw(self.expert, len(sample)), sample
        real_logits, fake_logits = self.logits(real), self.logits(fake)
        accuracies = torch.stack([(real_logits > 0).float().mean(), (fake_logits < 0).float().mean()]).cpu()
        self.accuracies = accuracies.lerp(self.accuracies, math.exp(-len(policy) / WON_MEMORY))
        self.won_transitions = self.won_transitions + len(policy) if self.accuracies.min() > WON else 0
        return {
            "loss": discriminator_loss(real_logits, fake_logits).item(),
            "accuracy_expert": accuracies[0].item(),
            "accuracy_policy": accuracies[1].item(),
            "logit_expert": real_logits.mean().item(),
            "logit_policy": fake_logits.mean().item(),
            "gradient_norm": self._slope(real[:SLOPE_ROWS], fake[:SLOPE_ROWS]),
            "reward_mean": self.pay(fake_logits).mean().item(),
            "won_transitions": float(self.won_transitions),
        }

    def _slope(self, real: Tensor, fake: Tensor) -> float:
        """Mean norm of the logit's gradient between raw rows (B, D) of each side."""
        real, fake = self.norm(real), self.norm(fake)
        with torch.enable_grad():
            squares = gradient_penalty(self.discriminator, real, fake, self.generator, target=0.0)
        return squares.sqrt().mean().item()

    def _count_ends(self, terminated: Tensor) -> None:
        """Take the policy's true ends (B,) into their running rate, and renew the absorbing state's logit."""
        keep = math.exp(-len(terminated) / MEMORY)
        self.policy_ends.mul_(keep).add_(terminated.sum())
        self.policy_rows.mul_(keep).add_(len(terminated))
        policy_counts = self.policy_ends.item(), self.policy_rows.item()
        self.absorbing_logit.fill_(absorbing_logit(*self.expert_counts, *policy_counts))

    def _draw(self, rows: Tensor, n: int) -> Tensor:
        """n of the rows, with replacement."""
        index = torch.randint(len(rows), (n,), generator=self.generator).to(rows.device)
        return rows.index_select(0, index)  # four times as fast as rows[index]

    def _refit(self, policy: Tensor) -> int:
        """Make the gradient steps that the fresh rows (B, D) have earned, and return their number."""
        size = self.settings.batch_size
        if size is None:
            rows = policy if self.pool is None else self.features(self.pool.all())
            self.step(self._draw(self.expert, len(rows)), rows)
            return 1
        self.credit += len(policy) * self.settings.updates_per_transition
        steps = int(self.credit)
        self.credit -= steps
        for _ in range(steps):
            self.step(self._draw(self.expert, size), self._draw_policy(policy, size))
        return steps

    def _draw_policy(self, fresh: Tensor, n: int) -> Tensor:
        """n rows of the policy, of the fresh ones or of the pool, with replacement."""
        return (
            self._draw(fresh, n) if self.pool is None else self.features(self.pool.sample(n, self.generator))
        )

    def step(self, expert: Tensor, policy: Tensor) -> None:
        """One gradient step on raw features (B, D) of each side."""
        settings = self.settings
        x = self.norm(torch.cat([expert, policy]))
        if settings.instance_noise:
            x = instance_noise(x, settings.instance_noise, self.generator)
        self.discriminator.train()
        real, fake = self.discriminator(x).chunk(2)
        loss = discriminator_loss(real, fake, settings.label_smoothing)
        if settings.entropy:
            loss = loss - settings.entropy * (bernoulli_entropy(real).mean() + bernoulli_entropy(fake).mean())
        if settings.gradient_penalty:
            target, (real, fake) = settings.gradient_target, x.chunk(2)
            penalty = gradient_penalty(self.discriminator, real, fake, self.generator, target)
            loss = loss + settings.gradient_penalty * penalty.mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def get_extra_state(self) -> dict:
        """What `state_dict` holds beside parameters and buffers: generator, optimiser, counters, checksum."""
        return {
            "generator": self.generator.get_state(),
            "optimizer": self.optimizer.state_dict(),
            "credit": self.credit,
            "won_transitions": self.won_transitions,
            "accuracies": self.accuracies,
            "checksum": self.checksum,
        }

    def set_extra_state(self, state: dict) -> None:
        """Restore what `get_extra_state` gave.

        Raises:
            ValueError: It was fitted to other demonstrations.
        """
        if state["checksum"] != self.checksum:
            raise ValueError(
                "the saved reward was fitted to other demonstrations: resume it with the same file, and the "
                "same number of trajectories, subsampling and seed"
            )
        self.generator.set_state(state["generator"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.credit, self.won_transitions = state["credit"], state["won_transitions"]
        self.accuracies = state["accuracies"]
