r"""BLEU: how many runs of one to four words does a text share with its references?

$$\text{BLEU} = BP \cdot \exp\Big(\frac{1}{4} \sum_{n=1}^{4} \log p_n\Big),\qquad
p_n = \frac{\sum_i \sum_g \min(\text{count}_i(g),
\max_r \text{count}_{ir}(g))}{\sum_i \sum_g \text{count}_i(g)}$$

The sums run over all texts $i$ and all n-grams $g$ of a text, so BLEU is a property of
a corpus, not the mean of its sentences. The brevity penalty
$BP = \min(1, e^{1 - r/c})$ compares the length $c$ of all texts with the length $r$ of
their references, of which each text counts the one closest in length (the shorter one
of two).

**Source** Papineni et al., BLEU, ACL 2002, doi 10.3115/1073083.1073135, section 2.
**Range** 0 to 1, higher is better; sacrebleu prints 100 times this number.
**Official implementations** For translation sacrebleu (Post 2018, arXiv 1804.08771):
`tokenize_13a`, `smoothing="exp"`. For captions coco-caption: `caption_words` of
`ptb.py`, `smoothing="coco"`, which is `coco_bleu` here.
**Quirks** The two cut words differently (13a keeps capitals and punctuation, "don't" is
one word) and their numbers must not be compared. Without smoothing, BLEU is 0 when no
run of four words is shared anywhere, which is common for a single sentence:

- "none": the formula;
- "exp": the k-th order without a match counts 1 / 2^k matches (sacrebleu's default);
- "floor": an order without a match counts 0.1 matches;
- "add1": orders above 1 get one match and one n-gram more (Lin and Och 2004, ORANGE);
- "coco": all orders get 1e-15 matches and 1e-9 n-grams more, lest anything divide by 0;
  a caption without a common run of four words then has BLEU-4 around 1e-4, not 0.

With no common word at all the first four give 0.
"""

import math
import re
from collections.abc import Callable, Sequence

from mmdl_lib.borders import (
    check_choice,
    check_number,
    check_references,
    check_text,
)
from mmdl_lib.metrics._words.ngrams import ngrams
from mmdl_lib.metrics._words.ptb import caption_words

SMOOTHING = ("none", "exp", "floor", "add1", "coco")
ENTITIES = {"&quot;": '"', "&amp;": "&", "&lt;": "<", "&gt;": ">"}
# ASCII punctuation but the apostrophe, the comma, the full stop and the hyphen
MARKS = re.compile(r"([{-~\[-` -&(-+:-@/])")


def tokenize_13a(text: str) -> list[str]:
    """Words and punctuation as mteval-v13a cuts them, the standard in translation.

    Punctuation is cut off, but full stops and commas inside numbers, apostrophes, and
    hyphens not behind a digit stay where they are.

    Example:
        >>> tokenize_13a("The man's half-eaten cake costs $3.50, doesn't it?")
        ['The', "man's", 'half-eaten', 'cake', 'costs', '$', '3.50', ',', "doesn't", \
'it', '?']
    """
    check_text("text", text)
    text = text.rstrip().replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for name, sign in ENTITIES.items():
        text = text.replace(name, sign)
    text = MARKS.sub(r" \1 ", f" {text} ")
    text = re.sub(r"([^0-9])([.,])", r"\1 \2 ", text)
    text = re.sub(r"([.,])([^0-9])", r" \1 \2", text)
    return re.sub(r"([0-9])(-)", r"\1 \2 ", text).split()


def _counts(candidate: list[str], references: list[list[str]], order: int):
    """Matches and n-grams of each order, length, and closest length of a reference."""
    length = len(candidate)
    closest = min((abs(len(r) - length), len(r)) for r in references)[1]
    matches = []
    for n in range(1, order + 1):
        said, most = ngrams(candidate, n), {}
        for reference in references:
            for gram, count in ngrams(reference, n).items():
                if gram in said and count > most.get(gram, 0):
                    most[gram] = count
        matches.append(sum(min(said[gram], count) for gram, count in most.items()))
    totals = [max(0, length - n) for n in range(order)]
    return matches, totals, length, closest


def _precisions(matches: list[int], totals: list[int], smoothing: str) -> list[float]:
    out, empty = [], 0
    for n, (match, total) in enumerate(zip(matches, totals, strict=True)):
        if smoothing == "coco":
            match, total = match + 1e-15, total + 1e-9
        elif smoothing == "add1" and n > 0:
            match, total = match + 1, total + 1
        elif match == 0 and smoothing == "floor":
            match = 0.1
        elif match == 0 and smoothing == "exp":
            empty += 1
            match = 0.5**empty
        out.append(match / total if total else 0.0)
    return out


