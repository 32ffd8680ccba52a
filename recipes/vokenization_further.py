"""What a retriever of vokens finds after twice as many steps, and what BERT gains.

Command: python recipes/vokenization_further.py            (all that is missing)
         python recipes/vokenization_further.py longer:0   (one group, one seed)
         python recipes/vokenization_further.py summary    (the claims)
Expected: fifteen minutes on a quiet core. World, captions, texts and sizes are those of
recipes/vokenization.py; claims stand in recipes/vokenization_further.toml.
"""

from functools import partial

import torch
import torch.nn.functional as F

from mmdl_lib import lab
from mmdl_lib.lab import unsaid
from mmdl_lib.metrics.probe import linear_probe
from mmdl_lib.models.vokenization import Retriever, Vokenization, VokenizationConfig

CAPTIONS, TEXTS, BATCH, RATE, STEPS = 6000, 12_000, 64, 2e-3, 1000
MATCHING, POOL, EACH = 300, 60, 2  # POOL, EACH: pictures of a look, captions and store
LABELS, SENTENCES = 4, 4  # labeled nouns of each color; sentences of each
HERE = {"noun": unsaid.NOUN, "the": unsaid.NOUN - 1, "verb": 4}


def retriever(seed: int, steps: int) -> tuple[Retriever, list[float]]:
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


def vokens(model: Retriever, texts: unsaid.Texts) -> torch.Tensor:
    """Numbers of pictures in the store, one for each token."""
    store = unsaid.pictures(EACH, 2).feature
    parts = zip(texts.tokens.split(1000), texts.mask.split(1000), strict=True)
    return torch.cat([model.vokens(*some, store) for some in parts])


def longer(seed: int, *, steps: int) -> dict:
    """How often a token gets a picture of the thing that its sentence is about."""
    model, curve = retriever(seed, steps)
    test, store = unsaid.sentences(3000, 50_000 + seed), unsaid.pictures(EACH, 2)
    found = vokens(model, test)
    none = torch.zeros(unsaid.BOTH, dtype=torch.bool)
    rows = {
        name: unsaid.by_kind(store.look[found[:, place]] == test.look, test, none)
        for name, place in HERE.items()
    }
    return {"curve": curve} | rows


def trained(seed: int, *, steps: int) -> dict:
    """BERT with the vokens of such a retriever: colors after few labels, and topics."""
    matcher, _ = retriever(seed, steps)
    texts = unsaid.sentences(lab.short(TEXTS, least=300), 10_000 + seed)
    test = unsaid.sentences(lab.short(3000, least=400), 50_000 + seed)
    given = vokens(matcher, texts)
    names = {k: v for k, v in unsaid.SMALL.to_dict().items() if k != "class"}
    torch.manual_seed(seed)
    count = EACH * len(unsaid.LOOKS)
    model = unsaid.widened(Vokenization(VokenizationConfig(**names, vokens=count)))
    data = {"tokens": texts.tokens, "mask": texts.mask, "vokens": given}
    losses = lab.train(model, lab.rows(BATCH, seed, **data), steps=STEPS, lr=RATE)
    curves = {k: lab.means(losses.losses[k], 40) for k in ("words", "vokens")}
    places = by_place(model.eval(), given, test, vokens(matcher, test))
    return curves | {"places": places} | named(model, seed, test)


@torch.no_grad()
def by_place(model: Vokenization, learned, test: unsaid.Texts, right) -> list[dict]:
    """Of each word's place: the loss of its voken, and of who knows the place alone."""
    said, found = model(test.tokens, test.mask).vokens, []
    for place in range(1, test.tokens.shape[1] - 1):
        if not test.mask[:, place + 1].all():
            break  # [SEP] of the sentences, which are all of one length
        loss = F.cross_entropy(said[:, place], right[:, place])
        count = 1 + torch.bincount(learned[:, place], minlength=said.shape[2])
        place_alone = -(count / count.sum()).log()[right[:, place]].mean()
        found.append({"net": loss.item(), "place alone": place_alone.item()})
    return found


def named(model: Vokenization, seed: int, test: unsaid.Texts) -> dict:
    """By a probe on frozen vectors: colors of nouns without labels, and topics."""
    chosen = unsaid.labeled(LABELS, seed)
    count = len(unsaid.COLORS) * LABELS * SENTENCES
    some = unsaid.sentences(count, 60_000 + seed, among=chosen)
    x, all_, colors = unsaid.features(model, some), unsaid.features(model, test), {}
    for name, which in unsaid.kinds(chosen).items():
        rows = which[test.noun]
        colors[name] = linear_probe(x, some.color, all_[rows], test.color[rows])
    return {"color": colors, "topic": linear_probe(x, some.topic, all_, test.topic)}


LENGTHS = (MATCHING, 2 * MATCHING)
LAB = lab.Lab(
    "vokenization_further",
    groups={
        "longer": {str(n): partial(longer, steps=n) for n in LENGTHS},
        "trained": {str(n): partial(trained, steps=n) for n in LENGTHS},
    },
    claims=lab.read_claims(__file__),
    least=5,  # the fewest that a verdict needs; a run without a word adds more
)

if __name__ == "__main__":
    LAB.main()
