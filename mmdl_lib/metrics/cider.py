r"""CIDEr and CIDEr-D: does a caption say what the references agree on?

Each n-gram $g$ of a text is weighted by how rare it is among the pictures,

$$w_g(s) = \text{count}_s(g) \cdot \log \frac{|I|}{\max(1, \text{df}(g))}$$

with $|I|$ the number of pictures and $\text{df}(g)$ of those with $g$ in a reference.
**CIDEr** is the mean cosine between the caption $c$ and its references $S$, averaged
over n-grams of one to four words:

$$\text{CIDEr}_n = \frac{1}{|S|} \sum_{s \in S}
\frac{w(c) \cdot w(s)}{\lVert w(c) \rVert \lVert w(s) \rVert}$$

**CIDEr-D** hinders captions that repeat what scores well. It clips each weight of the
caption to that of the reference, punishes a difference $\delta$ in length, and
multiplies by 10:

$$\text{CIDEr-D}_n = \frac{10}{|S|} \sum_{s \in S} e^{-\delta^2 / 2\sigma^2}
\frac{\min(w(c), w(s)) \cdot w(s)}{\lVert w(c) \rVert \lVert w(s) \rVert},
\qquad \sigma = 6$$

**Source** Vedantam et al., CIDEr, CVPR 2015, arXiv 1411.5726, equations (1) to (3);
CIDEr-D follows later in the paper.
**Range** CIDEr 0 to 1, CIDEr-D 0 to 10; higher is better, and tables print 100 times
the mean of CIDEr-D and call it CIDEr.
**Official implementation** coco-caption's `Cider` class, which computes CIDEr-D; its
words are those of `caption_words` in `ptb.py`.
**Quirks** Rarity is counted on the references of the captions under test, so a score
depends on which other captions are scored with it: never compare numbers over different
sets (or give both the same `known`), and with a single picture every weight, and with
it every score, is 0. An n-gram that no reference holds counts as one that a single
picture has. coco-caption has no CIDEr without "-D"; ours has no factor of 10 and
follows the paper. The paper reduces words to their stems, which the official code does
not, nor do we; and it divides counts by the number of n-grams in the text, which no
cosine sees, but the clipping of CIDEr-D would.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from mmdl_lib.borders import check_number, check_reference_lists, check_references
from mmdl_lib.metrics._words.ngrams import ngrams
from mmdl_lib.metrics._words.ptb import caption_words

ORDER = 4


class Rarity(NamedTuple):
    """How much n-grams weigh: the logarithm of pictures by pictures that have it.

    Attributes:
        weight: of each n-gram of the references.
        rarest: of an n-gram that no reference holds.
    """

    weight: dict[tuple[str, ...], float]
    rarest: float


def rarity(
    references: Sequence[Sequence[str]],
    *,
    tokenize: Callable[[str], list[str]] = caption_words,
) -> Rarity:
    """Rarity of the n-grams of a corpus, such as the captions of all of training.

    With it a caption has one score, whatever is scored beside it. Self-critical
    training needs that: its batches are too small to tell what is rare.

    Args:
        references: for each picture at least one caption.
        tokenize: as in `cider_d`.

    Raises:
        ValueError: no picture, or one without a caption.

    Example:
        >>> found = rarity([["a cat"], ["a dog"]])
        >>> round(found.weight[("cat",)], 3), found.weight[("a",)]
        (0.693, 0.0)
    """
    check_reference_lists(references)
    return _rarity([[_count(tokenize(t)) for t in texts] for texts in references])


def _rarity(references: list[list[list[Counter]]]) -> Rarity:
    held = Counter()
    for texts in references:
        held.update({gram for text in texts for grams in text for gram in grams})
    log_n = math.log(len(references))
    return Rarity({g: log_n - math.log(count) for g, count in held.items()}, log_n)


def _count(words: list[str]) -> list[Counter]:
    return [ngrams(words, n) for n in range(1, ORDER + 1)]


class _Texts:
    """N-gram counts of all texts, and how rare each is."""

    def __init__(self, candidates, references, tokenize, known: Rarity | None):
        check_references(candidates, references)
        self.candidates = [_count(tokenize(text)) for text in candidates]
        self.references = [
            [_count(tokenize(text)) for text in texts] for texts in references
        ]
        self.rarity = known or _rarity(self.references)

    def weigh(self, text: list[Counter]) -> list[tuple[dict, float]]:
        """Weights of the n-grams of each order, and their Euclidean norm."""
        out = []
        for grams in text:
            weights = {
                gram: count * self.rarity.weight.get(gram, self.rarity.rarest)
                for gram, count in grams.items()
            }
            out.append((weights, math.sqrt(sum(w * w for w in weights.values()))))
        return out


def _score(texts: _Texts, similarity: Callable) -> list[float]:
    out = []
    for candidate, references in zip(texts.candidates, texts.references, strict=True):
        said = texts.weigh(candidate)
        total = 0.0
        for reference in references:
            true = texts.weigh(reference)
            total += similarity(said, true, _length(candidate) - _length(reference))
        out.append(total / ORDER / len(references))
    return out


def _length(text: list[Counter]) -> int:
    return text[0].total()


def cider(
    candidates: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    known: Rarity | None = None,
    tokenize: Callable[[str], list[str]] = caption_words,
) -> list[float]:
    """CIDEr of each caption, as in the paper.

    Args:
        candidates: one caption for each picture.
        references: for each picture at least one caption to compare with.
        known: what is rare, counted by `rarity`; by default on these references.
        tokenize: cuts a text into words; `str.split` for texts that are cut already.

    Returns:
        A number from 0 to 1 for each caption.

    Raises:
        ValueError: no caption, unequal lengths, or no reference.

    Example:
        "cat" and "dog" are in one picture each, "a" is in both and weighs nothing. The
        second caption says "a" and "cat", of which no reference of its own knows "cat";
        texts of two words have no triples, so at most two of four orders count.

        >>> cider(["a cat", "a cat"], [["a cat"], ["a dog"]])
        [0.5, 0.0]
    """

    def cosine(said, true, _):
        total = 0.0
        for (a, norm_a), (b, norm_b) in zip(said, true, strict=True):
            dot = sum(w * b[gram] for gram, w in a.items() if gram in b)
            total += dot / (norm_a * norm_b) if dot else 0.0
        return total

    return _score(_Texts(candidates, references, tokenize, known), cosine)


def cider_d(
    candidates: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    sigma: float | int = 6.0,
    known: Rarity | None = None,
    tokenize: Callable[[str], list[str]] = caption_words,
) -> list[float]:
    """CIDEr-D of each caption, as coco-caption computes it; tables print the mean.

    Args:
        candidates: one caption for each picture.
        references: for each picture at least one caption to compare with.
        sigma: how many words of difference in length are tolerated.
        known: what is rare, counted by `rarity`; by default on these references.
        tokenize: cuts a text into words; `str.split` for texts that are cut already.

    Returns:
        A number from 0 to 10 for each caption.

    Raises:
        ValueError: no caption, unequal lengths, or no reference.

    Example:
        As above, times ten.

        >>> cider_d(["a cat", "a cat"], [["a cat"], ["a dog"]])
        [5.0, 0.0]
    """

    check_number("sigma", sigma, above=0)

    def clipped(said, true, delta):
        total = 0.0
        for (a, norm_a), (b, norm_b) in zip(said, true, strict=True):
            dot = sum(min(w, b[gram]) * b[gram] for gram, w in a.items() if gram in b)
            total += dot / (norm_a * norm_b) if dot else 0.0
        return 10 * total * math.exp(-(delta**2) / (2 * sigma**2))

    return _score(_Texts(candidates, references, tokenize, known), clipped)
