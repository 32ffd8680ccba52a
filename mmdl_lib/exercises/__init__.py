"""Exercises that check themselves: one file a chapter, `exercise_2` for `clip-2`.

Each function states its task, returns None for a right answer and raises `Hint` for a
wrong one. Data and expected values are made here, from a seed: an answer that fits
one example by luck does not pass.
"""

from mmdl_lib.exercises._answers import Hint, call, compare, scalar
from mmdl_lib.exercises._check import check

__all__ = ["Hint", "call", "check", "compare", "scalar"]
