"""The models that the command trains."""

from __future__ import annotations

from typing import Any

from benchmarks.images import plan as plans
from benchmarks.images.adversarial_kinds import ADVERSARIAL
from benchmarks.images.data.dataset import ImageData
from benchmarks.images.kinds import Kind
from benchmarks.images.likelihood_kinds import LIKELIHOOD
from benchmarks.images.plan import Plan
from benchmarks.images.task import Task
from rlgen.cli import nearest

KINDS: dict[str, Kind] = {**ADVERSARIAL, **LIKELIHOOD}


def preset(model: str, name: str | None, data: ImageData) -> tuple[str, Any]:
    """Name and settings of a model's preset: the one asked for, or the one that suits the data.

    Raises:
        ValueError: The model has none of that name.
    """
    kind = KINDS[model]
    name = name or kind.choose(data)
    if name not in kind.presets:
        raise ValueError(f"{model} has no preset {name!r}: {nearest(name, list(kind.presets))}")
    return name, kind.fit(kind.presets[name], data)


def build(plan: Plan, data: ImageData) -> Task:
    """The task of a plan, not begun.

    Raises:
        ValueError: Settings that do not fit the data.
    """
    kind = KINDS[plan["model"]]
    return kind.build(plans.config_of(kind.config, plan), data, plan)
