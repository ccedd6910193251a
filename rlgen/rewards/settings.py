"""What the settings of learned rewards may be: every value is checked against its field's annotation."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Callable, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, get_args, get_origin

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class Limit(NamedTuple):
    """Which numbers are allowed, in words and as a test."""

    told: str
    holds: Callable[[float], bool]


Positive = Annotated[float, Limit(" above 0", lambda x: x > 0)]
NonNegative = Annotated[float, Limit(" of at least 0", lambda x: x >= 0)]
Fraction = Annotated[float, Limit(" from 0 to below 1", lambda x: 0 <= x < 1)]
Count = Annotated[int, Limit(" of at least 1", lambda x: x >= 1)]
CountOrZero = Annotated[int, Limit(" of at least 0", lambda x: x >= 0)]


def check_settings(settings: DataclassInstance) -> None:
    """Refuse values that their fields' annotations do not allow; for a frozen dataclass's `__post_init__`.

    1e5 becomes 100000 where a whole number is asked for, and a list a tuple: flags and json give them.

    Raises:
        ValueError: It names the setting, its value, and what to give.
    """
    for name, hint in typing.get_type_hints(type(settings), include_extras=True).items():
        value, kinds = getattr(settings, name), _options(hint)
        fitted = [found for kind in kinds for found in _fit(value, kind)]
        if not fitted:
            raise ValueError(f"{name} is {value!r}: give {' or '.join(map(_told, kinds))}")
        object.__setattr__(settings, name, fitted[0])


def _options(hint: Any) -> Sequence[Any]:
    """The members of a union, or the one type."""
    return get_args(hint) if get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def _fit(value: Any, kind: Any) -> list[Any]:
    """[the value as the type has it], or [] where it does not fit."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return [fitted for fitted in _fit(value, args[0]) if args[1].holds(fitted)]
    if origin is Literal:
        return [value] if value in args else []
    if origin is tuple:
        given = value if isinstance(value, list | tuple) else [None]
        parts = [fitted for part in given for fitted in _fit(part, args[0])]
        return [tuple(parts)] if len(parts) == len(given) else []
    if kind not in (int, float):
        return [value] if isinstance(value, kind) else []
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        return []
    whole = int(float(value)) == value
    return [value] if kind is float else [int(float(value))] * whole


def _told(kind: Any) -> str:
    """A type in words."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _told(args[0]) + args[1].told
    if origin is Literal:
        return " or ".join(map(repr, args))
    if origin is tuple:
        return f"{_told(args[0])} for each, such as (64, 64)"
    return {int: "a whole number", float: "a number", bool: "True or False", types.NoneType: "None"}[kind]
