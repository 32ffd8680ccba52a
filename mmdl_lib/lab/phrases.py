"""Facts in words: true wordings, synonyms, bad English, and the way back."""

from collections.abc import Callable, Sequence

import torch

from mmdl_lib.borders import check_choice, check_number, check_text
from mmdl_lib.data.shapes import RELATIONS, SHAPES
from mmdl_lib.data.shapes.language import article, plural
from mmdl_lib.lab.facts import (
    COUNTS,
    INVERSE,
    VALUES,
    Choice,
    Facts,
    Group,
    below,
    happens,
    pick,
    value,
)

# other words for the same, said as often as the first
SAME = {
    "small": ("small", "little", "tiny"),
    "medium": ("medium", "middling"),
    "large": ("large", "big", "huge"),
    "purple": ("purple", "violet"),
    "cyan": ("cyan", "turquoise"),
    "pink": ("pink", "rosy"),
    "circle": ("circle", "disc"),
    "square": ("square", "box"),
    "ring": ("ring", "hoop"),
    "moon": ("moon", "crescent"),
    "star": ("star", "asterisk"),
    "above": ("above", "over"),
    "below": ("below", "under"),
}
MEANT = {other: name for name, words in SAME.items() for other in words}
FORMS = ("{a} {link} {b}", "there is {a} {link} {b}", "a picture of {a} {link} {b}")
FORMS += ("{b} {back} {a}", "there is {b} {back} {a}", "a photo of {b} {back} {a}")
SMALL_WORDS = ("a", "an", "of", "there", "is", "are", "picture", "photo", "and")
DAMAGES = ("doubled", "dropped", "turned")


def _phrase(group: Group, word: Callable[[str], str], size: bool) -> str:
    noun = word(group.shape)
    words = [word(group.size)] * size + [word(group.color)]
    if group.count == "one":
        return article(" ".join([*words, noun]))
    return " ".join([group.count, *words, plural(noun).replace("boxs", "boxes")])


def tell(
    facts: Facts,
    *,
    form: int | None = None,
    synonyms: float | int = 0.5,
    silent: float | int = 0.0,
    generator: Choice,
) -> str:
    """The facts in words.

    Args:
        facts: what is said, true or not.
        form: place in `FORMS`; by lot without one.
        synonyms: chance of a word that has synonyms to be drawn from all of them.
        silent: chance to leave out each size, and half of it to leave out the relation.
        generator: of all that is random.
    """
    form = below(len(FORMS), generator) if form is None else form
    check_number("form", form, 0, len(FORMS) - 1, whole=True)
    # all are drawn, used or not: captions of one seed differ where their facts do
    luck = torch.rand(len(SAME), 2, generator=generator).tolist()
    drawn = {
        name: words[int(which * len(words))]
        for (name, words), (chance, which) in zip(SAME.items(), luck, strict=True)
        if chance < synonyms
    }

    def word(name: str) -> str:
        return drawn.get(name, name)

    a, b = (
        _phrase(group, word, not happens(silent, generator))
        for group in (facts.one, facts.other)
    )
    link, back = word(facts.relation), word(INVERSE[facts.relation])
    if happens(silent / 2, generator):
        link = back = "and"
    text = FORMS[form].format(a=a, b=b, link=link, back=back)
    first = text.removeprefix("there is ").split()[0]
    return text.replace("there is", "there are") if first in COUNTS else text


def reworded(facts: Facts, slot: tuple[str, str], *, generator: Choice) -> str:
    """The first form with another word for the size, color or shape of a group.

    Raises:
        ValueError: a slot whose word has no synonym.
    """
    name, (place, kind) = value(facts, slot), slot
    if name not in SAME or kind not in ("size", "color", "shape"):
        raise ValueError(f"slot expected a word with synonyms, got {name!r}.")
    new = pick(SAME[name][1:], generator)
    changed = getattr(facts, place)._replace(**{kind: new})
    facts = facts._replace(**{place: changed})
    a, b = (_phrase(group, str, True) for group in (facts.one, facts.other))
    return f"{a} {facts.relation} {b}"


def references(
    facts: Sequence[Facts], count: int = 5, *, generator: Choice, **how
) -> list[list[str]]:
    """True captions of each scene, in wordings of their own, some with less detail.

    Args:
        facts: of each scene.
        count: captions for each.
        generator: of all that is random.
        how: `synonyms` and `silent` of `tell`.
    """
    how = {"silent": 0.5} | how
    return [[tell(f, generator=generator, **how) for _ in range(count)] for f in facts]


def damage(text: str, kind: str, *, generator: Choice) -> str:
    """The caption in worse English, with the same facts.

    Args:
        text: a caption of `tell`.
        kind: "doubled" says a word twice, "dropped" leaves out one such as "a" or "of"
            where there is one, else as "turned", which lets an adjective and its noun
            change places.
        generator: where.

    Raises:
        ValueError: another kind.
    """
    check_choice("kind", kind, DAMAGES)
    words = text.split()
    if kind == "doubled":
        at = below(len(words), generator)
        return " ".join([*words[: at + 1], *words[at:]])
    small = [i for i, word in enumerate(words) if word in SMALL_WORDS]
    if kind == "dropped" and small:
        at = pick(small, generator)
        return " ".join(words[:at] + words[at + 1 :])
    if kind == "dropped":  # nothing to leave out
        return damage(text, "turned", generator=generator)
    nouns = [i for i, w in enumerate(words) if _meant(w) in SHAPES]
    at = pick(nouns, generator)
    words[at - 1 : at + 1] = words[at], words[at - 1]
    return " ".join(words)


def _meant(word: str) -> str:
    """The first of its synonyms, in the singular."""
    for ending in ("", "s", "es"):
        short = word.removesuffix(ending)
        name = MEANT.get(short, short)
        if name in SHAPES or not ending and name != word:
            return name
    return MEANT.get(word, word)


def synonyms(word: str) -> frozenset[str]:
    """The set of synonyms that a word is in, for METEOR and SPICE."""
    name = _meant(word)
    return frozenset({name}) if name in SAME else frozenset()


def read(text: str) -> Facts:
    """What a whole caption says, whatever its wording and its English.

    Raises:
        ValueError: a text that does not say nine facts.
    """
    check_text("text", text)
    words = [_meant(word) for word in text.split()]
    heads = {relation.split()[0]: relation for relation in RELATIONS}
    at = next((i for i, word in enumerate(words) if word in heads), len(words))
    sides = [_group(part) for part in (words[:at], words[at + 1 :])]
    if at == len(words) or None in sides:
        raise ValueError(f"expected a caption of nine facts, got {text!r:.80}.")
    return Facts(sides[0], heads[words[at]], sides[1])


def _group(words: list[str]) -> Group | None:
    found = [[v for v in values if v in words] for values in VALUES.values()]
    found[0] = found[0] or ["one"]
    whole = all(len(values) == 1 for values in found)
    return Group(*(values[0] for values in found)) if whole else None
