"""The package as it is installed: light to import, each fact in one place, every dependency pinned."""

import configparser
import math
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import rlgen
from rlgen import Transitions, load_reward
from rlgen.demonstrations import Demonstrations, Episode, save

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def setup_cfg():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return config


def requirements():
    project = PYPROJECT["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    return [Requirement(line) for group in groups for line in group]


def pins():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    return {canonicalize_name(name): pin for name, pin in (line.split("==") for line in lines)}


def test_import_loads_nothing_from_outside_the_standard_library():
    code = "import sys; import rlgen; print(*{name.partition('.')[0] for name in sys.modules})"
    command = [sys.executable, "-S", "-c", code]
    fresh = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(fresh.stdout.split()) - set(sys.stdlib_module_names) == {"rlgen", "__main__"}


@pytest.mark.parametrize("name", sorted(rlgen._HOME))
def test_public_names_are_found_on_first_use(name):
    assert getattr(rlgen, name).__module__ == rlgen._HOME[name]
    assert name in dir(rlgen) and name in rlgen.__all__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'VINE'"):
        _ = rlgen.VINE  # type: ignore[attr-defined]


def test_the_version_is_the_installed_one():
    try:
        assert rlgen.__version__ == version("rlgen") == PYPROJECT["project"]["version"]
    except PackageNotFoundError:
        assert rlgen.__version__ == "0+uninstalled"


def test_no_fact_stands_twice():
    config = setup_cfg()
    assert set(config.sections()) == {"options", "options.packages.find", "options.package_data"}
    assert set(config["options"]) == {"packages", "include_package_data", "zip_safe"}
    assert "setuptools" not in PYPROJECT["tool"]
    assert not {"packages", "package-data"} & set(PYPROJECT["project"])


@pytest.mark.parametrize("requirement", requirements(), ids=lambda r: r.name)
def test_every_dependency_is_pinned_within_its_range(requirement):
    assert requirement.specifier.contains(pins()[canonicalize_name(requirement.name)])


@pytest.mark.parametrize("package", ["rlgen", "envs"])
def test_a_wheel_holds_every_file(package):
    """find: takes folders with an __init__.py; other files have to match the package data."""
    patterns = setup_cfg()["options.package_data"][package].split()
    for path in (ROOT / package).rglob("*"):
        inner = path.relative_to(ROOT / package)
        if path.is_dir() or "__pycache__" in inner.parts:
            continue
        if path.suffix == ".py":
            assert (path.parent / "__init__.py").exists(), f"{path.parent} needs an __init__.py"
        else:
            assert any(re.fullmatch(pattern.replace("**/*", ".*"), str(inner)) for pattern in patterns), inner


def test_continuous_integration_runs_make_test():
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_make_refuses_an_old_python(tmp_path):
    """A stand-in interpreter that says it is too old; the message names the remedy."""
    old = tmp_path / "python3.9"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    for name in ("Makefile", "pyproject.toml", "setup.cfg", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    made = subprocess.run(["make", "test", f"PY={old}"], cwd=tmp_path, capture_output=True, text=True)
    assert made.returncode == 2
    assert "Python 3.11" in made.stderr and "PY=" in made.stderr


def readme_code():
    return re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)


def test_the_library_example_runs():
    """As printed, for one rollout in place of its 500 000 steps."""
    (code,) = [code for code in readme_code() if "model.learn(500_000" in code]
    names: dict = {}
    exec(code.replace("500_000", "4_096"), names)
    assert names["model"].num_timesteps == 4096
    assert names["bonus"].updates > 0


def test_the_imitation_example_runs(tmp_path, monkeypatch):
    """As printed, on random demonstrations, for one rollout in place of its 1 000 000 steps."""
    monkeypatch.chdir(tmp_path)
    env = gym.make("HalfCheetah-v5", max_episode_steps=40)
    env.action_space.seed(0)
    episodes = []
    for seed in range(4):
        obs, actions = [env.reset(seed=seed)[0]], [env.action_space.sample() for _ in range(40)]
        obs += [env.step(action)[0] for action in actions]
        episodes.append(Episode(np.stack(obs), np.stack(actions), None, False, True))
    (tmp_path / "demos").mkdir()
    save("demos/halfcheetah.npz", Demonstrations(tuple(episodes), "HalfCheetah-v5", None, "test"))
    (code,) = [code for code in readme_code() if "GAIL(" in code]
    names: dict = {}
    exec(code.replace("1_000_000", "4_096"), names)
    rows = names["demos"].transitions()
    again = load_reward(tmp_path / "reward.pt").reward(Transitions(*rows))
    assert torch.equal(again, names["reward"].reward(Transitions(*rows)))


def test_the_example_of_an_image_model_runs():
    (code,) = [code for code in readme_code() if "PixelCNN(" in code]
    names: dict = {}
    exec(code, names)
    images = names["images"]
    assert images.shape == (4, 1, 28, 28) and images.max() <= 1
    assert names["nats"].mean().item() == pytest.approx(28 * 28 * math.log(2), rel=0.02)  # coins


def test_the_example_of_a_learned_reward_works():
    from rlgen.rewards import Transitions

    (code,) = [code for code in readme_code() if "class Unusual" in code]
    names: dict = {}
    exec(code, names)
    unusual = names["Unusual"](2)
    rows = torch.tensor([[1.0, 5.0], [-1.0, -5.0]])
    batch = Transitions(rows, torch.zeros(2, 1), rows, torch.zeros(2))
    assert unusual.update(batch) == {"count": 2.0}
    assert torch.allclose(unusual.reward(batch), torch.ones(2))
    assert unusual.state_dict()
