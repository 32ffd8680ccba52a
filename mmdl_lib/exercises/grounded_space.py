"""Exercises of the chapter on the grounded space (`sec-grounded_space`)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.exercises import judge


def exercise_1(answer) -> None:
    """Predict: how many triples does the cluster loss count?

    A batch has six sentences, two about each of three pictures. A triple is a sentence,
    another one about its picture, and one about another picture.

    Raises:
        Hint: pairs counted once, no partner, all triples, one negative for each.
    """
    last = "for each of six sentences: how many partners, and how many strangers?"
    judge(answer, SOLUTIONS[1], MISTAKES[1], near=0, otherwise=last)


def exercise_2(answer) -> None:
    """Change the code: how often is the nearest sentence about the same picture?

    Write `shared(points, label)` for points (m, g) and the number of each picture (m,):
    the share of sentences, in [0, 1], whose nearest other sentence by cosine is about
    the same picture.

    Raises:
        Hint: itself as nearest, the farthest, inner products, distances.
    """
    last = "cosines, without each sentence itself; then the largest in each row."
    judge(answer, SOLUTIONS[2], MISTAKES[2], cases=_points(), near=1e-4, otherwise=last)


def exercise_3(answer) -> None:
    """Change the code: only the hardest stranger counts.

    Write `hardest(cosine, label, margin)` for cosines (m, m) of all sentences and the
    number of each picture (m,): the mean, over pairs (i, j) of two different sentences
    about one picture, of max(0, margin - cosine[i, j] + the largest cosine of i with a
    sentence about another picture).

    Raises:
        Hint: the easiest stranger, partners among the strangers, a sum, the sign.
    """
    cases = []
    for (x, label), margin in zip(_points(), (0.5, 0.2, 1.0), strict=True):
        unit = F.normalize(x, dim=1)
        cases.append((unit @ unit.T, label, margin))
    last = "mask the partners, take the largest in each row, then a mean over pairs."
    judge(answer, SOLUTIONS[3], MISTAKES[3], cases=cases, near=1e-4, otherwise=last)


def _points() -> list[tuple[Tensor, Tensor]]:
    cases = []
    for seed, m in enumerate((6, 9, 12)):
        g = generator(seed)
        label = torch.arange(m) // (2 + seed % 2)
        center = torch.randn(m, 4, generator=g)[label]
        x = center + 0.7 * torch.randn(m, 4, generator=g)
        # lengths that differ tell cosines from inner products
        cases.append((x * (0.2 + 3 * torch.rand(m, 1, generator=g)), label))
    return cases


def _shared(points, label, *, score=None, largest=True, itself=False) -> Tensor:
    unit = F.normalize(points, dim=1)
    value = unit @ unit.T if score is None else score(points)
    if not itself:
        value = value.masked_fill(torch.eye(len(label)).bool(), -99 if largest else 99)
    near = value.argmax(1) if largest else value.argmin(1)
    return (label[near] == label).double().mean()


def _itself(points, label) -> Tensor:
    return _shared(points, label, itself=True)


def _farthest(points, label) -> Tensor:
    return _shared(points, label, largest=False)


def _inner(points, label) -> Tensor:
    return _shared(points, label, score=lambda x: x @ x.T)


def _distance(points, label) -> Tensor:
    return _shared(points, label, score=lambda x: -torch.cdist(x, x))


def _hardest(cosine, label, margin, *, strangers=None, sign=1, mean=True) -> Tensor:
    same = label[:, None] == label
    pairs = same & ~torch.eye(len(label)).bool()
    hard = strangers or (lambda c, s: c.masked_fill(s, -9).amax(1))
    hinge = (margin - sign * cosine + sign * hard(cosine, same)[:, None]).relu()[pairs]
    return hinge.mean() if mean else hinge.sum()


def _easiest(cosine, label, margin) -> Tensor:
    def easy(c, same):
        return c.masked_fill(same, 9).amin(1)

    return _hardest(cosine, label, margin, strangers=easy)


def _partners(cosine, label, margin) -> Tensor:
    def anyone(c, _):
        return c.masked_fill(torch.eye(len(c)).bool(), -9).amax(1)

    return _hardest(cosine, label, margin, strangers=anyone)


def _summed(cosine, label, margin) -> Tensor:
    return _hardest(cosine, label, margin, mean=False)


def _turned(cosine, label, margin) -> Tensor:
    return _hardest(cosine, label, margin, sign=-1)


SOLUTIONS = {1: 24, 2: _shared, 3: _hardest}
MISTAKES = {
    1: [
        (12, "that counts each pair once: both sentences begin a triple."),
        (6, "that is one stranger for each sentence: how many are there?"),
        (120, "those are all triples: the partner must share the picture."),
        (3, "those are the pictures; a triple is made of sentences."),
    ],
    2: [
        (_itself, "each sentence found itself: take it out first."),
        (_farthest, "that is the farthest sentence: a large cosine is near."),
        (_inner, "long points win in an inner product: a cosine has no lengths."),
        (_distance, "that is a distance: points of one direction may lie apart."),
    ],
    3: [
        (_easiest, "that is the easiest stranger: the hardest has the largest cosine."),
        (_partners, "a partner is no stranger: mask sentences about the same picture."),
        (_summed, "that is a sum: divide by the number of pairs."),
        (_turned, "the signs are turned: the partner should be the nearer one."),
    ],
}
