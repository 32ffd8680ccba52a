"""Captions of graded wrongness: exactly k facts of nine are false, by construction.

A description has nine facts: number, size, color and shape of two groups of objects,
and where the first stands from the second. `tell` says them in one of many true
wordings, `spoil` makes k of them false, `damage` hurts the English and no fact. `read`
gets the facts back from the words, and `wrong` counts the false ones under the kinder
of the two readings ("A left of B" says what "B right of A" says). Facts stand in
`lab/facts.py`, words in `lab/phrases.py`.
"""

from typing import NamedTuple

import torch

from mmdl_lib.borders import check_choice, check_number
from mmdl_lib.lab.facts import (
    INVERSE,
    SLOTS,
    VALUES,
    Choice,
    Facts,
    Group,
    draw,
    happens,
    pick,
    picture,
    value,
)
from mmdl_lib.lab.phrases import (
    DAMAGES,
    FORMS,
    SAME,
    damage,
    read,
    references,
    reworded,
    synonyms,
    tell,
)

__all__ = ["DAMAGES", "FAULTS", "FORMS", "SAME", "SLOTS", "Facts", "Graded", "Group"]
__all__ += ["damage", "draw", "fault", "graded", "picture", "read", "references"]
__all__ += ["reworded", "spoil", "synonyms", "tell", "value", "wrong"]

FAULTS = (*VALUES, "relation", "exchanged", "colors swapped")


def wrong(said: Facts, truth: Facts) -> int:
    """How many of the nine facts are false, under the kinder reading."""

    def differing(told: Facts) -> int:
        pairs = ((told.one, truth.one), (told.other, truth.other))
        values = sum(a != b for pair in pairs for a, b in zip(*pair, strict=True))
        return values + (told.relation != truth.relation)

    return min(differing(said), differing(said.turned))


def spoil(truth: Facts, k: int, *, generator: Choice, counts: int = 2) -> Facts:
    """The facts with exactly k of the nine false.

    A wrong color or shape is never that of the other group, so that no caption is
    nearer to the truth when its groups change places. A false relation is the opposite
    one; in half of the cases the same words, with the groups exchanged.

    Args:
        truth: facts that hold.
        k: 0 to 4; more false facts could be fewer in the other reading.
        generator: of all that is random.
        counts: as in `draw`; 1 leaves the numbers alone.
    """
    check_number("k", k, 0, 4, whole=True)
    slots = [s for s in SLOTS if counts > 1 or s[1] != "count"]
    order = torch.randperm(len(slots), generator=generator).tolist()
    said = truth
    for slot in (slots[i] for i in order[:k]):
        said = _false(said, truth, slot, generator)
    if said.relation != truth.relation and happens(0.5, generator):
        said = Facts(said.other, truth.relation, said.one)
    return said


def _false(said: Facts, truth: Facts, slot: tuple[str, str], generator) -> Facts:
    place, name = slot
    if place == "relation":
        return said._replace(relation=INVERSE[truth.relation])
    groups = [truth.one, truth.other] if name in ("color", "shape") else []
    true = {getattr(truth, place), *groups}
    taken = {getattr(group, name) for group in true}
    value = pick([v for v in VALUES[name] if v not in taken], generator)
    return said._replace(**{place: getattr(said, place)._replace(**{name: value})})


def fault(truth: Facts, kind: str, *, place: str = "", generator: Choice) -> Facts:
    """The facts with one fault of a kind.

    Args:
        truth: facts that hold.
        kind: one of `FAULTS`. "relation" says the opposite word, "exchanged" lets the
            groups change places around the true one (one false fact both times), and
            "colors swapped" gives each group the color of the other: two false facts.
        place: "one" or "other", where the fault is in a group; by lot without one.
        generator: which group, and which value instead.

    Raises:
        ValueError: another kind.
    """
    check_choice("kind", kind, FAULTS)
    one, relation, other = truth
    if kind == "exchanged":
        return Facts(other, relation, one)
    if kind == "colors swapped":
        return Facts(
            one._replace(color=other.color), relation, other._replace(color=one.color)
        )
    place = place or pick(("one", "other"), generator)
    place = "relation" if kind == "relation" else place
    return _false(truth, truth, (place, kind), generator)


class Graded(NamedTuple):
    """Scenes, a caption for each, how many of its facts are false, and references."""

    facts: list[Facts]
    said: list[str]
    grades: list[int]
    references: list[list[str]]


def graded(
    n: int,
    seed: int,
    *,
    counts: int = 2,
    most: int = 4,
    damaged: float | int = 0.5,
    **how,
) -> Graded:
    """n scenes with a caption of each grade in turn, and references.

    Args:
        n: how many.
        seed: of all that is random.
        counts: as in `draw`.
        most: false facts of the worst grade.
        damaged: chance of a caption to be hurt by `damage`, whatever its grade.
        how: `count`, `synonyms` and `silent` of `references`; captions share the
            synonyms and tell every fact.

    Returns:
        Four lists of length n.
    """
    # of their own, so that arms of one seed share scenes, wordings and references
    words, hurt, others = (
        torch.Generator().manual_seed(4 * seed + i) for i in range(3)
    )
    facts = draw(n, generator=words, counts=counts)
    grades = [i % (most + 1) for i in range(n)]
    said, rate = [], how.get("synonyms", 0.5)
    for truth, k in zip(facts, grades, strict=True):
        false = spoil(truth, k, generator=words, counts=counts)
        text = tell(false, synonyms=rate, generator=words)
        if happens(damaged, hurt):
            text = damage(text, pick(DAMAGES, hurt), generator=hurt)
        said.append(text)
    return Graded(facts, said, grades, references(facts, generator=others, **how))
