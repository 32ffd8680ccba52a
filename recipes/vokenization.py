"""Give tokens pictures, train on both, imagine pictures: is it the picture that helps?

Command: python recipes/vokenization.py             (all that is missing; `imagined`
         needs WordNet, Debian's wordnet-base, and drawings: npm install; `drawn` and it
         need EfficientNet-Lite0)
         python recipes/vokenization.py trained:0   (one group, one seed)
         python recipes/vokenization.py summary     (the claims)
Expected: about 4 minutes a seed on a quiet core for `trained`, half a minute for each
of the others. Texts leave out how things look; captions with pictures do not.

Seeds of `imagined` are twentieths of real words, 0 to 15 measured, as in `grounding`.
"""

import copy
from functools import cache, partial

import numpy as np
import torch

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data import words
from mmdl_lib.lab import grounded as gr
from mmdl_lib.lab import pictured, unsaid
from mmdl_lib.metrics.probe import linear_probe
from mmdl_lib.models.iace import IACE, IACEConfig
from mmdl_lib.models.imagined import Imagined, ImaginedConfig, ridge
from mmdl_lib.models.vokenization import Retriever, Vokenization, VokenizationConfig

CAPTIONS, TEXTS, BATCH, RATE = 6000, 12_000, 64, 2e-3
MATCHING, STEPS, TUNING = 600, 1000, 60
POOL, STORE, MANY = 60, 2, 16  # pictures of each look: beside captions, and in stores
LABELS, SENTENCES = (1, 2, 4), 4  # labeled nouns of each color; sentences of each
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)  # lambda
ABSTRACT = ("winter", "justice", "anger", "music", "hunger", "danger", "war", "speed")
WORDS, DRAWS, PENALTY = (30, 100, 300), 5, 1.0


@cache
def world(seed: int, kind: type[Retriever] = Retriever):
    """A retriever after its captions, the texts, and sentences to ask about."""
    count = lab.short(CAPTIONS, least=200)
    captions = unsaid.sentences(count, seed, among=unsaid.shown())
    picture = unsaid.beside(captions, unsaid.pictures(POOL, 1), seed)
    torch.manual_seed(seed)
    model = unsaid.widened(kind(unsaid.RETRIEVER))
    data = {"tokens": captions.tokens, "mask": captions.mask, "picture": picture}
    history = lab.train(model, lab.rows(BATCH, seed, **data), steps=MATCHING, lr=RATE)
    test = unsaid.sentences(lab.short(3000, least=400), 50_000 + seed)
    return model.eval(), lab.means(history.losses["loss"], 20), test


def vokens(model, texts, each):
    """Numbers of pictures in a store with so many of each look."""
    store, parts = unsaid.pictures(each, 2).feature, []
    for some in zip(texts.tokens.split(1000), texts.mask.split(1000), strict=True):
        parts.append(model.vokens(*some, store))
    return torch.cat(parts)


def retrieved(seed, *, kind):
    """How often a token gets a picture of the thing that its sentence is about."""
    model, curve, test = world(seed, kind)
    found = vokens(model, test, STORE)
    look = unsaid.pictures(STORE, 2).look
    none, row = torch.zeros(unsaid.BOTH, dtype=torch.bool), {"curve": curve}
    for name, place in (("noun", unsaid.NOUN), ("the", unsaid.NOUN - 1), ("verb", 4)):
        right = look[found[:, place]] == test.look
        row[name] = unsaid.by_kind(right, test, none)
    return row | {"pictures used": found[test.mask].unique().numel()}


