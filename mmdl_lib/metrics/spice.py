r"""SPICE: do two captions say the same about objects, attributes and relations?

A caption is parsed into a scene graph, and the graph is written as a set $T$ of tuples:
("circle",), ("circle", "red"), ("circle", "left of", "square"). The references of a
picture are joined into one set. With $T(c) \otimes T(S)$ the tuples that both have,

$$P = \frac{|T(c) \otimes T(S)|}{|T(c)|},\quad R = \frac{|T(c) \otimes T(S)|}{|T(S)|},
\quad \text{SPICE} = \frac{2PR}{P + R}$$

**Source** Anderson et al., SPICE, ECCV 2016, arXiv 1607.08822, section 3.
**Range** 0 to 1, higher is better; tables print the mean over captions.
**Official implementation** `spice-1.0.jar` (Java), called by coco-caption. It needs the
models of Stanford CoreNLP, and cannot be compared with in our tests; they compare with
graphs made by hand.

**Where ours differs from the Java original.** The original parses any English, with a
trained dependency parser and the rules of the Stanford Scene Graph Parser. Ours knows
the grammar of the book's captions (`mmdl_lib.data.shapes.language`): noun phrases with
their noun last, joined by "and" or by a relation; on other English it is a rough guess,
and its scores must not be compared with published ones. We read "a photo of", "a
picture with" and "there is" as talk about the picture, while a general parser sees an
object "photo". What is denied ("there is no red circle") gives no tuples. The original
reduces words to their base forms and always matches WordNet's synonyms; ours takes the
"s" off plurals, and matches synonyms only if it is given them.

**Quirks** Tuples form a set, so objects of one name merge: "a red circle and a blue
circle" has one object "circle" that is red and blue, and a caption that counts wrongly
can still score 1. Tuples are judged one by one: a wrong noun costs all tuples that it
is in, a wrong adjective one. "A right of B" does not match "B left of A". Fluency
counts nothing.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from mmdl_lib.borders import check_references, check_text
from mmdl_lib.metrics._words.ptb import caption_words

ARTICLES = "a an the some this that these those its his her their".split()
FRAMES = ("photo of", "picture with", "picture of", "image of", "there is", "there are")
# relations of several words come first, so that "next to" is not "to"
RELATIONS = """left of;right of;next to;in front of;on top of;above;below;behind;beside;
between;under;over;near;inside;on;in;at;with;of;by""".replace("\n", "").split(";")

Graph = frozenset[tuple[str, ...]]


class Spice(NamedTuple):
    """Precision, recall and F of the tuples of a caption."""

    precision: float
    recall: float
    f: float


def singular(noun: str) -> str:
    """The noun in the singular, by its ending.

    Example:
        >>> [singular(noun) for noun in ("circles", "crosses", "cross")]
        ['circle', 'cross', 'cross']
    """
    if noun.endswith(("sses", "xes", "shes", "ches")):
        return noun[:-2]
    return noun if noun.endswith("ss") else noun.removesuffix("s")


def scene_graph(caption: str) -> Graph:
    """The tuples that a caption of the book's grammar says.

    Args:
        caption: such as "a small red circle left of two squares".

    Returns:
        (object,), (object, attribute) and (object, relation, object) in one set.

    Example:
        >>> for words in sorted(scene_graph("a red circle left of two squares")):
        ...     print(words)
        ('circle',)
        ('circle', 'left of', 'square')
        ('circle', 'red')
        ('square',)
        ('square', 'two')
    """
    check_text("caption", caption)
    text = f" {' '.join(caption_words(caption))} ".replace("|", " ")  # our own sign
    for frame in FRAMES:
        text = text.replace(f" a {frame} ", " ").replace(f" {frame} ", " ")
    # each relation and each "and" becomes one sign between noun phrases
    for relation in RELATIONS:
        text = text.replace(f" {relation} ", f" |{relation.replace(' ', '_')}| ")
    pieces = text.replace(" and ", " || ").split("|")
    tuples, before = set(), None
    for phrase, link in zip(pieces[::2], ["", *pieces[1::2]], strict=True):
        words = phrase.split()
        if not words or words[0] == "no":
            before = None
            continue
        attributes = [word for word in words[:-1] if word not in ARTICLES]
        noun = singular(words[-1])
        tuples.add((noun,))
        tuples.update((noun, attribute) for attribute in attributes)
        if link and before:
            tuples.add((before, link.replace("_", " "), noun))
        before = noun
    return frozenset(tuples)


def tuple_f1(
    candidate: Iterable[tuple[str, ...]],
    references: Sequence[Iterable[tuple[str, ...]]],
    *,
    synonyms: Callable[[str], Collection] | None = None,
) -> Spice:
    """Precision, recall and F of tuples against the joined tuples of the references.

    Args:
        candidate: tuples of the caption.
        references: for each reference its tuples.
        synonyms: names of the sets of synonyms that a word is in; words match where
            they are equal or their sets meet, tuples where all their words match.

    Returns:
        Three numbers from 0 to 1; 0 where nothing matches or there are no tuples.

    Raises:
        ValueError: something else than tuples of words.

    Example:
        Two of the three tuples are among the four of the references.

        >>> said = {("circle",), ("circle", "red"), ("circle", "big")}
        >>> true = [{("circle",), ("circle", "red")}, {("square",), ("square", "red")}]
        >>> tuple_f1(said, true)
        Spice(precision=0.6666666666666666, recall=0.5, f=0.5714285714285715)
    """

    def same(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
        return len(one) == len(other) and all(
            a == b or (synonyms and not set(synonyms(a)).isdisjoint(synonyms(b)))
            for a, b in zip(one, other, strict=True)
        )

    def distinct(tuples) -> list[tuple[str, ...]]:
        kept = []
        for words in sorted(set(tuples)):
            if not any(same(words, other) for other in kept):
                kept.append(words)
        return kept

    if isinstance(references, str) or not isinstance(references, Sequence):
        raise ValueError(f"references expected a list, got {references!r:.60}.")
    if not references:
        raise ValueError("references expected at least one, got none.")
    said = distinct(_checked("candidate", candidate))
    true = [_checked(f"reference {i}", some) for i, some in enumerate(references)]
    true = distinct(words for tuples in true for words in tuples)
    matched = sum(any(same(words, other) for other in true) for words in said)
    if matched == 0:
        return Spice(0.0, 0.0, 0.0)
    p, r = matched / len(said), matched / len(true)
    return Spice(p, r, 2 * p * r / (p + r))


def _checked(name: str, tuples: Iterable) -> list[tuple[str, ...]]:
    some = isinstance(tuples, Iterable) and not isinstance(tuples, str)
    tuples = [*tuples] if some else tuples
    if not some or not all(
        isinstance(words, tuple) and all(isinstance(word, str) for word in words)
        for words in tuples
    ):
        raise ValueError(f"{name} expected tuples of words, got {tuples!r:.60}.")
    return tuples


def spice(
    candidates: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    parse: Callable[[str], Iterable[tuple[str, ...]]] = scene_graph,
    synonyms: Callable[[str], Collection] | None = None,
) -> list[Spice]:
    """SPICE of each caption.

    Args:
        candidates: one caption for each picture.
        references: for each picture at least one caption to compare with.
        parse: from a caption to its tuples; by default for the book's grammar.
        synonyms: as in `tuple_f1`, such as
            `mmdl_lib.metrics._words.wordnet.wordnet_synonyms()`.

    Returns:
        Precision, recall and F for each caption.

    Raises:
        ValueError: no caption, unequal lengths, or no reference.

    Example:
        The colors are swapped: the objects and their relation match, 3 of 5 tuples.

        >>> true = "a red circle above a blue star"
        >>> spice(["a blue circle above a red star"], [[true]])[0].f
        0.6
    """
    check_references(candidates, references)
    return [
        tuple_f1(parse(text), [parse(other) for other in texts], synonyms=synonyms)
        for text, texts in zip(candidates, references, strict=True)
    ]
