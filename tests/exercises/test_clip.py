"""Exercises of CLIP: blank fails, the solution passes, each mistake gets its hint.

The solutions here are the ones that the notebook shows, written independently of the
checker.
"""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.exercises import Hint, clip

# solutions


def symmetric_loss(image, text, scale):
    image = image / image.norm(dim=1, keepdim=True)
    text = text / text.norm(dim=1, keepdim=True)
    logits = scale.exp() * image @ text.T
    rows = -logits.log_softmax(1).diagonal().mean()
    columns = -logits.log_softmax(0).diagonal().mean()
    return (rows + columns) / 2


def weighted_loss(logits, weight):
    rows = -logits.log_softmax(1).diagonal().mean()
    columns = -logits.log_softmax(0).diagonal().mean()
    return weight * rows + (1 - weight) * columns


def class_weights(text):
    text = text / text.norm(dim=-1, keepdim=True)
    mean = text.mean(0)
    return mean / mean.norm(dim=-1, keepdim=True)


def wins(true, foil):
    return (true > foil).float().mean().item()


def foil_accuracy(true, foil, z=1.96, accuracy=wins):
    n, p = len(true), accuracy(true, foil)
    center = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return p, (center - half) / (1 + z * z / n), (center + half) / (1 + z * z / n)


def test_the_solutions_pass():
    clip.exercise_1(math.log(32768))
    clip.exercise_2(symmetric_loss)
    clip.exercise_3(weighted_loss)
    clip.exercise_4(class_weights)
    clip.exercise_5(foil_accuracy)


@pytest.mark.parametrize("answer", [10.4, 10.397, torch.tensor(10.3972), np.log(32768)])
def test_the_loss_at_chance_may_be_rounded_and_of_any_number_type(answer):
    clip.exercise_1(answer)


def test_solutions_in_other_words_pass():
    def by_cross_entropy(image, text, scale):
        table = F.cosine_similarity(image[:, None], text[None], dim=-1) * scale.exp()
        target = torch.arange(len(table))
        return (F.cross_entropy(table, target) + F.cross_entropy(table.T, target)) / 2

    def by_counting(true, foil):
        right = sum(float(t) > float(f) for t, f in zip(true, foil, strict=True))
        return [right / len(true), *map(torch.tensor, foil_accuracy(true, foil)[1:])]

    clip.exercise_2(by_cross_entropy)
    clip.exercise_5(by_counting)


# mistakes


def rows(logits):
    return F.cross_entropy(logits, torch.arange(len(logits)))


def columns(logits):
    return rows(logits.T)


def both(logits):
    return (rows(logits) + columns(logits)) / 2


def unit(x):
    return F.normalize(x, dim=-1)


def cosines(image, text):
    return unit(image) @ unit(text).T


LOSSES = {
    "divide each row by its length": lambda i, t, s: both(s.exp() * i @ t.T),
    "only one side": lambda i, t, s: both(s.exp() * unit(i) @ t.T),
    "only one side.*": lambda i, t, s: both(s.exp() * i @ unit(t).T),
    r"normalize each row \(dim=-1\)": lambda i, t, s: both(
        s.exp() * F.normalize(i, dim=0) @ F.normalize(t, dim=0).T
    ),
    "add the softmax over the columns": lambda i, t, s: rows(s.exp() * cosines(i, t)),
    "add the softmax over the rows": lambda i, t, s: columns(s.exp() * cosines(i, t)),
    "same one is there twice.*columns": lambda i, t, s: (
        (rows(s.exp() * cosines(i, t)) + rows(s.exp() * cosines(i, t))) / 2
    ),
    "average over the two directions": lambda i, t, s: 2 * symmetric_loss(i, t, s),
    "average over the pairs": lambda i, t, s: len(i) * symmetric_loss(i, t, s),
    "pairs and over the directions": lambda i, t, s: (
        2 * len(i) * symmetric_loss(i, t, s)
    ),
    "multiply the cosines by its exp": lambda i, t, s: both(s * cosines(i, t)),
    "the factor is in there twice": lambda i, t, s: symmetric_loss(i, t, 2 * s),
    "you divide by the factor": lambda i, t, s: symmetric_loss(i, t, -s),
    "no factor on the cosines": lambda i, t, s: both(cosines(i, t)),
    "has no gradient": lambda i, t, s: symmetric_loss(i, t, s).item(),
    "your function raised": lambda i, t, s: F.cross_entropy(i @ t.T, torch.arange(256)),
    "not one of the usual": lambda i, t, s: 3 * symmetric_loss(i, t, s),
}


