r"""ROUGE-L: the longest sequence of words that two texts share, with gaps allowed.

With $l$ the length of the longest common subsequence,

$$P = \frac{l}{|\text{candidate}|},\quad R = \frac{l}{|\text{reference}|},\quad
F_\beta = \frac{(1 + \beta^2) P R}{R + \beta^2 P}$$

**Source** Lin, ROUGE, 2004, aclanthology W04-1013, section 3.1.
**Range** 0 to 1, higher is better.
**Official implementations** For summaries rouge-score (`rougeL`): `rouge_l` here, with
$\beta = 1$. For captions coco-caption: `coco_rouge_l`, with $\beta = 1.2$.
**Quirks** rouge-score keeps only ASCII letters and digits, so "café" is the word "caf"
and a Chinese text has none and scores 0. Of several references, rouge-score takes the
one with the best F; coco-caption takes the best P and the best R, which may come from
two different references, and a caption can score 1 without being equal to any. An
empty caption counts as one empty word, and scores 1 against an empty reference.
"""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from mmdl_lib.borders import (
    check_number,
    check_references,
    check_text,
    check_texts,
)
from mmdl_lib.metrics._words.ptb import caption_words


class RougeL(NamedTuple):
    """Precision, recall and their F measure."""

    precision: float
    recall: float
    f: float


def common_length(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence.

    Example:
        >>> common_length("a red cat sat".split(), "a cat and a dog sat".split())
        3
    """
    # a row of the table of Needleman and Wunsch at a time
    row = [0] * (len(other) + 1)
    for a in one:
        corner = 0
        for j, b in enumerate(other, 1):
            above = row[j]
            row[j] = corner + 1 if a == b else max(above, row[j - 1])
            corner = above
    return row[-1]


def ascii_words(text: str, stem: Callable[[str], str] | None = None) -> list[str]:
    """Runs of ASCII letters and digits in lower case, as rouge-score cuts them.

    Args:
        text: any text.
        stem: cuts endings off words of more than three letters.

    Example:
        >>> ascii_words("A café, isn't it?")
        ['a', 'caf', 'isn', 't', 'it']
    """
    check_text("text", text)
    words = re.findall("[a-z0-9]+", text.lower())
    return [stem(w) if stem and len(w) > 3 else w for w in words]


def rouge_l(
    candidate: str,
    references: Sequence[str],
    *,
    stem: Callable[[str], str] | None = None,
) -> RougeL:
    """ROUGE-L of a text with the best of its references, as rouge-score computes it.

    Args:
        candidate: the text to judge.
        references: at least one text to compare with.
        stem: cuts endings off words, such as `nltk.stem.PorterStemmer().stem`.

    Returns:
        Precision, recall and F from 0 to 1.

    Raises:
        ValueError: no reference.

    Example:
        "the cat sat" is common: 3 of 4 words, 3 of 6 words.

        >>> rouge_l("the cat sat down", ["the black cat sat on it"])
        RougeL(precision=0.75, recall=0.5, f=0.6)
    """
    check_text("candidate", candidate)
    check_texts("references", references)
    said = ascii_words(candidate, stem)
    best = RougeL(0.0, 0.0, 0.0)
    for reference in references:
        true = ascii_words(reference, stem)
        length = common_length(said, true)
        if length:
            p, r = length / len(said), length / len(true)
            best = max(best, RougeL(p, r, 2 * p * r / (p + r)), key=lambda s: s.f)
    return best


def coco_rouge_l(
    candidates: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    beta: float | int = 1.2,
    tokenize: Callable[[str], list[str]] = caption_words,
) -> list[float]:
    """ROUGE-L of each caption, as coco-caption computes it; tables print the mean.

    Args:
        candidates: one caption for each picture.
        references: for each picture at least one caption to compare with.
        beta: how much more recall counts than precision.
        tokenize: cuts a text into words.

    Returns:
        A number from 0 to 1 for each caption.

    Raises:
        ValueError: no caption, unequal lengths, or no reference.

    Example:
        Both words are in the first reference (P 1), and are the second (R 1), so the
        score is 1, though no reference is equal to the caption.

        >>> coco_rouge_l(["a cat"], [["a black cat", "cat"]])
        [1.0]
    """
    check_references(candidates, references)
    check_number("beta", beta, 0)
    out = []
    for candidate, texts in zip(candidates, references, strict=True):
        # a caption without words has one empty word, as if split at spaces
        said = tokenize(candidate) or [""]
        true = [tokenize(text) or [""] for text in texts]
        lengths = [common_length(said, words) for words in true]
        p = max(lengths) / len(said)
        r = max(n / len(words) for n, words in zip(lengths, true, strict=True))
        out.append((1 + beta**2) * p * r / (r + beta**2 * p) if p else 0.0)
    return out
