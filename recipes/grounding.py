"""Measure what dictionaries are made of, and what text knows of things.

Command: python recipes/grounding.py        (needs WordNet: Debian's wordnet-base; the
         drawings of two artists: npm install; EfficientNet-Lite0, emoji, scikit-learn)
         python recipes/grounding.py things:0    (one group, one seed)
         python recipes/grounding.py summary     (the claims)
Expected: about 12 minutes on a quiet core, most of them for WordNet's grounding set.

A seed here is no start of a training: it is a twentieth of all words, always the same
one, and the twentieths 0 to 15 are measured. Ridge regressions learn from the other
nineteen. So an interval says what other words of this kind would give; it says nothing
of other texts, other people or other artists.
"""

from functools import cache
from math import log2
from statistics import mean

import numpy as np

from mmdl_lib import lab
from mmdl_lib.data import dictionary, words
from mmdl_lib.lab import dictionary as graphs
from mmdl_lib.lab import grounded as gr

ANCHORS = (3, 10, 30, 100, 300)
SHUFFLES = 20  # of the pictures among the grounded words
SECONDS = 200  # for the integer programs of one part of WordNet


@cache
def wordnet():
    """WordNet, its kernel and its core."""
    whole = dictionary.wordnet()
    core = graphs.components(whole.uses)[0]
    return whole, graphs.kernel(whole.uses), core


def layer(word):
    """Where a word of WordNet stands."""
    _, kernel, core = wordnet()
    return "core" if word in core else "satellite" if word in kernel else "rest"


def layers(seed):
    """Means over the words of a twentieth, by layer."""
    whole = wordnet()[0]
    glove, rated = words.glove(), words.concreteness()
    found = {}
    for name in ("core", "satellite", "rest"):
        part = [w for w in whole.text if gr.fold(w) == gr.part(seed)]
        part = [w for w in part if layer(w) == name]
        known = [w for w in part if w in rated]
        rank = [glove.index.get(w, len(glove) - 1) + 1 for w in part]
        found[name] = {
            "words": len(part),
            "rank": mean(map(log2, rank)),
            "rated": len(known),
            "concrete": rated[known].mean().item(),
            "users": mean(len(whole.users[w]) for w in part),
        }
    return found


def structure():
    """Sizes of WordNet's parts, and a set from which all of it can be learned."""
    whole, kernel, core = wordnet()
    parts = graphs.components(whole.uses)
    found = graphs.minimum_grounding_set(whole.uses, seconds=SECONDS)
    order = sorted(whole.uses, key=lambda w: (-len(whole.users[w]), w))
    inside, n = sorted(kernel), len(found.words)
    sizes = [n // 2, n, 2 * n, 4 * n]
    chance = [gr.some(np.array(inside), k, 0).tolist() for k in sizes]
    counted = {"set": known(whole, found.words), "kernel": known(whole, kernel)}
    return {
        "words": len(whole), "uses": sum(map(len, whole.uses.values())),
        "lost": sum(whole.lost.values()), "kernel": len(kernel), "core": len(core),
        "parts": [len(part) for part in parts[:10]], "small parts": len(parts) - 1,
        "set": n, "least": found.least, "from the core": len(found.words & core),
        "rounds": len(graphs.learned(whole.uses, found.words)),
        "rounds from the kernel": len(graphs.learned(whole.uses, kernel)),
        "known": counted, "sizes": sizes,
        "most used": [known(whole, order[:k]) for k in sizes],
        "chance": [known(whole, some) for some in chance],
        "examples": sorted(found.words, key=lambda w: -len(whole.users[w]))[:40],
    }  # fmt: skip


def known(whole, grounded):
    """Share of all words that are known in the end."""
    learned = sum(map(len, graphs.learned(whole.uses, grounded)))
    return (learned + len(grounded)) / len(whole)


@cache
def loaded():
    """All things, and the twentieth of each."""
    found = gr.things()
    return found, np.array([gr.fold(word) for word in found.name])


def split(seed):
    """Things, rows to learn from, rows to ask."""
    found, folds = loaded()
    rows, asked = np.arange(len(found)), folds == gr.part(seed)
    return found, rows[~asked], rows[asked]


def things(seed):
    """What text and pictures tell of color, of the senses and of the topic."""
    thing, seen, asked = split(seed)
    names = sorted(set(thing.topic) - {""})
    topic = np.stack([thing.topic == name for name in names], 1).astype(float)
    filed = topic.any(1)
    found = {"asked": len(asked), "filed": int(filed[asked].sum())}
    for arm in ("text", "picture"):
        x = getattr(thing, arm)
        row = found[arm] = {}
        for name in ("color", "senses"):
            y = getattr(thing, name)
            said = gr.told(x, y, seen, asked)
            row[name] = gr.correlation(said, y[asked])
            row[f"{name}, each"] = [
                gr.correlation(said[:, [i]], y[asked][:, [i]])
                for i in range(y.shape[1])
            ]
        some = asked[filed[asked]]
        said = gr.told(x, topic, seen[filed[seen]], some).argmax(1)
        row["topic"] = float((said == topic[some].argmax(1)).mean())
    return found


def anchors(seed):
    """Text finds the pictures of words that nobody showed it, after n were shown."""
    thing, seen, asked = split(seed)
    found = {}
    for n in ANCHORS:
        shown = gr.some(seen, min(n, len(seen)), seed)
        row = {"own": placed(thing, shown, shown, asked)}
        mixed = [gr.some(shown, n, 1000 * seed + i) for i in range(SHUFFLES)]
        row["shuffled"] = mean(placed(thing, shown, rows, asked) for rows in mixed)
        found[str(n)] = row
    return found


def placed(thing, shown, pictures, asked):
    """Pairs of unseen words that get their own pictures; pictures may be mixed up."""
    center = thing.picture[shown].mean(0)
    target = thing.picture.copy()
    target[shown] = thing.picture[pictures]
    said = gr.told(thing.text, target, shown, asked)
    return gr.matched(said - center, thing.picture[asked] - center)


LAB = lab.Lab(
    "grounding",
    groups={"layers": layers, "things": things, "anchors": anchors},
    once={"wordnet": structure},
    claims=lab.read_claims(__file__),
    least=gr.MEASURED,
)

if __name__ == "__main__":
    LAB.main()
