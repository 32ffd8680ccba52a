"""Exercises that check themselves: one file a chapter, `exercise_2` for `clip-2`.

Each function states its task, returns None for a right answer and raises `Hint` for a
wrong one. Data and expected values are made here, from a seed: an answer that fits
one example by luck does not pass. Below the functions stand two tables by number:
`SOLUTIONS`, and `MISTAKES`, pairs of a wrong answer and the hint that it gets.
"""

from mmdl_lib.exercises._answers import ANY, Hint, call, judge, numbers
from mmdl_lib.exercises._check import check
from mmdl_lib.exercises._score import score

__all__ = ["ANY", "Hint", "call", "check", "judge", "numbers", "score"]
