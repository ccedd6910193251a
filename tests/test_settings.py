"""Settings of learned rewards: values of the wrong type or out of range are refused, each in one line."""

from __future__ import annotations

import pytest

from rlgen.rewards.bonus import BonusSettings, override
from rlgen.rewards.discriminator import GAILSettings
from rlgen.rewards.vime import VIMESettings


@pytest.mark.parametrize(
    ("settings", "name", "value", "remedy"),
    [
        (GAILSettings, "statistics", "foo", "'expert' or 'expert_all' or 'running'"),
        (GAILSettings, "spectral_norm", "false", "True or False"),
        (GAILSettings, "batch_size", 0, "a whole number of at least 1 or None"),
        (GAILSettings, "pool_size", 1.5, "a whole number of at least 0"),
        (GAILSettings, "logit_clip", -1, "a number above 0 or None"),
        (GAILSettings, "gradient_penalty", -1.0, "a number of at least 0"),
        (GAILSettings, "gradient_penalty", "abc", "a number of at least 0"),
        (GAILSettings, "label_smoothing", 2, "a number from 0 to below 1"),
        (GAILSettings, "updates_per_transition", -1, "a number of at least 0"),
        (GAILSettings, "learning_rate", True, "a number of at least 0"),
        (GAILSettings, "learning_rate", float("nan"), "a number of at least 0"),
        (GAILSettings, "hidden", 64, "a whole number of at least 1 for each, such as (64, 64)"),
        (GAILSettings, "hidden", (64, "a"), "a whole number of at least 1 for each, such as (64, 64)"),
        (BonusSettings, "pool_size", 0, "a whole number of at least 1"),
        (VIMESettings, "normalise", "max", "'peak' or 'root' or 'window' or None"),
        (VIMESettings, "clip", 0.0, "a number above 0"),
        (VIMESettings, "draws", None, "a whole number of at least 1"),
    ],
)
def test_a_wrong_value_is_told_with_its_remedy(settings, name, value, remedy):
    with pytest.raises(ValueError) as error:
        override(settings(), {name: value})
    assert str(error.value) == f"{name} is {value!r}: give {remedy}"


def test_what_flags_and_json_write_otherwise_is_understood():
    settings = GAILSettings(hidden=[64, 32.0], pool_size=1e5, batch_size=None, learning_rate=1)  # type: ignore[arg-type]
    assert settings.hidden == (64, 32) and all(isinstance(units, int) for units in settings.hidden)
    assert settings.pool_size == 100_000 and isinstance(settings.pool_size, int)
    assert settings.batch_size is None and settings.learning_rate == 1
