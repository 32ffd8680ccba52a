"""Which metric puts captions in the order of their truth, and what each cannot see.

Command: python recipes/caption_metrics.py             (all that is missing)
         python recipes/caption_metrics.py graded:0    (one group, one seed)
         python recipes/caption_metrics.py summary     (the claims)
Expected: about half a minute a seed on a quiet core. No net is trained: 200 captions a
seed have 0 to 4 false facts of nine by construction. The values stand in
results/caption_metrics.json, the claims in recipes/caption_metrics.toml.
"""

from functools import cache, partial

import torch

from mmdl_lib import lab, pretrained
from mmdl_lib.lab import judged as jd
from mmdl_lib.lab import wrongness as wr
from mmdl_lib.metrics._words.ngrams import ngrams

CAPTIONS, PAIRS, MOST_REFERENCES = 200, 100, 10
CAPTIONERS, SCENES = 16, 30
COUNTS = (1, 2, 3, 5, 10)  # of references
clip = cache(partial(pretrained.load, "clip", "shapes"))


def graded(seed: int, *, damaged: float, **how) -> dict:
    """Rank correlation of all metrics with truth, and their means for each grade."""
    some = wr.graded(lab.short(CAPTIONS, least=50), seed, damaged=damaged, **how)
    scores = jd.judged(some.said, some.references, by=jd.METRICS)
    scores["length"] = [-float(len(text.split())) for text in some.said]
    means = {
        name: [sum(values[k::5]) / len(values[k::5]) for k in range(5)]
        for name, values in scores.items()
    }
    return {"order": jd.order(scores, some.grades), "means": means}


def numbers(seed: int) -> dict:
    """Rank correlation by the number of references, the first so many of ten."""
    n = lab.short(CAPTIONS, least=50)
    some = wr.graded(n, seed, count=MOST_REFERENCES)
    out = {}
    for count in COUNTS:
        true = [texts[:count] for texts in some.references]
        scores = jd.judged(some.said, true)
        known = covered(some.said[::5], true[::5])
        out[str(count)] = jd.order(scores, some.grades) | {"covered": known}
    return out


def covered(said: list[str], references: list[list[str]]) -> float:
    """Share of the pairs of words of captions that a reference holds."""
    found = []
    for text, of in zip(said, references, strict=True):
        known = set().union(*(ngrams(other.split(), 2) for other in of))
        found += [pair in known for pair in ngrams(text.split(), 2)]
    return sum(found) / len(found)


def synonym(seed: int, *, count: int, spoken: float) -> dict:
    """Share of scenes where a metric gives a true synonym more than a false word.

    Both stand at the same place of the same caption. `spoken` is the chance of a
    reference to draw a word from its synonyms.
    """
    generator = torch.Generator().manual_seed(seed)
    facts = wr.draw(lab.short(CAPTIONS, least=50), generator=generator)
    true, false = [], []
    slots = [slot for slot in wr.SLOTS if slot[1] in ("size", "color", "shape")]
    for truth in facts:
        slots = slots[1:] + slots[:1]
        # the first place whose word has a synonym; every size has one
        slot = next(s for s in slots if wr.value(truth, s) in wr.SAME)
        text = wr.reworded(truth, slot, generator=generator)
        wrong = wr.fault(truth, slot[1], place=slot[0], generator=generator)
        true.append(text)
        false.append(wr.tell(wrong, form=0, synonyms=0, generator=generator))
    of = wr.references(facts, count, synonyms=spoken, generator=generator)
    good, bad = (jd.judged(said, of, by=jd.METRICS) for said in (true, false))
    return {name: jd.prefers(good[name], bad[name]) for name in good}


def pairs(seed: int, facts: list, change) -> tuple[list[str], list[str]]:
    """Each caption, and the same wording after a change of its facts."""
    told = []
    for function in (lambda f: f, change):
        again = torch.Generator().manual_seed(seed)
        told.append([wr.tell(function(f), generator=again) for f in facts])
    return told[0], told[1]


