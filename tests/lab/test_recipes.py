"""The recipes: an arm of each runs, and stored claims follow from stored runs."""

import importlib.util
import sys
from pathlib import Path

import pytest

from mmdl_lib import lab
from mmdl_lib.record import results

ROOT = Path(__file__).resolve().parents[2]
# where another group than the first is run; a new recipe needs no line here
ARMS = {
    "byol": "sides",
    "clip_claims": "shift",
    "efficientnet": "axes",
    "history": "dropout",
    "resnet": "norm",
    "simclr": "leak",
    "vit": "shift",
}


def recipe(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / f"recipes/{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[name]
    return module


def has(found, names):
    for name in names:
        if name not in found:
            return False
        found = found[name]
    return True


def labs():
    """Recipes with claims, found by the file that holds them."""
    return sorted(path.stem for path in (ROOT / "recipes").glob("*.toml"))


@pytest.mark.parametrize("name", labs())
def test_an_arm_of_each_recipe_runs(name, monkeypatch, capsys):
    monkeypatch.setenv("MMDL_SMOKE", "1")
    made = recipe(name).LAB
    group = ARMS.get(name, next(iter(made.groups)))
    made.groups[group] = dict([next(iter(made.groups[group].items()))])
    assert made.run([f"{group}:0"], debug=True) == 0
    assert set(results(name)[group]) == {"0"}


@pytest.mark.parametrize("name", labs())
def test_stored_claims_follow_from_the_stored_runs(name, monkeypatch):
    monkeypatch.delenv("MMDL_RESULTS")
    made, whole = recipe(name).LAB, results(name)
    assert whole["claims"] == [lab.judge(claim, whole) for claim in made.claims]


@pytest.mark.parametrize("name", labs())
def test_all_groups_of_a_recipe_are_stored_and_stamped(name, monkeypatch):
    monkeypatch.delenv("MMDL_RESULTS")
    made, whole = recipe(name).LAB, results(name)
    names = {*made.groups, *made.once}
    assert set(whole) == names | {"claims", "stamps"}
    assert set(whole["stamps"]) == names
    for group, arms in made.groups.items():
        for seed, found in whole[group].items():
            missing = [arm for arm in arms if not has(found, arm.split("/"))]
            assert missing in ([], [""]), (group, seed)
