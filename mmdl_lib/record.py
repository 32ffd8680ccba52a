"""Numbers that recipes measured: notebooks read them here, nobody retypes one."""

import json
from pathlib import Path

import torch

PACKAGE = Path(__file__).resolve().parent
# 97.5 % quantiles of Student's t for n - 1 degrees of freedom
STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365}


def results(slug: str) -> dict:
    """What `recipes/<slug>.py` measured, from the repository or the installed wheel.

    Raises:
        FileNotFoundError: no such file in either place.
    """
    for folder in (PACKAGE.parent / "results", PACKAGE / "_results"):
        path = folder / f"{slug}.json"
        if path.exists():
            return json.loads(path.read_text())
    raise FileNotFoundError(
        f"expected measured results for {slug!r}: run `python recipes/{slug}.py`."
    )


def interval(runs) -> tuple:
    """Mean over seeds and its 95 % interval by Student's t.

    Args:
        runs: one number for each seed, or one list of numbers for each.

    Returns:
        (mean, low, high); numbers for numbers, lists for lists.

    Raises:
        ValueError: fewer than two or more than eight seeds.

    Example:
        >>> [round(x, 3) for x in interval([0.4, 0.5, 0.6])]
        [0.5, 0.252, 0.748]
    """
    values = torch.tensor(runs, dtype=torch.float64)
    if len(values) not in STUDENT:
        raise ValueError(f"expected two to eight seeds, got {len(values)}.")
    mean = values.mean(0)
    half = STUDENT[len(values)] * values.std(0) / len(values) ** 0.5
    return mean.tolist(), (mean - half).tolist(), (mean + half).tolist()
