"""What the commands share: reading flags, and turning errors into one line and an exit status.

    0 done    2 bad input    3 NaN from the environment    130, 143 interrupted (SIGINT, SIGTERM)
    141 whoever reads our output has left

A defect of ours keeps its traceback.
"""

from __future__ import annotations

import ast
import io
import json
import math
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from dataclasses import fields
from difflib import get_close_matches
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Any, Optional, TypeVar, get_type_hints

import tyro
from tyro.constructors import PrimitiveConstructorSpec

from rlgen.files import make_folder

C = TypeVar("C")

# What tyro draws round a message, on a terminal and where output is not UTF-8.
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
RULE = re.compile(r"[─╰-]{3}")

# What a flag that may be left out holds. tyro checks `str | None` with typeguard, whose import takes a third
# of the time of --help, and `Optional[str]` without.
MaybeText = Optional[str]  # noqa: UP045
MaybeWhole = Optional[int]  # noqa: UP045
MaybeNumber = Optional[float]  # noqa: UP045
MaybePairs = Optional[dict]  # noqa: UP045
MaybePath = Optional[Path]  # noqa: UP045


def one(read: Callable[[str], Any], metavar: str, default: str) -> PrimitiveConstructorSpec:
    """How tyro reads a flag of one value whose default of None is described by `default`."""
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=lambda args: read(args[0]),
        is_instance=lambda value: True,
        str_from_instance=lambda value: [default if value is None else str(value)],
    )


def whole(default: str, least: int = 1) -> PrimitiveConstructorSpec:
    """A whole number of at least `least`; `1e6` is understood."""
    return one(lambda text: read_whole(text, least), "N", default)


def seed(default: str) -> PrimitiveConstructorSpec:
    """A seed: numpy takes 32 bits, and evaluations add to it."""
    return one(lambda text: read_whole(text, 0, 2**31 - 1), "N", default)


def number(default: str) -> PrimitiveConstructorSpec:
    """A real number."""
    return one(read_number, "X", default)


def choice(options: Sequence[str], default: str) -> PrimitiveConstructorSpec:
    """One of a few names."""

    def read(text: str) -> str:
        check_known("name", text, options)
        return text

    return one(read, "|".join(options), default)


PAIRS = PrimitiveConstructorSpec(
    nargs="*",
    metavar="K:V",
    instance_from_str=lambda args: read_pairs(args),
    is_instance=lambda value: True,
    str_from_instance=lambda value: ["none"] if not value else [f"{k}:{v}" for k, v in value.items()],
)
"""Pairs k:v with Python literals or plain words as values, as in rl-zoo3."""


def several(read: Callable[[str], Any], metavar: str) -> PrimitiveConstructorSpec:
    """How tyro reads a flag of one value or more whose default is none."""
    return PrimitiveConstructorSpec(
        nargs="*",
        metavar=f"{metavar} [{metavar} ...]",
        instance_from_str=lambda args: tuple(read(text) for text in _some(args)),
        is_instance=lambda value: True,
        str_from_instance=lambda value: [str(part) for part in value] or ["none"],
    )


def _some(args: Sequence[str]) -> Sequence[str]:
    if not args:
        raise ValueError("nothing is given")
    return args


SEEDS = several(lambda text: read_whole(text, 0, 2**31 - 1), "N")
RUNS = several(Path, "RUN")


def read_whole(text: str, least: int = 1, most: int | None = None) -> int:
    """'5', '1_000' or '1e6' -> int.

    Raises:
        ValueError: No whole number, or one out of range.
    """
    value = _finite(text)
    if value is None or value != int(value) or value < least:
        raise ValueError(f"{text!r} is not a whole number of at least {least}")
    if most is not None and value > most:
        raise ValueError(f"{text!r} is too large: give at most {most}")
    return int(value)


def read_number(text: str) -> float:
    """A finite number.

    Raises:
        ValueError: It is none.
    """
    value = _finite(text)
    if value is None:
        raise ValueError(f"{text!r} is not a number, such as 0.3 or 1e6")
    return value


