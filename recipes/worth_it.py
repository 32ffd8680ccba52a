"""Did pictures make word vectors better? Many comparisons, judged as they should be.

Command: python recipes/worth_it.py         (needs gensim, which carries WordSim-353 and
         SimLex-999; WordNet, Debian's wordnet-base; scikit-learn)
         python recipes/worth_it.py gains:0 (one group, one seed)
         python recipes/worth_it.py summary (the claims)
Expected: about 8 minutes on a quiet core, most of them for tables of nothing and for
         the intervals of the comparisons.

A seed of `gains` is no start of a training: it is a twentieth of all words, as in
`grounding.py`; 0 to 15 are measured, 100 to 103 are pilots. What it keeps are pseudo-
values of the scores (a group jackknife), so that a claim's mean and interval are those
of a difference of two scores over all measured items. An interval says what other words
of this kind would give; it says nothing of other texts, other people or other pictures.
A seed of `nothing` starts random numbers.
"""

from functools import cache
from pathlib import Path
from statistics import mean

import torch

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data import dictionary, word_pictures, words
from mmdl_lib.lab import grounded, worth
from mmdl_lib.metrics.many_tests import benjamini_hochberg, bonferroni, holm
from mmdl_lib.metrics.spearman import spearman
from mmdl_lib.metrics.williams import williams
from mmdl_lib.models.concat_fusion import fuse, pool
from mmdl_lib.models.imagined import ridge

FILES = {"relatedness": "wordsim353.tsv", "similarity": "simlex999.txt"}
CONCRETE, ABSTRACT = 5.0, 4.5  # mean of a pair on the scale from 1 to 7
ASPECTS = ("lightness", "red or green", "yellow or blue")
TABLES, COMPARISONS = 40, 40  # of nothing: tables a seed, rows of each
FREQUENT, NOISE = 3000, 10  # words that it is about, random numbers for each


