"""A small laboratory whose numbers are worked out by hand."""

from functools import partial

from mmdl_lib import lab
from mmdl_lib.lab import Claim
from tests.lab import arms


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
