"""How fast one thread makes the shapes world: scenes and pictures per second.

Each figure is the best of five. Seconds are those of the process, so that other work on
the machine disturbs little; the load is printed beside.

Run: python benchmarks/shapes.py [scenes]
"""

import os
import sys
import time

import torch

from mmdl_lib.data import shapes

TARGET = 50_000  # pictures of 32 x 32 per second on one thread, scenes included


def best(function, n: int, *, runs: int = 5) -> float:
    """Items per second in the fastest of several runs, after one to warm up."""
    function()
    seconds = []
    for _ in range(runs):
        start = time.process_time()
        function()
        seconds.append(time.process_time() - start)
    return n / max(min(seconds), 1e-9)


def row(name: str, speed: float, note: str = "") -> None:
    print(f"{name:<36}{speed:>10,.0f} /s{note}")


def main(n: int = 8192) -> None:
    torch.set_num_threads(1)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"{n} scenes, one thread, torch {torch.__version__}, load {load:.1f}")
    row("scenes alone", best(lambda: shapes.sample(n, seed=0), n))
    few = shapes.sample(64, seed=0)
    row("32 x 32 in batches of 64", best(few.render, 64))
    for style in (*shapes.STYLES, shapes.OWN):
        objects = 1 if style == shapes.OWN else (1, 4)
        scenes = shapes.sample(n, seed=0, style=style, objects=objects)
        for size in (16, 64):
            speed = best(lambda size=size, scenes=scenes: scenes.render(size), n)
            row(f"{style}, {size} x {size}", speed)

        def both(style=style, objects=objects):
            return shapes.sample(n, seed=0, style=style, objects=objects).render()

        note = f" (target {TARGET:,})"
        row(f"{style}, scenes and 32 x 32", best(both, n), note)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
