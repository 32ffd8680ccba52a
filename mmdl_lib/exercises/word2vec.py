"""Exercises of the chapter on word embeddings (`sec-word2vec`)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.exercises import judge
from mmdl_lib.models.ppmi import pmi
from mmdl_lib.models.translation import least_squares, rotation


def exercise_1(answer) -> None:
    """Predict: how much of a frequent word is left?

    A word makes up 9 of 1,000 words of a text, and the threshold is 0.001. With which
    probability does one occurrence stay in the text?

    Raises:
        Hint: the printed formula, one term only, what is discarded.
    """
    last = "take t / f first: by how much is the word above the threshold?"
    judge(answer, SOLUTIONS[1], MISTAKES[1], near=0.01, otherwise=last)


def exercise_2(answer) -> None:
    """Change the code: mutual information from counts.

    Write `information(count)` for a table of counts above zero, words in rows and their
    neighbors in columns: the pointwise mutual information of each pair, in nats.

    Raises:
        Hint: bits, a total forgotten, one side only, cut at zero.
    """
    cases = [
        (1 + 50 * torch.rand(n, m, generator=generator(n)) ** 3,)
        for n, m in ((3, 3), (4, 6))
    ]
    last = "log of p(w, c) over p(w) p(c): which sums make each of them?"
    judge(answer, SOLUTIONS[2], MISTAKES[2], cases=cases, otherwise=last)


def exercise_3(answer) -> None:
    """Change the code: the best rotation from one language to another.

    Write `rotate(x, z)` for vectors (n, d) of n words and (n, d) of their translations:
    the orthogonal matrix W (d, d) with the smallest sum of squares of x W - z.

    Raises:
        Hint: the map the other way, any linear map, singular values left in.
    """
    cases = []
    for n, d in ((9, 3), (30, 5)):
        g = generator(n)
        x, turn = torch.randn(n, d, generator=g), torch.randn(d, d, generator=g)
        noise = 0.3 * torch.randn(n, d, generator=g)
        cases.append((x, x @ torch.linalg.qr(turn).Q + noise))
    last = "take the SVD of x^T z; the rotation is made of its two orthogonal factors."
    judge(answer, SOLUTIONS[3], MISTAKES[3], cases=cases, near=1e-3, otherwise=last)


def exercise_4(answer) -> None:
    """Investigate: one analogy, without any help.

    Write `solve(vectors, a, b, c)` for vectors (v, d) of any lengths and three numbers
    of words: the number of the word that is to c as b is to a. Vectors get length one
    first, cosine ranks the words, and a, b and c are no answers.

    Raises:
        Hint: the words of the question answer, the difference the other way, lengths.
    """
    cases = []
    for seed in range(12):
        g = generator(seed)
        vectors = torch.randn(40, 4, generator=g) * (
            1 + 9 * torch.rand(40, 1, generator=g)
        )
        a, b, c = torch.randperm(40, generator=g)[:3].tolist()
        cases.append((vectors, a, b, c))
    last = (
        "b - a + c of vectors of length one, then the largest cosine of what is left."
    )
    judge(answer, SOLUTIONS[4], MISTAKES[4], cases=cases, near=0, otherwise=last)


def _bits(count: Tensor) -> Tensor:
    return pmi(count) / torch.tensor(2.0).log()


def _no_total(count: Tensor) -> Tensor:
    return (count / (count.sum(1, keepdim=True) * count.sum(0))).log()


def _conditional(count: Tensor) -> Tensor:
    return (count / count.sum(1, keepdim=True)).log()


def _joint(count: Tensor) -> Tensor:
    return (count / count.sum()).log()


def _positive(count: Tensor) -> Tensor:
    return pmi(count).clamp(min=0)


def _backwards(x: Tensor, z: Tensor) -> Tensor:
    return rotation(x, z).T


def _cross(x: Tensor, z: Tensor) -> Tensor:
    return x.T @ z


def _solve(vectors, a, b, c, *, exclude=True, turned=False, unit=True) -> Tensor:
    rows = F.normalize(vectors, dim=1) if unit else vectors
    query = rows[a] - rows[b] + rows[c] if turned else rows[b] - rows[a] + rows[c]
    cosine = F.normalize(vectors, dim=1) @ F.normalize(query, dim=0)
    if exclude:
        cosine[[a, b, c]] = -2.0
    return cosine.argmax()


def _with_inputs(vectors, a, b, c) -> Tensor:
    return _solve(vectors, a, b, c, exclude=False)


def _turned(vectors, a, b, c) -> Tensor:
    return _solve(vectors, a, b, c, turned=True)


def _long(vectors, a, b, c) -> Tensor:
    return _solve(vectors, a, b, c, unit=False)


SOLUTIONS = {1: 4 / 9, 2: pmi, 3: rotation, 4: _solve}
MISTAKES = {
    1: [
        (1 / 3, "that is the formula as printed; the code adds a term."),
        (1 / 9, "t / f is one of two terms: the other is its root."),
        (5 / 9, "that is what is discarded; how much stays?"),
        (2 / 3, "that is discarded by the printed formula; the code keeps more."),
    ],
    2: [
        (_bits, "those are bits: nats come from the natural logarithm."),
        (_no_total, "p(w) p(c) has two totals below, p(w, c) one: one is left over."),
        (_conditional, "that is log p(c | w): a frequent c is near every word."),
        (_joint, "that is log p(w, c): compare it with what chance would give."),
        (_positive, "pairs that meet less than by chance are below zero; keep them."),
    ],
    3: [
        (_backwards, "this leads from z to x: is your matrix transposed?"),
        (
            least_squares,
            "the best linear map, but it stretches: is W W^T the identity?",
        ),
        (_cross, "x^T z has singular values left in it: set them all to one."),
    ],
    4: [
        (_with_inputs, "your answers are among a, b and c: they are not allowed."),
        (_turned, "your step leads from b to a."),
        (_long, "long vectors weigh more in your sum: give all the length one."),
    ],
}
