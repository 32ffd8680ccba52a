"""T5 on single words and on spans: what each of the two lets a net do without.

Command: python recipes/bert_claims.py
Expected: half a minute a seed on a quiet core, 16 seeds at most, as one claim stays
open; results/bert_claims.json. The net of single words solves its own task without
what a text is about; the net of spans needs it.
"""

import copy
from functools import cache, partial

import torch

from mmdl_lib import lab
from mmdl_lib.lab import subjects
from mmdl_lib.models.t5 import T5, T5Config

TEXTS, STEPS, BATCH, RATE = 8000, 1000, 32, 3e-3
LABELS, TUNING = (16, 64), 100  # labeled texts; steps
SMALL = T5Config(
    vocab=subjects.VOCAB,
    width=32,
    inner=64,
    depth=1,
    heads=4,
    head_width=8,
    dropout=0.0,
)


@cache
def new() -> subjects.Texts:
    """Texts that no net was trained on."""
    return subjects.draw(2000, 90_000_000)


def tuned(model: T5, labels: int, seed: int, rate: float) -> float:
    """Share of subjects named right, all three words, after training on few texts."""
    model, some = copy.deepcopy(model), subjects.draw(labels, 2_000_003 + seed)
    batches = lab.rows(16, seed, **subjects.naming(some))
    lab.train(model, batches, steps=TUNING, lr=rate)
    return subjects.right(model, subjects.naming(new())).all(1).double().mean().item()


def net(seed: int, *, mean: int | None, rate: float) -> dict:
    """Pre-train on spans of a mean length, or not at all; then name subjects."""
    torch.manual_seed(seed)
    model, found = T5(SMALL), {}
    if mean:
        task = subjects.spans(subjects.draw(TEXTS, seed), mean, seed)
        batches = lab.rows(BATCH, seed, **task)
        history = lab.train(model, batches, steps=STEPS, lr=RATE)
        found["curve"] = lab.means(history.losses["loss"], 50)
        found["nats"] = subjects.nats(model, subjects.spans(new(), mean, seed))
        # asked with one sentinel and with three: the better counts
        ways = [subjects.right(model, subjects.gap(new(), n)) for n in (1, 3)]
        found["phrase"] = max(way[:, 1].double().mean().item() for way in ways)
    return found | {str(n): tuned(model, n, seed, rate) for n in LABELS}


# rates of the second task: the better of 1e-3 and 3e-3 on seed 100 with 16 labels
GROUPS = {
    "spans": {
        "single": partial(net, mean=1, rate=3e-3),
        "three": partial(net, mean=3, rate=1e-3),
        "untrained": partial(net, mean=None, rate=3e-3),
    }
}
CLAIMS = lab.read_claims(__file__)
LAB = lab.Lab("bert_claims", groups=GROUPS, claims=CLAIMS, least=6)

if __name__ == "__main__":
    LAB.main()
