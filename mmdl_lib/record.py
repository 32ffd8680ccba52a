"""Numbers that recipes measured: notebooks read them here, nobody retypes one.

A claim is judged by the 95 % interval of its mean paired difference: `interval` makes
it, `verdict` says what it allows to say.
"""

import json
import math
import os
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from filelock import FileLock

PACKAGE = Path(__file__).resolve().parent
LEAST_SEEDS = 5
VERDICTS = ("holds", "reversed", "no effect here", "cannot tell")


def folder() -> Path:
    """Where recipes write: `results/` of the repository, or `MMDL_RESULTS`."""
    return Path(os.environ.get("MMDL_RESULTS") or PACKAGE.parent / "results")


def results(slug: str) -> dict:
    """What `recipes/<slug>.py` measured, from the repository or the installed wheel.

    Raises:
        FileNotFoundError: no such file in either place.
        ValueError: a slug that is none, or a file that is cut or damaged.
    """
    for path in (_path(slug), PACKAGE / "_results" / f"{slug}.json"):
        if path.exists():
            return _read(path)
    raise FileNotFoundError(
        f"expected measured results for {slug!r}: run `python recipes/{slug}.py`."
    )


def keep(slug: str, *names, value) -> None:
    """Write a measured value into `results/<slug>.json`, for recipes.

    Args:
        slug: the recipe's name.
        names: where in the file, from the outside in, such as `"depth", seed`.
        value: anything that JSON can hold; tensors and arrays become lists.

    Raises:
        ValueError: NaN or infinity, or a file that is cut or damaged.
        TypeError: a value that JSON cannot hold.

    Example:
        >>> keep("resnet", "depth", 0, value={"loss": 1.2})  # doctest: +SKIP
    """
    update(slug, lambda whole: put(whole, names, value))


def update(slug: str, change: Callable[[dict], None]) -> None:
    """Change `results/<slug>.json` in place, as the only writer at that time.

    Several processes may do so together: each waits for the lock beside the file, and
    nobody ever reads half a file.

    Raises:
        ValueError: NaN or infinity, or a file that is cut or damaged.
        OSError: a folder that cannot be written.
    """
    path = _path(slug)
    if not folder().exists() and "MMDL_RESULTS" not in os.environ:
        raise OSError(
            f"expected the repository's folder of results at {folder()}, got none: "
            "name another one in MMDL_RESULTS."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.stem}.lock")):
        whole = _read(path) if path.exists() else {}
        change(whole)
        part = path.with_suffix(".part")
        part.write_text(_written(whole), encoding="utf-8")
        os.replace(part, path)


def put(whole: dict, names, value) -> None:
    """Set `whole[names[0]][names[1]]...`, as `keep` does, before it is written."""
    if not names:
        raise ValueError("expected the name of a value, got none.")
    for name in names[:-1]:
        whole = whole.setdefault(str(name), {})
    whole[str(names[-1])] = plain(value)


def plain(value):
    """The value in what JSON knows: tensors and arrays as lists, keys as strings.

    Raises:
        ValueError: NaN or infinity.
        TypeError: a value that JSON cannot hold.
    """
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    if not isinstance(value, float):
        kind = type(value).__name__
        raise TypeError(f"expected a value that JSON can hold, got {kind}.")
    if not math.isfinite(value):
        raise ValueError(f"expected a finite number to keep, got {value}.")
    return value


def _path(slug: str) -> Path:
    if not re.fullmatch(r"[\w-]+(/[\w-]+)*", slug):
        raise ValueError(f"expected a recipe's name such as 'resnet', got {slug!r}.")
    return folder() / f"{slug}.json"