def judged(file):
    """Rows of (word, word, people's mean score)."""
    from gensim.test.utils import datapath

    lines = Path(datapath(file)).read_text("utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return [(a.lower(), b.lower(), float(score)) for a, b, score in rows]


@cache
def space():
    """Vectors of all methods, from text and from the pictures of words."""
    known = word_pictures.load()
    mean_of = pool(known.feature, known.picture, known.word, len(known.words))
    return worth.spaces(words.glove().unit(), known.words, mean_of)


@cache
def colors():
    """Words that another artist drew, and the colors of these drawings."""
    known = word_pictures.load()
    return words.Words([known.words[i] for i in known.looked.tolist()], known.color)


def rated_pairs():
    """The public sets: all pairs, those with pictures, concrete and abstract ones."""
    of, made = space(), []
    for name, file in FILES.items():
        rows = [row for row in judged(file) if {*row[:2]} <= of.words.index.keys()]
        kinds = {"": lambda x, y: True}
        kinds[", both with pictures"] = lambda x, y: of.pictured([x, y])
        if name == "similarity":
            kinds[", concrete"] = lambda x, y: concrete(x, y) > CONCRETE
            kinds[", abstract"] = lambda x, y: 0 < concrete(x, y) <= ABSTRACT
        for kind, fits in kinds.items():
            some = zip(*(row for row in rows if fits(*row[:2])), strict=True)
            made.append(worth.of_pairs(name + kind, *map(list, some), of))
    return made


def concrete(a, b):
    """Mean concreteness of two words; 0 where one is not rated."""
    rated = words.concreteness()
    return rated[[a, b]].mean().item() if a in rated and b in rated else 0.0


def felt_pairs():
    """Do two words feel alike? Pairs of any words, and of words with a picture."""
    of, felt, known = space(), words.senses(), word_pictures.load()
    some = [w for w in of.words.words if w in felt and w.isalpha()]
    sets = {"felt alike": some, "felt alike, both with pictures": known.words}
    made = []
    for name, members in sets.items():
        a, b = worth.pairs(members)
        people = -(felt[a] - felt[b]).norm(dim=1)
        made.append(worth.of_pairs(name, a, b, people, of))
    a, b = worth.pairs(colors().words)
    people = -(colors()[a] - colors()[b]).norm(dim=1)
    return [*made, worth.of_pairs("colored alike", a, b, people, of)]


def told_words():
    """What a regression tells of single words."""
    of, rated, felt = space(), words.concreteness(), words.senses()
    known = word_pictures.load()
    some = [w for w in known.words if w in rated]
    made = [worth.of_words("concreteness", some, rated[some], of)]
    for i, sense in enumerate(words.SENSES):
        made.append(worth.of_words(sense, known.words, felt[known.words][:, i], of))
    for i, aspect in enumerate(ASPECTS):
        drawn = colors()
        made.append(worth.of_words(aspect, drawn.words, drawn.value[:, i], of))
    return made


def all_concrete():
    """Concreteness of all words that are rated, with a picture or without."""
    of, rated = space(), words.concreteness()
    some = [w for w in rated.words if w in of.words]
    return worth.of_words("concreteness, all words", some, rated[some], of)


def definitions():
    """Does WordNet's definition find its word?"""
    whole, of = dictionary.wordnet(), space()
    some = [w for w in of.words.words if w in whole.uses]
    some = [w for w in some if sum(u in of.words for u in whole.uses[w]) >= 3]
    shown = [w for w in some if w in of.picture]
    return worth.of_definitions("definitions", whole.uses, shown, of)


@cache
def tasks():
    """All tasks; twentieths of the pilots are still among them."""
    return [*rated_pairs(), *felt_pairs(), *told_words(), definitions()]


def part(task, pilot=False):
    """The items of the measured twentieths, or of the pilots."""
    return task.among((task.fold >= grounded.MEASURED) == pilot)


def placed(asked):
    """How often the map finds which of two unseen words has which picture."""
    of = space()
    known = of.picture
    fold = torch.tensor([grounded.fold(word) for word in known.words])
    shown = fold != asked
    text = of.words[known.words]
    said = ridge(text[shown], known.value[shown], penalty=worth.PENALTY)(text[~shown])
    return grounded.matched(said.numpy(), known.value[~shown].numpy())


def mean_of(names, method):
    """A quantity of claims: mean of the scores of several tasks."""
    return lambda run: mean(run["gains"][name][method] for name in names)


def gains(seed):
    """Pseudo-values of all scores for a twentieth."""
    fold, pilot = grounded.part(seed), seed >= lab.claims.PILOT
    found = {}
    for task in [*tasks(), all_concrete()]:
        some = part(task, pilot)
        found[task.name] = {m: some.pseudo(m, fold) for m in some.said}
        found[task.name]["items"] = int((some.fold == fold).sum())
    rated, known = words.concreteness(), space()
    part_of = [w for w in rated.words if w in known.words and grounded.fold(w) == fold]
    shown = [w for w in part_of if w in known.picture]
    spread = {"all words": rated[part_of], "with pictures": rated[shown]}
    found["spread"] = {name: x.std().item() for name, x in spread.items()}
    return found | {"placed": placed(fold)}


def comparisons():
    """The table of all comparisons, with intervals and corrected p-values."""
    rows = worth.table([part(task) for task in tasks()], holm)
    for row, task in ((r, t) for t in tasks() for r in rows if r["task"] == t.name):
        some = part(task)
        if some.people is not None:
            r = spearman(some.said["text"], some.said[row["method"]])
            row["williams"] = williams(row["text"], row["score"], r_xz=r, n=len(some)).p
            row["between"] = r
    return rows


def nothing(seed):
    """Tables of forty comparisons without any gain: text with noise, and its twin."""
    known, felt = words.glove(FREQUENT).unit(), words.senses()
    a, b = worth.pairs([w for w in known.words if w in felt and w.isalpha()])
    people = -(felt[a] - felt[b]).norm(dim=1)
    text, g = [known[a], known[b]], generator(seed)

    def noisy():
        noise = torch.randn(2, len(a), NOISE, generator=g)
        one, two = (fuse(t, v, worth.GAMMA) for t, v in zip(text, noise, strict=True))
        return torch.nn.functional.cosine_similarity(one, two)

    ways = {"none": torch.as_tensor, "bonferroni": bonferroni, "holm": holm}
    ways["false discovery"] = benjamini_hochberg
    found = {name: [] for name in ways}
    for _ in range(lab.short(TABLES)):
        p = []
        for _ in range(COMPARISONS):
            x, z = noisy(), noisy()
            r = [spearman(*two) for two in ((x, people), (z, people), (x, z))]
            p.append(williams(r[0], r[1], r_xz=r[2], n=len(a)).p)
        for name, adjust in ways.items():
            found[name].append(int((adjust(p) < 0.05).sum()))
    some = {name: mean(k > 0 for k in counts) for name, counts in found.items()}
    return {"tables with an alarm": some, "alarms": mean(found["none"])}


QUANTITIES = {"a fifth": lambda run: 0.2}
for group, names in {"senses": words.SENSES, "color": ASPECTS[1:]}.items():
    for method in ("text", "pictures", "dealt"):
        QUANTITIES[f"{group} with {method}"] = mean_of(names, method)

LAB = lab.Lab(
    "worth_it",
    groups={"gains": gains, "nothing": nothing},
    once={"comparisons": comparisons},
    claims=lab.read_claims(__file__, **QUANTITIES),
    least=grounded.MEASURED,
    exact={"nothing": 8},  # decided by then, 320 tables
)

if __name__ == "__main__":
    LAB.main()
