"""What a run says on the terminal while it trains."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback


class ProgressLines(BaseCallback):
    """Prints a line about every `seconds`: steps, speed, the environment's own return, chosen metrics.

    Args:
        shown: words and the logged metric that they stand for; list this callback after what logs it.
        seconds: between two lines.
    """

    def __init__(self, shown: Mapping[str, str] | None = None, seconds: float = 10.0) -> None:
        super().__init__()
        self.shown, self.seconds = dict(shown or {}), seconds
        self.values: dict[str, float] = {}
        self.total = 0
        self.started = False

    def _on_training_start(self) -> None:
        self.started = True
        self.total = int(self.locals["total_timesteps"])
        self._start = self._last = time.monotonic()
        self._start_steps = self.num_timesteps

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        logged = self.logger.name_to_value
        self.values |= {text: float(logged[key]) for text, key in self.shown.items() if key in logged}
        now = time.monotonic()
        if now - self._last >= self.seconds:
            self._last = now
            print(self.line(now), flush=True)

    def line(self, now: float) -> str:
        """The line at `now` seconds of the monotonic clock."""
        steps = self.num_timesteps
        speed = (steps - self._start_steps) / max(now - self._start, 1e-9)
        left = max(self.total - steps, 0) / max(speed, 1e-9)
        share = min(100 * steps / max(self.total, 1), 100)  # whole rollouts may go beyond
        parts = [f"{steps:>9,} steps {share:3.0f} %", f"{speed:,.0f} steps/s"]
        parts.append(f"{duration(left)} left")
        episodes = [episode["r"] for episode in self.model.ep_info_buffer or []]
        if episodes:
            parts.append(f"return {np.mean(episodes):.4g} (last {len(episodes)} episodes)")
        parts += [f"{text} {value:.3g}" for text, value in self.values.items()]
        return "   ".join(parts)


def duration(seconds: float) -> str:
    """Such as 40 s, 12 min, 2.5 h."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
