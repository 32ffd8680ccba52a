"""What a retriever of vokens finds after twice as many steps.

Command: python recipes/vokenization_further.py            (all that is missing)
         python recipes/vokenization_further.py longer:0   (one group, one seed)
         python recipes/vokenization_further.py summary    (the claims)
Expected: four minutes on a quiet core. World, captions and sizes are those of
recipes/vokenization.py; claims stand in recipes/vokenization_further.toml.
"""

from functools import partial

import torch

from mmdl_lib import lab
from mmdl_lib.lab import unsaid
from mmdl_lib.models.vokenization import Retriever

CAPTIONS, BATCH, RATE = 6000, 64, 2e-3
MATCHING, POOL, EACH = 300, 60, 2  # POOL, EACH: pictures of a look, captions and store
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


def longer(seed: int, *, steps: int) -> dict:
    """How often a token gets a picture of the thing that its sentence is about."""
    model, curve = retriever(seed, steps)
    test, store = unsaid.sentences(3000, 50_000 + seed), unsaid.pictures(EACH, 2)
    parts = zip(test.tokens.split(1000), test.mask.split(1000), strict=True)
    found = torch.cat([model.vokens(*some, store.feature) for some in parts])
    none = torch.zeros(unsaid.BOTH, dtype=torch.bool)
    rows = {
        name: unsaid.by_kind(store.look[found[:, place]] == test.look, test, none)
        for name, place in HERE.items()
    }
    return {"curve": curve} | rows


LAB = lab.Lab(
    "vokenization_further",
    groups={
        "longer": {str(n): partial(longer, steps=n) for n in (MATCHING, 2 * MATCHING)},
    },
    claims=lab.read_claims(__file__),
    least=5,  # the fewest that a verdict needs; a run without a word adds more
)

if __name__ == "__main__":
    LAB.main()