def _score(counts, smoothing: str, *, effective: bool = False) -> list[float]:
    """BLEU of order 1, 2, ... from added counts."""
    matches, totals, length, reference = counts
    order = len(matches)
    if smoothing != "coco" and not any(matches):
        return [0.0] * order
    if smoothing == "coco":
        # with 0 words said, 1e-15 and 1e-9 make the penalty as good as 0
        ratio = (length + 1e-15) / (reference + 1e-9)
        brevity = math.exp(1 - 1 / ratio) if ratio < 1 else 1.0
    else:
        brevity = math.exp(min(0.0, 1 - reference / length))
    precisions = _precisions(matches, totals, smoothing)
    if effective and smoothing != "add1":
        # a sentence of two words has no runs of four: stop at the longest that it has
        precisions = precisions[: sum(total > 0 for total in totals)]
    logs = [math.log(p) if p > 0 else -math.inf for p in precisions]
    scores = [
        brevity * math.exp(sum(logs[: n + 1]) / (n + 1)) for n in range(len(logs))
    ]
    return scores + scores[-1:] * (order - len(scores))


def bleu(
    candidates: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    order: int = 4,
    smoothing: str = "exp",
    tokenize: Callable[[str], list[str]] = tokenize_13a,
) -> float:
    """BLEU of a corpus; by default as sacrebleu computes it.

    Args:
        candidates: one text for each item.
        references: for each item at least one text to compare with.
        order: the longest runs that count.
        smoothing: "none", "exp", "floor", "add1" or "coco", see above.
        tokenize: cuts a text into words; `str.split` for texts that are cut already.

    Returns:
        A number from 0 to 1.

    Raises:
        ValueError: no item, unequal lengths, no reference, another smoothing, or an
            order below 1.

    Example:
        Five words: 4 of 5 match, 3 of 4 pairs, 2 of 3 triples, 1 of 2 runs of four; as
        long as the reference, so no penalty.

        >>> found = bleu(["the cat sat here now"], [["the cat sat here today"]])
        >>> round(found, 4), round((4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25, 4)
        (0.6687, 0.6687)
    """
    return _score(
        _corpus(candidates, references, order, smoothing, tokenize), smoothing
    )[-1]


def sentence_bleu(
    candidate: str,
    references: Sequence[str],
    *,
    order: int = 4,
    smoothing: str = "exp",
    tokenize: Callable[[str], list[str]] = tokenize_13a,
) -> float:
    """BLEU of a single text; by default as sacrebleu computes it.

    Args as in `bleu`. A text too short for runs of four words is judged by the longest
    runs that it has ("effective order").

    Example:
        >>> round(sentence_bleu("a cat", ["a cat sat"]), 4), round(math.exp(-1 / 2), 4)
        (0.6065, 0.6065)
    """
    counts = _corpus([candidate], [references], order, smoothing, tokenize)
    return _score(counts, smoothing, effective=smoothing != "coco")[-1]


def coco_bleu(
    candidates: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    order: int = 4,
    tokenize: Callable[[str], list[str]] = caption_words,
) -> list[float]:
    """BLEU-1 to BLEU-4 of captions, as coco-caption and every captioning table has it.

    Args as in `bleu`.

    Returns:
        `order` numbers from 0 to 1.

    Example:
        >>> found = coco_bleu(["A red cat."], [["a red cat", "a dog"]])
        >>> [round(x, 3) for x in found[:3]]
        [1.0, 1.0, 1.0]
    """
    counts = _corpus(candidates, references, order, "coco", tokenize)
    return _score(counts, "coco")


def _corpus(candidates, references, order, smoothing, tokenize):
    check_references(candidates, references)
    check_choice("smoothing", smoothing, SMOOTHING)
    check_number("order", order, 1, whole=True)
    matches, totals, length, closest = [0] * order, [0] * order, 0, 0
    for candidate, texts in zip(candidates, references, strict=True):
        counts = _counts(tokenize(candidate), [tokenize(t) for t in texts], order)
        matches = [a + b for a, b in zip(matches, counts[0], strict=True)]
        totals = [a + b for a, b in zip(totals, counts[1], strict=True)]
        length, closest = length + counts[2], closest + counts[3]
    return matches, totals, length, closest
