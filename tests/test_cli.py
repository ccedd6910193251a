"""Flags: numbers, pairs, suggestions, and the exit status of what the user can mend."""

from __future__ import annotations

import os
import pty
import resource
import shlex
import subprocess
import sys
from dataclasses import dataclass
from typing import Annotated

import pytest
import tyro

from rlgen import cli
from rlgen.episode_log import EnvironmentNaN


@dataclass(frozen=True)
class Flags:
    """A command."""

    env: Annotated[cli.MaybeText, cli.one(str, "ID", "none")] = None
    """The environment."""
    total_timesteps: Annotated[cli.MaybeWhole, cli.whole("preset"), tyro.conf.arg(aliases=["-n"])] = None
    """Steps."""
    eta: Annotated[cli.MaybeNumber, cli.number("preset")] = None
    """Weight."""
    bonus: Annotated[cli.MaybeText, cli.choice(("expected", "none"), "expected")] = None
    """Name."""
    hyperparams: Annotated[cli.MaybePairs, cli.PAIRS, tyro.conf.arg(aliases=["-params"])] = None
    """Pairs."""
    progress: Annotated[bool, tyro.conf.arg(aliases=["-P"])] = False
    """Bar."""


def test_what_is_left_out_is_none():
    assert cli.parse(Flags, []) == Flags()


def test_flags_as_in_rl_zoo3():
    pairs = ["-params", "gamma:0.9", "ent_coef:auto", "net:[8, 8]", "on:True"]
    flags = cli.parse(Flags, ["-P", "-n", "1e6", *pairs, "--env", "A-v0"])
    assert flags.total_timesteps == 1_000_000 and isinstance(flags.total_timesteps, int)
    assert flags.hyperparams == {"gamma": 0.9, "ent_coef": "auto", "net": [8, 8], "on": True}
    assert flags.progress and flags.env == "A-v0" and flags.eta is None


def test_underscores_are_understood():
    assert cli.parse(Flags, ["--total_timesteps", "5"]).total_timesteps == 5


@pytest.mark.parametrize("value", ["1j", "[1j]", "b'x'", "...", "[{1}]", "{(1, 2): 3}"])
def test_what_no_config_can_hold_is_refused(value):
    with pytest.raises(ValueError, match="give a number, a word"):
        cli.read_pairs([f"a:{value}"])


def test_values_of_pairs_are_never_run():
    assert cli.read_pairs(["a:__import__('os').getpid()", "b:x:y"]) == {
        "a": "__import__('os').getpid()",
        "b": "x:y",
    }


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["-n", "1.5"], "-n/--total-timesteps: '1.5' is not a whole number of at least 1"),
        (["-n", "0"], "at least 1"),
        (["-n", "many"], "'many' is not a whole number of at least 1"),
        (["-n"], "Missing value for argument '-n/--total-timesteps'"),
        (["--eta", "nan"], "--eta: 'nan' is not a number"),
        (["--eta", "inf"], "not a number"),
        (["--bonus", "expectd"], "did you mean 'expected'? All: expected, none"),
        (["--bonus", "zzz"], "choose one of expected, none"),
        (["-params", "gamma"], "'gamma' is not a pair: write name:value"),
        (["-params", ":3"], "is not a pair"),
        (["-params"], "nothing is given"),
        (["-params", "gamma:0.9", "gamma:0.8"], "'gamma:0.8': gamma is given twice"),
        (["-params", "a:1", "--hyperparams", "b:2"], "-params and --hyperparams: write all pairs behind one"),
        (["-params", "gamma:{1,2}"], "'gamma:{1,2}': give a number, a word"),
        (["--evn", "A-v0"], "unknown flag '--evn': did you mean --env?"),
        (["--zzzzzz"], "unknown flag '--zzzzzz': see --help"),
        (["--verbose"], "unknown flag '--verbose': see --help"),
        (["stray"], "unknown argument 'stray': see --help"),
    ],
)
def test_a_bad_flag_is_one_line_and_status_2(argv, message, capsys):
    assert cli.run(lambda flags: pytest.fail("ran"), Flags, argv) == 2
    out, err = capsys.readouterr()
    assert message in err and err.startswith("error: ") and err.count("\n") == 1
    assert out == ""


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_bad_flag_is_one_plain_line_on_a_terminal_too(encoding):
    """tyro writes to a terminal in colours, and draws with minuses where it is not UTF-8."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "PYTHONIOENCODING": encoding}
    argv = [sys.executable, "-m", "rlgen.train_vime", "--env", "Ant-v5", "--seed", "many"]
    told = subprocess.run(argv, stdout=theirs, stderr=subprocess.PIPE, text=True, env=environment)
    os.close(ours)
    os.close(theirs)
    assert told.returncode == 2
    assert told.stderr == "error: --seed: 'many' is not a whole number of at least 0\n"


def test_help_is_printed_and_leaves_with_0(capsys):
    with pytest.raises(SystemExit) as leave:
        cli.run(lambda flags: None, Flags, ["--help"])
    assert not leave.value.code
    assert "--total-timesteps" in capsys.readouterr().out


def raising(error):
    def main(flags):
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError("no\nsuch thing"), 2), (EnvironmentNaN("at step 7"), 3), (KeyboardInterrupt(), 130)],
)
def test_what_the_user_can_mend_has_a_status_and_a_line(error, status, capsys):
    assert cli.run(raising(error), Flags, []) == status
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert " ".join(str(error).split()) in err


def test_a_defect_of_ours_keeps_its_traceback():
    with pytest.raises(RuntimeError, match="defect"):
        cli.run(raising(RuntimeError("defect")), Flags, [])


def test_a_warning_of_a_library_is_one_line_without_its_source_and_told_once():
    code = "import warnings; from tests.test_cli import Flags, cli; warnings.simplefilter('always'); "
    code += "cli.run(lambda _: [warnings.warn('odd\\nsize') for _ in range(2)], Flags, [])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "warning: odd size\n"


def test_a_reader_who_has_read_enough_ends_it_without_a_word():
    code = "import sys; from tests.test_cli import Flags, cli; "
    code += "sys.exit(cli.run(lambda _: [print('a line') for _ in range(100_000)], Flags, []))"
    line = f"{shlex.join([sys.executable, '-c', code])} | head -1; echo ${{PIPESTATUS[0]}}"
    told = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert (told.stdout, told.stderr) == ("a line\n141\n", "")


def test_done_is_0():
    assert cli.run(lambda flags: "done", Flags, []) == 0


@pytest.mark.parametrize("command", ["train_vime", "enjoy"])
def test_help_takes_less_than_half_a_second(command):
    """Of processor time, which other processes do not disturb."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    argv = [sys.executable, "-W", "error", "-m", f"rlgen.{command}", "--help"]
    shown = subprocess.run(argv, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert shown.returncode == 0 and f"usage: python -m rlgen.{command}" in shown.stdout
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5