def faults(seed: int) -> dict:
    """Share of scenes in which the true caption scores higher, by kind of fault."""
    generator, n = torch.Generator().manual_seed(seed), lab.short(PAIRS, least=20)
    facts = wr.draw(n, generator=generator)
    of = wr.references(facts, generator=generator)
    twins = wr.draw(n, generator=generator, twins=True)
    of_twins = wr.references(twins, generator=generator)
    out = {}
    for kind in wr.FAULTS:
        spoil = partial(wr.fault, kind=kind, generator=generator)
        out[kind] = versus(*pairs(seed, facts, spoil), of)
    swap = partial(wr.fault, kind="colors swapped", generator=generator)
    out["colors swapped, one shape"] = versus(*pairs(seed, twins, swap), of_twins)
    whole = pairs(seed, facts, lambda f: f)[0]
    for kind in wr.DAMAGES:
        hurt = [wr.damage(text, kind, generator=generator) for text in whole]
        out[kind] = versus(whole, hurt, of)
    out["last word missing"] = versus(whole, [t.rsplit(" ", 1)[0] for t in whole], of)
    out["said twice"] = versus(whole, [f"{text} and {text}" for text in whole], of)
    return out


def versus(true: list[str], other: list[str], of: list[list[str]]) -> dict:
    """How often each metric prefers the first."""
    good, bad = (jd.judged(said, of) for said in (true, other))
    return {name: jd.prefers(good[name], bad[name]) for name in good}


def pictures(seed: int) -> dict:
    """One object a group, words that our CLIP knows: its score beside the others."""
    n = lab.short(CAPTIONS, least=50)
    some = wr.graded(n, seed, counts=1, synonyms=0, damaged=0)
    scores = jd.judged(some.said, some.references)
    scenes = wr.picture(some.facts)
    scores["CLIP-S"] = jd.clip_each(*clip(), scenes, some.said)
    out = {"order": jd.order(scores, some.grades)}
    generator = torch.Generator().manual_seed(seed)
    true = [wr.tell(f, form=0, synonyms=0, generator=generator) for f in some.facts]
    good = jd.clip_each(*clip(), scenes, true)
    for kind in wr.FAULTS[1:]:
        wrong = [wr.fault(f, kind, generator=generator) for f in some.facts]
        said = [wr.tell(f, form=0, synonyms=0, generator=generator) for f in wrong]
        out[kind] = jd.prefers(good, jd.clip_each(*clip(), scenes, said))
    return out


def captioners(seed: int, *, voices: tuple[float, float]) -> dict:
    """16 captioners, from truthful to not, ranked by corpus scores and by captions.

    `voices` are the chances of synonyms of every other captioner; references have 0.2.
    """
    generator = torch.Generator().manual_seed(seed)
    n = lab.short(SCENES, least=10)
    facts = wr.draw(n, generator=generator)
    of = wr.references(facts, synonyms=0.2, generator=generator)
    tables, errors, each, grades = [], [], [], []
    for i in range(CAPTIONERS):
        chance = (i // 2 + 0.5) / (CAPTIONERS // 2)  # two voices for each
        luck = torch.rand(n, 4, generator=generator)
        false = (luck < 0.8 * chance).sum(1).tolist()
        said = [
            wr.tell(
                wr.spoil(f, k, generator=generator),
                synonyms=voices[i % 2],
                generator=generator,
            )
            for f, k in zip(facts, false, strict=True)
        ]
        tables.append(jd.corpus(said, of))
        errors.append(sum(false) / n)
        each.append(jd.judged(said, of))
        grades += false
    flat = {k: [x for one in each for x in one[k]] for k in jd.SIX}
    table = {k: [one[k] for one in tables] for k in jd.SIX}
    ranks = jd.order(table, errors)
    return {"captioners": ranks, "captions": jd.order(flat, grades)}


GROUPS = {
    "graded": {
        "mixed": partial(graded, damaged=0.5),
        "clean": partial(graded, damaged=0.0),
        "plain": partial(graded, damaged=0.0, synonyms=0.0),
    },
    "numbers": numbers,
    "synonym": {
        "one": partial(synonym, count=1, spoken=0.5),
        "five": partial(synonym, count=5, spoken=0.5),
        "unspoken": partial(synonym, count=5, spoken=0.0),
    },
    "faults": faults,
    "pictures": pictures,
    "captioners": {
        "one voice": partial(captioners, voices=(0.2, 0.2)),
        "two voices": partial(captioners, voices=(0.2, 1.0)),
    },
}
LAB = lab.Lab(
    "caption_metrics", groups=GROUPS, claims=lab.read_claims(__file__), least=8
)

if __name__ == "__main__":
    LAB.main()
