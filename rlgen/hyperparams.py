"""Hyperparameters of SB3's algorithms, from the plain data that config.json holds."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.utils import LinearSchedule
from torch import nn

ACTIVATIONS = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "leaky_relu": nn.LeakyReLU,
}
AT_LEAST_ONE = ("n_steps", "n_epochs", "batch_size", "buffer_size", "train_freq")
AT_MOST_ONE = ("gamma", "gae_lambda", "tau")
SCHEDULED = ("learning_rate", "clip_range", "clip_range_vf")
NOISE = 0.1  # TD3 and DDPG explore not at all without


def sb3_arguments(
    algo: str,
    hyperparams: Mapping[str, Any],
    parameters: Mapping[str, inspect.Parameter],
    action_space: spaces.Space,
) -> dict[str, Any]:
    """Hyperparameters as SB3's class wants them: schedules, noise, tuples and layers made of plain data.

    Args:
        algo: Its name, such as ppo.
        hyperparams: Of config.json.
        parameters: Of the class.
        action_space: The environment's.

    Raises:
        ValueError: One that the class does not take, or a value that it cannot be.
    """
    _check(algo, hyperparams, parameters)
    arguments: dict[str, Any] = {"policy": "MlpPolicy", **hyperparams}
    for key, value in arguments.items():
        if type(parameters[key].default) is int and isinstance(value, float) and value.is_integer():
            arguments[key] = int(value)  # 1e5
    for key in SCHEDULED:
        if isinstance(arguments.get(key), str):
            arguments[key] = _schedule(key, arguments[key])
    noise = arguments.get("action_noise", NOISE if algo in ("td3", "ddpg") else None)
    if noise is not None:
        size = np.ones(action_space.shape or ())
        if isinstance(noise, bool) or not isinstance(noise, int | float) or not noise >= 0:
            raise ValueError(f"action_noise is {noise!r}: give a standard deviation, such as {NOISE}")
        arguments["action_noise"] = NormalActionNoise(0.0 * size, noise * size)
    if isinstance(arguments.get("train_freq"), list):
        arguments["train_freq"] = tuple(arguments["train_freq"])
    if "policy_kwargs" in arguments:
        arguments["policy_kwargs"] = _policy_kwargs(arguments["policy_kwargs"])
    return arguments


def _check(algo: str, hyperparams: Mapping[str, Any], parameters: Mapping[str, inspect.Parameter]) -> None:
    """Refuse a hyperparameter that SB3's class does not take, and what is no number where it takes one."""
    ours = {"env", "seed", "device", "verbose", "tensorboard_log", "_init_setup_model"}
    known = sorted(parameters.keys() - ours)
    for key, value in hyperparams.items():
        if key in ("env", "seed", "device"):
            raise ValueError(f"{key} is no hyperparameter: pass --{key}")
        if key not in known:
            close = get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
            raise ValueError(f"{algo} has no hyperparameter {key!r}: {hint}")
        kind = str(parameters[key].annotation)
        if type(parameters[key].default) is bool and not isinstance(value, bool):
            raise ValueError(f"{key} is {value!r}: give True or False")
        if key == "policy" and value != "MlpPolicy":
            raise ValueError(f"policy is {value!r}: observations are flat, take MlpPolicy or leave it out")
        if type(parameters[key].default) is int and isinstance(value, float) and not value.is_integer():
            raise ValueError(f"{key} is {value}: give a whole number")
        number = ("float" in kind or "int" in kind) and "str" not in kind and key not in SCHEDULED
        if number and (isinstance(value, str | bool) or (value is None and "None" not in kind)):
            raise ValueError(f"{key} is {value!r}: give a number, such as {parameters[key].default or 0.01}")
        if key in AT_LEAST_ONE and isinstance(value, int | float) and value < 1:
            raise ValueError(f"{key} is {value}: give 1 or more")
        if key in AT_MOST_ONE and isinstance(value, int | float) and not 0 <= value <= 1:
            raise ValueError(f"{key} is {value}: give a number from 0 to 1")
        if key in SCHEDULED and (value is True or (isinstance(value, int | float) and not value > 0)):
            raise ValueError(f"{key} is {value}: give a number above 0")


def _schedule(key: str, text: str) -> LinearSchedule:
    kind, _, value = text.partition("_")
    try:
        if kind == "lin" and 0 < float(value) < math.inf:
            return LinearSchedule(float(value), 0.0, 1.0)
    except ValueError:
        pass
    raise ValueError(f"{key} is {text!r}: give a number, or lin_3e-4 to fall linearly to 0")


def _policy_kwargs(given: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise ValueError(f"policy_kwargs is {given!r}: give a dict such as {{'net_arch': [64, 64]}}")
    kwargs = dict(given)
    name = kwargs.get("activation_fn")
    if isinstance(name, str):
        if name not in ACTIVATIONS:
            raise ValueError(f"activation_fn is {name!r}: choose one of {', '.join(ACTIVATIONS)}")
        kwargs["activation_fn"] = ACTIVATIONS[name]
    return kwargs
