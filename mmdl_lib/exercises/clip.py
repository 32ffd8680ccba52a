"""Exercises of the chapter on CLIP (`sec-clip`)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.exercises import Hint, call, compare, scalar
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
    value = scalar(answer).item()
    right = math.log(BATCH)
    if abs(value - right) < 0.05:
        return
    wrong = [
        ("that is in bits: a nat belongs to the natural logarithm.", math.log2(BATCH)),
        ("that is a logarithm to base 10: take the natural one.", math.log10(BATCH)),
        ("that is the count of sentences: which loss follows from guessing?", BATCH),
        ("that is the chance of a right guess: take its negative log.", 1 / BATCH),
        ("the sign: a loss is minus the log of a probability.", -right),
        ("that is the sum of both directions: the loss is their mean.", 2 * right),
    ]
    for hint, mistaken in wrong:
        if math.isclose(value, mistaken, rel_tol=5e-3):
            raise Hint(hint)
    raise Hint(
        "not right: with equal similarities, which probability has the true sentence?"
    )


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
    for seed, b in enumerate((5, 8)):
        image, text = _features(seed, b), _features(seed + 10, b)
        scale = torch.tensor(1.3 + 0.4 * seed)
        value = scalar(call(answer, image, text, scale))
        compare(value, _loss(image, text, scale.exp()), _losses(image, text, scale))
    image = _features(0, 5).requires_grad_()
    with torch.enable_grad():
        value = scalar(answer(image, _features(10, 5), torch.tensor(1.3)))
    if not value.requires_grad:
        raise Hint("the value is right but has no gradient: keep to tensor operations.")


def _features(seed: int, b: int, d: int = 6) -> Tensor:
    """Features (b, d) of very different lengths."""
    random = generator(seed)
    length = torch.linspace(0.3, 2.5, b)[torch.randperm(b, generator=random), None]
    return length * torch.randn(b, d, generator=random)


def _table(image: Tensor, text: Tensor, factor: Tensor) -> Tensor:
    return factor * F.normalize(image, dim=-1) @ F.normalize(text, dim=-1).T


def _loss(image: Tensor, text: Tensor, factor: Tensor) -> Tensor:
    return contrastive_loss(_table(image, text, factor))["loss"]


def _losses(image: Tensor, text: Tensor, scale: Tensor) -> list[tuple[str, Tensor]]:
    """Pairs of a hint and the loss that its mistake gives."""
    factor, b = scale.exp(), len(image)
    loss, rows, columns = contrastive_loss(_table(image, text, factor)).values()
    unit = F.normalize(image, dim=-1), F.normalize(text, dim=-1)
    across = F.normalize(image, dim=0), F.normalize(text, dim=0)

    def raw(x, y):
        return contrastive_loss(factor * x @ y.T)["loss"]

    half = "only one side has length one: normalize pictures and sentences."
    one = "one direction is missing, or the same one is there twice: add the softmax "
    many = "that is a sum where the paper takes a mean: average over the "
    return [
        ("features have any length: divide each row by its length.", raw(image, text)),
        (half, raw(unit[0], text)),
        (half, raw(image, unit[1])),
        ("normalize each row (dim=-1), not each column of the features.", raw(*across)),
        (one + "over the columns.", rows),
        (one + "over the rows.", columns),
        (many + "two directions.", 2 * loss),
        (many + "pairs.", b * loss),
        (many + "pairs and over the directions.", 2 * b * loss),
        (
            "scale is the log of the factor: multiply the cosines by its exp.",
            _loss(image, text, scale),
        ),
        (
            "the factor is in there twice: multiply the cosines by it once.",
            _loss(image, text, factor**2),
        ),
        (
            "you divide by the factor: exp(scale) is the inverse of a temperature.",
            _loss(image, text, 1 / factor),
        ),
        (
            "there is no factor on the cosines: use scale.",
            _loss(image, text, torch.ones(())),
        ),
    ]


def exercise_3(answer) -> None:
    """Change the code: weight the two directions, as ConVIRT does.

    Write `weighted_loss(logits, weight)`. Row i of `logits` (b, b) is picture i,
    column j is sentence j. `weight`, between 0 and 1, belongs to the direction from
    picture to sentence; the other direction gets the rest.

    Raises:
        Hint: swapped weights, weights that do not sum to one, no weight, one direction
            only, or a sum over pairs.
    """
    for seed, (b, weight) in enumerate(((5, 0.75), (7, 0.2))):
        # columns of different height, so that the two directions differ
        logits = torch.randn(b, b, generator=generator(seed)) * 2
        logits = logits + torch.linspace(0, 3, b)
        terms = contrastive_loss(logits)
        loss, rows, columns = terms.values()
        right = weight * rows + (1 - weight) * columns
        swapped = "the weights are swapped: weight belongs to the softmax of each row."
        more = "the two weights must sum to one: what is left for the other direction?"
        same = "one direction stands in both places: transpose the logits for one."
        wrong = [
            (swapped, weight * columns + (1 - weight) * rows),
            (more, weight * rows + columns),
            (more, rows + weight * columns),
            (more, weight * (rows + columns)),
            (more, weight * rows + (1 + weight) * columns),
            ("weight has no effect: that is the plain mean of both directions.", loss),
            ("the other direction is missing.", weight * rows),
            (same, rows),
            (same, columns),
            ("that is a sum over pairs: take their mean.", b * right),
            ("the weights do the averaging: do not halve once more.", right / 2),
        ]
        compare(scalar(call(answer, logits, weight)), right, wrong)


def exercise_4(answer) -> None:
    """Change the code: a zero-shot classifier from several templates.

    Write `class_weights(text)`. `text` (templates, classes, d) holds the features of
    each class name in each template, straight from the tower: not yet of length one.
    Each template shall count the same. Return one vector of length one for each
    class, (classes, d).

    Raises:
        Hint: a mean over the wrong axis, no normalization before, after, or at all.
    """
    for templates, classes in ((3, 5), (4, 2)):
        random = generator(templates)
        text = torch.randn(templates, classes, 6, generator=random)
        text = text + torch.randn(1, classes, 6, generator=random)
        # templates of different length, so that a plain mean is another vector
        text = text * torch.linspace(0.2, 3, templates)[:, None, None]
        unit = F.normalize(text, dim=-1)
        right = F.normalize(unit.mean(0), dim=-1)
        value = call(answer, text)
        _check_shape(value, classes, templates, 6)
        after = "the mean of unit vectors is shorter than one: normalize it again."
        before = "long features outvote the others: normalize before the mean as well."
        wrong = [
            (after, unit.mean(0)),
            (after, unit.sum(0)),
            (before, F.normalize(text.mean(0), dim=-1)),
            ("nothing has length one: normalize before and after.", text.mean(0)),
            ("normalize over the features, dim=-1.", F.normalize(unit.mean(0), dim=0)),
        ]
        compare(torch.as_tensor(value), right, wrong)


def _check_shape(value, classes: int, templates: int, d: int) -> None:
    shape = tuple(getattr(value, "shape", ()))
    if shape == (classes, d):
        return
    if shape == (templates, d):
        raise Hint("you average over the classes: average over the templates, axis 0.")
    if shape == (templates, classes):
        raise Hint("you average over the features: average over the templates, axis 0.")
    raise Hint(f"expected shape (classes, d) = {(classes, d)}, got {shape}.")


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
    for seed, (n, right) in enumerate(((12, 8), (40, 40), (200, 103))):
        true = torch.randn(n, generator=generator(seed))
        gap = torch.rand(n, generator=generator(seed + 1)) + 0.1
        gap[right:] *= -1
        ties = min(3, n - right)
        gap[right : right + ties] = 0
        value = call(answer, true, true - gap)
        if not isinstance(value, tuple | list) or len(value) != 3:
            raise Hint("expected three numbers: accuracy, low, high.")
        value = torch.stack([scalar(x).double().detach() for x in value])
        share = right / n
        if math.isclose(value[0], (right + ties) / n, abs_tol=1e-4) and ties:
            raise Hint("a tie counts as right in your accuracy: the caption must win.")
        if math.isclose(value[0], (right + ties / 2) / n, abs_tol=1e-4) and ties:
            raise Hint("a tie counts by half in your accuracy: the caption must win.")
        compare(value, torch.tensor(_wilson(share, n)).double(), _intervals(share, n))


def _wilson(share: float, n: int, z: float = Z) -> tuple[float, float, float]:
    """Wilson (1927): the shares that a test at level z would not reject."""
    center = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = (
        math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) * z / (1 + z * z / n)
    )
    return share, center - half, center + half


def _intervals(share: float, n: int) -> list[tuple[str, Tensor]]:
    """Pairs of a hint and the triple that its mistake gives."""
    error = math.sqrt(share * (1 - share) / n)
    low, high = share - Z * error, share + Z * error
    normal = "that is the normal approximation, which fails near 0 and 1: use Wilson's."
    level = "that is another level: 95 % needs z = 1.96."
    center = "accuracy is the share of right pairs; the interval's center is another."
    wrong = [
        (normal, (share, low, high)),
        (normal, (share, max(0.0, low), min(1.0, high))),
        (level, (share, share - error, share + error)),
    ]
    wrong += [(level, _wilson(share, n, z)) for z in (1.0, 1.644854, 2.575829)]
    _, low, high = _wilson(share, n)
    wrong += [
        ("low and high are swapped.", (share, high, low)),
        (
            "that is in percent: give shares between 0 and 1.",
            _percent(share, low, high),
        ),
        (center, ((low + high) / 2, low, high)),
    ]
    return [(hint, torch.tensor(triple).double()) for hint, triple in wrong]


def _percent(*shares: float) -> tuple[float, ...]:
    return tuple(100 * share for share in shares)
