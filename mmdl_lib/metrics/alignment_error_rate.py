r"""Alignment error rate: how far are proposed word links from those that people drew?

With the proposed links $A$, the sure gold links $S$ and the possible ones
$P \supseteq S$,

$$\text{AER} = 1 - \frac{|A \cap S| + |A \cap P|}{|A| + |S|}.$$

Precision is asked of all gold links, recall of the sure ones alone: a link that is only
possible may be proposed and may be left out.

**Source** Och and Ney, A Systematic Comparison of Various Statistical Alignment Models,
Computational Linguistics 29(1), 2003, doi 10.1162/089120103321337421.
**Range** 0 to 1, lower is better; 0 where $S \subseteq A \subseteq P$.
**Official implementation** nltk's `alignment_error_rate`, of one sentence.
**Quirks** The counts are summed over all sentences first; a mean over sentences would
weigh short ones more. With few sure links, a model that proposes few links looks good.
With $S = P$ the rate is one minus F1.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from mmdl_lib.borders import check_same_length

Link = tuple[int, int]


def alignment_error_rate(
    links: Sequence[AbstractSet[Link]],
    sure: Sequence[AbstractSet[Link]],
    possible: Sequence[AbstractSet[Link]],
) -> float:
    """Error rate of the links of all sentences.

    Args:
        links: what is proposed, a set of pairs (i, j) for each sentence.
        sure: gold links without doubt.
        possible: all gold links; the sure ones count as possible, named or not.

    Raises:
        ValueError: no sentence, unequal numbers of them, anything but sets of pairs,
            or neither a proposed nor a sure link.

    Example:
        Of three proposed links one is sure and one more is possible; two are sure:
        1 - (1 + 2) / (3 + 2).

        >>> links, sure = {(0, 0), (2, 1), (3, 3)}, {(0, 0), (1, 2)}
        >>> round(alignment_error_rate([links], [sure], [sure | {(2, 1)}]), 2)
        0.4
    """
    check_same_length(links=links, sure=sure)
    check_same_length(links=links, possible=possible)
    for name, sets in (("links", links), ("sure", sure), ("possible", possible)):
        _check_sets(name, sets)
    hits = size = 0
    for a, s, p in zip(links, sure, possible, strict=True):
        hits += len(a & s) + len(a & (s | p))
        size += len(a) + len(s)
    if size == 0:
        raise ValueError("expected a proposed or a sure link, got none.")
    return 1 - hits / size


def _check_sets(name: str, sets: Sequence) -> None:
    for one in sets:
        pairs = isinstance(one, AbstractSet) and all(
            isinstance(link, tuple) and len(link) == 2 for link in one
        )
        if not pairs:
            raise ValueError(f"{name} expected sets of pairs, got {one!r:.60}.")
