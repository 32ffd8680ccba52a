r"""METEOR: align the words of two texts, then weigh matches and their order.

Words match in stages: **exact** (equal), **stem** (equal stems), **synonym** (a common
WordNet synset) and **paraphrase** (phrases in a table). An alignment uses each word at
most once; of all alignments a beam search takes the one with most matches, then fewest
chunks, then least distance. A chunk is a run of matches, in the same order on both
sides.

A function word counts $1 - \delta$ and a content word $\delta$. With $m_i(t)$ the count
of the words of text $t$ that match in stage $i$, $\ell(t)$ that of all its words, and
weights $w_i$ of the stages,

$$P = \frac{\sum_i w_i m_i(\text{candidate})}{\ell(\text{candidate})},\quad
R = \frac{\sum_i w_i m_i(\text{reference})}{\ell(\text{reference})},\quad
F = \frac{P R}{\alpha P + (1 - \alpha) R}$$

$$\text{METEOR} = F \cdot \Big(1 - \gamma \Big(\frac{\text{chunks}}{m}\Big)^\beta\Big)$$

with $m$ the plain mean number of matched words, and no chunk counted where all words of
both texts match in one. Of several references the best counts.

**Source** Banerjee and Lavie 2005, aclanthology W05-0909; Denkowski and Lavie, Meteor
Universal, 2014, doi 10.3115/v1/W14-3348, whose parameters for English are the default.
**Range** 0 to 1, higher is better.
**Official implementation** `meteor-1.5.jar` (Java), as coco-caption calls it with
`-l en -norm`. Given the synonyms and paraphrases of the official package, ours agrees
with it to rounding; those tables are 65 MB and not part of this book.
**Quirks** Without tables only exact and stem are used, and the score is lower than the
official one: say so when printing it. Captions are cut twice, first as Penn Treebank
words, then by METEOR's own normalizer: "n't" becomes "n" and "'t", "half-eaten" two
words. The search adds a stage's weight of one half to a whole number and loses it, so
stems and synonyms do not count as matches while an alignment is chosen; and it adds a
match's distance to the path without the match. We do the same. The score of a corpus is
computed from added counts, it is not the mean. NLTK's `meteor_score` has the parameters
of 2005 (`METEOR_2005` here), another search, and a penalty even for equal texts.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from mmdl_lib.borders import check_references
from mmdl_lib.metrics._words.alignment import Match, align
from mmdl_lib.metrics._words.ptb import caption_words

# words that make up a thousandth or more of the authors' English texts; their list,
# `function/english.words` of METEOR 1.5 (Denkowski and Lavie, 2014; LGPL)
FUNCTION_WORDS = frozenset(
    """the , . to of and a in that for " is on 's it with was as said at he by be from
    have has are his but an this not i will ’ they ) -rrb- ( -lrb- who their had
    we which were been more or s its would about new one after you : also up
    when there than $ all out her people she year two - can if last first “ over
    other ” into some what so -- no time years could ? 't — '""".split()
)
LETTERS = "A-Za-zŠŽšžŸÀ-ÖØ-öø-žЀ-ӿ"


class Parameters(NamedTuple):
    """What the score is made with; `weights` are those of the four stages."""

    alpha: float
    beta: float
    gamma: float
    delta: float
    weights: tuple[float, float, float, float]


METEOR_1_5 = Parameters(0.85, 0.2, 0.6, 0.75, (1.0, 0.6, 0.8, 0.6))
METEOR_2005 = Parameters(0.9, 3.0, 0.5, 0.5, (1.0, 1.0, 1.0, 1.0))


def meteor_words(text: str) -> list[str]:
    """Words of a caption as coco-caption and then METEOR's normalizer cut them.

    Example:
        >>> meteor_words("A half-eaten cake isn't in the U.S.")
        ['a', 'half', 'eaten', 'cake', 'is', 'n', "'t", 'in', 'the', 'us']
    """
    text = f" {' '.join(caption_words(text))} "
    text = re.sub(rf"([^0-9{LETTERS}\s.'`,‘’-])", r" \1 ", text)
    text = re.sub(r"\.{2,}", r" \g<0> ", text)
    text = re.sub(r"(?<!\d),|,(?!\d)", " , ", text)
    text = re.sub("[`‘’]", "'", re.sub("[“”]|''", ' " ', text))
    text = re.sub("--|–", "-", text)
    text = re.sub(rf"([.0-9{LETTERS}])-([0-9{LETTERS}])", r"\1 \2", text)
    text = re.sub(rf"(?<![0-9{LETTERS}])'|'(?![{LETTERS}])(?<!\d's)", " ' ", text)
    text = re.sub(rf"([{LETTERS}])'([{LETTERS}])|(\d)'(s)", r"\1\3 '\2\4", text)
    words, out = text.split(), []
    for word, after in zip(words, [*words[1:], ""], strict=False):
        stem_, dot = word[:-1], word.endswith(".") and len(word) > 1
        if dot and "." in stem_ and re.search(f"[{LETTERS}]", stem_):
            out.append(word.replace(".", ""))
        elif dot and not (stem_ in ("v", "vs", "rev") or re.match("[a-z]", after)):
            out += [stem_, "."]
        else:
            out.append(word)
    return out


def _chunks(said, true, alignment: list[Match]) -> int:
    """Number of chunks; 0 where both texts are one."""
    ends = [(m.at + m.length, m.of + m.width) for m in alignment]
    starts = [(m.at, m.of) for m in alignment]
    chunks = len(ends) - sum(map(tuple.__eq__, ends, starts[1:]))
    whole = sum(m.length for m in alignment), sum(m.width for m in alignment)
    return 0 if chunks == 1 and whole == (len(true), len(said)) else chunks


def _counts(said, true, alignment) -> list[int]:
    """Sizes of both texts, matches of each stage, all by kind of word; chunks."""
    sizes = [len(said), len(true)]
    common = [sum(w in FUNCTION_WORDS for w in words) for words in (said, true)]
    matched = [[0, 0, 0, 0] for _ in range(4)]
    for m in alignment:
        for side, words in enumerate(
            (said[m.of : m.of + m.width], true[m.at : m.at + m.length])
        ):
            for word in words:
                matched[2 * side + (word in FUNCTION_WORDS)][m.stage] += 1
    return [*sizes, *common, *sum(matched, []), _chunks(said, true, alignment)]


def _score(counts: Sequence[int], parameters: Parameters) -> float:
    alpha, beta, gamma, delta, weights = parameters
    sizes, common, chunks = counts[:2], counts[2:4], counts[20]
    shares, words = [], []
    for side in (0, 1):
        content, function = (
            counts[4 + 8 * side + 4 * kind : 8 + 8 * side + 4 * kind] for kind in (0, 1)
        )
        size = delta * (sizes[side] - common[side]) + (1 - delta) * common[side]
        matched = sum(
            w * (delta * c + (1 - delta) * f)
            for w, c, f in zip(weights, content, function, strict=True)
        )
        shares.append(matched / size if size else 0.0)
        words.append(sum(content) + sum(function))
    p, r = shares
    if p == 0 or r == 0:
        return 0.0
    fragmented = chunks / (sum(words) / 2)
    return p * r / (alpha * p + (1 - alpha) * r) * (1 - gamma * fragmented**beta)


def _best(candidates, references, synonyms, paraphrases, parameters, tokenize):
    """Counts of each candidate with the reference that scores best."""
    check_references(candidates, references)
    for candidate, texts in zip(candidates, references, strict=True):
        said, best, highest = tokenize(candidate), None, -1.0
        for text in texts:
            true = tokenize(text)
            alignment = align(said, true, synonyms=synonyms, paraphrases=paraphrases)
            counts = _counts(said, true, alignment)
            score = _score(counts, parameters)
            if score > highest:
                best, highest = counts, score
        yield best


def meteor(
    candidates: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    synonyms: Callable[[str], Collection] | None = None,
    paraphrases: Mapping[str, Sequence[str]] | None = None,
    parameters: Parameters = METEOR_1_5,
    tokenize: Callable[[str], list[str]] = meteor_words,
) -> list[float]:
    """METEOR of each text.

    Args:
        candidates: one text for each item.
        references: for each item at least one text to compare with.
        synonyms: names of the sets of synonyms that a word is in, such as
            `mmdl_lib.metrics._words.wordnet.wordnet_synonyms()`; words match where sets
            meet.
        paraphrases: other wordings of a phrase.
        parameters: `METEOR_1_5`, `METEOR_2005` or others.
        tokenize: cuts a text into words.

    Returns:
        A number from 0 to 1 for each text.

    Raises:
        ValueError: no item, unequal lengths, or no reference.

    Example:
        "on" and "the" are function words (1 - 0.75 each), the others 0.75. All words
        match exactly, in two chunks: "on the mat" and "sat a cat" turned around.

        >>> found = meteor(["on the mat sat"], [["sat on the mat"]])[0]
        >>> round(found, 4), round(1 - 0.6 * (2 / 4) ** 0.2, 4)
        (0.4777, 0.4777)
    """
    rows = _best(candidates, references, synonyms, paraphrases, parameters, tokenize)
    return [_score(counts, parameters) for counts in rows]


def corpus_meteor(
    candidates: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    synonyms: Callable[[str], Collection] | None = None,
    paraphrases: Mapping[str, Sequence[str]] | None = None,
    parameters: Parameters = METEOR_1_5,
    tokenize: Callable[[str], list[str]] = meteor_words,
) -> float:
    """METEOR of a corpus, from added counts, as coco-caption prints it.

    Args as in `meteor`.

    Example:
        >>> round(corpus_meteor(["a cat", "red dogs"], [["a cat"], ["a dog"]]), 4)
        0.3622
    """
    rows = _best(candidates, references, synonyms, paraphrases, parameters, tokenize)
    return _score([sum(column) for column in zip(*rows, strict=True)], parameters)
