"""Exercises of the chapter on CLIP (`sec-clip`)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.exercises import ANY, Hint, call, judge
from mmdl_lib.models.clip import contrastive_loss

BATCH = 32768  # paper, section 2.5
Z = 1.959964  # 97.5 % quantile of the normal distribution


def exercise_1(answer) -> None:
    """Predict: what is CLIP's loss at chance?

    A model that knows nothing gives all similarities the same value. What is its
    loss, in nats, on one batch of 32,768 pairs? Three digits are enough.

    Raises:
        Hint: base 2 or 10, the batch size or its inverse, a wrong sign, or the sum of
            both directions.
    """
    last = (
        "not right: with equal similarities, which probability has the true sentence?"
    )
    judge(answer, SOLUTIONS[1], MISTAKES[1], near=5e-3, otherwise=last)


def exercise_2(answer) -> None:
    """Change the code: write the loss from features that have any length.

    Write `symmetric_loss(image, text, scale)`. Row i of `image` (b, d) and row i of
    `text` (b, d) are a pair, as the towers give them, before normalization; `scale`
    is the paper's t, the learned log of the factor on the cosines. Return the loss of
    the paper's Figure 3 as a tensor that has gradients.

    Raises:
        Hint: no normalization, along the wrong axis, of one side only; one direction;
            a sum; t without exp, used twice or as a divisor; no gradient.
    """
    cases = [
        (_features(seed, b), _features(seed + 10, b), torch.tensor(1.3 + 0.4 * seed))
        for seed, b in enumerate((5, 8))
    ]
    judge(answer, SOLUTIONS[2], MISTAKES[2], cases=cases)
    image, text, scale = cases[0]
    value = call(answer, image.requires_grad_(), text, scale)
    if not getattr(value, "requires_grad", False):
        raise Hint("the value is right but has no gradient: keep to tensor operations.")


def exercise_3(answer) -> None:
    """Change the code: weight the two directions, as ConVIRT does.

    Write `weighted_loss(logits, weight)`. Row i of `logits` (b, b) is picture i,
    column j is sentence j. `weight`, between 0 and 1, belongs to the direction from
    picture to sentence; the other direction gets the rest.

    Raises:
        Hint: swapped weights, weights that do not sum to one, no weight, one direction
            only, or a sum over pairs.
    """
    cases = []
    for seed, (b, weight) in enumerate(((5, 0.75), (7, 0.2))):
        # columns of different height, so that the two directions differ
        logits = torch.randn(b, b, generator=generator(seed)) * 2
        cases.append((logits + torch.linspace(0, 3, b), weight))
    judge(answer, SOLUTIONS[3], MISTAKES[3], cases=cases)


def exercise_4(answer) -> None:
    """Change the code: a zero-shot classifier from several templates.

    Write `class_weights(text)`. `text` (templates, classes, d) holds the features of
    each class name in each template, straight from the tower: not yet of length one.
    Each template shall count the same. Return one vector of length one for each
    class, (classes, d).

    Raises:
        Hint: a mean over the wrong axis, no normalization before, after, or at all.
    """
    cases = []
    for templates, classes in ((3, 5), (4, 2)):
        random = generator(templates)
        text = torch.randn(templates, classes, 6, generator=random)
        text = text + torch.randn(1, classes, 6, generator=random)
        # templates of different length, so that a plain mean is another vector
        cases.append((text * torch.linspace(0.2, 3, templates)[:, None, None],))
    judge(answer, SOLUTIONS[4], MISTAKES[4], cases=cases)


def exercise_5(answer) -> None:
    """Investigate: how sure is an accuracy on foils?

    Write `foil_accuracy(true, foil)`. `true` (n,) holds each picture's logit with its
    caption, `foil` (n,) the one with a foil. A pair is right if the caption wins;
    a tie is no win. Return `(accuracy, low, high)`: the share of right pairs and its
    95 % Wilson interval. Then use it on the tiny model: which foils are above chance?

    Raises:
        Hint: ties that count as right or by half, the normal approximation, another
            level, the wrong order, percent, or a standard error.
    """
    cases = []
    for seed, (n, right) in enumerate(((12, 8), (40, 40), (200, 103))):
        true = torch.randn(n, generator=generator(seed))
        gap = torch.rand(n, generator=generator(seed + 1)) + 0.1
        gap[right:] *= -1
        gap[right : right + 3] = 0
        cases.append((true, true - gap))
    judge(answer, SOLUTIONS[5], MISTAKES[5], cases=cases)


def _features(seed: int, b: int, d: int = 6) -> Tensor:
    """Features (b, d) of very different lengths."""
    random = generator(seed)
    length = torch.linspace(0.3, 2.5, b)[torch.randperm(b, generator=random), None]
    return length * torch.randn(b, d, generator=random)


def _both(logits: Tensor) -> Tensor:
    return contrastive_loss(logits)["loss"]


def _rows(logits: Tensor) -> Tensor:
    return F.cross_entropy(logits, torch.arange(len(logits)))


def _columns(logits: Tensor) -> Tensor:
    return _rows(logits.T)


def _unit(features: Tensor) -> Tensor:
    return F.normalize(features, dim=-1)


def _cosines(image: Tensor, text: Tensor) -> Tensor:
    return _unit(image) @ _unit(text).T


def _loss(image: Tensor, text: Tensor, scale: Tensor) -> Tensor:
    return _both(scale.exp() * _cosines(image, text))


def _across(image: Tensor, text: Tensor, scale: Tensor) -> Tensor:
    image, text = F.normalize(image, dim=0), F.normalize(text, dim=0)
    return _both(scale.exp() * image @ text.T)


def _weighted(logits: Tensor, weight: float) -> Tensor:
    return weight * _rows(logits) + (1 - weight) * _columns(logits)


def _classes(text: Tensor) -> Tensor:
    return _unit(_unit(text).mean(0))


def _wins(true: Tensor, foil: Tensor) -> float:
    return (true > foil).double().mean().item()


def _ties(true: Tensor, foil: Tensor) -> float:
    return (true >= foil).double().mean().item()


def _wilson(true: Tensor, foil: Tensor, z: float = Z) -> tuple[float, float, float]:
    """Wilson (1927): the shares that a test at level z would not reject."""
    n, share = len(true), _wins(true, foil)
    center = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return share, (center - half) / scale, (center + half) / scale


def _normal(true: Tensor, foil: Tensor, z: float = Z) -> tuple[float, float, float]:
    n, share = len(true), _wins(true, foil)
    half = z * math.sqrt(share * (1 - share) / n)
    return share, share - half, share + half


def _level(z: float):
    return lambda true, foil: _wilson(true, foil, z)


HALF = "only one side has length one: normalize pictures and sentences."
ONE = "one direction is missing, or the same one is there twice: add the softmax "
MANY = "that is a sum where the paper takes a mean: average over the "
REST = "the two weights must sum to one: what is left for the other direction?"
SAME = "one direction stands in both places: transpose the logits for one."
AFTER = "the mean of unit vectors is shorter than one: normalize it again."
LEVEL = "that is another level: 95 % needs z = 1.96."
NORMAL = "that is the normal approximation, which fails near 0 and 1: use Wilson's."

SOLUTIONS = {1: math.log(BATCH), 2: _loss, 3: _weighted, 4: _classes, 5: _wilson}
MISTAKES = {
    1: [
        (
            math.log2(BATCH),
            "that is in bits: a nat belongs to the natural logarithm.",
        ),
        (math.log10(BATCH), "that is a logarithm to base 10: take the natural one."),
        (
            BATCH,
            "that is the count of sentences: which loss follows from guessing?",
        ),
        (1 / BATCH, "that is the chance of a right guess: take its negative log."),
        (-math.log(BATCH), "the sign: a loss is minus the log of a probability."),
        (
            2 * math.log(BATCH),
            "that is the sum of both directions: the loss is their mean.",
        ),
    ],
    2: [
        (
            lambda i, t, s: _both(s.exp() * i @ t.T),
            "features have any length: divide each row by its length.",
        ),
        (lambda i, t, s: _both(s.exp() * _unit(i) @ t.T), HALF),
        (lambda i, t, s: _both(s.exp() * i @ _unit(t).T), HALF),
        (_across, "normalize each row (dim=-1), not each column of the features."),
        (lambda i, t, s: _rows(s.exp() * _cosines(i, t)), ONE + "over the columns."),
        (lambda i, t, s: _columns(s.exp() * _cosines(i, t)), ONE + "over the rows."),
        (lambda *a: 2 * _loss(*a), MANY + "two directions."),
        (lambda i, *a: len(i) * _loss(i, *a), MANY + "pairs."),
        (
            lambda i, *a: 2 * len(i) * _loss(i, *a),
            MANY + "pairs and over the directions.",
        ),
        (
            lambda i, t, s: _both(s * _cosines(i, t)),
            "scale is the log of the factor: multiply the cosines by its exp.",
        ),
        (
            lambda i, t, s: _loss(i, t, 2 * s),
            "the factor is in there twice: multiply the cosines by it once.",
        ),
        (
            lambda i, t, s: _loss(i, t, -s),
            "you divide by the factor: exp(scale) is the inverse of a temperature.",
        ),
        (
            lambda i, t, s: _both(_cosines(i, t)),
            "there is no factor on the cosines: use scale.",
        ),
        (lambda *a: _loss(*a).item(), "the value is right but has no gradient"),
    ],
    3: [
        (
            lambda x, w: _weighted(x, 1 - w),
            "the weights are swapped: weight belongs to the softmax of each row.",
        ),
        (lambda x, w: w * _rows(x) + _columns(x), REST),
        (lambda x, w: _rows(x) + w * _columns(x), REST),
        (lambda x, w: w * _rows(x) + w * _columns(x), REST),
        (lambda x, w: w * _rows(x) + (1 + w) * _columns(x), REST),
        (
            lambda x, w: _both(x),
            "weight has no effect: that is the plain mean of both directions.",
        ),
        (lambda x, w: w * _rows(x), "the other direction is missing."),
        (lambda x, w: _rows(x), SAME),
        (lambda x, w: _columns(x), SAME),
        (
            lambda x, w: len(x) * _weighted(x, w),
            "that is a sum over pairs: take their mean.",
        ),
        (
            lambda x, w: _weighted(x, w) / 2,
            "the weights do the averaging: do not halve once more.",
        ),
    ],
    4: [
        (lambda t: _unit(t).mean(0), AFTER),
        (lambda t: _unit(t).sum(0), AFTER),
        (
            lambda t: _unit(t.mean(0)),
            "long features outvote the others: normalize before the mean as well.",
        ),
        (
            lambda t: t.mean(0),
            "nothing has length one: normalize before and after.",
        ),
        (
            lambda t: F.normalize(_unit(t).mean(0), dim=0),
            "normalize over the features, dim=-1.",
        ),
        (
            lambda t: torch.full((len(t), t.shape[2]), ANY),
            "you average over the classes: average over the templates, axis 0.",
        ),
        (
            lambda t: torch.full((len(t), t.shape[1]), ANY),
            "you average over the features: average over the templates, axis 0.",
        ),
        (
            _unit,
            "expected numbers of shape (5, 6), got shape (3, 5, 6).",
        ),
    ],
    5: [
        (_wins, "expected three numbers: accuracy, low, high."),
        (
            lambda t, f: (_ties(t, f), ANY, ANY),
            "a tie counts as right in your accuracy: the caption must win.",
        ),
        (
            lambda t, f: ((_wins(t, f) + _ties(t, f)) / 2, ANY, ANY),
            "a tie counts by half in your accuracy: the caption must win.",
        ),
        (_normal, NORMAL),
        (
            lambda t, f: [min(1.0, max(0.0, x)) for x in _normal(t, f)],
            NORMAL,
        ),
        (lambda t, f: _normal(t, f, z=1.0), LEVEL),
        (_level(1.0), LEVEL),
        (_level(1.644854), LEVEL),
        (_level(2.575829), LEVEL),
        (
            lambda t, f: (_wins(t, f), *_wilson(t, f)[:0:-1]),
            "low and high are swapped.",
        ),
        (
            lambda t, f: [100 * x for x in _wilson(t, f)],
            "that is in percent: give shares between 0 and 1.",
        ),
        (
            lambda t, f: (sum(_wilson(t, f)[1:]) / 2, *_wilson(t, f)[1:]),
            "accuracy is the share of right pairs; the interval's center is another.",
        ),
    ],
}
