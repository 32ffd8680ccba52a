"""What a longer search for vokens finds, and whether numbers or places are to be said.

Command: python recipes/vokenization_further.py            (all that is missing)
         python recipes/vokenization_further.py longer:0   (one group, one seed)
         python recipes/vokenization_further.py summary    (the claims)
Expected: 15 minutes on a quiet core. World, texts and sizes are those of
recipes/vokenization.py; claims stand in recipes/vokenization_further.toml.
"""

from functools import cache, partial

import torch

from mmdl_lib import lab
from mmdl_lib.lab import unsaid
from mmdl_lib.lab.placed import Placed
from mmdl_lib.metrics.probe import linear_probe
from mmdl_lib.models.vokenization import Retriever, Vokenization, VokenizationConfig

CAPTIONS, TEXTS, BATCH, RATE, STEPS = 6000, 12_000, 64, 2e-3, 1000
MATCHING, POOL, MANY, EACH = 300, 60, 16, 4  # EACH: labeled nouns of each color
HERE = {"noun": unsaid.NOUN, "the": unsaid.NOUN - 1, "verb": 4}


@cache
def retriever(seed: int, steps: int = MATCHING) -> tuple[Retriever, list[float]]:
    """A retriever after its captions, and its loss."""
    captions = unsaid.sentences(
        lab.short(CAPTIONS, least=200), seed, among=unsaid.shown()
    )
    picture = unsaid.beside(captions, unsaid.pictures(POOL, 1), seed)
    torch.manual_seed(seed)
    model = unsaid.widened(Retriever(unsaid.RETRIEVER))
    data = {"tokens": captions.tokens, "mask": captions.mask, "picture": picture}
    history = lab.train(model, lab.rows(BATCH, seed, **data), steps=steps, lr=RATE)
    return model.eval(), lab.means(history.losses["loss"], 20)


def asked(seed: int) -> unsaid.Texts:
    """New sentences about all nouns."""
    return unsaid.sentences(lab.short(3000, least=400), 50_000 + seed)


def vokens(model: Retriever, texts: unsaid.Texts, each: int) -> torch.Tensor:
    """Numbers of pictures in a store with so many of each look."""
    store = unsaid.pictures(each, 2).feature
    parts = zip(texts.tokens.split(1000), texts.mask.split(1000), strict=True)
    return torch.cat([model.vokens(*some, store) for some in parts])


def longer(seed: int, *, steps: int) -> dict:
    """How often a token gets a picture of the thing that its sentence is about."""
    (model, curve), test = retriever(seed, steps), asked(seed)
    found, look = vokens(model, test, 2), unsaid.pictures(2, 2).look
    none = torch.zeros(unsaid.BOTH, dtype=torch.bool)
    rows = {
        name: unsaid.by_kind(look[found[:, place]] == test.look, test, none)
        for name, place in HERE.items()
    }
    return {"curve": curve} | rows


def pretrained(seed: int, *, placed: bool):
    """BERT after the texts, and both losses; sixteen pictures of each look."""
    model, _ = retriever(seed)
    texts = unsaid.sentences(lab.short(TEXTS, least=300), 10_000 + seed)
    given, store = vokens(model, texts, MANY), unsaid.pictures(MANY, 2).feature
    with torch.no_grad():
        places = model.encode_picture(store)
    names = {k: v for k, v in unsaid.SMALL.to_dict().items() if k != "class"}
    torch.manual_seed(seed)
    size = places.shape[1] if placed else len(store)
    config = VokenizationConfig(**names, vokens=size)
    made = Placed(config, places) if placed else Vokenization(config)
    bert = unsaid.widened(made)
    data = {"tokens": texts.tokens, "mask": texts.mask, "vokens": given}
    history = lab.train(bert, lab.rows(BATCH, seed, **data), steps=STEPS, lr=RATE)
    return bert, {k: lab.means(history.losses[k], 40) for k in ("words", "vokens")}


def target(seed: int, *, placed: bool) -> dict:
    """Colors of things without labels, and topics, by a probe on the frozen vectors."""
    (model, curves), test = pretrained(seed, placed=placed), asked(seed)
    chosen = unsaid.labeled(EACH, seed)
    count = len(unsaid.COLORS) * EACH * 4
    some = unsaid.sentences(count, 60_000 + seed, among=chosen)
    x, all_ = unsaid.features(model, some), unsaid.features(model, test)
    named = {}
    for name, which in unsaid.kinds(chosen).items():
        rows = which[test.noun]
        named[name] = linear_probe(x, some.color, all_[rows], test.color[rows])
    topic = linear_probe(x, some.topic, all_, test.topic)
    return curves | {"named": named, "topic": topic}


LAB = lab.Lab(
    "vokenization_further",
    groups={
        "longer": {str(n): partial(longer, steps=n) for n in (MATCHING, 2 * MATCHING)},
        "target": {
            "numbers": partial(target, placed=False),
            "places": partial(target, placed=True),
        },
    },
    claims=lab.read_claims(__file__),
    least=8,
)

if __name__ == "__main__":
    LAB.main()
