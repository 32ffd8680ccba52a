"""How many LSTM layers: one, two and four, in the made-up language.

Command: python recipes/seq2seq_depth.py
Expected: about 8 minutes on a quiet core; results/seq2seq_depth.json.
"""

from functools import cache, partial

import torch

from mmdl_lib import lab
from mmdl_lib.lab import made
from mmdl_lib.models.seq2seq import Seq2Seq, Seq2SeqConfig

STEPS, BATCH, LONGEST = 500, 64, 8
RATES = {1: 5e-3, 2: 5e-3, 4: 5e-3}


@cache
def new() -> made.Sentences:
    """Sentences of 4 to 8 words that no model was trained on."""
    return made.draw(1000, LONGEST, 90_000_000)


def deep(seed: int, *, depth: int) -> dict:
    """Train on ever new sentences; the same ones for each depth of a seed."""
    sizes = {"vocab_source": made.VOCAB, "vocab": made.VOCAB, "width": 64, "embed": 64}
    torch.manual_seed(seed)
    model = Seq2Seq(Seq2SeqConfig(**sizes, depth=depth))

    def batches(step: int) -> dict:
        return made.draw(BATCH, LONGEST, 1_000_000 * (seed + 1) + step).batch()

    history = lab.train(model, batches, steps=STEPS, lr=RATES[depth], seed=seed)
    with torch.no_grad():
        nats = model.eval().loss(new().batch())["loss"].item()
    curve = lab.means(history.losses["loss"], 50)
    return {"nats": nats, "accuracy": made.accuracy(model, new()), "loss": curve}


GROUPS = {"depth": {str(depth): partial(deep, depth=depth) for depth in RATES}}
LAB = lab.Lab("seq2seq_depth", groups=GROUPS, claims=lab.read_claims(__file__), least=6)

if __name__ == "__main__":
    LAB.main()
