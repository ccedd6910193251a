"""The Python pickles of CIFAR-10, read without unpickling.

A pickle is a program for a small stack machine, and `pickle.load` runs it whatever it does. Here the opcodes
are interpreted by hand: containers, text, numbers, and the few names by which numpy writes an array, each of
which stands for a record that this file fills in. No name is ever looked up and nothing is called.
"""

from __future__ import annotations

import pickletools
import re
from collections.abc import Callable
from typing import Any

import numpy as np

_CORE = ("numpy.core", "numpy._core")
RECONSTRUCT = {f"{core}.multiarray _reconstruct" for core in _CORE}
FROM_BUFFER = {f"{core}.numeric _frombuffer" for core in _CORE}
ALLOWED = RECONSTRUCT | FROM_BUFFER | {"numpy ndarray", "numpy dtype", "_codecs encode"}
"""The names that a pickled array of numbers needs."""

PLAIN = {"BININT", "BININT1", "BININT2", "LONG1", "BINSTRING", "SHORT_BINSTRING", "BINUNICODE"} | {
    "SHORT_BINUNICODE",
    "BINUNICODE8",
    "BINBYTES",
    "SHORT_BINBYTES",
    "BINBYTES8",
    "BYTEARRAY8",
}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
CONTAINERS: dict[str, Callable[[], Any]] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class Name(str):
    """A global that the pickle names, never looked up."""


class Array:
    """Stands for an array until its contents are known."""

    def __init__(self, value: np.ndarray | None = None) -> None:
        self.value = value

    def fill(self, shape: Any, dtype: Any, raw: Any, fortran: Any = False) -> Array:
        """Take the contents: text of Python 2 or bytes."""
        if not isinstance(dtype, Type):
            raise ValueError(f"an array of {type(dtype).__name__} in place of a type of numbers")
        raw = raw.encode("latin-1") if isinstance(raw, str) else bytes(raw)
        shape = tuple(int(n) for n in shape)
        self.value = np.frombuffer(raw, dtype.value).reshape(shape, order="F" if fortran else "C")
        return self


class Type:
    """Stands for the type of an array's numbers."""

    def __init__(self, code: Any) -> None:
        if not isinstance(code, str) or not re.fullmatch(r"[<>|=]?[biuf][1248]", code):
            raise ValueError(f"an array of type {str(code)[:20]!r}, not of numbers")
        self.value = np.dtype(code)


def loads(data: bytes) -> Any:
    """The dicts, lists, numbers, text and arrays of a pickle.

    Raises:
        ValueError: It is damaged, or it asks for anything beyond that. Nothing of it was run.
    """
    machine = _Machine()
    for opcode, argument, _ in pickletools.genops(data):
        machine.step(opcode.name, argument)
    if len(machine.stack) != 1 or machine.marks:
        raise ValueError("the pickle is damaged: it does not end in one value")
    return machine.stack[0]


class _Machine:
    """The stack, and what was memorised."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        if name in PLAIN:
            self.stack.append(argument)
        elif name in CONSTANTS:
            self.stack.append(CONSTANTS[name])
        elif name in CONTAINERS:
            self.stack.append(CONTAINERS[name]())
        elif name in TUPLES:
            self.stack.append(tuple(self.pop(TUPLES[name])))
        elif method := getattr(self, f"do_{name.lower()}", None):
            method(argument)
        else:
            raise ValueError(
                f"the pickle asks for {name}, which arrays and labels do not need: nothing of it was run"
            )

    def pop(self, n: int) -> list[Any]:
        """The last n, no further down than the last mark."""
        if len(self.stack) - (self.marks[-1] if self.marks else 0) < n:
            raise ValueError("the pickle is damaged: its stack runs empty")
        values = self.stack[len(self.stack) - n :]
        del self.stack[len(self.stack) - n :]
        return values

    def since_mark(self) -> list[Any]:
        if not self.marks:
            raise ValueError("the pickle is damaged: a mark is missing")
        values = self.pop(len(self.stack) - self.marks[-1])
        self.marks.pop()
        return values

    def top(self, kind: type) -> Any:
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise ValueError(f"the pickle is damaged: no {kind.__name__} where one is filled")
        return self.stack[-1]

    def do_proto(self, version: int) -> None:
        pass

    def do_frame(self, size: int) -> None:
        pass

    def do_stop(self, _: None) -> None:
        pass

    def do_mark(self, _: None) -> None:
        self.marks.append(len(self.stack))

    def do_tuple(self, _: None) -> None:
        self.stack.append(tuple(self.since_mark()))

    def do_append(self, _: None) -> None:
        (value,) = self.pop(1)
        self.top(list).append(value)

    def do_appends(self, _: None) -> None:
        values = self.since_mark()
        self.top(list).extend(values)

    def do_setitem(self, _: None) -> None:
        key, value = self.pop(2)
        self.top(dict)[key] = value

    def do_setitems(self, _: None) -> None:
        values = self.since_mark()
        self.top(dict).update(zip(values[::2], values[1::2], strict=True))

    def do_memoize(self, _: None) -> None:
        self.do_binput(len(self.memo))

    def do_binput(self, index: int) -> None:
        self.memo[index] = self.top(object)

    do_long_binput = do_binput

    def do_binget(self, index: int) -> None:
        self.stack.append(self.memo[index])

    do_long_binget = do_binget

    def do_global(self, name: str) -> None:
        if name not in ALLOWED:
            raise ValueError(
                f"the pickle names {'.'.join(name.split())[:60]}, which arrays and labels do not need and "
                "which may be there to do harm: nothing of it was run"
            )
        self.stack.append(Name(name))

    def do_stack_global(self, _: None) -> None:
        module, name = self.pop(2)
        self.do_global(f"{module} {name}")

    def do_reduce(self, _: None) -> None:
        name, arguments = self.pop(2)
        if not isinstance(name, Name) or not isinstance(arguments, tuple):
            raise ValueError("the pickle is damaged: it calls something that is no name")
        if name in RECONSTRUCT:
            value: Any = Array()
        elif name in FROM_BUFFER:
            raw, dtype, shape, order = arguments
            value = Array().fill(shape, dtype, raw, order == "F")
        elif name == "numpy dtype":
            value = Type(arguments[0])
        elif name == "_codecs encode" and isinstance(arguments[0], str):  # Python 3's bytes for Python 2
            value = arguments[0].encode("latin-1")
        else:
            raise ValueError(f"the pickle is damaged: it calls {'.'.join(name.split())}")
        self.stack.append(value)

    def do_build(self, _: None) -> None:
        (state,) = self.pop(1)
        target = self.top(object)
        if isinstance(target, Array):
            _, shape, dtype, fortran, raw = state
            target.fill(shape, dtype, raw, fortran)
        elif isinstance(target, Type) and state[1] in ("<", ">", "|", "="):
            target.value = target.value.newbyteorder(state[1])
        else:
            raise ValueError("the pickle is damaged: it fills something that is no array")
