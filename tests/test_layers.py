"""The import rules, read from the source by ast, so that they hold for code that no test runs.

    files -> transitions -> generative -> demonstrations -> rewards -> streams -> recorder -> buffers
    -> relabel -> presets -> runs, training and all others -> entry points -> benchmarks, demos, tests

A module imports its own layer and those before it. What else holds is said at each rule below. A file of more
than 300 lines is worth a look, but no failure.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import rlgen

ROOT = Path(__file__).parents[1]
FIRST_LAYERS = (
    "files",
    "transitions",
    "generative",
    "demonstrations",
    "rewards",
    "streams",
    "recorder",
    "buffers",
    "relabel",
    "presets",
)
ENTRY_POINTS = ("train_vime", "gail", "enjoy")
OUTER = ("benchmarks", "demos", "tests")
SB3 = {"stable_baselines3", "sb3_contrib"}
DEMONSTRATIONS_MAY = {"rlgen", "torch", "numpy", "gymnasium", "h5py", "matplotlib", "tyro"}
# What takes longer to import than `--help` may take to answer.
HEAVY = SB3 | {"torch", "gymnasium", "mujoco", "matplotlib", "pandas", "scipy", "tensorboard", "h5py", "envs"}


@dataclass(frozen=True)
class Import:
    """One imported module, and whether importing the file imports it."""

    file: str
    target: str
    line: int
    eager: bool

    @property
    def top(self) -> str:
        return self.target.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.file} (line {self.line}) imports {self.target}"


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def find_imports(node: ast.AST, file: str, eager: bool = True) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(file, alias.name, node.lineno, eager)
    elif isinstance(node, ast.ImportFrom):
        base = "." * node.level + (node.module or "")
        for alias in node.names:
            yield Import(file, f"{base}.{alias.name}", node.lineno, eager)
    elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        for child in node.body:
            yield from find_imports(child, file, eager=False)
        for child in node.orelse:
            yield from find_imports(child, file, eager)
    else:
        inside = eager and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from find_imports(child, file, inside)


def read(root: Path) -> dict[str, list[Import]]:
    """Every module of the project with its imports, `from package import name` resolved to a module."""
    paths = [p for top in ("rlgen", "envs", *OUTER) for p in sorted((root / top).rglob("*.py"))]
    modules = {module_name(path, root): path for path in paths}

    def resolve(found: Import) -> Import:
        package, _, name = found.target.rpartition(".")
        if package == "rlgen" and name in rlgen._HOME:  # the lazy names stand for the modules that hold them
            return Import(found.file, rlgen._HOME[name], found.line, found.eager)
        ours = found.top in ("rlgen", "envs", *OUTER)
        target = package if ours and package and found.target not in modules else found.target
        return Import(found.file, target, found.line, found.eager)

    return {
        name: [resolve(found) for found in find_imports(ast.parse(path.read_text("utf-8")), name)]
        for name, path in modules.items()
    }


def part(module: str) -> str:
    """rlgen.rewards.vime -> rewards."""
    return module.split(".")[1] if "." in module else ""


def is_entry(module: str) -> bool:
    """A command: rlgen.enjoy, and the __main__ of a package, whatever the package's layer."""
    return part(module) in ENTRY_POINTS or module.endswith(".__main__")


def layer(module: str) -> int:
    if part(module) in FIRST_LAYERS and not is_entry(module):
        return FIRST_LAYERS.index(part(module))
    return len(FIRST_LAYERS) + is_entry(module)


def inside_rlgen(found: Import) -> str | None:
    """The layers; SB3 and the environments only where a run is put together."""
    last = layer(found.file) < len(FIRST_LAYERS)
    if found.top in OUTER:
        return "rlgen never imports what is built on it"
    if found.top == "rlgen" and part(found.target) and layer(found.target) > layer(found.file):
        return f"{part(found.target)} comes after {part(found.file)}"
    if part(found.file) == "generative" and found.top not in {"rlgen", "torch", "numpy"} | stdlib():
        return "generative imports torch and numpy only"
    if part(found.file) == "demonstrations" and found.top not in DEMONSTRATIONS_MAY | stdlib():
        return f"demonstrations import {', '.join(sorted(DEMONSTRATIONS_MAY))} only"
    plugs_in = part(found.file) in ("recorder", "buffers", "relabel")
    if found.top in SB3 and ((last and not plugs_in) or is_entry(found.file)):
        return "SB3 is for recorder, buffers, relabel, runs, training and what plugs into SB3"
    if found.top == "envs" and last:
        return "only runs, training and the entry points register environments"
    return None


def outside_rlgen(found: Import) -> str | None:
    """envs stands alone; benchmarks, demos and tests come last, in this order."""
    top = found.file.partition(".")[0]
    if top == "envs" and found.top not in {"envs", "gymnasium", "mujoco", "numpy"} | stdlib():
        return "envs imports gymnasium, mujoco and numpy only"
    if top in OUTER and found.top in OUTER and OUTER.index(found.top) > OUTER.index(top):
        return f"{found.top} comes after {top}"
    return None


def stdlib() -> set[str]:
    return set(sys.stdlib_module_names)


