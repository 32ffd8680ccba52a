"""Numbers that recipes measured: notebooks read them here, nobody retypes one."""

import json
import os
import tempfile
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


def keep(slug: str, *names, value) -> None:
    """Write a measured value into `results/<slug>.json`, for recipes.

    Several processes of one recipe may write at the same time, and nobody ever reads
    half a file.

    Args:
        slug: the recipe's name.
        names: where in the file, from the outside in, such as `"depth", seed`.
        value: anything that JSON can hold.

    Example:
        >>> keep("resnet", "depth", 0, value={"loss": 1.2})  # doctest: +SKIP
    """
    import fcntl  # not on Windows, where only recipes would miss it

    path = PACKAGE.parent / "results" / f"{slug}.json"
    with open(Path(tempfile.gettempdir()) / f"mmdl-{slug}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        whole = json.loads(path.read_text()) if path.exists() else {}
        place = whole
        for name in names[:-1]:
            place = place.setdefault(str(name), {})
        place[str(names[-1])] = value
        part = path.with_suffix(".part")
        part.write_text(json.dumps(whole, indent=1) + "\n")
        os.replace(part, path)


def claim(name: str, claim: str, *, paper: str, values, note: str, holds=None) -> dict:
    """The record of a claim, as the page of claims and the notebooks read it.

    Args:
        name: slug and a word, such as "resnet-plain".
        claim: one sentence that can be true or false.
        paper: what the paper prints, with its table or figure.
        values: one difference for each seed, positive where the claim is right.
        note: what was measured, in which unit.
        holds: True, False or "partly"; by default whether the whole 95 % interval lies
            above zero.
    """
    mean, low, high = (round(x, 4) for x in interval(values))
    verdict = low > 0 if holds is None else holds
    facts = {"id": name, "claim": claim, "paper": paper, "note": note}
    return facts | {
        "ours": mean,
        "low": low,
        "high": high,
        "seeds": len(values),
        "holds": verdict,
    }