def pretrained(seed, *, share=1.0, each=STORE, control=None):
    """BERT after the texts, with vokens or without."""
    matcher = world(seed)[0]
    texts = unsaid.sentences(lab.short(TEXTS, least=300), 10_000 + seed)
    shown = unsaid.dealt(texts, seed) if control == "dealt" else texts
    given, count = vokens(matcher, shown, each), each * len(unsaid.LOOKS)
    if control == "noise":
        given = unsaid.noise(given, count, seed)
    torch.manual_seed(seed)
    names = {k: v for k, v in unsaid.SMALL.to_dict().items() if k != "class"}
    config = VokenizationConfig(**names, vokens=count, share=share)
    model = unsaid.widened(Vokenization(config))
    data = {"tokens": texts.tokens, "mask": texts.mask, "vokens": given}
    history = lab.train(model, lab.rows(BATCH, seed, **data), steps=STEPS, lr=RATE)
    return model, {k: lab.means(history.losses[k], 40) for k in ("words", "vokens")}


def asked(model, seed, test):
    """Colors after few labels, tuned and with a probe; topics with a probe."""
    found, all_ = {}, unsaid.features(model, test)
    for each in LABELS:
        chosen = unsaid.labeled(each, seed)
        count = len(unsaid.COLORS) * each * SENTENCES
        some = unsaid.sentences(count, 60_000 + seed, among=chosen)
        torch.manual_seed(seed)
        namer = unsaid.Namer(copy.deepcopy(model))
        data = {"tokens": some.tokens, "mask": some.mask, "label": some.color}
        lab.train(namer, lab.rows(32, seed, **data), steps=TUNING, lr=1e-3)
        with torch.no_grad():
            right = namer.eval()(test.tokens, test.mask).argmax(1) == test.color
        row = found[str(each)] = {"tuned": unsaid.by_kind(right, test, chosen)}
        x, row["probe"] = unsaid.features(model, some), {}
        for name, which in unsaid.kinds(chosen).items():
            rows = which[test.noun]
            y = all_[rows], test.color[rows]
            row["probe"][name] = linear_probe(x, some.color, *y)
        row["topic"] = linear_probe(x, some.topic, all_, test.topic)
    return found


def trained(seed, **how):
    """Pre-train, then name colors and topics after few labels."""
    model, curves = pretrained(seed, **how)
    return curves | asked(model, seed, world(seed)[2])


def imagery(seed):
    """iACE on BERT without vokens: sentence, looked-up picture, or both."""
    matcher, _, test = world(seed)
    model, _ = pretrained(seed, share=0.0)
    store, found = unsaid.pictures(STORE, 2), {}
    for each in LABELS:
        chosen = unsaid.labeled(each, seed)
        count = len(unsaid.COLORS) * each * SENTENCES
        some = unsaid.sentences(count, 60_000 + seed, among=chosen)
        x, y = (unsaid.features(model, t) for t in (some, test))
        # one picture a sentence: that of [CLS], which reads all of it
        seen = [store.feature[vokens(matcher, t, STORE)[:, 0]] for t in (some, test)]
        order = [torch.randperm(len(t), generator=generator(seed)) for t in seen]
        mixed_up = [s[o] for s, o in zip(seen, order, strict=True)]
        row = found[str(each)] = {}
        arms = {str(w): (w, seen) for w in WEIGHTS} | {"dealt": (0.5, mixed_up)}
        for name, (weight, (a, b)) in arms.items():
            data = {"text": x, "picture": a, "label": some.color}
            head = tuned_head(weight, seed, data)
            said = head.probabilities(y, b).detach().argmax(1)
            row[name] = unsaid.by_kind(said == test.color, test, chosen)
    return found


def tuned_head(weight, seed, data):
    """iACE's two heads after their labels."""
    sizes = {"text": data["text"].shape[1], "picture": data["picture"].shape[1]}
    torch.manual_seed(seed)
    model = IACE(IACEConfig(**sizes, classes=len(unsaid.COLORS), weight=weight))
    lab.train(model, lab.rows(32, seed, **data), steps=200, lr=1e-2)
    return model.eval()


@cache
def things():
    """Real words with a picture by another artist, and the twentieth of each."""
    found = gr.things()
    return found, np.array([gr.fold(word) for word in found.name])