def violations(modules: dict[str, list[Import]]) -> list[str]:
    """Each import that breaks a rule, with the rule."""
    bad = []
    for found in (found for imports in modules.values() for found in imports):
        if found.target.startswith("."):
            bad.append(f"{found}: write the absolute name")
            continue
        rule = inside_rlgen if found.file.startswith("rlgen.") else outside_rlgen
        if reason := rule(found):
            bad.append(f"{found}: {reason}")
    return bad


def heavy_imports(modules: dict[str, list[Import]], start: str) -> list[str]:
    """What importing `start` loads of HEAVY, over every module that it loads on the way."""
    todo, seen, bad = [start], set(), []
    while todo:
        name = todo.pop()
        if name in seen or name not in modules:
            continue
        seen.add(name)
        eager = [found for found in modules[name] if found.eager]
        bad += [f"{found}, on the way from {start}" for found in eager if found.top in HEAVY]
        todo += [found.target for found in eager]
        todo.append(name.rpartition(".")[0])  # a module's package is imported before it
    return bad


def cycle(modules: dict[str, list[Import]]) -> list[str]:
    """The modules of an import cycle, or nothing."""
    graph = {name: {found.target for found in found_in if found.eager} for name, found_in in modules.items()}
    try:
        TopologicalSorter({name: targets - {name} for name, targets in graph.items()}).prepare()
    except CycleError as error:
        return error.args[1]
    return []


MODULES = read(ROOT)
COMMANDS = [*(f"rlgen.{entry}" for entry in ENTRY_POINTS), "rlgen.demonstrations.__main__"]


def test_imports_go_one_way():
    assert len(MODULES) > 10
    assert violations(MODULES) == []


def test_no_import_cycle():
    assert cycle(MODULES) == []


@pytest.mark.parametrize("name", sorted({"rlgen", *COMMANDS} & set(MODULES)))
def test_help_waits_for_nothing_heavy(name):
    """Entry points parse their arguments first and import torch, SB3 and the like inside functions."""
    assert heavy_imports(MODULES, name) == []


@pytest.mark.parametrize(
    ("file", "source", "reason"),
    [
        ("rlgen/generative/gan.py", "import gymnasium", "torch and numpy only"),
        ("rlgen/generative/gan.py", "from rlgen.rewards import base", "rewards comes after generative"),
        ("rlgen/rewards/x.py", "def f():\n    from stable_baselines3 import PPO", "SB3 is for"),
        ("rlgen/demonstrations/x.py", "import stable_baselines3", "demonstrations import gymnasium"),
        ("rlgen/demonstrations/x.py", "import envs", "demonstrations import gymnasium"),
        ("rlgen/demonstrations/x.py", "from rlgen import training", "training comes after demonstrations"),
        ("rlgen/demonstrations/__main__.py", "import sb3_contrib", "demonstrations import gymnasium"),
        ("rlgen/training.py", "import rlgen.demonstrations.__main__", "comes after training"),
        ("rlgen/rewards/x.py", "from rlgen import LearnReward", "relabel comes after rewards"),
        ("rlgen/streams.py", "if TYPE_CHECKING:\n    from rlgen import runs", "runs comes after streams"),
        ("rlgen/presets.py", "import envs", "register environments"),
        ("rlgen/runs.py", "import rlgen.train_vime", "train_vime comes after runs"),
        ("rlgen/runs.py", "from benchmarks import stats", "never imports what is built on it"),
        ("rlgen/runs.py", "from . import training", "write the absolute name"),
        ("rlgen/enjoy.py", "def main():\n    import sb3_contrib", "SB3 is for"),
        ("envs/ant.py", "from rlgen.runs import load", "gymnasium, mujoco and numpy only"),
        ("envs/ant.py", "import torch", "gymnasium, mujoco and numpy only"),
        ("benchmarks/x.py", "from tests import test_x", "tests comes after benchmarks"),
    ],
)
def test_a_broken_rule_is_found(tmp_path, file, source, reason):
    others = ("runs", "training", "train_vime", "rewards/base", "demonstrations/__main__")
    for name in (*(f"rlgen/{other}.py" for other in others), file):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(source if name == file else "import torch\n")
    (bad,) = violations(read(tmp_path))
    assert reason in bad


def test_a_heavy_import_is_found_behind_a_package(tmp_path):
    sources = {
        "rlgen/__init__.py": "",
        "rlgen/train_vime.py": "import tyro\nfrom rlgen.presets import P\ndef main():\n    import mujoco",
        "rlgen/presets.py": "from rlgen.rewards.names import NAMES",
        "rlgen/rewards/__init__.py": "import torch",
        "rlgen/rewards/names.py": "NAMES = ()",
    }
    for name, source in sources.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(source)
    (bad,) = heavy_imports(read(tmp_path), "rlgen.train_vime")
    assert bad == "rlgen.rewards (line 1) imports torch, on the way from rlgen.train_vime"


def test_a_cycle_is_found(tmp_path):
    (tmp_path / "rlgen").mkdir()
    (tmp_path / "rlgen" / "runs.py").write_text("from rlgen.training import make_env")
    (tmp_path / "rlgen" / "training.py").write_text("import rlgen.runs")
    assert set(cycle(read(tmp_path))) == {"rlgen.runs", "rlgen.training"}
    (tmp_path / "rlgen" / "training.py").write_text("def f():\n    import rlgen.runs")
    assert cycle(read(tmp_path)) == []
