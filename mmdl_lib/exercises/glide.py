"""Exercises of the chapter on diffusion and GLIDE (`sec-glide`)."""

import torch
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.exercises import judge


def exercise_1(answer) -> None:
    """Predict: what does guidance make of two answers?

    For one pixel the net says noise 0.4 without a caption and 0.7 with it. What does it
    say with guidance of s = 3?

    Raises:
        Hint: the other notation, a start at the wrong answer, a mean, the wrong sign.
    """
    last = "not right: begin where there is no caption, and go three times as far."
    judge(answer, SOLUTIONS[1], MISTAKES[1], near=1e-4, otherwise=last)


def exercise_2(answer) -> None:
    """Change the code: one step of DDIM.

    Write `ddim(x, noise, now, then)` for x at alpha-bar `now`, the noise that the net
    says, and an earlier alpha-bar `then`, both numbers: the place of the next step.

    Raises:
        Hint: roots forgotten, the levels swapped, the picture without its noise, noise
            at the old level.
    """
    cases = []
    for now, then, seed in ((0.2, 0.5, 0), (0.05, 0.3, 1), (0.6, 1.0, 2)):
        x, noise = (torch.randn(2, 3, generator=generator(seed + i)) for i in (0, 9))
        cases.append((x, noise, now, then))
    judge(answer, SOLUTIONS[2], MISTAKES[2], cases=cases)


def exercise_3(answer) -> None:
    """Change the code: from v to the noise.

    Write `to_noise(v, x, alpha_bar)`: the noise that a net means which says v about x
    at alpha-bar, a number.

    Raises:
        Hint: the picture instead, the signs, the roots.
    """
    cases = []
    for alpha_bar, seed in ((0.9, 0), (0.5, 1), (0.1, 2)):
        v, x = (torch.randn(2, 3, generator=generator(seed + i)) for i in (0, 9))
        cases.append((v, x, alpha_bar))
    judge(answer, SOLUTIONS[3], MISTAKES[3], cases=cases)


def _ddim(x: Tensor, noise: Tensor, now: float, then: float) -> Tensor:
    x0 = (x - (1 - now) ** 0.5 * noise) / now**0.5
    return then**0.5 * x0 + (1 - then) ** 0.5 * noise


def _without_roots(x: Tensor, noise: Tensor, now: float, then: float) -> Tensor:
    return then * (x - (1 - now) * noise) / now + (1 - then) * noise


def _old_noise(x: Tensor, noise: Tensor, now: float, then: float) -> Tensor:
    x0 = (x - (1 - now) ** 0.5 * noise) / now**0.5
    return then**0.5 * x0 + (1 - now) ** 0.5 * noise


def _picture(x: Tensor, noise: Tensor, now: float, then: float) -> Tensor:
    return (x - (1 - now) ** 0.5 * noise) / now**0.5


def _levels(alpha_bar: float) -> tuple[float, float]:
    return alpha_bar**0.5, (1 - alpha_bar) ** 0.5


def _to_noise(v: Tensor, x: Tensor, alpha_bar: float) -> Tensor:
    signal, spread = _levels(alpha_bar)
    return spread * x + signal * v


def _to_picture(v: Tensor, x: Tensor, alpha_bar: float) -> Tensor:
    signal, spread = _levels(alpha_bar)
    return signal * x - spread * v


def _swapped(v: Tensor, x: Tensor, alpha_bar: float) -> Tensor:
    signal, spread = _levels(alpha_bar)
    return signal * x + spread * v


SOLUTIONS = {1: 0.4 + 3 * (0.7 - 0.4), 2: _ddim, 3: _to_noise}
MISTAKES = {
    1: [
        (0.7 + 3 * (0.7 - 0.4), "that is s = 4 here: begin at the answer without."),
        (0.4 - 3 * (0.7 - 0.4), "that goes away from the caption: mind the sign."),
        (3 * (0.7 - 0.4), "that is how far it goes: from where?"),
        (3 * 0.7, "that makes the answer larger, not the difference."),
        (0.7 + 3 * (0.4 - 0.7), "that goes from the caption to none, three times."),
    ],
    2: [
        (_without_roots, "alpha-bar is of variances: the factors are their roots."),
        (_picture, "that is the believed picture: part of the noise comes back."),
        (_old_noise, "the noise that comes back is that of the new level."),
        (lambda x, n, now, then: _ddim(x, -n, now, then), "noise is taken away first."),
    ],
    3: [
        (_to_picture, "that is the picture: the noise is the other combination."),
        (lambda v, x, ab: _to_noise(-v, x, ab), "both signs are plus: try v = noise."),
        (
            lambda v, x, ab: (1 - ab) * x + ab * v,
            "alpha-bar is of variances: the factors are their roots.",
        ),
        (_swapped, "the factors are swapped: where all is noise, x is the noise."),
    ],
}
