"""Exercises of the chapter on data2vec (`sec-data2vec`)."""

import math

import torch
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.exercises import judge


def exercise_1(answer) -> None:
    """Predict: how many frames a second make convolutions of a waveform?

    Samples come 16,000 times a second, strides are 5, 2, 2, 2, 2, 2, 2.

    Raises:
        Hint: fifty thousand, frames of one second, the product itself, strides summed,
            one factor forgotten.
    """
    last = "each convolution divides the rate by its stride, one after the other."
    judge(answer, SOLUTIONS[1], MISTAKES[1], near=0.01, otherwise=last)


def exercise_2(answer) -> None:
    """Change the code: the teacher's schedule.

    Write `keep(step, first, last, steps)`: tau rises along a line from `first` at step
    0 to `last` at step `steps`, and stays there.

    Raises:
        Hint: no end, the wrong way round, half a cosine, one minus tau.
    """
    cases = [(s, 0.9, 0.99, 300) for s in (0, 30, 150, 299, 300, 1000)]
    cases += [(50, 0.5, 0.7, 200)]
    last = "which share of the way is done? It is never more than all of it."
    judge(answer, SOLUTIONS[2], MISTAKES[2], cases=cases, near=1e-6, otherwise=last)


def exercise_3(answer) -> None:
    """Change the code: the target for sounds.

    Write `target_of(layers, k)`: from what all blocks say, layers (l, b, n, d), the
    mean over the last k blocks, after each feature of each block has mean 0 and
    variance 1 over the n places of its row. Variances are means of squares; 1e-5 is
    added.

    Raises:
        Hint: normalized after the mean, over features, over the batch, the first
        blocks, all blocks.
    """
    g = generator(0)
    layers = torch.randn(5, 3, 7, 4, generator=g)
    layers = layers * torch.tensor([1.0, 2.0, 0.5, 4.0, 1.0])[:, None, None, None] + 1
    cases = [(layers, 2), (layers.flip(0), 3), (layers, 1)]
    last = "normalize over axis 2 of each of the last k blocks, then take the mean."
    judge(answer, SOLUTIONS[3], MISTAKES[3], cases=cases, near=1e-3, otherwise=last)


def _keep(step, first, last, steps) -> float:
    return first + (last - first) * min(1.0, step / steps)


def _endless(step, first, last, steps) -> float:
    return first + (last - first) * step / steps


def _backwards(step, first, last, steps) -> float:
    return last + (first - last) * min(1.0, step / steps)


def _cosine(step, first, last, steps) -> float:
    done = math.cos(math.pi * min(1.0, step / steps))
    return last - (last - first) * (done + 1) / 2


def _rest(step, first, last, steps) -> float:
    return 1 - _keep(step, first, last, steps)


def _even(x: Tensor, axis) -> Tensor:
    mean = x.mean(axis, keepdim=True)
    square = (x - mean).square().mean(axis, keepdim=True)
    return (x - mean) / (square + 1e-5).sqrt()


def _target(layers, k) -> Tensor:
    return _even(layers[-k:], 2).mean(0)


def _after(layers, k) -> Tensor:
    return _even(layers[-k:].mean(0), 1)


def _features(layers, k) -> Tensor:
    return _even(layers[-k:], 3).mean(0)


def _batch(layers, k) -> Tensor:
    return _even(layers[-k:], (1, 2)).mean(0)


def _lowest(layers, k) -> Tensor:
    return _even(layers[:k], 2).mean(0)


def _all(layers, k) -> Tensor:
    return _even(layers, 2).mean(0)


SOLUTIONS = {1: 50, 2: _keep, 3: _target}
MISTAKES = {
    1: [
        (50_000, "that is kilohertz; there are only 16,000 samples."),
        (49, "one frame is lost at the edge of one second; what is the rate?"),
        (320, "that is how many samples a frame moves on; and in a second?"),
        (16_000 / 17, "strides multiply: each divides what the one before has left."),
        (100, "you have one stride of 2 too few: there are six of them."),
    ],
    2: [
        (_endless, "yours goes on beyond the end; tau above 1 is no average."),
        (_backwards, "yours falls: early the student learns most, and is followed."),
        (_cosine, "that is BYOL's half cosine; this schedule is a line."),
        (_rest, "that is what the teacher takes over; tau is what it keeps."),
    ],
    3: [
        (
            _after,
            "you normalize the mean: loud blocks have drowned the others by then.",
        ),
        (_features, "that is over the features of a place, as for texts and pictures."),
        (_batch, "rows of a batch meet in yours; each row has its own places."),
        (_lowest, "those are the first blocks; context comes with the last ones."),
        (_all, "take the last k only."),
    ],
}
