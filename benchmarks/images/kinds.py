"""What the command has to know of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.images.data.dataset import ImageData
from benchmarks.images.plan import Plan
from benchmarks.images.task import Task


@dataclass(frozen=True)
class Kind:
    """A kind of model."""

    config: type
    """Dataclass of its settings; it has image_shape, epochs, constant_epochs and batch_size."""
    presets: Mapping[str, Any]
    """Published settings, by the names that --preset takes."""
    choose: Callable[[ImageData], str]
    """Name of the preset for a data set, or of the nearest."""
    fit: Callable[[Any, ImageData], Any]
    """Settings for the size and the classes of a data set's images."""
    build: Callable[[Any, ImageData, Plan], Task]
    """Settings, data and plan -> what is trained, on the plan's device."""


def trained_by(
    model: Callable[..., Any], task: Callable[..., Task]
) -> Callable[[Any, ImageData, Plan], Task]:
    """`Kind.build` for a model of a config and a seed, and a task of a model, data and plan."""

    def build(config: Any, data: ImageData, plan: Plan) -> Task:
        return task(model(config, seed=plan["seed"]).to(plan["device"]), data, plan)

    return build
