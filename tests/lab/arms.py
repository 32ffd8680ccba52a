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
    (Path(folder) / f"began-{seed}").write_text(str(os.getpid()))
    time.sleep(seconds)
    return {"score": float(seed)}


def broken(seed):
    if seed == 1:
        raise ValueError("expected rain, got sun.")
    return {"score": 1.0}


def counted(seed, *, folder):
    """Fails at seed 1, and notes each try."""
    with (Path(folder) / "tries").open("a") as file:
        file.write(f"{seed} ")
    return broken(seed)


def drawn(seed):
    """From torch's global generator."""
    import torch  # those who only write need not wait for it

    return {"score": torch.rand(()).item()}


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
