"""Measure when pictures help word vectors, and for whom.

Command: python recipes/concat_fusion.py      (needs scikit-image, for SIFT, and gensim,
         which carries people's scores of pairs)
         python recipes/concat_fusion.py judges:0   (one group, one seed)
         python recipes/concat_fusion.py summary    (the claims)
Expected: six minutes on a quiet core, two of them for the visual words.

A seed here is no start of a training: it is a twentieth of the words, always the same
one; 0 to 15 are measured, 100 to 103 choose settings. So an interval says what other
words of this kind would give; it says nothing of other texts, other pictures or people.
"""

from functools import cache, partial

import torch
import torch.nn.functional as F

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data import clipart, word_pictures, words
from mmdl_lib.lab import fused, grounded, texts
from mmdl_lib.metrics.spearman import spearman
from mmdl_lib.models.bovw_svd import BoVWSVD, VisualWords, k_means, sift
from mmdl_lib.models.concat_fusion import balanced, dispersion, fuse, fused_cosine

SIDE, VISUAL = 128, 200  # pixels, visual words
WINDOW, CONTEXTS, LEAST = 5, 3000, 10  # of the verses: either side, columns, count
RANKS = (5, 10, 20, 50, 100, 150)
DRAWS = 1000


def judges(seed, *, judge):
    """Correlations with a judge for all weights, with the net's and the bag's image."""
    known = fused.known_to(judge)
    some = fused.of_part(seed, known)
    net = fused.curve(judge, some)
    bag = fused.curve(judge, some, fused.ppmi_bags(some, known))
    half = fused.GAMMAS.index(0.5)
    return {
        "words": len(some), "net": net, "bag": bag, "text": net[-1],
        "net alone": net[0], "net half": net[half],
        "bag alone": bag[0], "bag half": bag[half],
    }  # fmt: skip


@cache
def rated():
    """Words with pictures that the Glasgow norms know: abstract, middle, concrete."""
    norms = words.concreteness()
    known = [w for w in fused.known_to("senses") if w in norms]
    ordered = sorted(known, key=lambda w: (norms[w].item(), w))
    third = len(ordered) // 3
    return {
        "abstract": ordered[:third],
        "middle": ordered[third:-third],
        "concrete": ordered[-third:],
    }


def concrete(seed, *, third):
    """How alike the pictures of a word are, and what they add, by concreteness."""
    norms, data = words.concreteness(), word_pictures.load()
    some = fused.of_part(seed, sorted(rated()[third]))
    line = fused.curve("senses", some)
    own = [data.feature[data.of(w)] for w in some if len(data.of(w)) > 1]
    return {
        "words": len(some), "rated": norms[some].mean().item(), "net": line,
        "text": line[-1], "gain": line[fused.GAMMAS.index(0.5)] - line[-1],
        "several": len(own), "dispersion": sum(map(dispersion, own)) / len(own),
    }  # fmt: skip


def mixed(seed, *, image):
    """GloVe and a kind of image joined, and mixed by an SVD of some ranks."""
    known, found = fused.known_to("senses"), {}
    text, tables = fused.text_vectors(known), images(tuple(known))[image]
    joined = fuse(text, tables, 0.5)
    vectors = {"joined": joined, "text": text}
    for rank in RANKS:
        vectors[str(rank)] = BoVWSVD.mix(joined, rank).vectors
        if rank <= text.shape[1]:
            vectors[f"text {rank}"] = BoVWSVD.mix(text, rank).vectors
    place = {word: i for i, word in enumerate(known)}
    for judge in fused.JUDGES:
        some = fused.of_part(seed, fused.known_to(judge))
        rows, kept = [place[w] for w in some], fused.apart(some)
        right = fused.judged(judge, some)[kept]
        found[judge] = {"words": len(some)} | {
            name: spearman(fused.cosines(table[rows])[kept], right)
            for name, table in vectors.items()
        }
    return found


@cache
def images(known):
    """The net's features of words, and their bags; a word without keypoints gets 1s."""
    bag = fused.shifted_ppmi(fused.bags(known))
    bag[bag.sum(1) == 0] = 1
    return {"net": fused.picture_vectors(known), "bag": bag}


@cache
def verse_table():
    """Words with pictures that the verses know, and PPMI of their neighbors there."""
    corpus = texts.some(least=LEAST)
    have = set(corpus.words)
    known = [w for w in fused.known_to("senses") if w in have]
    place = {word: i for i, word in enumerate(corpus.words)}
    count = corpus.cooccurrences(WINDOW)[:, :CONTEXTS]
    return known, fused.shifted_ppmi(count, power=0.75)[[place[w] for w in known]]


