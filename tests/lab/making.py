"""A small laboratory whose numbers are worked out by hand."""

import importlib.util
import sys
from functools import partial
from pathlib import Path

from mmdl_lib import lab
from mmdl_lib.lab import Claim
from tests.lab import arms

ROOT = Path(__file__).resolve().parents[2]


def claim(**changes):
    facts = {"id": "toy-a", "text": "A beats B.", "paper": "no number", "note": "N."}
    facts |= {"unit": "points", "left": "g/a/score", "right": "g/b/score"}
    return Claim(**facts | {"margin": 0.05, "why": "Less is nothing."} | changes)


def make(*, gain=1.0, spread=0.0, claims=None, **options):
    """Two arms whose differences are `gain` plus and minus `spread`."""
    a = partial(arms.number, gain=gain, spread=spread)
    claims = [claim()] if claims is None else claims
    return lab.Lab("toy", groups={"g": {"a": a, "b": arms.number}}, claims=claims,
                   **options)  # fmt: skip


def recipe(name):
    """The module of a recipe, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"recipes/{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[name]
    return module
