r"""FOIL's three tasks: is the caption wrong, which word is it, what should it be?

$$T_1 = \frac{1}{n} \sum_i [\hat y_i = y_i],\quad
T_2 = \frac{1}{m} \sum_i [\hat w_i = w_i],\quad
T_3 = \frac{1}{m} \sum_i [\hat c_i = c_i]$$

A foil is a caption in which one word was replaced so that it no longer fits the
picture. $T_1$ is over captions and foils ($y$: is it a foil?), the others over the $m$
foils only: the place $w$ of the wrong word, and, given the place, the right word $c$.

**Source** Shekhar et al., ACL 2017, arXiv 1705.01359.
**Range** 0 to 1, higher is better. Chance is 1/2 for $T_1$, one over the words that may
be wrong for $T_2$, one over the vocabulary for $T_3$.
**Official implementation** None is known to us; the three are plain accuracies.
**Quirks** $T_1$ hides a model that calls everything right, so its two halves are given
too. $T_2$ depends on which words may be named, nouns or all: say which.
"""

from collections.abc import Sequence
from numbers import Integral
from typing import NamedTuple

from jaxtyping import Bool
from torch import Tensor

from mmdl_lib.borders import check_flags, check_same_length, check_text, check_texts


class Classification(NamedTuple):
    """Shares of captions judged right: of all, of the true ones, of the foils."""

    overall: float
    correct: float
    foil: float


def classification(
    predicted: Bool[Tensor, " n"], is_foil: Bool[Tensor, " m"]
) -> Classification:
    """Task 1: which captions are foils?

    Args:
        predicted: true where a caption is taken for a foil.
        is_foil: true where it is one.

    Returns:
        Three shares; NaN for the half that is empty.

    Raises:
        ValueError: no captions, unequal lengths, or something else than bool.

    Example:
        >>> import torch
        >>> truth = torch.tensor([True, True, True, False])
        >>> classification(torch.zeros(4).bool(), truth)
        Classification(overall=0.25, correct=1.0, foil=0.0)
    """
    check_flags("predictions", predicted)
    check_flags("is_foil", is_foil)
    check_same_length(predictions=predicted, captions=is_foil)
    right = (predicted == is_foil).double()
    parts = right, right[~is_foil], right[is_foil]
    return Classification(*(part.mean().item() for part in parts))


def _share(predicted: Sequence, truth: Sequence) -> float:
    check_same_length(predictions=predicted, foils=truth)
    return sum(p == t for p, t in zip(predicted, truth, strict=True)) / len(truth)


def detection(predicted: Sequence[int], wrong: Sequence[int]) -> float:
    """Task 2: which word of each foil is the wrong one?

    Args:
        predicted: place of a word in each foil, from 0.
        wrong: the place of the wrong word, such as `foil_word` finds it.

    Raises:
        ValueError: no foils, unequal lengths, or no whole numbers.

    Example:
        >>> detection([1, 4], [1, 3])
        0.5
    """
    for name, places in (("predictions", predicted), ("wrong words", wrong)):
        some = isinstance(places, Sequence) and not isinstance(places, str)
        if not some or not all(_whole(place) for place in places):
            raise ValueError(f"{name} expected whole numbers, got {places!r:.60}.")
    return _share(predicted, wrong)


def _whole(value) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def correction(predicted: Sequence[str], right: Sequence[str]) -> float:
    """Task 3: which word should stand there instead? Compared letter by letter.

    Raises:
        ValueError: no foils, unequal lengths, or no strings.

    Example:
        >>> correction(["dog", "bus"], ["dog", "truck"])
        0.5
    """
    check_texts("predictions", predicted)
    check_texts("right words", right)
    return _share(predicted, right)


def foil_word(caption: str, foil: str) -> int:
    """Place of the one word that differs between a caption and its foil, from 0.

    Raises:
        ValueError: none differs, several do, or the captions are not equally long.

    Example:
        >>> foil_word("a red dog runs", "a red cat runs")
        2
    """
    check_text("caption", caption)
    check_text("foil", foil)
    one, two = caption.split(), foil.split()
    if len(one) != len(two):
        raise ValueError(
            f"captions expected equally many words, got {len(one)} and {len(two)}."
        )
    places = [i for i, (a, b) in enumerate(zip(one, two, strict=True)) if a != b]
    if len(places) != 1:
        raise ValueError(f"foil expected one word that differs, got {len(places)}.")
    return places[0]