def verses(seed):
    """A poor text, verses of one book, and a rich one, without and with pictures."""
    known, counted = verse_table()
    some = fused.of_part(seed, known)
    rows, kept = [known.index(w) for w in some], fused.apart(some)
    right = fused.judged("senses", some)[kept]
    image = fused.cosines(fused.picture_vectors(some))[kept]
    found = {"words": len(some), "pictures": image.std().item()}
    for name, table in (("poor", counted[rows]), ("rich", fused.text_vectors(some))):
        text = fused.cosines(table)[kept]
        weight = balanced(text.std().item(), image.std().item())
        row = {"spread": text.std().item(), "weight": weight}
        row |= {"text": spearman(text, right)}
        for arm, gamma in (("half", 0.5), ("balanced", weight)):
            row[arm] = spearman(fused_cosine(text, image, gamma), right)
        found[name] = row | {"gain": row["balanced"] - row["text"]}
    return found


def people():
    """Pairs that people scored, where both words have pictures."""
    from word2vec_sets import SCORES, judged

    found = {}
    have = set(fused.known_to("senses"))
    for name, file in SCORES.items():
        rows = [row for row in judged(file) if {row[0], row[1]} <= have]
        known = sorted({w for a, b, _ in rows for w in (a, b)})
        place = {w: i for i, w in enumerate(known)}
        a, b = (torch.tensor([place[row[i]] for row in rows]) for i in (0, 1))
        said = torch.tensor([row[2] for row in rows])
        text, image = fused.text_vectors(known), fused.picture_vectors(known)
        cosine = [F.cosine_similarity(x[a], x[b]).double() for x in (text, image)]
        own = fused.word_pictures.load().of
        kept = torch.tensor([not {*own(x)} & {*own(y)} for x, y, _ in rows])
        found[name] = {
            "all": scored(*cosine, said),
            "apart": scored(*(column[kept] for column in (*cosine, said))),
        }
    return found


def scored(text, image, said):
    """Correlations by weight, and the interval of what half a weight changes."""
    line = [spearman(fused_cosine(text, image, g), said) for g in fused.GAMMAS]
    g, n, gains = generator(0), len(said), []
    for _ in range(lab.short(DRAWS)):
        row = torch.randint(n, (n,), generator=g)
        both = fused_cosine(text[row], image[row], 0.5)
        gains.append(spearman(both, said[row]) - spearman(text[row], said[row]))
    low, high = torch.tensor(gains).quantile(torch.tensor([0.025, 0.975])).tolist()
    half = line[fused.GAMMAS.index(0.5)]
    return {"pairs": n, "net": line, "gain": half - line[-1], "low": low, "high": high}


def vocabulary():
    """The visual words of the clip art, and their file."""
    image = clipart.load().image
    if lab.smoke():
        image = image[:20]
    size = {"size": (SIDE, SIDE), "mode": "bicubic", "antialias": True}
    large = F.interpolate(image.float(), **size).clamp(0, 255).round()
    found = [sift(one) for one in large.to(torch.uint8)]
    points = torch.cat(found)
    k = lab.short(VISUAL)
    centers = k_means(points, k, generator=generator(0))
    lab.save_weights(VisualWords.of(centers), "bovw_svd", "clipart")
    return {
        "pictures": len(image), "descriptors": len(points), "words": k,
        "without": sum(len(one) == 0 for one in found),
    }  # fmt: skip


def counts():
    """What there is: words, pictures, pairs; and the weight's law at some gammas."""
    data = word_pictures.load()
    several = torch.bincount(data.word)
    return {
        "words": len(data.words), "pictures": len(data.code),
        "emoji": sum(map(bool, data.code)), "pairs": len(data.word),
        "median": several.median().item(), "one": int((several == 1).sum()),
        "judges": {j: len(fused.known_to(j)) for j in fused.JUDGES},
        "rated": sum(map(len, rated().values())), "verses": len(verse_table()[0]),
    }  # fmt: skip


LAB = lab.Lab(
    "concat_fusion",
    groups={
        "judges": {j: partial(judges, judge=j) for j in fused.JUDGES},
        "concrete": {t: partial(concrete, third=t) for t in ("abstract", "concrete")},
        "mixed": {i: partial(mixed, image=i) for i in ("bag", "net")},
        "verses": verses,
    },
    once={"vocabulary": vocabulary, "counts": counts, "people": people},
    claims=lab.read_claims(__file__),
    least=grounded.MEASURED,
)

if __name__ == "__main__":
    LAB.main()
