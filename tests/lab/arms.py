"""Arms for the tests of the laboratory: plain functions that workers can import."""

import os
import time
from pathlib import Path

from mmdl_lib.record import keep


def number(seed, *, gain=0.0, spread=0.0):
    """A number a seed whose differences are known: they swing by `spread`."""
    return {"score": gain + 0.1 * seed + spread * (-1) ** seed}


def slow(seed, *, folder, seconds=0.2):
    """Notes that it began, and takes its time."""
    (Path(folder) / f"began-{seed}").touch()
    time.sleep(seconds)
    return {"score": float(seed)}


def broken(seed):
    if seed == 1:
        raise ValueError("expected rain, got sun.")
    return {"score": 1.0}


def deadly(seed):
    """Ends its whole process, as a kill for want of memory does."""
    if seed == 1:
        os._exit(9)
    return {"score": 1.0}


def not_a_number(seed):
    return {"score": float("nan")}


def keep_many(number):
    """One of several writers of the same file."""
    for i in range(30):
        keep("many", "runs", f"{number}-{i}", value=[number, i])
