"""Self-checking exercises: `check("clip-2", answer)` says what to think about next."""

from mmdl_lib.exercises._judged import BLANK, hint_for
from mmdl_lib.exercises._score import tried


def check(name: str, answer: object = None) -> bool:
    """Check an answer and print one line. A try is remembered for `score`.

    Args:
        name: slug and number of the exercise, such as "clip-2".
        answer: a value or a function, as the exercise asks; None or `...` is blank.

    Returns:
        Whether the answer is right.

    Raises:
        ValueError: there is no such exercise.
    """
    hint = hint_for(name, answer)
    print(f"{name}: {hint or 'right.'}")
    if hint is None or not hint.startswith(BLANK):
        tried(name, answer, hint is None)
    return hint is None