@pytest.mark.parametrize("hint", LOSSES)
def test_each_mistake_in_the_loss_gets_its_hint(hint):
    with pytest.raises(Hint, match=hint):
        clip.exercise_2(LOSSES[hint])


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (math.log2(32768), "in bits"),
        (math.log10(32768), "base 10"),
        (32768, "the count of sentences"),
        (1 / 32768, "the chance of a right guess"),
        (-math.log(32768), "the sign"),
        (2 * math.log(32768), "the sum of both directions"),
        (math.log(256), "with equal similarities"),
        ("ten", "expected one number"),
    ],
)
def test_each_mistake_in_the_loss_at_chance_gets_its_hint(answer, hint):
    with pytest.raises(Hint, match=hint):
        clip.exercise_1(answer)


WEIGHTED = {
    "swapped": lambda x, w: weighted_loss(x, 1 - w),
    "must sum to one": lambda x, w: w * rows(x) + columns(x),
    "must sum to one.": lambda x, w: w * rows(x) + w * columns(x),
    "must sum to one: ": lambda x, w: rows(x) + w * columns(x),
    "must sum to one: what": lambda x, w: w * rows(x) + (1 + w) * columns(x),
    "no effect": lambda x, w: both(x),
    "direction is missing": lambda x, w: w * rows(x),
    "one direction stands in both": lambda x, w: w * rows(x) + (1 - w) * rows(x),
    "one direction stands in both ": lambda x, w: w * columns(x) + (1 - w) * columns(x),
    "sum over pairs": lambda x, w: len(x) * weighted_loss(x, w),
    "halve once more": lambda x, w: weighted_loss(x, w) / 2,
}


@pytest.mark.parametrize("hint", WEIGHTED)
def test_each_mistake_in_the_weighting_gets_its_hint(hint):
    with pytest.raises(Hint, match=hint):
        clip.exercise_3(WEIGHTED[hint])


CLASSES = {
    "normalize it again": lambda t: unit(t).mean(0),
    "normalize it again.": lambda t: unit(t).sum(0),
    "long features outvote": lambda t: unit(t.mean(0)),
    "nothing has length one": lambda t: t.mean(0),
    "you average over the classes": lambda t: unit(unit(t).mean(1)),
    "you average over the features": lambda t: unit(t).mean(-1),
    "dim=-1": lambda t: F.normalize(unit(t).mean(0), dim=0),
    r"expected shape \(classes, d\) = \(5, 6\), got \(3, 5, 6\)": unit,
    r"got \(\)": lambda t: 0.5,
}


@pytest.mark.parametrize("hint", CLASSES)
def test_each_mistake_in_the_classifier_gets_its_hint(hint):
    with pytest.raises(Hint, match=hint):
        clip.exercise_4(CLASSES[hint])


def with_ties(true, foil):
    return (true >= foil).float().mean().item()


def half_ties(true, foil):
    return (wins(true, foil) + with_ties(true, foil)) / 2


def normal(true, foil, z=1.96, cut=False):
    n, p = len(true), wins(true, foil)
    half = z * math.sqrt(p * (1 - p) / n)
    return (p, max(0, p - half), min(1, p + half)) if cut else (p, p - half, p + half)


FOILS = {
    "a tie counts as right": lambda t, f: foil_accuracy(t, f, accuracy=with_ties),
    "a tie counts by half": lambda t, f: foil_accuracy(t, f, accuracy=half_ties),
    "the normal approximation": normal,
    "the normal approximation,": lambda t, f: normal(t, f, cut=True),
    "another level": lambda t, f: normal(t, f, z=1),
    "another level:": lambda t, f: foil_accuracy(t, f, z=1.645),
    "another level: 95 %": lambda t, f: foil_accuracy(t, f, z=2.576),
    "low and high are swapped": lambda t, f: np.array(foil_accuracy(t, f))[
        [0, 2, 1]
    ].tolist(),
    "in percent": lambda t, f: [100 * x for x in foil_accuracy(t, f)],
    "the interval's center": lambda t, f: (
        sum(foil_accuracy(t, f)[1:]) / 2,
        *foil_accuracy(t, f)[1:],
    ),
    "expected three numbers": wins,
    "not one of the usual": lambda t, f: (0.5, 0.4, 0.6),
}


@pytest.mark.parametrize("hint", FOILS)
def test_each_mistake_in_the_interval_gets_its_hint(hint):
    with pytest.raises(Hint, match=hint):
        clip.exercise_5(FOILS[hint])


@pytest.mark.parametrize("number", range(1, 6))
def test_each_exercise_states_its_task(number):
    task = getattr(clip, f"exercise_{number}").__doc__
    kind = task.split(":")[0]
    assert kind in ("Predict", "Change the code", "Investigate")
    assert len(task) > 200