def fitted(x, y, seed):
    """The same map with one hidden layer, by gradient descent."""
    torch.manual_seed(seed)
    sizes = {"words": x.shape[1], "pictures": y.shape[1]}
    model = Imagined(ImaginedConfig(**sizes, hidden=100))
    spread = y.std()  # of the targets; AdamW's rate is for numbers near one
    data = {"words": x, "pictures": y / spread}
    lab.train(model, lab.rows(64, seed, **data), steps=400, lr=3e-3, weight_decay=0.1)
    return lambda words: model.imagine(words).detach() * spread


def imagined(seed):
    """Pictures of real words that nobody drew: matched, and what they tell of color."""
    thing, folds = things()
    rows, out = np.arange(len(thing)), folds == gr.part(seed)
    seen, (x, y) = rows[~out], map(torch.from_numpy, (thing.text, thing.picture))
    mixed_up, center = gr.some(seen, len(seen), seed), thing.picture[seen].mean(0)
    maps = {
        "linear": ridge(x[seen], y[seen], penalty=PENALTY),
        "dealt": ridge(x[seen], y[mixed_up], penalty=PENALTY),
        "hidden": fitted(x[seen], y[seen], seed),
    }
    made = {k: f(x).numpy() - center for k, f in maps.items()}
    true = thing.picture[out] - center
    found = {k: gr.matched(v[out], true) for k, v in made.items()}
    source = {"text": thing.text, "picture": thing.picture}
    for k in ("linear", "dealt"):
        source[k] = made[k] / np.linalg.norm(made[k], axis=1, keepdims=True)
    for n in WORDS:
        some = [gr.some(seen, n, 1000 * seed + i) for i in range(DRAWS)]
        found[str(n)] = {
            k: float(np.mean([
                gr.correlation(gr.told(v, thing.color, s, rows[out]), thing.color[out])
                for s in some
            ]))
            for k, v in source.items()
        }  # fmt: skip
    return found


def drawn():
    """Drawings nearest to what is imagined, for words held back and words without."""
    name, u, v = pictured.drawings()
    held = torch.tensor([gr.fold(word) < 2 for word in name])
    found, center = ridge(u[~held], v[~held], penalty=PENALTY), v[~held].mean(0)
    asked = [w for w, out in zip(name, held.tolist(), strict=True) if out]
    said = found(words.glove().unit()[[*asked, *ABSTRACT]]) - center
    near, cosine = pictured.nearest(said, v - center)
    own = cosine[range(len(asked)), held.nonzero()[:, 0]]
    rank = (cosine[: len(asked)] > own[:, None]).sum(1) + 1
    near = [[name[i] for i in row] for row in near]
    return {
        "words": len(name), "held": dict(zip(asked, rank.tolist(), strict=True)),
        "near": dict(zip([*asked, *ABSTRACT], near, strict=True)),
    }  # fmt: skip


def weights():
    """The retriever and BERT with vokens, for the chapter to load."""
    matcher = world(0)[0]
    lab.save_weights(matcher, "vokenization", "matcher")
    model, curves = pretrained(0)
    lab.save_weights(model, "vokenization", "unsaid")
    return curves


LAB = lab.Lab(
    "vokenization",
    groups={
        "retrieved": {
            "context": partial(retrieved, kind=Retriever),
            "alone": partial(retrieved, kind=unsaid.Alone),
        },
        "trained": {
            "words": partial(trained, share=0.0),
            "vokens": trained,
            "dealt": partial(trained, control="dealt"),
            "noise": partial(trained, control="noise"),
            "many": partial(trained, each=MANY),
        },
        "imagery": imagery,
        "imagined": imagined,
    },
    once={"weights": weights, "drawn": drawn},
    claims=lab.read_claims(__file__),
    least=8,
)

if __name__ == "__main__":
    LAB.main()
