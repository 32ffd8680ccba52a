"""The recipes: an arm of each runs, and stored claims follow from stored runs."""

from pathlib import Path

import pytest

from mmdl_lib import lab
from mmdl_lib.record import results
from tests.lab.making import recipe

ROOT = Path(__file__).resolve().parents[2]
# where another group than the first is run; a new recipe needs no line here
ARMS = {
    "byol": "swav",
    "clip_claims": "shift",
    "efficientnet": "axes",
    "history": "dropout",
    "resnet": "norm",
    "simclr": "leak",
    "vit": "permutation",
}


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
    names |= {"photographs"} & set(whole)  # a group only where it is asked for
    assert set(whole) == names | {"claims", "stamps"}
    assert set(whole["stamps"]) == names
    for group, arms in made.groups.items():
        runs = whole[
            group
        ].values()  # the last seed may lack arms: the budget was spent
        missing = [a for a in arms if not any(has(r, a.split("/")) for r in runs)]
        assert missing in ([], [""]), group
