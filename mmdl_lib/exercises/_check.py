"""Self-checking exercises: `check("clip-2", answer)` says what to think about next."""

import importlib
import importlib.util
import re

import torch

from mmdl_lib.exercises._answers import Hint


def check(name: str, answer: object = None) -> bool:
    """Check an answer and print one line.

    Args:
        name: slug and number of the exercise, such as "clip-2".
        answer: a value or a function, as the exercise asks; None or `...` is blank.

    Returns:
        Whether the answer is right.

    Raises:
        ValueError: there is no such exercise.
    """
    exercise = _find(name)
    try:
        if _is_blank(answer):
            raise Hint("not answered yet.")
        with torch.enable_grad():  # a notebook may have switched it off
            exercise(answer)
    except Hint as hint:
        print(f"{name}: {hint}")
        return False
    print(f"{name}: right.")
    return True


def _is_blank(answer: object) -> bool:
    return answer is None or answer is ... or (isinstance(answer, str) and not answer)


def _find(name: str):
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