def _finite(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def read_pairs(args: Sequence[str]) -> dict[str, Any]:
    """['gamma:0.9', 'ent_coef:auto'] -> {'gamma': 0.9, 'ent_coef': 'auto'}; nothing is executed.

    Raises:
        ValueError: A text that is no pair, a name that comes twice, or nothing at all.
    """
    pairs: dict[str, Any] = {}
    for text in _some(args):
        key, colon, value = text.partition(":")
        if not key or not colon:
            raise ValueError(f"{text!r} is not a pair: write name:value, such as gamma:0.9")
        if key in pairs:
            raise ValueError(f"{text!r}: {key} is given twice")
        try:
            pairs[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            pairs[key] = value
        try:
            json.dumps(pairs[key])  # config.json holds it
        except TypeError:
            raise ValueError(
                f"{text!r}: give a number, a word, True, False, None, a list or a dict of them"
            ) from None
    return pairs


def nearest(text: str, known: Sequence[str]) -> str:
    """'did you mean ...?' and all that is known."""
    close = get_close_matches(text, known, n=1, cutoff=0.5)
    listed = ", ".join(known)
    return f"did you mean {close[0]!r}? All: {listed}" if close else f"choose one of {listed}"


def check_output(flag: str, path: Path, suffix: str = "") -> None:
    """Refuse a path that could not be written in the end, and make its folder.

    Raises:
        ValueError: another ending, a folder, or a place where nothing can be written.
    """
    if suffix and path.suffix != suffix:
        raise ValueError(f"{flag} is {str(path)!r}: give a path that ends in {suffix}")
    if path.is_dir():
        raise ValueError(f"{flag} is {str(path)!r}, a folder: give a file's path")
    try:
        make_folder(path.parent)
    except OSError as error:
        raise ValueError(f"{flag} {path} cannot be written: {error}") from error


def check_known(kind: str, text: str, known: Sequence[str]) -> None:
    """A name must be one of those known.

    Raises:
        ValueError: It is not; "unknown <kind> ..." and which it may have meant.
    """
    if text not in known:
        raise ValueError(f"unknown {kind} {text!r}: {nearest(text, known)}")


def module_of(config: type) -> str:
    """What `python -m` runs for a command, told by its dataclass of flags."""
    module = sys.modules[config.__module__]
    if module.__spec__:
        return module.__spec__.name.removesuffix(".__main__")
    file = Path(module.__file__ or "")  # run as a script: python demos/record.py
    return f"{file.resolve().parent.name}.{file.stem}"


def parse(config: type[C], argv: Sequence[str]) -> C:
    """Read the flags of a dataclass; --help prints and leaves.

    Raises:
        ValueError: an unknown flag, a value that cannot be read, or pairs behind more flags than one.
    """
    _check_repeated(config, argv)
    prog = f"python -m {module_of(config)}"
    told = io.StringIO()
    try:
        with redirect_stderr(told):
            options, unknown = tyro.cli(
                config, prog=prog, args=argv, return_unknown_args=True, config=(tyro.conf.FlagCreatePairsOff,)
            )
    except SystemExit as leave:
        if not leave.code:
            raise
        raise ValueError(unbox(told.getvalue())) from None
    if unknown:
        raise ValueError(_unknown(unknown[0], [field.name for field in fields(config)]))  # type: ignore[arg-type]
    return options


def _check_repeated(config: type, argv: Sequence[str]) -> None:
    """Refuse a second flag of pairs, which would take the place of the first and drop its pairs."""
    for name, hint in get_type_hints(config, include_extras=True).items():
        metadata = getattr(hint, "__metadata__", ())
        if PAIRS in metadata:
            aliases = [alias for part in metadata for alias in getattr(part, "aliases", None) or ()]
            flags = {f"--{name}", f"--{name.replace('_', '-')}", *aliases}
            given = [text for text in argv if text.partition("=")[0] in flags]
            if len(given) > 1:
                raise ValueError(f"{' and '.join(given)}: write all pairs behind one of them")


def unbox(text: str) -> str:
    """The first paragraph of tyro's message, on one line: without colours, box, title and rules."""
    lines = [line.strip("│ ") for line in COLOUR.sub("", text).splitlines()[1:]]
    told = dropwhile(RULE.match, lines)
    paragraph = takewhile(lambda line: line and not RULE.match(line), told)
    told = " ".join(paragraph).removeprefix("Error parsing ")
    missing = re.match(r"Missing from [^:]+: (\S+)", told)
    return f"{missing[1]} is missing: see --help" if missing else told


def _unknown(text: str, names: Sequence[str]) -> str:
    if not text.startswith("-"):
        return f"unknown argument {text!r}: see --help"
    close = get_close_matches(text, [f"--{name.replace('_', '-')}" for name in names], n=1, cutoff=0.75)
    return f"unknown flag {text!r}: {f'did you mean {close[0]}?' if close else 'see --help'}"


def run(main: Callable[[C], object], config: type[C], argv: Sequence[str] | None = None) -> int:
    """Parse, run `main`, and give the exit status; what the user can mend is told in one line."""
    told: set[str] = set()
    warnings.formatwarning = lambda message, *_where, **_source: _warning(message, told)
    try:
        main(parse(config, sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
    except ValueError as error:
        return _fail(error, 2)
    except BrokenPipeError:  # `| head` has read enough; what is left must not fail again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except RuntimeError as error:
        from rlgen.episode_log import EnvironmentNaN

        if not isinstance(error, EnvironmentNaN):
            raise
        return _fail(error, 3)
    return 0


def _warning(message: Warning | str, told: set[str]) -> str:
    """The line to print; nothing if it is told already, wherever it comes from."""
    line = "warning: " + " ".join(COLOUR.sub("", str(message)).split()) + "\n"
    if line in told:
        return ""
    told.add(line)
    return line


def _fail(error: Exception, status: int) -> int:
    print("error: " + " ".join(str(error).split()), file=sys.stderr)
    return status