def _read(path: Path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # also of a text that is not UTF-8
        raise ValueError(
            f"expected JSON in results/{path.name}, got a file that is cut or damaged "
            f"({error}): restore it, or delete it and run the recipe again."
        ) from error


def _written(whole: dict) -> str:
    """JSON with an innermost list on one line, so that a change is a short diff."""
    text = json.dumps(whole, indent=1, allow_nan=False)
    # no string holds a line break
    inner = re.compile(r"\[\n\s+([^\[\]{}]*?)\n\s+\]")
    return inner.sub(lambda m: "[" + re.sub(r"\n\s+", " ", m[1]) + "]", text) + "\n"


def interval(runs) -> tuple:
    """Mean over seeds and its 95 % interval by Student's t.

    Args:
        runs: one number for each seed, or one list of numbers for each; differences of
            two arms are taken within a seed, before they come here.

    Returns:
        (mean, low, high); numbers for numbers, lists for lists.

    Raises:
        ValueError: fewer than two seeds, or a number that is not finite.

    Example:
        >>> [round(x, 3) for x in interval([0.4, 0.5, 0.6])]
        [0.5, 0.252, 0.748]
    """
    runs = [run.tolist() if hasattr(run, "tolist") else run for run in runs]
    values = np.asarray(runs, dtype=float)
    if len(values) < 2:
        raise ValueError(f"expected two seeds or more, got {len(values)}.")
    if not np.isfinite(values).all():
        raise ValueError("expected finite numbers from each seed, got NaN or infinity.")
    mean = values.mean(0)
    half = student(len(values)) * values.std(0, ddof=1) / len(values) ** 0.5
    return mean.tolist(), (mean - half).tolist(), (mean + half).tolist()


@cache
def student(seeds: int) -> float:
    """97.5 % quantile of Student's t with `seeds` - 1 degrees of freedom.

    The distribution has a closed form for whole degrees (Abramowitz and Stegun, 26.7.3
    and 26.7.4), which is turned around by halving.
    """
    free, low, high = seeds - 1, 0.0, math.pi / 2
    for _ in range(80):
        angle = (low + high) / 2  # t = sqrt(free) * tan(angle)
        low, high = (angle, high) if _inside(angle, free) < 0.95 else (low, angle)
    return math.sqrt(free) * math.tan((low + high) / 2)


def seeds_for(values, margin: float | int) -> int:
    """Seeds after which half the interval is at most the margin, if they go on to
    spread as those of `values` do; a guess, as few values say little of their spread.

    Raises:
        ValueError: a margin that is not above zero, or values that do not differ.

    Example:
        >>> seeds_for([0.22, 0.18, -0.18, 0.15, 0.07], margin=0.05)
        42
    """
    spread = float(np.std(np.asarray(values, dtype=float), ddof=1))
    if not (margin > 0 and spread > 0):
        raise ValueError(
            f"expected margin and spread above zero, got {margin}, {spread}."
        )
    seeds = 2
    while student(seeds) * spread > margin * seeds**0.5:
        seeds += 1
    return seeds


def beyond(t: float | int, free: int) -> float:
    """Probability that |Student's t| is at least so large, with `free` degrees.

    Example:
        >>> round(beyond(2.776, 4), 3)
        0.05
    """
    return max(0.0, 1 - _inside(math.atan(abs(t) / math.sqrt(free)), free))


def _inside(angle: float, free: int) -> float:
    """Probability that |t| is at most sqrt(free) * tan(angle)."""
    odd = free % 2
    term, total = (math.cos(angle), 0.0) if odd else (1.0, 1.0)
    if free > 1 and odd:
        total = term
    for k in range(3 if odd else 2, free - 1, 2):
        term *= (k - 1) / k * math.cos(angle) ** 2
        total += term
    if odd:
        return 2 / math.pi * (angle + math.sin(angle) * total)
    return math.sin(angle) * total


def verdict(
    low: float | int | None,
    high: float | int | None,
    margin: float | int,
    *,
    seeds: int,
    equality: bool = False,
) -> str:
    """What a 95 % interval of the mean paired difference allows to say.

    Args:
        low, high: the interval, positive where the claim is right; None without one.
        margin: the smallest difference that would matter.
        seeds: how many there are; fewer than five allow no verdict.
        equality: whether the claim is that there is no difference: it holds where the
            interval lies within the margin, and is reversed where it lies beyond it.

    Returns:
        "holds" (wholly above zero), "reversed" (wholly below it), "no effect here"
        (wholly within plus or minus the margin), or "cannot tell". An interval that
        is both above zero and within the margin holds: the direction is certain.

    Raises:
        ValueError: a margin that is not above zero, or an interval the wrong way round.

    Example:
        >>> verdict(-0.004, 0.007, 0.01, seeds=6)
        'no effect here'
    """
    if not margin > 0 or not math.isfinite(margin):
        raise ValueError(f"expected a margin above zero, got {margin}.")
    if seeds < LEAST_SEEDS or low is None or high is None:
        return "cannot tell"
    if not low <= high:
        raise ValueError(f"expected low <= high, got {low} and {high}.")
    within = -margin <= low and high <= margin
    if equality:
        beyond = low > margin or high < -margin
        return "holds" if within else "reversed" if beyond else "cannot tell"
    if low > 0:
        return "holds"
    if high < 0:
        return "reversed"
    return "no effect here" if within else "cannot tell"
