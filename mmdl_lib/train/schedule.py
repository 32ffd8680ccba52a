"""The learning rate over a run: a pure function of the step."""

import math
from collections.abc import Callable


def warmup_cosine(step: int, *, steps: int, warmup: int) -> float:
    """Share of the peak learning rate: linear up, then half a cosine down to zero.

    Args:
        step: from 0 on.
        steps: length of the run.
        warmup: number of steps on which the rate rises; the first is 1 / warmup, the
            last of them the peak.
    """
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def factors(
    schedule: Callable[[int, int], float] | None, *, steps: int, warmup: float
) -> list[float]:
    """The factor of every step of a run.

    Args:
        schedule: (step, steps) -> factor; None is `warmup_cosine`.
        steps: length of the run.
        warmup: share of the steps, for `warmup_cosine`.

    Raises:
        ValueError: a factor that is negative or not finite.
    """
    if schedule is None:
        rise = max(1, round(warmup * steps))
        return [warmup_cosine(s, steps=steps, warmup=rise) for s in range(steps)]
    found = [float(schedule(step, steps)) for step in range(steps)]
    for step, factor in enumerate(found):
        if not 0 <= factor < math.inf:  # `not` also catches NaN
            raise ValueError(
                f"expected a schedule of finite factors of at least zero, got {factor} "
                f"at step {step}."
            )
    return found
