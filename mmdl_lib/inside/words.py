"""Looking into a space of word vectors: analogies, and which lists lie near which.

Analogies as in Mikolov, Yih and Zweig, "Linguistic Regularities in Continuous Space
Word Representations", NAACL 2013; the association test as in Caliskan, Bryson and
Narayanan, "Semantics derived automatically from language corpora contain human-like
biases", Science 2017, doi 10.1126/science.aal4230.
"""

from collections.abc import Sequence
from itertools import combinations, islice
from math import comb
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdl_lib.borders import check_number, check_texts
from mmdl_lib.data.words import Words

EXACT = 20_000  # as many splits are tried one by one, of more a random part


def answers(
    table: Words, questions: Sequence[Sequence[str]], *, exclude: bool = True
) -> list[str]:
    """What is to c as b is to a: the word nearest to b - a + c, all of length one.

    Args:
        table: word vectors.
        questions: (a, b, c), or (a, b, c, d) whose d is not looked at.
        exclude: whether a, b and c are no answers. That is how analogies are scored; it
            hides that the nearest word is mostly b or c itself.

    Raises:
        ValueError: no question, or one of fewer than three words.
        KeyError: a word that the table lacks.
    """
    if not questions:
        raise ValueError("questions expected one or more, got none.")
    for question in questions:
        check_texts("question", question, least=3)
    unit = table.unit()
    a, b, c = (unit[[q[i] for q in questions]] for i in range(3))
    cosine = F.normalize(b - a + c, dim=1) @ unit.value.T
    if exclude:
        for row, question in enumerate(questions):
            cosine[row, [table.index[word] for word in question[:3]]] = -2.0
    return [table.words[best] for best in cosine.argmax(1).tolist()]


class Association(NamedTuple):
    """How much nearer one list of words lies to an attribute than another list does.

    Attributes:
        effect: difference of the lists' means of `score`, in standard deviations of the
            score over all words of both (with n - 1); from -2 to 2 for long lists.
        p: share of all equal splits of these words with an effect at least as large.
        score: for each word of both lists, mean cosine with the first attribute less
            that with the second.
    """

    effect: float
    p: float
    score: dict[str, float]


def association(
    table: Words,
    first: Sequence[str],
    second: Sequence[str],
    *,
    towards: Sequence[str],
    away: Sequence[str],
    generator: torch.Generator | None = None,
) -> Association:
    """Association test of two lists of words with two lists of attributes.

    The unit is the word: the test asks whether other words of these kinds would show
    it, not whether another corpus would.

    Args:
        table: word vectors.
        first, second: lists of equal length.
        towards, away: the attributes.
        generator: of the splits, where there are more than 20,000.

    Raises:
        ValueError: lists of unequal length or of one word, a word in both, attributes
            without a word.
        KeyError: a word that the table lacks.
    """
    n, words = len(first), [*first, *second]
    check_number("words of the first list", n, 2, whole=True)
    if len(second) != n or len(set(words)) != 2 * n:
        raise ValueError(f"expected two lists of {n} different words each, got others.")
    for name, one in (("towards", towards), ("away", away)):
        check_texts(name, one)
    unit = table.unit()
    near = [(unit[words] @ unit[list(one)].T).mean(1) for one in (towards, away)]
    score = (near[0] - near[1]).double()
    effect = (score[:n].mean() - score[n:].mean()) / score.std()
    # the sum over one half decides: the rest has what is missing to the whole
    chosen = score[_halves(2 * n, generator)].sum(1)
    p = (chosen >= score[:n].sum() - 1e-9).double().mean()
    named = dict(zip(words, score.tolist(), strict=True))
    return Association(effect.item(), p.item(), named)


def _halves(n: int, generator: torch.Generator | None) -> Tensor:
    """Halves of n things, one a row: all of them, or many random ones and the first."""
    if comb(n, n // 2) <= EXACT:
        return torch.tensor(list(islice(combinations(range(n), n // 2), EXACT)))
    mixed = torch.rand(EXACT - 1, n, generator=generator).argsort(1)[:, : n // 2]
    return torch.cat([torch.arange(n // 2)[None], mixed])
