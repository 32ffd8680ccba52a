"""How fast the shapes world is made: scenes and pictures per second, best of five.

Run: python benchmarks/shapes.py [threads]
"""

import sys
import time

import torch

from mmdl_lib.data import shapes

TARGET = 20_000  # pictures of 32 x 32 per second, scenes included


def best(function, n: int) -> float:
    """Items per second in the fastest of five runs, after one to warm up."""
    function()
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return n / min(seconds)


def main(threads: int = 1, n: int = 8192) -> None:
    torch.set_num_threads(threads)
    scenes = shapes.sample(n, seed=0)
    print(
        f"{n} scenes of one to four objects, {threads} thread(s), "
        f"torch {torch.__version__}"
    )
    print(
        f"scenes alone            {best(lambda: shapes.sample(n, seed=0), n):>9,.0f} /s"
    )
    for size in (32, 64):
        speed = best(lambda size=size: scenes.render(size), n)
        print(f"pictures {size} x {size}        {speed:>9,.0f} /s")
    few = scenes[:64]
    print(f"32 x 32 in batches of 64{best(few.render, 64):>9,.0f} /s")
    both = best(lambda: shapes.sample(n, seed=0).render(), n)
    print(f"scenes and 32 x 32      {both:>9,.0f} /s (target {TARGET:,})")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
