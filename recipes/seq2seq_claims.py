"""A made-up language: what a summary loses with length, and what attention finds.

Command: python recipes/seq2seq_claims.py           (all that is missing)
         python recipes/seq2seq_claims.py made:0    (one group, one seed)
         python recipes/seq2seq_claims.py summary   (the claims)
Expected: about 7 minutes on a quiet core. Attention translates every length that it was
trained on and looks where the word comes from; a summary loses with each word. The
values stand in results/seq2seq_claims.json, the claims in recipes/seq2seq_claims.toml.
"""

from functools import cache, partial

import torch

from mmdl_lib import lab
from mmdl_lib.lab import made
from mmdl_lib.models.bahdanau import Bahdanau, BahdanauConfig
from mmdl_lib.models.seq2seq import Seq2Seq, Seq2SeqConfig

STEPS, BATCH, RATE, LONGEST = 500, 64, 5e-3, 12
WORDS = (4, 6, 8, 10, 12, 16, 20)  # of new sentences; training has 4 to 12
SIZES = {"vocab_source": made.VOCAB, "vocab": made.VOCAB, "width": 64, "embed": 64}


def attentive(score: str) -> BahdanauConfig:
    """A decoder that looks at all states of the encoder."""
    return BahdanauConfig(**SIZES, half=32, score=score)


def summed(cell: str = "gru", context: str = "always", order: str = "forward"):
    """A decoder that gets one vector."""
    return Seq2SeqConfig(**SIZES, depth=1, cell=cell, context=context, order=order)


@cache
def new(words: int) -> made.Sentences:
    """Sentences that no model was trained on."""
    return made.draw(400, words, 90_000_000 + words, least=words)


def fresh(config, seed: int):
    """An untrained translator."""
    torch.manual_seed(seed)
    kind = Bahdanau if isinstance(config, BahdanauConfig) else Seq2Seq
    return kind(config)


def found(model) -> dict:
    """Shares of links found in new sentences of 12 words."""
    some = new(LONGEST)
    with torch.no_grad():
        weights = model.attention(some.tokens, some.source, some.source_mask)
    return made.found(weights, some)


def translate(seed: int, *, config) -> dict:
    """Train on ever new sentences; the same ones for each model of a seed."""
    attends = isinstance(config, BahdanauConfig)
    start = {"untrained": found(fresh(config, seed))} if attends else {}
    model = fresh(config, seed)

    def batches(step: int) -> dict:
        return made.draw(BATCH, LONGEST, 1_000_000 * (seed + 1) + step).batch()

    history = lab.train(model, batches, steps=STEPS, lr=RATE, seed=seed)
    accuracy = {str(n): made.accuracy(model, new(n)) for n in WORDS}
    curve = lab.means(history.losses["loss"], 50)
    out = {"accuracy": accuracy, "loss": curve}
    return out | start | (found(model) | moves(model) if attends else {})


def moves(model) -> dict:
    """Share of weight on the true word, and the share of links on the diagonal."""
    some = new(LONGEST)
    word = some.link >= 0
    place = torch.arange(some.link.shape[1]) + 1
    with torch.no_grad():
        weights = model.attention(some.tokens, some.source, some.source_mask)
    on = weights.gather(2, some.link.clamp(min=0)[..., None])[..., 0]
    straight = ((some.link == place) & word).sum().item() / word.sum().item()
    return {"weight": on[word].mean().item(), "diagonal": straight}


GROUPS = {
    "made": {
        "summary": partial(translate, config=summed()),
        "additive": partial(translate, config=attentive("additive")),
        "dot": partial(translate, config=attentive("dot")),
    },
    "order": {
        order: partial(translate, config=summed("lstm", "start", order))
        for order in ("forward", "reversed")
    },
}
LAB = lab.Lab(
    "seq2seq_claims", groups=GROUPS, claims=lab.read_claims(__file__), least=6
)

if __name__ == "__main__":
    LAB.main()
