"""Which function judges an exercise, and what it says to an answer."""

import importlib
import importlib.util
import re
import warnings

import torch

from mmdl_lib.exercises._answers import Hint
from mmdl_lib.exercises._kept import rebuilt

BLANK = "not answered yet"


def hint_for(name: str, answer: object) -> str | None:
    """The hint for an answer, None if it is right.

    Raises:
        ValueError: there is no such exercise.
    """
    exercise = find(name)
    try:
        if answer is None or answer is ... or (answer == "" and type(answer) is str):
            raise Hint(f"{BLANK}.")
        # a notebook may have switched gradients off; nbgrader gives no point to a
        # cell that warns
        with torch.enable_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exercise(answer)
    except Hint as hint:
        return str(hint)
    return None


def judged(name: str, entry: dict) -> str | None:
    """The hint for an answer that was kept, None if it is right; runs its code.

    Raises:
        ValueError: there is no such exercise, or the entry is none.
    """
    try:
        return hint_for(name, rebuilt(entry))
    except Hint as hint:
        return str(hint)


def find(name: str):
    """The function that judges an exercise.

    Raises:
        ValueError: there is no such exercise.
    """
    match = re.fullmatch(r"([a-z]\w*)-(\d+)", str(name))
    if match is None:
        raise ValueError(f"check expected a name such as 'clip-2', got {name!r}.")
    slug, number = match.groups()
    module = f"mmdl_lib.exercises.{slug}"
    if importlib.util.find_spec(module) is None:
        raise ValueError(f"check expected a chapter that has exercises, got {slug!r}.")
    exercises = vars(importlib.import_module(module))
    exercise = exercises.get(f"exercise_{number}")
    if exercise is None:
        known = [k.removeprefix("exercise_") for k in exercises if "exercise_" in k]
        raise ValueError(
            f"check expected one of the exercises {', '.join(sorted(known))} of "
            f"{slug!r}, got {number}."
        )
    return exercise
