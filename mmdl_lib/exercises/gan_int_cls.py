"""Exercises of the chapter on text-conditional GANs (`sec-gan_int_cls`)."""

import torch
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.exercises import judge


def exercise_1(answer) -> None:
    """Predict: what does the best discriminator say to a right pair?

    The wrong pair weighs as much as the right one, the drawn pair half as much. The
    generator is perfect, and no wrong pair equals a right one.

    Raises:
        Hint: a coin, certainty, all pairs counted in one place.
    """
    last = "not right: at a right pair, which kinds of pairs occur, with which weights?"
    judge(answer, SOLUTIONS[1], MISTAKES[1], near=1e-2, otherwise=last)


def exercise_2(answer) -> None:
    """Change the code: a divergence in which a little is free.

    Write `free(mean, log_variance)` for tensors (b, c): the divergence from a standard
    Gaussian, in which each dimension of each row may cost up to 0.1 for nothing; a sum
    over dimensions, a mean over rows.

    Raises:
        Hint: one allowance for all, means for sums, deviations for variances.
    """
    cases = []
    for n, c, seed in ((4, 3, 0), (6, 5, 1), (3, 7, 2)):
        mean, spread = torch.randn(2, n, c, generator=generator(seed))
        cases.append((0.7 * mean, 0.8 * spread))
    judge(answer, SOLUTIONS[2], MISTAKES[2], cases=cases)


def exercise_3(answer) -> None:
    """Change the code: each cell looks at its two best words.

    Write `look(cells, words, mask)` for cells (b, n, d), words (b, t, d) and a mask
    (b, t): a softmax over the two real words with the largest products, and the mean of
    these words with its weights.

    Raises:
        Hint: all words, one word, padding that takes part, weights that do not add up.
    """
    cases = []
    for b, n, t, seed in ((2, 3, 5, 0), (3, 4, 4, 1), (2, 6, 6, 2)):
        g = generator(seed)
        cells, words = (torch.randn(b, k, 4, generator=g) for k in (n, t))
        mask = torch.arange(t) < torch.randint(2, t, (b, 1), generator=g)
        cases.append((cells, words, mask))
    judge(answer, SOLUTIONS[3], MISTAKES[3], cases=cases)


def _each(mean: Tensor, log_variance: Tensor) -> Tensor:
    return (mean**2 + log_variance.exp() - 1 - log_variance) / 2


def _free(mean: Tensor, log_variance: Tensor) -> Tensor:
    return (_each(mean, log_variance) - 0.1).clamp(min=0).sum(1).mean()


def _no_clamp(mean: Tensor, log_variance: Tensor) -> Tensor:
    return (_each(mean, log_variance) - 0.1).sum(1).mean()


def _one_allowance(mean: Tensor, log_variance: Tensor) -> Tensor:
    return (_each(mean, log_variance).sum(1) - 0.1).clamp(min=0).mean()


def _jump(mean: Tensor, log_variance: Tensor) -> Tensor:
    return _each(mean, log_variance).clamp(min=0.1).sum(1).mean()


def _means(mean: Tensor, log_variance: Tensor) -> Tensor:
    return (_each(mean, log_variance) - 0.1).clamp(min=0).mean()


def _deviation(mean: Tensor, log_variance: Tensor) -> Tensor:
    return _free(mean, 2 * log_variance)


def _plain(mean: Tensor, log_variance: Tensor) -> Tensor:
    return _each(mean, log_variance).sum(1).mean()


def _double(mean: Tensor, log_variance: Tensor) -> Tensor:
    return (2 * _each(mean, log_variance) - 0.1).clamp(min=0).sum(1).mean()


def _scores(cells: Tensor, words: Tensor, mask: Tensor) -> Tensor:
    return (cells @ words.mT).masked_fill(~mask[:, None], -torch.inf)


def _best(scores: Tensor, count: int) -> Tensor:
    least = scores.topk(count, dim=2).values[..., -1:]
    return scores.masked_fill(scores < least, -torch.inf).softmax(2)


def _look(cells: Tensor, words: Tensor, mask: Tensor) -> Tensor:
    return _best(_scores(cells, words, mask), 2) @ words


def _all_words(cells: Tensor, words: Tensor, mask: Tensor) -> Tensor:
    return _scores(cells, words, mask).softmax(2) @ words


def _one_word(cells: Tensor, words: Tensor, mask: Tensor) -> Tensor:
    return _best(_scores(cells, words, mask), 1) @ words


def _padding(cells: Tensor, words: Tensor, mask: Tensor) -> Tensor:
    return _best(cells @ words.mT, 2) @ words


def _late(cells: Tensor, words: Tensor, mask: Tensor) -> Tensor:
    scores = _scores(cells, words, mask)
    weights = scores.softmax(2)
    return weights.masked_fill(_best(scores, 2) == 0, 0) @ words


def _over_cells(cells: Tensor, words: Tensor, mask: Tensor) -> Tensor:
    return _scores(cells, words, mask).softmax(1).nan_to_num() @ words


SOLUTIONS = {1: 2 / 3, 2: _free, 3: _look}
MISTAKES = {
    1: [
        (0.5, "that is a plain GAN, where real and drawn pairs weigh the same."),
        (1, "drawn pairs are right pairs, too, and half a vote calls them false."),
        (0.4, "that counts wrong pairs at a place where none of them is."),
        (1 / 3, "that is how sure D is that the pair is false."),
    ],
    2: [
        (_plain, "that is the divergence itself: what is free?"),
        (
            _no_clamp,
            "a dimension that costs less than 0.1 earns nothing: no negatives.",
        ),
        (_one_allowance, "each dimension has an allowance of its own: subtract first."),
        (_jump, "what lies below 0.1 should cost nothing, not 0.1."),
        (_means, "a sum over dimensions, and a mean over rows alone."),
        (_deviation, "the second argument is a variance's logarithm already."),
        (_double, "one half stands in front of the sum."),
    ],
    3: [
        (_all_words, "all words take part: leave two."),
        (_one_word, "that is the best word alone: two share the cell."),
        (_padding, "a word that is none may win: where does the mask go?"),
        (_late, "the weights of two words should add up to 1: drop words first."),
        (_over_cells, "words compete for a cell, not cells for a word."),
    ],
}
